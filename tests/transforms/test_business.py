"""Contracts, quotes, claims and cases, and the end of the last contract: one rule a test."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from loading import Loader, hashed
from reference import Channel, EventType, Options
from strategies import Slice

START = datetime(2025, 1, 1)

ROLES = {
    "signed": ("contract_signed", "purchase"),
    "renewed": ("contract_renewed",),
    "left": ("contract_terminated",),
    "quoted": ("quote_created",),
    "broken": ("claim_opened",),
    "mended": ("claim_closed",),
    "broken again": ("claim_reopened",),
    "complained": ("complaint_opened",),
    "asked": ("question_asked",),
    "answered": ("question_answered",),
    "reminded": ("question_reminded",),
    "invited": ("survey_sent",),
    "offered": ("listing_offered",),
    "matched": ("listing_matched",),
    "met": ("meeting_attended",),
}
OPTIONS = Options(
    events={
        "seen": EventType(None, ()),
        **{name: EventType("service", roles) for name, roles in ROLES.items()},
        "signed": EventType("purchase", ROLES["signed"], "premium"),
    },
    channels={"site": Channel("digital")},
    end_on=("last_contract_ended",),
)


@pytest.fixture(scope="module")
def shared_loader():
    """One store for all tests."""
    return Loader()


@pytest.fixture
def loader(shared_loader):
    """An empty store."""
    shared_loader.empty()
    return shared_loader


def event(event_id, days=0.0, event_type="seen", customer="ada", **fields):
    """A touchpoint ``days`` after the start; attributes as a dictionary."""
    attributes = [{"key": key, "value": value} for key, value in fields.pop("attributes", {}).items()]
    return {
        "event_id": event_id,
        "occurred_at": START + timedelta(days=days),
        "customer_id": customer,
        "event_type": event_type,
        "channel": "site",
        "attributes": attributes,
        "source_name": "world",
        "source_topic": "touchpoints",
        "source_partition": 0,
        **fields,
    }


def says(contract_id, customer, valid_from=None, **fields):
    """A record of the reference input contracts; times in days after the start."""
    times = ("effective_from", "effective_to", "due_at")
    fields = {key: START + timedelta(days=value) if key in times else value for key, value in fields.items()}
    return {
        "contract_id": contract_id,
        "customer_id": customer,
        "valid_from": None if valid_from is None else START + timedelta(days=valid_from),
        "attributes": [],
        "source_name": "contracts",
        "source_topic": "contracts.csv",
        "source_partition": 0,
        **fields,
    }


def load(loader, *slices):
    """Load slices, each a list of events and of records of the reference input, after those before."""
    prepared = []
    for number, rows in enumerate(slices):
        placed = [{**row, "source_offset": 1000 * number + n} for n, row in enumerate(rows)]
        events = hashed([row for row in placed if "event_id" in row])
        records = [row for row in placed if "event_id" not in row]
        prepared.append(Slice(events, {"contracts": records}))
    loader.load(prepared, OPTIONS)


def ask(loader, query):
    """The rows of an answer as dictionaries."""
    result = loader.connection.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def only(loader, relation):
    """The one row of a relation."""
    (row,) = ask(loader, f"FROM {relation}")
    return row


def day(days):
    """The instant ``days`` after the start."""
    return START + timedelta(days=days)


def journeys(loader):
    """The event_ids of each journey, a star after one that an event ended."""
    rows = ask(
        loader,
        """
        SELECT string_agg(event_id, '' ORDER BY position) || if(any_value(ended_by) IS NULL, '', '*') AS ids
        FROM journey_steps JOIN journeys USING (journey_id) GROUP BY journey_id ORDER BY ids
        """,
    )
    return [row["ids"] for row in rows]


# Contracts ------------------------------------------------------------------------------


def test_a_contract_from_its_touchpoints(loader):
    """First signing, first termination, every renewal; where the signing is silent, the first who speaks."""
    load(
        loader,
        [
            event("r2", 700, "renewed", contract_id="K"),
            event("x2", 900, "left", contract_id="K", attributes={"reason": "moved"}),
            event("s2", 3, "signed", "bob", contract_id="K"),
        ],
        [
            event("v", 0, "seen", "cyd", contract_id="K", product="auto"),
            event(
                "s",
                2,
                "signed",
                contract_id="K",
                value=Decimal(120),
                currency="CHF",
                attributes={"effective_from": "2025-02-01", "effective_to": "soon", "due_at": "2026-02-01"},
            ),
            event("r", 365, "renewed", contract_id="K"),
            event(
                "x",
                800,
                "left",
                contract_id="K",
                attributes={"effective_to": "2027-05-01", "reason": "price", "initiator": "customer"},
            ),
        ],
    )
    assert only(loader, "contracts") == {
        "contract_id": "K",
        "profile_id": "ada",
        "customer_id": "ada",
        "product": "auto",
        "held_from": day(2),
        "signed_at": day(2),
        "signed_by": "s",
        "effective_from": datetime(2025, 2, 1),
        "effective_to": None,
        "due_at": datetime(2026, 2, 1),
        "terminated_at": day(800),
        "terminated_by": "x",
        "termination_effective_to": datetime(2027, 5, 1),
        "initiator": "customer",
        "reason": "price",
        "renewed_at": [day(365), day(700)],
        "annual_premium": Decimal(120),
        "currency": "CHF",
        "signed": {
            "effective_from": datetime(2025, 2, 1),
            "effective_to": None,
            "due_at": datetime(2026, 2, 1),
            "annual_premium": Decimal(120),
            "currency": "CHF",
        },
        "renewals": [],
    }


INSTANTS = {
    "2025-02-01": datetime(2025, 2, 1),
    "2025-02-01T10:00:00Z": datetime(2025, 2, 1, 10),
    "2025-02-01 10:00:00.5": datetime(2025, 2, 1, 10, 0, 0, 500_000),
    "2025-02-01T10:00:00+02:00": datetime(2025, 2, 1, 8),
    "2025-02-01T10:00Z": datetime(2025, 2, 1, 10),
    "2025-02-01T10:00-0130": datetime(2025, 2, 1, 11, 30),
    "2025-02-01T10:00+01": datetime(2025, 2, 1, 9),
    "2025-02-01T10:00:00.123456789Z": datetime(2025, 2, 1, 10, 0, 0, 123_456),
    "2025-02-01 10:00 Europe/Paris": None,
    "2025-2-1": None,
    "2025-02-30": None,
    "01/02/2025": None,
    "infinity": None,
    "1738368000000": None,
    "": None,
}


def test_an_attribute_as_an_instant(loader):
    """ISO 8601, in UTC where no offset is given, whatever the session's zone; what cannot be read is none."""
    loader.connection.execute("SET TimeZone = 'America/New_York'")
    rows = [
        event(f"s{n}", n, "signed", contract_id=text or "-", attributes={"effective_from": text})
        for n, text in enumerate(INSTANTS)
    ]
    load(loader, rows)
    found = {row["contract_id"]: row["effective_from"] for row in ask(loader, "FROM contracts")}
    assert found == {text or "-": instant for text, instant in INSTANTS.items()}


