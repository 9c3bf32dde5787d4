"""Figures of purchase by worked numbers: small worlds, each rule at its edge."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from figure_store import FigureStore, happened

from parcours.kpis.catalogue import figures
from reference import Channel, EventType, Options

OPTIONS = Options(
    events={
        "seen": EventType(),
        "ad": EventType("awareness", ("touch",)),
        "compared": EventType("consideration"),
        "quoted": EventType("consideration", ("quote_created",)),
        "signed": EventType("purchase", ("contract_signed", "purchase"), "premium"),
        "bought": EventType("purchase", ("purchase",), "revenue"),
        "bought_by_mail": EventType("purchase", ("purchase", "touch"), "revenue"),
        "called": EventType("service"),
        "terminated": EventType("service", ("contract_terminated",)),
    },
    channels={
        "site": Channel("digital"),
        "phone": Channel("human"),
        "agency": Channel("physical"),
        "letter": Channel("mail"),
    },
)


@pytest.fixture(scope="module")
def store():
    """One store for all worlds."""
    return FigureStore(OPTIONS, margin=0.25)


def test_an_empty_store_has_no_rows(store):
    """Of no figure: a zero would be a claim about nothing."""
    store.fill()
    names = [name for name, figure in figures().items() if figure.phase == "purchase"]
    assert [] == [row for name in names for row in store.rows(name)]


def euros(amount, currency="EUR"):
    """The value of a touchpoint."""
    return {"value": Decimal(amount), "currency": currency}


JOURNEYS = [
    happened("seen", "2026-03-01", customer_id="in time", channel="letter"),  # no stage
    happened("compared", "2026-03-02", customer_id="in time", channel="phone", product="auto"),
    happened("bought", "2026-05-31", customer_id="in time"),  # 90 days after the first stage
    happened("ad", "2026-03-01", customer_id="too late"),
    happened("bought", "2026-05-30 00:00:00.000001", customer_id="too late"),
    happened("ad", "2026-04-01", customer_id="not yet"),
    happened("bought", "2026-03-01", customer_id="at once"),  # no entrant
    happened("ad", "2026-03-02", customer_id="at once"),
    happened("called", "2026-03-01", customer_id="old"),  # begins with service
    happened("ad", "2026-03-02", customer_id="old"),
]


def test_purchase_conversion_is_of_journeys_that_begin_before_a_purchase(store):
    """By the touchpoint that entered their first stage, and within 90 days of it."""
    store.fill(JOURNEYS)
    by_month = {("2026-03-01", "total"): (1, 2), ("2026-04-01", "total"): (0, 1)}
    assert by_month == store.pairs("purchase_conversion")
    by_channel = {
        ("2026-03-01", "phone"): (1, 1),
        ("2026-03-01", "site"): (0, 1),
        ("2026-04-01", "site"): (0, 1),
    }
    assert by_channel == store.pairs("purchase_conversion", "channel")
    assert (0, 1) == store.pairs("purchase_conversion", "product")["2026-03-01", None]
    early = store.rows("purchase_conversion", as_of="2026-05-30 23:59")
    assert [(0, 2, False), (0, 1, False)] == [
        (row["numerator"], row["denominator"], row["mature"]) for row in early
    ]


def test_quotes_are_bound_within_90_days(store):
    """To the microsecond; a signing that names no quote binds none."""
    store.fill(
        [
            happened("quoted", "2026-03-01", quote_id="A", channel="phone"),
            happened("signed", "2026-05-30", quote_id="A", contract_id="KA"),
            happened("quoted", "2026-03-01", quote_id="B"),
            happened("signed", "2026-05-30 00:00:00.000001", quote_id="B", contract_id="KB"),
            happened("quoted", "2026-03-01", quote_id="C"),
            happened("signed", "2026-03-02", contract_id="KC"),
        ]
    )
    assert {("2026-03-01", "total"): (1, 3)} == store.pairs("quote_to_bind")
    by_channel = {("2026-03-01", "phone"): (1, 1), ("2026-03-01", "site"): (0, 2)}
    assert by_channel == store.pairs("quote_to_bind", "channel")


CUSTOMERS = [
    # the last touch of 90 days to the microsecond brought Ann, at the instant of her purchase or before
    happened("ad", "2026-01-31", campaign="winter", channel="letter", cost=Decimal(3), currency="EUR"),
    happened("bought", "2026-05-01", product="auto", channel="phone", **euros(200)),
    happened("bought", "2026-05-02", **euros(50)),  # again
    happened("ad", "2026-01-31", customer_id="Bob", campaign="winter"),
    happened("bought", "2026-05-01 00:00:00.000001", customer_id="Bob", **euros(70, "USD")),
    # of two touches of one instant the last in order; that of the purchase itself is none
    happened("ad", "2026-05-03", customer_id="Cy", campaign="first", event_id="y"),
    happened("ad", "2026-05-03", customer_id="Cy", campaign="last", event_id="z"),
    happened("bought_by_mail", "2026-05-03", customer_id="Cy", event_id="x", campaign="own"),
    # Dee held a contract before by the reference input, Eve since
    happened("signed", "2026-05-04", customer_id="Dee", contract_id="KD", **euros(100)),
    happened("signed", "2026-05-04", customer_id="Eve", contract_id="KE", **euros(300)),
]
CONTRACTS = [
    {"contract_id": "K1", "customer_id": "Dee", "effective_from": datetime(2026, 5, 3)},
    {"contract_id": "K2", "customer_id": "Eve", "effective_from": datetime(2026, 5, 4)},
]
SPEND = [
    {
        "day": date(2026, 5, 1),
        "campaign": "winter",
        "channel": "letter",
        "amount": Decimal(20),
        "currency": "EUR",
    }
]


def test_new_customers_buy_for_the_first_time(store):
    """Ann, Bob, Cy and Eve, by the touch that brought them and the product of the purchase."""
    store.fill(CUSTOMERS, contracts=CONTRACTS)
    assert {("2026-05-01", "total"): (4, None)} == store.pairs("new_customers")
    by_campaign = {
        ("2026-05-01", "last"): (1, None),
        ("2026-05-01", "winter"): (1, None),
        ("2026-05-01", None): (2, None),
    }
    assert by_campaign == store.pairs("new_customers", "campaign")
    by_product = {("2026-05-01", "auto"): (1, None), ("2026-05-01", None): (3, None)}
    assert by_product == store.pairs("new_customers", "product")
    assert 2 == store.pairs("new_customers", "channel")["2026-05-01", None][0]


def test_cost_per_acquisition_divides_by_new_customers(store):
    """20 spent in May for 4 customers; January's contact cost 3 and brought none in January."""
    store.fill(CUSTOMERS, contracts=CONTRACTS, spend=SPEND)
    rows = store.pairs("cost_per_acquisition")
    assert ((3, 0), (20, 4)) == (rows["2026-01-01", "EUR"], rows["2026-05-01", "EUR"])
    assert [None, 5] == [
        row["value"] for row in store.rows("cost_per_acquisition") if row["n"] or row["numerator"]
    ]
    by_campaign = {
        group[1:]: pair
        for group, pair in store.pairs("cost_per_acquisition", "campaign").items()
        if group[0] == "2026-05-01"
    }
    assert {("winter", "EUR"): (20, 1), ("last", "EUR"): (0, 1), (None, "EUR"): (0, 2)} == by_campaign


