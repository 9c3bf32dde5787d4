"""Figures of awareness by worked numbers: small worlds, each rule at its edge."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from figure_store import FigureStore, happened

from parcours.kpis.catalogue import figures
from reference import Channel, EventType, Options

OPTIONS = Options(
    events={
        "seen": EventType(),
        "touched": EventType("awareness", ("touch",)),
        "delivered": EventType("awareness", ("email_delivered",)),
        "opened": EventType("awareness", ("email_opened",)),
        "clicked": EventType("awareness", ("email_clicked",)),
        "previewed": EventType("awareness", ("email_delivered", "email_opened", "email_clicked")),
    },
    channels={"site": Channel("digital"), "app": Channel("digital"), "mail": Channel("mail")},
)


@pytest.fixture(scope="module")
def store():
    """One store for all worlds."""
    return FigureStore(OPTIONS)


def test_an_empty_store_has_no_rows(store):
    """Of no figure: a zero would be a claim about nothing."""
    store.fill()
    names = [name for name, figure in figures().items() if figure.phase == "awareness"]
    assert [] == [row for name in names for row in store.rows(name)]


VISITS = [
    happened("seen", "2026-03-01 10:00", campaign="spring"),
    happened("seen", "2026-03-01 10:20", campaign="summer"),  # the same visit
    happened("seen", "2026-03-01 12:00", channel="app"),
    happened("seen", "2026-03-01 10:00", customer_id="Bob"),
    happened("seen", "2026-03-02 10:00", customer_id="Bob", channel="mail"),  # no visit: not digital
    happened("seen", "2026-03-31 22:30"),  # April in Paris
]


def test_visits_and_visitors_are_of_the_period_in_which_the_visit_began(store):
    """In local time, with what brought the visit's first touchpoint; nobody counts twice in a period."""
    store.fill(VISITS)
    assert {("2026-03-01", "total"): (3, None), ("2026-04-01", "total"): (1, None)} == store.pairs("visits")
    assert {("2026-03-01", "total"): (2, None), ("2026-04-01", "total"): (1, None)} == store.pairs("visitors")
    by_campaign = {
        ("2026-03-01", "spring"): (1, None),
        ("2026-03-01", None): (2, None),
        ("2026-04-01", None): (1, None),
    }
    assert by_campaign == store.pairs("visits", "campaign")
    by_channel = {
        ("2026-03-01", "site"): (2, None),
        ("2026-03-01", "app"): (1, None),
        ("2026-04-01", "site"): (1, None),
    }
    assert by_channel == store.pairs("visitors", "channel")
    assert [True, False] == [store.rows(name)[0]["additive"] for name in ("visits", "visitors")]


def test_a_dimension_that_is_all_null_is_one_group(store):
    """It has the total's numbers."""
    store.fill(VISITS)
    nothing = {(period, None): pair for (period, _), pair in store.pairs("visits").items()}
    assert nothing == store.pairs("visits", "product")


def spent(day, amount, channel="site", campaign="spring", currency="EUR", **fields):
    """A row of the reference input spend."""
    return {
        "day": date.fromisoformat(day),
        "amount": Decimal(amount),
        "channel": channel,
        "campaign": campaign,
        "currency": currency,
        **fields,
    }


CONTACTS = [
    happened("touched", "2026-03-05", cost=Decimal(2), currency="EUR", campaign="spring"),
    happened("touched", "2026-03-06"),  # free
    happened("touched", "2026-03-07", cost=Decimal(5), currency="USD"),
    happened("seen", "2026-03-08", cost=Decimal(1000), currency="EUR"),  # no marketing contact
]


def test_cost_per_contact_is_spend_and_cost_over_contacts(store):
    """(100 + 50 + 2) / 2 euros and (30 + 5) / 1 dollars: never added; nothing was reached over the radio."""
    store.fill(
        CONTACTS,
        spend=[
            spent("2026-03-01", 100),
            spent("2026-03-01", 50, channel="radio"),
            spent("2026-03-01", 30, currency="USD"),
        ],
    )
    assert {("2026-03-01", "EUR"): (152, 2), ("2026-03-01", "USD"): (35, 1)} == store.pairs(
        "cost_per_contact"
    )
    by_channel = {
        ("2026-03-01", "radio", "EUR"): (50, 0),
        ("2026-03-01", "site", "EUR"): (102, 2),
        ("2026-03-01", "site", "USD"): (35, 1),
    }
    assert by_channel == store.pairs("cost_per_contact", "channel")
    values = [(row["value"], row["n"], row["low"]) for row in store.rows("cost_per_contact", "channel")]
    assert [(None, 0, None), (51, 2, None), (35, 1, None)] == values


