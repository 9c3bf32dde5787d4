"""Contracts, their premiums, quotes, claims and cases as they stood at an instant."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from loading import Loader, Slice, hashed
from reference import Channel, EventType, Options

START = datetime(2024, 1, 1)

OPTIONS = Options(
    events={
        "signed": EventType("purchase", ("contract_signed",), "premium"),
        "renewed": EventType("loyalty", ("contract_renewed",), "premium"),
        "left": EventType("service", ("contract_terminated",)),
        "quoted": EventType("consideration", ("quote_created",)),
        "claimed": EventType("service", ("claim_opened",)),
        "settled": EventType("service", ("claim_closed",)),
        "complained": EventType("service", ("complaint_opened",)),
        "acknowledged": EventType("service", ("complaint_acknowledged",)),
        "answered": EventType("service", ("complaint_answered",)),
    },
    channels={"site": Channel("digital")},
)


@pytest.fixture(scope="module")
def loader():
    """One store for all tests."""
    return Loader()


def day(days):
    """An instant, in days after the start."""
    return START + timedelta(days=days)


def event(days, event_type="seen", **fields):
    """A touchpoint of Ada's."""
    return {
        "occurred_at": day(days),
        "customer_id": "ada",
        "event_type": event_type,
        "channel": "site",
        **fields,
    }


def premium(amount):
    """An annual premium in euros, as a touchpoint has it."""
    return {"value": Decimal(amount), "currency": "EUR"}


def version(valid_from=None, customer="ada", amount=None, **fields):
    """A record of the reference input on contract K; times in days after the start."""
    times = {
        name: None if at is None else day(at) for name, at in {"valid_from": valid_from, **fields}.items()
    }
    money = {} if amount is None else {"annual_premium": Decimal(amount), "currency": "EUR"}
    return {"contract_id": "K", "customer_id": customer, **times, **money}


def store(loader, events, versions=()):
    """Load touchpoints and records into the emptied store."""
    rows = [
        {**row, "source_name": name, "source_topic": name, "source_partition": 0, "source_offset": n}
        for name, listed in (("events", events), ("contracts", versions))
        for n, row in enumerate(listed)
    ]
    records = [row for row in rows if row["source_name"] == "contracts"]
    rows = [{**row, "event_id": f"e{n}"} for n, row in enumerate(rows[: len(events)])]
    loader.empty()
    loader.load([Slice(hashed(rows), {"contracts": records})], OPTIONS)
    return loader.connection


def at(connection, relation, days, columns):
    """The only row at an instant, or none."""
    rows = connection.execute(f"SELECT {columns} FROM {relation}_at(TIMESTAMP '{day(days)}')").fetchall()
    assert len(rows) < 2
    return rows[0] if rows else None


def test_the_version_of_the_reference_input_that_was_in_force(loader):
    """Whose, how much and until when: by the version of then, the newest of those valid; a limit is valid."""
    connection = store(
        loader,
        [],
        [
            version(None, "ada", 100, effective_from=0),
            version(50, "bob", 120, effective_from=0),
            version(90, "bob", 130, effective_from=0, effective_to=95),
        ],
    )
    columns = "profile_id, customer_id, annual_premium::INTEGER, in_force"
    assert at(connection, "contracts", -1, columns) is None
    assert ("ada", "ada", 100, True) == at(connection, "contracts", 49, columns)
    assert ("bob", "bob", 120, True) == at(connection, "contracts", 50, columns)
    assert ("bob", "bob", 130, True) == at(connection, "contracts", 94, columns)
    assert ("bob", "bob", 130, False) == at(connection, "contracts", 95, columns)


def test_before_the_first_version_the_signing_tells_and_else_that_version(loader):
    """An extract that is valid from its own day does not make what it says unknown before."""
    signing = event(0, "signed", contract_id="K", **premium(100))
    columns = "began_at, annual_premium::INTEGER, due_at"
    connection = store(loader, [signing], [version(200, amount=150, effective_from=0, due_at=365)])
    assert (day(0), 100, day(365)) == at(connection, "contracts", 199, columns)
    assert (day(0), 150, day(365)) == at(connection, "contracts", 200, columns)
    connection = store(loader, [], [version(200, amount=150, effective_from=0, due_at=365)])
    assert (day(0), 150, day(365)) == at(connection, "contracts", 10, columns)