def test_costs_without_spend_are_not_there(store):
    """What single contacts cost is not what winning customers costs."""
    store.fill(CUSTOMERS, contracts=CONTRACTS)
    for name in ("cost_per_acquisition", "premium_per_euro", "return_on_investment"):
        assert [] == store.rows(name)


def test_premium_per_euro_is_of_contracts_signed(store):
    """400 of premium for 20 of spend; no touch brought either signing."""
    store.fill(CUSTOMERS, contracts=CONTRACTS, spend=SPEND)
    assert (400, 20) == store.pairs("premium_per_euro")["2026-05-01", "EUR"]
    by_campaign = store.pairs("premium_per_euro", "campaign")
    assert (400, 0) == by_campaign["2026-05-01", None, "EUR"]
    assert (0, 20) == by_campaign["2026-05-01", "winter", "EUR"]


def test_return_on_investment_takes_the_margin(store):
    """A quarter of 250 revenue and 400 premium, less 20, over 20; dollars were earned without a cost."""
    store.fill(CUSTOMERS, contracts=CONTRACTS, spend=SPEND)
    rows = store.pairs("return_on_investment")
    assert (142.5, 20) == rows["2026-05-01", "EUR"]
    assert (17.5, 0) == rows["2026-05-01", "USD"]
    (may,) = (row for row in store.rows("return_on_investment") if row["denominator"] == 20)
    assert (7.125, '"margin": 0.25') == (may["value"], may["options"][1:15])


def test_return_on_investment_needs_a_margin():
    """None is configured: the figure is not there."""
    store = FigureStore(OPTIONS)
    store.fill(CUSTOMERS, contracts=CONTRACTS, spend=SPEND)
    assert [] == store.rows("return_on_investment")


def test_revenue_and_basket_are_by_currency(store):
    """Premiums are no revenue; a purchase without an amount is none in the mean."""
    store.fill([*CUSTOMERS, happened("bought", "2026-05-09")])
    assert {("2026-05-01", "EUR"): (250, None), ("2026-05-01", "USD"): (70, None)} == store.pairs("revenue")
    by_medium = {
        ("2026-05-01", "digital", "EUR"): (50, None),
        ("2026-05-01", "digital", "USD"): (70, None),
        ("2026-05-01", "human", "EUR"): (200, None),
    }
    assert by_medium == store.pairs("revenue", "medium")
    baskets = {("2026-05-01", "EUR"): (250, 2), ("2026-05-01", "USD"): (70, 1)}
    assert baskets == store.pairs("average_basket")
    euro, dollar = store.rows("average_basket")
    assert (125, 2, None) == (euro["value"], euro["n"], dollar["low"])
    # 12.706 × 106.066 / √2 to either side
    assert (euro["low"], euro["high"]) == (pytest.approx(-827.96, abs=0.01), pytest.approx(1077.96, abs=0.01))
    assert [True, False] == [store.rows(name)[0]["additive"] for name in ("revenue", "average_basket")]