def test_the_reference_input_wins(loader):
    """Of its rows the newest counts, whatever came first; the owner is its customer."""
    signed = event("s", 2, "signed", contract_id="K", product="home", value=Decimal(9), currency="EUR")
    newest = says(
        "K", "bob", 300, product="auto", effective_from=1, annual_premium=Decimal(7), currency="CHF"
    )
    load(loader, [newest], [signed, says("K", "cyd", 100, due_at=9), says("K", "dan", due_at=9)])
    row = only(loader, "contracts")
    assert ("bob", "bob", "auto") == (row["profile_id"], row["customer_id"], row["product"])
    assert (day(2), day(1), None) == (row["held_from"], row["effective_from"], row["due_at"])
    assert (Decimal(7), "CHF") == (row["annual_premium"], row["currency"])


def test_a_contract_that_only_the_reference_input_knows(loader):
    """It is held from its effective_from, by a person who need not have a touchpoint."""
    load(
        loader, [says("K", "nobody", effective_from=5)], [event("v")], [says("K", "nobody", effective_from=7)]
    )
    assert (day(7), None) == tuple(only(loader, "contracts")[name] for name in ("held_from", "signed_at"))
    loader.rebuild(OPTIONS)
    assert "nobody" == only(loader, "contracts")["profile_id"]
    assert "ada" == only(loader, "profiles")["profile_id"]


