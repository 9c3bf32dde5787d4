"""The comparison finds what differs, and nothing else."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings

from compare import ELSEWHERE, KEYS, assert_same, assert_same_rows, normalise
from reference import COORDINATES, FIELDS, REFERENCE_FIELDS, Options, build
from strategies import CHANNELS, EVENT_TYPES, worlds

INSTANT, AMOUNT = pa.timestamp("us"), pa.decimal128(18, 4)
PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
LISTS_OF_TEXTS = ("consent", "roles", "skipped_stages")
LISTS_OF_INSTANTS = (
    *("renewed_at", "forwarded_at", "answered_at", "reminded_at"),
    *("cases.closed_at", "cases.reopened_at", "claims.closed_at", "claims.reopened_at"),
)
TYPES = {
    **dict.fromkeys(("valid_from", "effective_from", "effective_to", "due_at", "held_from"), INSTANT),
    "termination_effective_to": INSTANT,
    **dict.fromkeys(("value", "cost", "amount", "annual_premium"), AMOUNT),
    **dict.fromkeys(("score", "days_to_purchase", "seconds_since_previous"), pa.float64()),
    **dict.fromkeys(("position", "touchpoints", "journeys", "returns"), pa.int64()),
    **dict.fromkeys(("birth_year", "source_partition", "source_offset"), pa.int64()),
    **dict.fromkeys(("identified", "is_direct", "is_return"), pa.bool_()),
    **dict.fromkeys(("member_since", "member_until"), pa.date32()),
    **dict.fromkeys(LISTS_OF_TEXTS, pa.list_(pa.string())),
    **dict.fromkeys(LISTS_OF_INSTANTS, pa.list_(INSTANT)),
    "attributes": PAIRS,
    "signed": pa.struct(
        [
            *((name, INSTANT) for name in ("effective_from", "effective_to", "due_at")),
            *(("annual_premium", AMOUNT), ("currency", pa.string())),
        ]
    ),
    "renewals": pa.list_(
        pa.struct([("renewed_at", INSTANT), ("annual_premium", AMOUNT), ("currency", pa.string())])
    ),
    "quarantine.value": pa.string(),
}
"""By column, or by relation and column; an instant where the name ends with _at, else a text."""


def type_of(relation, column):
    """Return a column's type."""
    default = INSTANT if column.endswith("_at") else pa.string()
    return TYPES.get(f"{relation}.{column}", TYPES.get(column, default))


COLUMNS = {
    "touchpoints": (
        *FIELDS,
        *(
            "profile_id",
            "identified",
            "stage_given",
            "roles",
            "money_role",
            "medium",
            "is_direct",
            "visit_id",
        ),
    ),
    "people": ("customer_id", "profile_id"),
    "profiles": ("profile_id", "identified", "first_at", "last_at", "touchpoints", "journeys"),
    "identity_links": (
        *("kind", "anonymous_id", "other_customer_id", "customer_id", "event_id", "linked_at", "status"),
    ),
    "visits": (
        *("visit_id", "profile_id", "started_at", "ended_at", "touchpoints", "channel", "source"),
        *("campaign", "content", "product"),
    ),
    "journeys": (
        *("journey_id", "profile_id", "unit", "unit_key", "started_at", "last_at", "closes_at", "ended_by"),
        *("first_channel", "last_channel", "touchpoints", "awareness_at", "consideration_at", "purchase_at"),
        *("service_at", "loyalty_at", "advocacy_at", "furthest_stage", "current_stage", "returns"),
        *("skipped_stages", "days_to_purchase"),
    ),
    "journey_amounts": ("journey_id", "kind", "currency", "amount"),
    "journey_steps": (
        *(
            "journey_id",
            "profile_id",
            "position",
            "event_id",
            "occurred_at",
            "event_type",
            "channel",
            "stage",
        ),
        *("previous_event_type", "next_event_type", "previous_channel", "next_channel", "previous_stage"),
        *("next_stage", "seconds_since_previous", "visit_id"),
    ),
    "stage_visits": (
        *("journey_id", "position", "stage", "entered_at", "last_at", "first_event_id", "touchpoints"),
        *("is_return", "return_kind", "channel", "medium", "source", "campaign", "product"),
    ),
    **{f"ref_{name}": (*fields, *COORDINATES) for name, fields in REFERENCE_FIELDS.items()},
    "contracts": (
        *("contract_id", "profile_id", "customer_id", "product", "held_from", "signed_at", "signed_by"),
        *("effective_from", "effective_to", "due_at", "terminated_at", "terminated_by"),
        *("termination_effective_to", "initiator", "reason", "renewed_at", "annual_premium", "currency"),
        *("signed", "renewals"),
    ),
    "quotes": (
        *(
            "quote_id",
            "profile_id",
            "first_at",
            "product",
            "channel",
            "quoted_at",
            "quoted_by",
            "value",
            "currency",
        ),
        *("bound_at", "bound_by", "contract_id"),
    ),
    "claims": (
        *(
            "claim_id",
            "profile_id",
            "first_at",
            "contract_id",
            "product",
            "opened_at",
            "opened_by",
            "closed_at",
        ),
        "reopened_at",
    ),
    "cases": (
        *("case_id", "profile_id", "first_at", "kind", "product", "channel", "opened_at", "opened_by"),
        *("acknowledged_at", "forwarded_at", "answered_at", "reminded_at", "closed_at", "reopened_at"),
        "matched_at",
    ),
    "quarantine": ("reason", "value", "raw"),
}


def hashed(name):
    """Return a stand-in for the product's hash of an id."""
    return None if name is None else hashlib.md5(repr(name).encode()).hexdigest()


