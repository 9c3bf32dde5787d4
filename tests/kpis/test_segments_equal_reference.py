"""Facts, members, their history and the four cells, held against the reference on generated worlds."""

import os
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import compare
import reference
import strategies
from loading import Loader, config_of, hashed
from parcours.kpis.segments import create_statements
from parcours.schemas.config import Config
from reference import segments
from strategies import Slice

EXAMPLES = 500 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 10

SEGMENTS = {
    "known in Paris": (
        "profiles",
        "region LIKE 'Î%' AND birth_year < 1990",
        lambda row: (row["region"] or "").startswith("Î") and (row["birth_year"] or 2000) < 1990,
    ),
    "o'lively": (
        "profiles",
        "days_since_last <= 10 AND (touchpoints > 2 OR list_contains(consent, 'email'))",
        lambda row: row["days_since_last"] <= 10 and (row["touchpoints"] > 2 or "email" in row["consent"]),
    ),
    "due": (
        "contracts",
        "in_force AND days_until_due < 200",
        lambda row: row["in_force"] and row["days_until_due"] < 200,
    ),
    "under way": (
        "journeys",
        "NOT closed AND coalesce(furthest_stage <> 'awareness', true)",
        lambda row: not row["closed"] and row["furthest_stage"] != "awareness",
    ),
    "not bound": (
        "quotes",
        "NOT bound AND NOT holds_product",
        lambda row: not row["bound"] and not row["holds_product"],
    ),
    "open": ("cases", "is_open", lambda row: row["is_open"]),
}
"""Segments as the config writes them, and what they mean."""

PREDICATES = {name: (over, fits) for name, (over, _, fits) in SEGMENTS.items()}


def profitable(row):
    """What the condition of the cells below means."""
    return row["premium_in_force"] + row["revenue_to_date"] > row["claim_cost_to_date"]


def high_potential(row):
    """What the condition of the cells below means."""
    return row["contracts_in_force"] == 0 or (row["last_nps"] or 0) >= 9


CONFIG = {
    "segment": {name: {"over": over, "where": where} for name, (over, where, _) in SEGMENTS.items()},
    "value_cells": {
        "profitable": "premium_in_force + revenue_to_date > claim_cost_to_date",
        "high_potential": "contracts_in_force = 0 OR last_nps >= 9",
    },
}


@pytest.fixture(scope="module")
def loader():
    """One store: making the macros costs more than a small world."""
    made = Loader()
    rules = config_of(reference.Options())
    for statement in create_statements(Config.model_validate({**CONFIG, "kpi": rules.kpi.model_dump()})):
        made.connection.execute(statement)
    return made


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.worlds(), st.data())
def test_every_row_equals_the_reference(loader, world, data):
    """At any instant, every fact, member and cell is the reference's, and so is the history up to it."""
    events = hashed(world.events)
    tables = reference.build(events, world.options, world.references, world.decisions)
    instants = sorted({row["occurred_at"] for row in tables.touchpoints})
    as_of = data.draw(st.sampled_from(instants)) + data.draw(
        st.sampled_from([timedelta(0), timedelta(days=30), timedelta(days=61, hours=23), timedelta(days=365)])
    )

    loader.empty()
    loader.load([Slice(events, world.references, world.decisions)], world.options)
    connection, instant = loader.connection, f"(TIMESTAMP '{as_of}')"
    for over in ("contracts", "quotes", "cases", "profiles"):
        name = f"{over.removesuffix('s')}_facts_at"
        expected = segments.facts_at(tables, over, as_of, world.options)
        actual = compare.rows_of(connection, f"FROM {name}{instant}")
        compare.assert_same_rows(name, (segments.KEYS[over],), expected, actual)

    expected = segments.members_at(tables, PREDICATES, as_of, world.options)
    actual = compare.rows_of(connection, f"FROM segment_members_at{instant}")
    for row in expected + actual:
        if row["over"] == "journeys":
            row["matter"] = len(row["matter"])  # the reference's ids of journeys are not hashed
    compare.assert_same_rows("segment_members_at", ("segment", "profile_id"), expected, actual)

    cells = segments.cells_at(tables, profitable, high_potential, as_of, world.options)
    found = compare.rows_of(connection, f"FROM value_cells_at{instant}")
    compare.assert_same_rows("value_cells_at", ("profile_id",), cells, found)

    if as_of - instants[0] < timedelta(days=100):  # each month costs as much as all the rest
        stays = segments.history_at(tables, PREDICATES, as_of, world.options)
        found = compare.rows_of(connection, f"FROM segment_history_at{instant}")
        key = ("segment", "profile_id", "entered_on")
        compare.assert_same_rows("segment_history_at", key, stays, found)


def test_a_month_belongs_to_the_configured_zone(loader):
    """In Paris, what happens in winter at half past eleven in the night in UTC happens tomorrow."""
    loader.empty()
    rows = [
        {
            "event_id": f"e{n}",
            "occurred_at": at,
            "customer_id": "ada",
            "event_type": "quoted",
            "channel": "site",
            "quote_id": f"q{n}",
            "source_name": "world",
            "source_topic": "touchpoints",
            "source_partition": 0,
            "source_offset": n,
        }
        for n, at in enumerate((datetime(2025, 1, 10), datetime(2025, 1, 31, 23, 30), datetime(2025, 4, 2)))
    ]
    for row in rows[:1]:
        row["event_type"] = "ad_seen"
    options = reference.Options(events=strategies.EVENT_TYPES, channels=strategies.CHANNELS)
    loader.load([hashed(rows)], options)
    query = (
        "SELECT entered_on, left_on FROM segment_history_at(TIMESTAMP '2025-04-02') "
        "WHERE segment = 'not bound'"
    )
    assert [(datetime(2025, 2, 28).date(), None)] == loader.connection.execute(query).fetchall()
