"""Figures of consideration by worked numbers: small worlds, each rule at its edge."""

import pytest
from figure_store import FigureStore, happened

from parcours.kpis.catalogue import figures
from reference import Channel, EventType, Options

OPTIONS = Options(
    events={
        "seen": EventType(),
        "quoted": EventType("consideration", ("quote_created",)),
        "signed": EventType("purchase", ("contract_signed", "purchase"), "premium"),
        "carted": EventType("consideration", ("cart_created",)),
        "bought": EventType("purchase", ("purchase",), "revenue"),
        "bought_at_once": EventType("purchase", ("cart_created", "purchase"), "revenue"),
        "asked": EventType("service", ("survey_sent",)),
        "answered": EventType("service", ("survey_answered",)),
    },
    channels={"site": Channel("digital"), "app": Channel("digital"), "phone": Channel("human")},
)


@pytest.fixture(scope="module")
def store():
    """One store for all worlds."""
    return FigureStore(OPTIONS)


def test_an_empty_store_has_no_rows(store):
    """Of no figure: a zero would be a claim about nothing."""
    store.fill()
    names = [name for name, figure in figures().items() if figure.phase == "consideration"]
    assert [] == [row for name in names for row in store.rows(name)]


VISITORS = [
    happened("seen", "2026-03-01 10:00", campaign="spring"),
    happened("seen", "2026-03-02 10:00", channel="app"),
    happened("quoted", "2026-03-02 09:00", quote_id="Q1", channel="phone"),
    happened("seen", "2026-03-31 22:30"),  # April in Paris, without a quote
    happened("seen", "2026-03-01 10:00", customer_id="Bob"),
    happened("quoted", "2026-03-31 22:30", customer_id="Bob", quote_id="Q2", channel="phone"),
    happened("quoted", "2026-03-05", customer_id="Cy", quote_id="Q3", channel="phone"),  # never visited
]


def test_quote_rate_is_visitors_who_asked_for_a_quote_in_the_same_period(store):
    """Ann's counts on each channel of her visits of March; Bob's is of April, when he did not come."""
    store.fill(VISITORS)
    by_month = {("2026-03-01", "total"): (1, 2), ("2026-04-01", "total"): (0, 1)}
    assert by_month == store.pairs("quote_rate")
    by_channel = {
        ("2026-03-01", "app"): (1, 1),
        ("2026-03-01", "site"): (1, 2),
        ("2026-04-01", "site"): (0, 1),
    }
    assert by_channel == store.pairs("quote_rate", "channel")
    by_campaign = {
        ("2026-03-01", "spring"): (1, 1),
        ("2026-03-01", None): (1, 2),
        ("2026-04-01", None): (0, 1),
    }
    assert by_campaign == store.pairs("quote_rate", "campaign")
    assert {("2026-01-01", "total"): (2, 2)} == store.pairs("quote_rate", grain="year")
    by_day = store.pairs("quote_rate", grain="day")
    assert [(0, 2), (1, 1)] == [by_day[f"2026-03-0{day}", "total"] for day in (1, 2)]


def test_quote_rate_counts_what_happens_at_the_instant_itself(store):
    """At the first instant of a local day the day has begun, and holds what happened then."""
    store.fill([happened("seen", "2026-03-01 23:00"), happened("quoted", "2026-03-01 23:00", quote_id="Q")])
    at_midnight = {"as_of": "2026-03-01 23:00"}
    assert {("2026-03-02", "total"): (1, 1)} == store.pairs("quote_rate", grain="day", **at_midnight)
    assert {("2026-03-01", "total"): (1, 1)} == store.pairs("quote_rate", **at_midnight)


QUOTES = [
    happened("quoted", "2026-03-01", quote_id="A", product="auto", channel="phone"),
    happened("signed", "2026-03-31", quote_id="A", contract_id="KA"),  # 30 days later
    happened("quoted", "2026-03-01", quote_id="B", product="auto"),
    happened("signed", "2026-03-31 00:00:00.000001", quote_id="B", contract_id="KB"),
    happened("quoted", "2026-03-01", quote_id="C"),
    happened("quoted", "2026-04-01", quote_id="D"),
    happened("signed", "2026-03-02", quote_id="E", contract_id="KE"),  # never seen to be made
]