def test_a_day_of_spend_counts_from_its_first_local_instant(store):
    """1 April begins in Paris at 22:00 UTC of the day before; the newest version of a day holds."""
    older = spent("2026-04-01", 7, valid_from=datetime(2026, 1, 1))
    store.fill(CONTACTS, spend=[older, spent("2026-04-01", 8, valid_from=datetime(2026, 2, 1))])
    april = ("2026-04-01", "EUR")
    assert (8, 0) == store.pairs("cost_per_contact", as_of="2026-03-31 22:00")[april]
    assert april not in store.pairs("cost_per_contact", as_of="2026-03-31 21:59:59.999999")


def test_cost_per_contact_needs_spend(store):
    """Without it there are no rows: the cost of contacts alone would seem cheap."""
    store.fill(CONTACTS)
    assert [] == store.rows("cost_per_contact")


def mailed(kind, person, at, **fields):
    """An e-mail's touchpoint."""
    return happened(kind, at, customer_id=person, channel="mail", **{"campaign": "spring", **fields})


def answers(kind):
    """Deliveries and what followed each, opening or click."""
    return [
        mailed("delivered", "in time", "2026-03-02"),
        mailed(kind, "in time", "2026-04-01"),
        mailed(kind, "in time", "2026-04-01"),  # each message counts once
        mailed("delivered", "too late", "2026-03-02"),
        mailed(kind, "too late", "2026-04-01 00:00:00.000001"),
        # the second message was answered, not the first
        mailed("delivered", "twice", "2026-03-02", content="first"),
        mailed("delivered", "twice", "2026-03-03", content="second"),
        mailed(kind, "twice", "2026-03-04"),
        # at once, though its id is smaller
        mailed("delivered", "at once", "2026-03-02", event_id="z"),
        mailed(kind, "at once", "2026-03-02", event_id="a"),
        # of two messages of one instant the last in order
        mailed("delivered", "pair", "2026-03-02", event_id="p1", content="first"),
        mailed("delivered", "pair", "2026-03-02", event_id="p2", content="second"),
        mailed(kind, "pair", "2026-03-02 01:00"),
        # no message answers itself, but it may answer one of its instant
        mailed("previewed", "itself", "2026-03-02"),
        mailed("previewed", "other", "2026-03-02", event_id="o1"),
        mailed("delivered", "other", "2026-03-02", event_id="o2", content="other"),
        # of no campaign, as the message; of another campaign; before the message
        mailed("delivered", "none", "2026-03-02", campaign=None),
        mailed(kind, "none", "2026-03-02 01:00", campaign=None),
        mailed("delivered", "unlike", "2026-03-02"),
        mailed(kind, "unlike", "2026-03-02 01:00", campaign=None),
        mailed("delivered", "before", "2026-03-02"),
        mailed(kind, "before", "2026-03-01"),
    ]


@pytest.mark.parametrize(("name", "kind"), [("email_open_rate", "opened"), ("email_click_rate", "clicked")])
def test_a_message_is_answered_before_the_next_and_within_30_days(store, name, kind):
    """In time, twice's second, at once, the pair's second, beside itself, and of no campaign."""
    store.fill(answers(kind))
    assert {("2026-03-01", "total"): (6, 13)} == store.pairs(name)
    by_campaign = {("2026-03-01", "spring"): (5, 12), ("2026-03-01", None): (1, 1)}
    assert by_campaign == store.pairs(name, "campaign")
    by_content = {
        ("2026-03-01", "first"): (0, 2),
        ("2026-03-01", "other"): (1, 1),
        ("2026-03-01", "second"): (2, 2),
        ("2026-03-01", None): (3, 8),
    }
    assert by_content == store.pairs(name, "content")
    mature = [store.rows(name, as_of=as_of)[0]["mature"] for as_of in ("2026-04-30 22:00", "2026-05-01")]
    assert [False, True] == mature


def test_an_indicator_is_repeated_by_month_and_name(store):
    """The newest version of each month, from its first local instant on."""
    given = {"name": "notoriety", "month": date(2026, 3, 1)}
    store.fill(
        [happened("seen", "2026-03-01")],
        indicators=[
            {**given, "value": 40.0, "valid_from": datetime(2026, 3, 1)},
            {**given, "value": 42.5, "valid_from": datetime(2026, 4, 1)},
            {"name": "share", "month": date(2026, 5, 1), "value": 0.1},
        ],
    )
    march = {("2026-03-01", "notoriety"): (42.5, 1)}
    assert {**march, ("2026-05-01", "share"): (0.1, 1)} == store.pairs("indicator")
    assert march == store.pairs("indicator", as_of="2026-04-30 21:59:59")