PREMIUMS = {
    "the signing's, until now": ([event(0, "signed", **premium(100))], [], [(0, None, 100)]),
    "from the beginning, though it was signed before": (
        [event(0, "signed", attributes=[{"key": "effective_from", "value": "2024-01-11"}], **premium(100))],
        [],
        [(10, None, 100)],
    ),
    "or after": (
        [event(5, "signed", attributes=[{"key": "effective_from", "value": "2024-01-01"}], **premium(100))],
        [],
        [(0, None, 100)],
    ),
    "a renewal with a premium changes it, one without does not": (
        [event(0, "signed", **premium(100)), event(365, "renewed"), event(400, "renewed", **premium(110))],
        [],
        [(0, 400, 100), (400, None, 110)],
    ),
    "each version changes it from its day; one without a premium does not": (
        [event(0, "signed", **premium(100)), event(400, "renewed", **premium(110))],
        [version(200, amount=105), version(300), version(500, amount=115)],
        [(0, 200, 100), (200, 400, 105), (400, 500, 110), (500, None, 115)],
    ),
    "the version in force at the beginning goes before the signing": (
        [event(0, "signed", **premium(100))],
        [version(None, amount=90)],
        [(0, None, 90)],
    ),
    "without a signing, the first version holds from the beginning": (
        [],
        [version(200, amount=105, effective_from=0), version(300, amount=115, effective_from=0)],
        [(0, 300, 105), (300, None, 115)],
    ),
    "of a version and a renewal at one instant the version holds": (
        [event(0, "signed", **premium(100)), event(200, "renewed", **premium(110))],
        [version(200, amount=105)],
        [(0, 200, 100), (200, None, 105)],
    ),
    "it ends with the contract, and what comes at the end or later changes nothing": (
        [event(0, "signed", **premium(100)), event(200, "left"), event(200, "renewed", **premium(110))],
        [version(300, amount=120)],
        [(0, 200, 100)],
    ),
    "what is known later only begins then": (
        [event(0, "signed"), event(400, "renewed", **premium(110))],
        [],
        [(400, None, 110)],
    ),
    "what has not occurred is not known": (
        [event(0, "signed", **premium(100)), event(1001, "renewed", **premium(110))],
        [version(1001, amount=120)],
        [(0, None, 100)],
    ),
    "a contract that has not begun costs nothing": ([event(1001, "signed", **premium(100))], [], []),
}


@pytest.mark.parametrize("case", PREMIUMS)
def test_premiums_over_time(loader, case):
    """One stretch after the other, from the contract's beginning to its end."""
    events, versions, expected = PREMIUMS[case]
    connection = store(loader, [{**row, "contract_id": "K"} for row in events], versions)
    found = connection.execute(
        f"FROM contract_premiums_at(TIMESTAMP '{day(1000)}') ORDER BY from_at"
    ).fetchall()
    assert [
        ("K", "ada", None, "EUR", Decimal(amount), day(since), None if until is None else day(until))
        for since, until, amount in expected
    ] == found


def test_a_quote_at_an_instant(loader):
    """Named, quoted, bound: each step is known from its instant on."""
    connection = store(
        loader,
        [
            event(1, quote_id="Q", product="auto"),
            event(2, "quoted", quote_id="Q", **premium(100)),
            event(9, "signed", quote_id="Q", contract_id="K"),
        ],
    )
    columns = "product, quoted_at, quoted_by, value::INTEGER, currency, bound_at, bound_by, contract_id"
    quoted = (day(2), "e1", 100, "EUR")
    assert at(connection, "quotes", 0.9, columns) is None
    assert ("auto", *[None] * 7) == at(connection, "quotes", 1, columns)
    assert ("auto", *quoted, None, None, None) == at(connection, "quotes", 8, columns)
    assert ("auto", *quoted, day(9), "e2", "K") == at(connection, "quotes", 9, columns)


def test_a_claim_and_a_case_at_an_instant(loader):
    """Lists hold what had happened by then."""
    steps = ("complained", "acknowledged", "answered", "complained")
    connection = store(
        loader,
        [
            event(1, "claimed", claim_id="S"),
            event(5, "settled", claim_id="S"),
            event(7, "settled", claim_id="S"),
            *(event(n, step, case_id="R") for n, step in enumerate(steps)),
        ],
    )
    columns = "opened_at, opened_by, closed_at"
    assert at(connection, "claims", 0, columns) is None
    assert (day(1), "e0", [day(5)]) == at(connection, "claims", 6, columns)
    columns = "kind, opened_at, acknowledged_at, answered_at, reopened_at"
    assert at(connection, "cases", -1, columns) is None
    assert ("complaint", day(0), None, [], []) == at(connection, "cases", 0, columns)
    assert ("complaint", day(0), day(1), [day(2)], []) == at(connection, "cases", 2, columns)
    assert ("complaint", day(0), day(1), [day(2)], [day(3)]) == at(connection, "cases", 3, columns)