def test_a_quote_is_abandoned_that_is_not_bound_within_30_days(store):
    """By the instant it was made; mature when the 30 days of the whole month are over."""
    store.fill(QUOTES)
    by_month = {("2026-03-01", "total"): (2, 3), ("2026-04-01", "total"): (1, 1)}
    assert by_month == store.pairs("quote_abandonment")
    by_product = {
        ("2026-03-01", "auto"): (1, 2),
        ("2026-03-01", None): (1, 1),
        ("2026-04-01", None): (1, 1),
    }
    assert by_product == store.pairs("quote_abandonment", "product")
    assert {("2026-03-01", "total"): (3, 3)} == store.pairs("quote_abandonment", as_of="2026-03-30")
    assert [True, False] == [
        row["mature"] for row in store.rows("quote_abandonment", as_of="2026-05-30 22:00")
    ]


CARTS = [
    happened("carted", "2026-03-01", customer_id="in time"),
    happened("carted", "2026-03-02", customer_id="in time"),  # one purchase for all carts before it
    happened("bought", "2026-03-31", customer_id="in time"),
    happened("carted", "2026-03-01", customer_id="too late"),
    happened("bought", "2026-03-31 00:00:00.000001", customer_id="too late"),
    happened("carted", "2026-03-01", customer_id="at once", event_id="z"),
    happened("signed", "2026-03-01", customer_id="at once", event_id="a", contract_id="K"),
    happened("bought", "2026-02-28", customer_id="before"),
    happened("carted", "2026-03-01", customer_id="before"),
    happened("bought_at_once", "2026-03-01", customer_id="itself", channel="app"),
    happened("bought_at_once", "2026-03-01", customer_id="other", channel="app"),
    happened("bought_at_once", "2026-03-02", customer_id="other", channel="app"),
]


def test_a_cart_is_abandoned_without_another_purchase_within_30_days(store):
    """Too late, before, itself, and other's second: no cart is bought by the touchpoint that it is."""
    store.fill(CARTS)
    assert {("2026-03-01", "total"): (4, 8)} == store.pairs("cart_abandonment")
    by_channel = {("2026-03-01", "app"): (2, 3), ("2026-03-01", "site"): (2, 5)}
    assert by_channel == store.pairs("cart_abandonment", "channel")
    assert {("2026-03-01", None): (4, 8)} == store.pairs("cart_abandonment", "campaign")


SURVEYS = [
    happened("asked", "2026-03-01", case_id="A", content="short"),
    happened("answered", "2026-03-31", case_id="A"),
    happened("asked", "2026-03-01", case_id="B", content="short"),
    happened("answered", "2026-03-31 00:00:00.000001", case_id="B"),
    happened("asked", "2026-03-01"),
    happened("answered", "2026-03-02"),  # of no case, as the sending
    happened("asked", "2026-03-01", case_id="C"),
    happened("asked", "2026-03-05", case_id="C"),  # the reminder is answered
    happened("answered", "2026-03-06", case_id="C"),
    happened("asked", "2026-03-01", case_id="D"),
    happened("answered", "2026-03-02", case_id="D", customer_id="Bob"),  # another's, and never sent
]


def test_a_survey_is_answered_before_the_next_and_within_30_days(store):
    """A, that of no case, and the second of C: 3 of 6."""
    store.fill(SURVEYS)
    assert {("2026-03-01", "total"): (3, 6)} == store.pairs("survey_response_rate")
    by_content = {("2026-03-01", "short"): (1, 2), ("2026-03-01", None): (2, 4)}
    assert by_content == store.pairs("survey_response_rate", "content")
    (row,) = store.rows("survey_response_rate")
    assert (0.5, 6) == (row["value"], row["n"])
    assert row["low"] == pytest.approx(0.1876, abs=1e-4)