def test_in_force_at_an_instant(loader):
    """From effective_from until the end that the termination names; before the signing nothing is known."""
    load(
        loader,
        [
            event("s", 2, "signed", contract_id="K", attributes={"effective_from": "2025-01-11"}),
            event("x", 20, "left", contract_id="K", attributes={"effective_to": "2025-02-01"}),
            says("L", "ada", effective_from=3, effective_to=30),
        ],
    )

    def at(days):
        rows = ask(loader, f"FROM contracts_at(TIMESTAMP '{day(days)}') ORDER BY contract_id")
        return {row["contract_id"]: (row["in_force"], row["in_force_since"], row["ended_at"]) for row in rows}

    nothing = (False, None, None)
    assert at(1) == {}
    assert at(2) == {"K": nothing}
    assert at(3) == {"K": nothing, "L": (True, day(3), None)}
    assert at(10)["K"] == (True, day(10), None)
    assert at(30) == {"K": (True, day(10), None), "L": (False, None, day(30))}
    assert at(31)["K"] == (False, None, day(31))


# The last contract's end ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], ["asx*", "z"], id="the only one"),
        pytest.param([event("t", 2, "signed", contract_id="L")], ["astxz"], id="another is held"),
        pytest.param(
            [event("t", 2, "signed", contract_id="L", attributes={"effective_from": "2025-06-01"})],
            ["astxz"],
            id="another is held that takes effect later",
        ),
        pytest.param([event("t", 6, "signed", contract_id="L")], ["asx*", "tz"], id="another comes later"),
        pytest.param(
            [event("t", 2, "signed", contract_id="L"), event("u", 4, "left", contract_id="L")],
            ["astux*", "z"],
            id="another ended before",
        ),
        pytest.param(
            [event("t", 2, "signed", contract_id="L"), event("y", 5, "left", contract_id="L")],
            ["astxy*", "z"],
            id="both end at one instant",
        ),
        pytest.param([event("t", 2, "signed", "bob", contract_id="L")], ["asx*", "t", "z"], id="another's"),
        pytest.param([says("L", "ada", effective_from=1)], ["asxz"], id="another by the reference input"),
        pytest.param(
            [says("L", "ada", effective_from=1, effective_to=5)], ["asx*", "z"], id="one that expires then"
        ),
        pytest.param([says("L", "ada", effective_from=6)], ["asx*", "z"], id="one that begins later"),
        pytest.param([says("K", "bob")], ["asxz"], id="it is another's: no end of one's own"),
        pytest.param([event("x", 4, "seen", contract_id="K")], ["asxz"], id="it was no termination"),
    ],
)
def test_the_termination_that_leaves_no_contract_ends_the_journey(loader, rows, expected):
    """Judged by what was held at its instant, though it became known later."""
    base = [
        event("a"),
        event("s", 1, "signed", contract_id="K"),
        event("x", 5, "left", contract_id="K"),
        event("z", 7),
    ]
    load(loader, base, rows)
    assert expected == journeys(loader)


def test_without_the_word_nothing_ends(loader):
    """An empty end_on lets a journey go on after the last contract."""
    options = Options(events=OPTIONS.events, channels=OPTIONS.channels, end_on=())
    rows = [event("s", 1, "signed", contract_id="K"), event("x", 5, "left", contract_id="K"), event("z", 7)]
    loader.load([hashed([{**row, "source_offset": n} for n, row in enumerate(rows)])], options)
    assert ["sxz"] == journeys(loader)