def store(tables):
    """Return a DuckDB database that holds the tables as the product would, ids hashed."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA internal")
    rows = {name: [dict(row) for row in getattr(tables, name)] for name in KEYS}
    rows["quarantine"] = [
        {"reason": "conflicting_duplicate", "value": row["event_id"], "raw": "{}"}
        for row in rows.pop("conflicts")
    ]
    rows["quarantine"].append({"reason": "undecodable", "value": None, "raw": "{"})
    for name, content in rows.items():
        for row in content:
            for column in ("journey_id", "visit_id"):
                if column in row:
                    row[column] = hashed(row[column])
            if "ended_by_event" in row:
                row["ended_by"] = row.pop("ended_by_event")
        types = [(column, type_of(name, column)) for column in COLUMNS[name]]
        connection.register("content", pa.Table.from_pylist(content, schema=pa.schema(types)))
        connection.execute(f"CREATE TABLE {ELSEWHERE.get(name, name)} AS FROM content")
    return connection


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_tables_survive_the_way_through_a_store(world):
    """Hashed ids come back as what they stand for, and nothing differs."""
    expected = build(world.events, world.options, world.references, world.decisions)

    with store(expected) as connection:
        assert_same(expected, normalise(connection))


RULES = Options(events=EVENT_TYPES, channels=CHANNELS, end_on=("terminated",))
EVENTS = [
    {
        "event_id": f"e{day}",
        "occurred_at": datetime(2024, 1, 1) + timedelta(days=day),
        "customer_id": "Ada",
        "anonymous_id": "d",
        "event_type": event_type,
        "channel": "site",
        "value": Decimal("1.0000"),
        "currency": "EUR",
    }
    for day, event_type in enumerate(("ad_seen", "bought", "terminated", "quoted"))
]
EVENTS.append({**EVENTS[0], "channel": "app", "occurred_at": EVENTS[3]["occurred_at"]})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "UPDATE journeys SET last_channel = 'app' WHERE ended_by IS NULL",
            r"last_channel\n  expected: 'site'",
        ),
        ("UPDATE journeys SET ended_by = NULL", "ended by an event"),
        ("UPDATE journey_steps SET position = position + 1", "no first step"),
        ("UPDATE journey_steps SET seconds_since_previous = 86401 WHERE position = 2", "expected: 86400.0"),
        ("UPDATE stage_visits SET journey_id = 'x' WHERE position = 3", r"stage_visits\[.*no such journey"),
        (
            "DELETE FROM visits WHERE started_at = TIMESTAMP '2024-01-02'",
            r"visits\['e1'\] is missing \(4 rows",
        ),
        ("INSERT INTO visits FROM visits LIMIT 1", "visits: two actual rows with one key"),
        ("UPDATE touchpoints SET visit_id = 'x' WHERE event_id = 'e2'", "no such visit|visits"),
        ("UPDATE touchpoints SET value = 1.0001 WHERE event_id = 'e2'", r"touchpoints\['e2'\].value"),
        ("UPDATE touchpoints SET roles = NULL WHERE event_id = 'e3'", r"touchpoints\['e3'\].roles"),
        ("UPDATE identity_links SET status = 'unlinked'", "identity_links.*status"),
        ("UPDATE journey_amounts SET amount = 0 WHERE kind = 'revenue'", "journey_amounts.*amount"),
        ("UPDATE profiles SET journeys = 1", r"profiles\['Ada'\].journeys"),
        ("DELETE FROM quarantine", r"conflicts\['e0'\] is missing"),
        ("ALTER TABLE journeys DROP returns", "journeys has no column returns"),
    ],
)
def test_each_damage_is_named(damage, message):
    """The message says the relation, the row, the column and both values."""
    expected = build(EVENTS, RULES)

    with store(expected) as connection:
        connection.execute(damage)
        with pytest.raises(AssertionError, match=message):
            assert_same(expected, normalise(connection))


def test_more_columns_and_another_order_of_rows_are_no_difference():
    """The product may add columns, keep its coordinates, and name the kind of end as it likes."""
    expected = build(EVENTS, RULES)

    with store(expected) as connection:
        connection.execute("ALTER TABLE touchpoints ADD COLUMN run_id VARCHAR DEFAULT 'r'")
        connection.execute(
            "CREATE OR REPLACE TABLE journey_steps AS FROM journey_steps ORDER BY position DESC"
        )
        connection.execute(
            "UPDATE journeys SET ended_by = CASE WHEN ended_by IS NULL THEN 'gap' ELSE 'event' END"
        )
        assert_same(expected, normalise(connection))


def test_only_the_relations_asked_for_are_read():
    """A store that has nothing but touchpoints and visits can be compared in those."""
    expected = build(EVENTS, RULES)

    with store(expected) as connection:
        for name in KEYS.keys() - {"touchpoints", "visits", "conflicts"}:
            connection.execute(f"DROP TABLE {ELSEWHERE.get(name, name)}")
        wanted = ("touchpoints", "visits")
        assert_same(expected, normalise(connection, wanted), wanted)


def test_rows_of_any_kind_compare_by_their_key():
    """Floats up to rounding; a list may be part of a key."""
    rows = [{"dimension_values": ["a"], "value": 0.1 + 0.2}, {"dimension_values": [], "value": None}]

    assert_same_rows("kpi", ("dimension_values",), rows, [rows[1], {**rows[0], "value": 0.3}])
    with pytest.raises(AssertionError, match=r"kpi\[\('a',\)\].value"):
        assert_same_rows("kpi", ("dimension_values",), rows, [rows[1], {**rows[0], "value": 0.31}])
