"""The strategies reach what they promise: otherwise a property that holds would say little."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from compare import assert_same
from reference import FIELDS, build
from strategies import UNITS, runs, worlds


def gaps(rows):
    """Return the seconds between the neighbours of journeys."""
    return {row["seconds_since_previous"] for row in rows}


def links_tie(world, tables):
    """Two active links of one device stand equally far, on both sides, from an anonymous touchpoint."""
    return any(
        one["linked_at"] < touchpoint["occurred_at"] < other["linked_at"]
        and one["linked_at"] + (other["linked_at"] - one["linked_at"]) / 2 == touchpoint["occurred_at"]
        and one["customer_id"] > other["customer_id"]
        for touchpoint in tables.touchpoints
        if touchpoint["customer_id"] is None
        for one in tables.identity_links
        for other in tables.identity_links
        if one["anonymous_id"] == other["anonymous_id"] == touchpoint["anonymous_id"]
        and one["status"] == other["status"] == "active"
    )


SITUATIONS = {
    "an exact duplicate": lambda world, t: t.counts["duplicate"] > 0,
    "two losing contents of one event": lambda world, t: (
        len(t.conflicts) > len({row["event_id"] for row in t.conflicts})
    ),
    "a conflict that the hash decides": lambda world, t: any(
        row["contents"]["occurred_at"] == other["occurred_at"] and row["event_id"] == other["event_id"]
        for row in t.conflicts
        for other in t.touchpoints
    ),
    "an anonymous touchpoint before its link": lambda world, t: any(
        row["identified"]
        and row["customer_id"] is None
        and all(
            link["linked_at"] > row["occurred_at"]
            for link in t.identity_links
            if link["anonymous_id"] == row["anonymous_id"]
        )
        for row in t.touchpoints
    ),
    "a tie between two links": links_tie,
    "a device over its limit": lambda world, t: t.counts["devices_over_limit"] > 0,
    "a device of three customers within its limit": lambda world, t: any(
        3
        == len(
            {
                link["customer_id"]
                for link in t.identity_links
                if (link["anonymous_id"], link["status"]) == (row["anonymous_id"], "active")
            }
        )
        for row in t.touchpoints
        if row["customer_id"] is None
    ),
    "a person of two devices": lambda world, t: any(
        len({row["anonymous_id"] for row in t.touchpoints if row["profile_id"] == profile["profile_id"]}) > 2
        for profile in t.profiles
    ),
    "equal times in a journey": lambda world, t: 0.0 in gaps(t.journey_steps),
    "a visit with a pause of thirty minutes": lambda world, t: any(
        row["ended_at"] - row["started_at"] == timedelta(minutes=30) and row["touchpoints"] == 2
        for row in t.visits
    ),
    "a visit cut by a microsecond": lambda world, t: any(
        later["started_at"] - earlier["ended_at"] == timedelta(minutes=30, microseconds=1)
        for earlier in t.visits
        for later in t.visits
        if earlier["profile_id"] == later["profile_id"]
    ),
    "a gap at the limit": lambda world, t: (
        world.options.gap is not None and world.options.gap.total_seconds() in gaps(t.journey_steps)
    ),
    "a journey cut by a microsecond": lambda world, t: any(
        later["started_at"] - earlier["last_at"] - world.options.gap == timedelta(microseconds=1)
        for earlier in t.journeys
        for later in t.journeys
        if world.options.gap is not None
        and (earlier["profile_id"], earlier["unit_key"]) == (later["profile_id"], later["unit_key"])
    ),
    "an end event with others at its instant": lambda world, t: any(
        step["occurred_at"] == journey["last_at"] and step["event_id"] > journey["ended_by_event"]
        for journey in t.journeys
        for step in t.journey_steps
        if journey["ended_by_event"] is not None and journey["journey_id"] == step["journey_id"]
    ),
    "a journey after an end": lambda world, t: any(
        ended["ended_by_event"] is not None
        and ended["profile_id"] == other["profile_id"]
        and ended["unit_key"] == other["unit_key"]
        and timedelta(0) < other["started_at"] - ended["last_at"] < timedelta(hours=1)
        for ended in t.journeys
        for other in t.journeys
    ),
    "no stage within a stage visit": lambda world, t: any(
        row["stage"] is None
        and row["previous_stage"] is not None
        and row["previous_stage"] == row["next_stage"]
        for row in t.journey_steps
    ),
    "a return": lambda world, t: any(row["is_return"] for row in t.stage_visits),
    "a skipped stage entered later": lambda world, t: any(
        row[f"{stage}_at"] is not None for row in t.journeys for stage in row["skipped_stages"]
    ),
    "an unmapped channel": lambda world, t: t.counts["unmapped_channels"] > 0,
    "amounts of two currencies": lambda world, t: (
        len({(row["journey_id"], row["kind"]) for row in t.journey_amounts}) < len(t.journey_amounts)
    ),
    "a touchpoint in no journey": lambda world, t: len(t.journey_steps) < len(t.touchpoints),
    **{
        f"two journeys of one {unit}": lambda world, t, unit=unit: (
            world.options.unit == unit
            and len({(row["profile_id"], row["unit_key"]) for row in t.journeys}) < len(t.journeys)
        )
        for unit in UNITS
    },
}


def test_every_situation_comes_up():
    """Six hundred worlds hold every situation that the rules speak of."""
    seen = Counter()

    @settings(max_examples=600, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(worlds())
    def look(world):
        tables = build(world.events, world.options)
        seen.update(name for name, comes_up in SITUATIONS.items() if comes_up(world, tables))

    look()

    assert [] == [name for name in SITUATIONS if not seen[name]]


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_worlds_hold_valid_touchpoints_with_distinct_coordinates(world):
    """Only known fields; an id; money and currency, survey and score together."""
    places = [(event["source_partition"], event["source_offset"]) for event in world.events]
    assert len(set(places)) == len(places)
    for event in world.events:
        assert {name for name in event if not name.startswith("source_")} <= set(FIELDS)
        assert event["customer_id"] is not None or event["anonymous_id"] is not None
        assert datetime(2000, 1, 1) <= event["occurred_at"] < datetime(2100, 1, 1)
        assert ("value" in event) <= ("currency" in event)
        assert ("survey" in event) == ("score" in event)
        assert all(len(value) <= 128 for value in event.values() if isinstance(value, str))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_runs_hold_every_record_once(data):
    """Cutting and shuffling neither loses nor doubles a record, and changes no table."""
    world = data.draw(worlds(max_events=6))

    read = [event for run in data.draw(runs(world.events)) for event in run]

    def places(events):
        return sorted((event["source_partition"], event["source_offset"]) for event in events)

    assert places(world.events) == places(read)
    assert_same(build(world.events, world.options), build(read, world.options))