SIGNINGS = [
    happened("signed", "2026-03-01", contract_id="A", product="auto", channel="agency", **euros(300)),
    happened("signed", "2026-03-02", contract_id="B", product="home", **euros(100)),
    happened("signed", "2026-03-03", contract_id="C"),  # of unknown premium
    happened("signed", "2026-03-04", contract_id="A", channel="phone", **euros(999)),  # signed already
    happened("terminated", "2026-04-01", contract_id="A"),
]


def test_contracts_count_where_and_when_they_were_signed(store):
    """Once each; one without a premium is a contract, and no premium; a reference alone is no signing."""
    known = {"customer_id": "Ann", "annual_premium": Decimal(50), "currency": "EUR"}
    known |= {"contract_id": "Z", "effective_from": datetime(2026, 3, 1)}
    store.fill(SIGNINGS, contracts=[known])
    assert {("2026-03-01", "total"): (3, None)} == store.pairs("new_contracts")
    by_medium = {("2026-03-01", "digital"): (2, None), ("2026-03-01", "physical"): (1, None)}
    assert by_medium == store.pairs("new_contracts", "medium")
    assert {("2026-03-01", "EUR"): (400, None)} == store.pairs("new_premium")
    assert {("2026-03-01", "EUR"): (400, 2)} == store.pairs("average_premium")
    by_product = {("2026-03-01", "auto", "EUR"): (300, 1), ("2026-03-01", "home", "EUR"): (100, 1)}
    assert by_product == store.pairs("average_premium", "product")
    assert [2, 2] == [store.rows(name)[0]["n"] for name in ("new_premium", "average_premium")]


def test_contract_value_is_what_is_in_force_at_the_end(store):
    """A ends two hours into April in Paris: it stood at the end of March."""
    store.fill(SIGNINGS)
    stock = {
        ("2026-03-01", "EUR"): (400, None),
        ("2026-04-01", "EUR"): (100, None),
        ("2026-05-01", "EUR"): (100, None),
    }
    assert stock == store.pairs("contract_value", as_of="2026-05-15")
    assert {("2026-03-01", "EUR"): (300, None)} == store.pairs("contract_value", as_of="2026-03-01 12:00")


def test_shares_of_purchases_have_the_whole_period_below(store):
    """A null medium is a group; the product cuts both."""
    store.fill(
        [
            happened("bought", "2026-03-01", product="auto"),
            happened("signed", "2026-03-02", contract_id="K", channel="agency", product="auto"),
            happened("bought", "2026-03-03", channel="fax"),
        ]
    )
    by_medium = {
        ("2026-03-01", "digital"): (1, 3),
        ("2026-03-01", "physical"): (1, 3),
        ("2026-03-01", None): (1, 3),
    }
    assert by_medium == store.pairs("purchase_share", "medium")
    by_product = {("2026-03-01", "auto"): (2, 2), ("2026-03-01", None): (1, 1)}
    assert by_product == store.pairs("purchase_share", "product")


def test_phygital_journeys_begin_online_and_buy_with_people(store):
    """Ann, who began on the site and signed in the agency; not Bob by letter, nor Cy who began by phone."""
    store.fill(
        [
            happened("seen", "2026-03-01"),
            happened("signed", "2026-03-02", contract_id="A", channel="agency", product="auto"),
            happened("bought", "2026-03-03"),  # a later purchase is not the entry
            happened("seen", "2026-03-01", customer_id="Bob"),
            happened("bought", "2026-03-02", customer_id="Bob", channel="letter"),
            happened("seen", "2026-03-01", customer_id="Cy", channel="phone"),
            happened("bought", "2026-03-02", customer_id="Cy", channel="phone"),
            happened("seen", "2026-03-02", customer_id="Dee"),  # buys nothing
        ]
    )
    assert {("2026-03-01", "total"): (1, 3)} == store.pairs("phygital_share")
    by_channel = {
        ("2026-03-01", "agency"): (1, 1),
        ("2026-03-01", "letter"): (0, 1),
        ("2026-03-01", "phone"): (0, 1),
    }
    assert by_channel == store.pairs("phygital_share", "channel")


def test_a_filter_reaches_touchpoints_quotes_and_journeys(store):
    """Those on the phone alone: one purchase, and the journey that has one of them."""
    store.fill(CUSTOMERS, contracts=CONTRACTS)
    asked = {"where": "channel = 'phone'"}
    assert {("2026-05-01", "EUR"): (200, None)} == store.pairs("revenue", **asked)
    assert {("2026-05-01", "total"): (1, None)} == store.pairs("new_customers", **asked)
    assert {("2026-01-01", "total"): (1, 1)} == store.pairs("purchase_conversion", **asked)
