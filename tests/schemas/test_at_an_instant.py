"""Journeys and persons as they stood at an instant."""

import random
from datetime import datetime, timedelta

import duckdb
import pytest

from parcours.schemas import relations
from parcours.schemas.config import STAGES
from parcours.transforms.journeys import BUILT, JourneyRules, build_journeys

NOW = datetime(2024, 6, 1)

DEFAULTS = {"profile_id": "C1", "identified": True, "event_type": "x", "roles": [], "channel": "site"}


def store(rows):
    """A store in memory that holds these touchpoints and what is derived from them."""
    connection = duckdb.connect()
    for name in (*relations.TABLES, *relations.VIEWS):
        connection.execute(relations.statement(name))
    for name, _, null, *_ in connection.execute("DESCRIBE touchpoints").fetchall():
        if null == "NO":  # columns that play no part here
            connection.execute(f"ALTER TABLE touchpoints ALTER {name} DROP NOT NULL")
    for number, fields in enumerate(rows):
        row = {"event_id": f"e{number:04}", "source_offset": number, **DEFAULTS, **fields}
        places = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO touchpoints ({', '.join(row)}) VALUES ({places})", [*row.values()])
    connection.execute("INSERT INTO runs VALUES ('r', 'run', ?, NULL, 'done', '')", [NOW])
    derive(connection, "true")
    for name in BUILT:
        connection.execute(f"INSERT INTO {name} BY NAME FROM built_{name}")
    return connection


def derive(connection, where):
    """Build from the touchpoints that fit, into temporary tables."""
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW history AS"
        f" SELECT source_offset AS rid, * FROM touchpoints WHERE {where}"
    )
    build_journeys(connection, JourneyRules(gap=timedelta(days=60), end_on=("left",)))


def test_journeys_at_are_those_built_from_what_had_occurred():
    """At any instant journeys_at gives what a build from the touchpoints up to it would."""
    choose = random.Random(7)
    connection = store(
        {
            "profile_id": choose.choice(["C1", "C2", "C3", "C4"]),
            "occurred_at": NOW - timedelta(days=choose.randrange(700), hours=choose.randrange(2)),
            "stage": choose.choice([None, *STAGES]),
            "channel": choose.choice(["site", "agency"]),
            "event_type": choose.choice(["x"] * 9 + ["left"]),
        }
        for _ in range(120)
    )
    for days in (0, 3, 100, 200, 350, 500, 650, 699, 800):
        at = f"TIMESTAMP '{NOW - timedelta(days=days)}'"
        derive(connection, f"occurred_at <= {at}")
        difference = connection.execute(
            f"""
            FROM (FROM (SELECT * EXCLUDE (closed) FROM journeys_at({at})) EXCEPT ALL FROM built_journeys)
            UNION ALL
            FROM (FROM built_journeys EXCEPT ALL FROM (SELECT * EXCLUDE (closed) FROM journeys_at({at})))
            """
        ).fetchall()
        assert [] == difference
        assert (
            []
            == connection.execute(
                f"FROM journeys_at({at}) WHERE closed <> (ended_by IS NOT NULL OR closes_at < {at})"
            ).fetchall()
        )


def did(days, *roles, **fields):
    """A touchpoint with roles, ``days`` before now."""
    return {"occurred_at": NOW - timedelta(days=days), "roles": list(roles), **fields}


SIGNED = "contract_signed"


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