# Quotes, claims, cases ------------------------------------------------------------------


def test_a_quote(loader):
    """Who is known owns it, though a device named it first; bound by the first signing that names it."""
    load(
        loader,
        [
            event("s", 5, "signed", quote_id="Q", contract_id="K", product="home"),
            event("q", 1, "quoted", quote_id="Q", value=Decimal(50), currency="EUR"),
            event("v", 0, "seen", None, anonymous_id="d", quote_id="Q", product="auto"),
        ],
    )
    assert only(loader, "quotes") == {
        "quote_id": "Q",
        "profile_id": "ada",
        "first_at": day(0),
        "product": "auto",
        "channel": "site",
        "quoted_at": day(1),
        "quoted_by": "q",
        "value": Decimal(50),
        "currency": "EUR",
        "bound_at": day(5),
        "bound_by": "s",
        "contract_id": "K",
    }


def test_a_claim(loader):
    """Openings and closings in order, whatever order they came in."""
    kinds = {"b": "broken", "d": "mended", "f": "broken again", "h": "mended"}
    rows = [event(name, ord(name) - 97, kind, claim_id="S") for name, kind in kinds.items()]
    load(loader, [rows[3], rows[1]], [rows[2], rows[0], event("p", 9, contract_id="K", claim_id="S")])
    assert only(loader, "claims") == {
        "claim_id": "S",
        "profile_id": "ada",
        "first_at": day(1),
        "contract_id": "K",
        "product": None,
        "opened_at": day(1),
        "opened_by": "b",
        "closed_at": [day(3), day(7)],
        "reopened_at": [day(5)],
    }


def test_a_case(loader):
    """Asked, reminded, answered; asked again after the answer is a reopening, before it is not."""
    steps = {"a": "asked", "b": "asked", "c": "reminded", "d": "answered", "e": "asked", "f": "answered"}
    load(loader, [event(name, ord(name) - 97, kind, case_id="R") for name, kind in steps.items()])
    row = only(loader, "cases")
    assert ("question", day(0), "a") == (row["kind"], row["opened_at"], row["opened_by"])
    assert ([day(2)], [day(3), day(5)], [day(4)]) == (
        row["reminded_at"],
        row["answered_at"],
        row["reopened_at"],
    )


KINDS = {
    "complained": ("complaint", True),
    "answered": ("question", False),
    "offered": ("listing", True),
    "matched": ("listing", False),
    "met": ("meeting", True),
    "invited": ("message", True),
    "seen": ("other", False),
    "never heard of": ("other", False),
}


def test_the_kind_of_a_case(loader):
    """By the roles of the first touchpoint that names it; only some of them open it."""
    firsts = [event(f"a {first}", 0, first, case_id=first) for first in KINDS]
    load(loader, [*firsts, *(event(f"b {first}", 1, "reminded", case_id=first) for first in KINDS)])
    rows = ask(loader, "FROM cases")
    assert {row["case_id"]: (row["kind"], row["opened_at"] is not None) for row in rows} == KINDS


def test_a_demoted_touchpoint_takes_along_what_it_said(loader):
    """Of two contents of one event the earlier counts: the later's keys are named by nobody any more."""
    load(
        loader,
        [event("s", 3, "signed", contract_id="K", quote_id="Q", claim_id="S", case_id="R")],
        [event("s", 2, "signed", contract_id="L")],
    )
    assert ["L"] == [row["contract_id"] for row in ask(loader, "FROM contracts")]
    assert [0, 0, 0] == [len(ask(loader, f"FROM {relation}")) for relation in ("quotes", "claims", "cases")]


def test_a_late_login_hands_over_what_the_device_named(loader):
    """The owner is looked at anew where touchpoints change hands."""
    load(
        loader,
        [event("q", 0, "quoted", None, anonymous_id="d", quote_id="Q")],
        [event("v", 1, anonymous_id="d")],
    )
    assert "ada" == only(loader, "quotes")["profile_id"]
