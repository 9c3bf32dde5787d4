"""Journeys, contracts and persons as they stood at an instant."""

import random
from datetime import datetime, timedelta
from functools import cache

import pytest

from loading import Loader, hashed
from parcours.schemas.config import STAGES
from reference import Channel, EventType, Options

NOW = datetime(2024, 6, 1)

SIGNED, RENEWED, TERMINATED = "contract_signed", "contract_renewed", "contract_terminated"


@cache
def loader(number):
    """A store; made once, because that takes longer than most tests."""
    return Loader()


def store(rows, number=0, **options):
    """A store in memory that holds these touchpoints and what is derived from them."""
    rows = list(rows)
    kinds = {(row.get("stage"), row.get("roles", ())) for row in rows}
    events = [
        {
            "event_id": f"e{n:04}",
            "customer_id": "C1",
            "event_type": f"{row.get('stage')} {row.get('roles', ())}",
            "channel": "site",
            "source_name": "world",
            "source_topic": "touchpoints",
            "source_partition": 0,
            "source_offset": n,
            **{name: value for name, value in row.items() if name not in ("stage", "roles")},
        }
        for n, row in enumerate(rows)
    ]
    made = loader(number)
    made.empty()
    types = {f"{stage} {roles}": EventType(stage, roles) for stage, roles in kinds}
    made.load([hashed(events)], Options(events=types, channels={"site": Channel("digital")}, **options))
    made.connection.execute("UPDATE runs SET started_at = ?", [NOW])
    return made.connection


def did(days, *roles, **fields):
    """A touchpoint with roles, ``days`` before now."""
    return {"occurred_at": NOW - timedelta(days=days), "roles": roles, **fields}


def difference(one, two, query_one, query_two):
    """What is in one answer only, of two stores."""
    rows = [
        connection.execute(query).fetchall() for connection, query in ((one, query_one), (two, query_two))
    ]
    first, second = (sorted(map(repr, found)) for found in rows)
    return [row for row in first if row not in second] + [row for row in second if row not in first]


def test_what_is_asked_of_an_instant_is_what_a_store_of_then_would_hold():
    """At any instant journeys, contracts and persons are those built from the touchpoints up to it."""
    choose = random.Random(7)

    def something(number):
        contract = choose.choice([None, *(f"K{n}" for n in range(12))])
        roles = choose.choice([(), (SIGNED,), (RENEWED,), (TERMINATED,)]) if contract else ()
        return {
            "event_id": f"e{number:04}",
            "customer_id": f"C{int(contract[1:]) % 4}" if contract else choose.choice(["C0", "C1", "C2"]),
            "contract_id": contract,
            "occurred_at": NOW - timedelta(days=choose.randrange(700), hours=choose.randrange(2)),
            "stage": choose.choice([None, *STAGES]),
            "channel": choose.choice(["site", "agency"]),
            "roles": roles,
            "attributes": [
                {"key": key, "value": f"{NOW - timedelta(days=choose.randrange(700)):%Y-%m-%d}"}
                for key in ("effective_from", "effective_to", "due_at")
                if choose.random() < 0.3
            ],
        }

    rows = [something(n) for n in range(150)]
    options = {"gap": timedelta(days=60), "end_on": ("last_contract_ended",)}
    whole = store(rows, **options)
    assert whole.execute("SELECT count(*) > 3 FROM journeys WHERE ended_by IS NOT NULL").fetchone()[0]
    for days in (0, 100, 350, 500, 650, 699, 800):
        instant = NOW - timedelta(days=days)
        at = f"TIMESTAMP '{instant}'"
        then = store([row for row in rows if row["occurred_at"] <= instant], 1, **options)
        stored = "FROM journeys", f"SELECT * EXCLUDE (closed) FROM journeys_at({at})"
        assert [] == difference(then, whole, *stored)
        for relation in ("journeys_at", "contracts_at", "profiles_at"):
            query = f"FROM {relation}({at})"
            assert [] == difference(then, whole, query, query), relation
        wrong = f"FROM journeys_at({at}) WHERE closed <> (ended_by IS NOT NULL OR closes_at < {at})"
        assert [] == whole.execute(wrong).fetchall()


@pytest.mark.parametrize(
    ("rung", "rows"),
    [
        ("prospect", [did(9, "referral_made")]),
        ("consumer", [did(9, "purchase")]),
        (
            "consumer",
            [did(366, SIGNED, "purchase", contract_id="K1")],
        ),  # 2024 is a leap year: one year, not over
        ("customer", [did(367, SIGNED, contract_id="K1")]),
        ("customer", [did(9, "purchase"), did(8, "purchase")]),
        ("loyal customer", [did(9, SIGNED, contract_id="K1"), did(8, SIGNED, contract_id="K2")]),
        ("loyal customer", [did(1096, SIGNED, contract_id="K1")]),
        (
            "loyal customer",
            [
                did(1200, SIGNED, contract_id="K1"),
                did(500, SIGNED, contract_id="K2"),
                did(400, "contract_terminated", contract_id="K1"),
            ],
        ),
        (
            "customer",
            [
                did(1200, SIGNED, contract_id="K1"),
                did(500, "contract_terminated", contract_id="K1"),
                did(400, SIGNED, contract_id="K2"),
            ],
        ),
        ("advocate", [did(9, "purchase"), did(8, "referral_made")]),
        ("advocate", [did(9, "purchase"), did(8, survey="review", score=4)]),
        ("consumer", [did(9, "purchase"), did(8, survey="review", score=3)]),
        ("advocate", [did(9, "purchase"), did(8, survey="nps", score=2), did(7, survey="nps", score=9)]),
        ("consumer", [did(9, "purchase"), did(8, survey="nps", score=10), did(7, survey="nps", score=8)]),
        (
            "consumer",
            [
                did(9, SIGNED, contract_id="K1"),
                did(8, "referral_made"),
                did(7, "contract_terminated", contract_id="K1"),
            ],
        ),
    ],
)
def test_rung(rung, rows):
    """The highest rung that holds; one who holds no contract any more is at most customer."""
    connection = store([*rows, did(-1, "purchase")])  # what comes later counts for nothing
    assert [(rung,)] == connection.execute(f"SELECT rung FROM profiles_at(TIMESTAMP '{NOW}')").fetchall()


def test_every_column_has_its_comment():
    """Tables, views and their columns say what they hold."""
    connection = store([])
    bare = connection.execute(
        """
        SELECT table_name, column_name FROM duckdb_columns() WHERE comment IS NULL AND NOT internal
            AND schema_name = 'main' AND database_name <> 'temp'
        UNION ALL SELECT table_name, NULL FROM duckdb_tables()
        WHERE comment IS NULL AND database_name <> 'temp'
        UNION ALL SELECT view_name, NULL FROM duckdb_views()
        WHERE comment IS NULL AND NOT internal AND database_name <> 'temp'
        """
    ).fetchall()
    assert [] == bare
