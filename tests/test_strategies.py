"""The strategies reach what they promise: otherwise a property that holds would say little."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compare import assert_same
from reference import (
    FIELDS,
    LAST_CONTRACT_ENDED,
    REFERENCE_FIELDS,
    build,
    contracts_at,
    journeys_at,
    profiles_at,
)
from strategies import UNITS, moments, runs, worlds


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


def active(tables, *kinds):
    """The active links between customers."""
    return [
        row
        for row in tables.identity_links
        if row["other_customer_id"] is not None and row["status"] == "active" and row["kind"] in kinds
    ]


def persons(tables):
    """The ids of each person that has several."""
    found = {}
    for row in tables.people:
        found.setdefault(row["profile_id"], {row["profile_id"]}).add(row["customer_id"])
    return found


def circle(tables):
    """Every id of a person is another name of one."""
    left = {row["other_customer_id"] for row in active(tables, "alias", "merge")}
    return any(ids <= left for ids in persons(tables).values())


def terminations(tables):
    """The contracts that were terminated by their owner's own touchpoint, and that touchpoint."""
    event = {row["event_id"]: row for row in tables.touchpoints}
    return [
        (row, event[row["terminated_by"]])
        for row in tables.contracts
        if row["terminated_by"] and event[row["terminated_by"]]["profile_id"] == row["profile_id"]
    ]


def owned_by_another(tables):
    """A contract whose owner is not the person of its signing."""
    person = {row["event_id"]: row["profile_id"] for row in tables.touchpoints}
    return any(
        row["signed_by"] is not None and person[row["signed_by"]] != row["profile_id"]
        for row in tables.contracts
    )


def last_ends(world, tables):
    """The terminations that left nothing."""
    named = {
        row["event_id"]
        for row in tables.touchpoints
        for name in world.options.end_on
        if name == row["event_type"] or name in row["roles"]
    }
    return tables.enders - named


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
    "an alias of a customer": lambda world, t: bool(active(t, "alias")),
    "an alias without valid_from": lambda world, t: any(
        row["linked_at"] is None for row in active(t, "alias")
    ),
    "an alias of a device": lambda world, t: any(
        row["kind"] == "alias" and row["anonymous_id"] is not None for row in t.identity_links
    ),
    "an alias of a device decides": lambda world, t: any(
        row["customer_id"] is None
        and row["identified"]
        and not any(
            link["anonymous_id"] == row["anonymous_id"] and link["kind"] == "device"
            for link in t.identity_links
        )
        for row in t.touchpoints
    ),
    "a merge": lambda world, t: bool(active(t, "merge")),
    "a merge event that lost to another content": lambda world, t: any(
        row["contents"]["event_type"] == "merged" for row in t.conflicts
    ),
    "a person of three ids": lambda world, t: any(len(ids) > 2 for ids in persons(t).values()),
    "a circle": lambda world, t: circle(t),
    "several names to choose from": lambda world, t: any(
        len(ids - {row["other_customer_id"] for row in active(t, "alias", "merge")}) > 1
        for ids in persons(t).values()
    ),
    "a merged id that goes on": lambda world, t: any(
        touchpoint["customer_id"] == link["other_customer_id"]
        and touchpoint["occurred_at"] > link["linked_at"]
        for link in active(t, "merge")
        for touchpoint in t.touchpoints
    ),
    "a device within its limit because two ids are one": lambda world, t: any(
        world.options.max_customers_per_device
        < len(
            {
                link["customer_id"]
                for link in t.identity_links
                if link["anonymous_id"] == row["anonymous_id"] and link["status"] == "active"
            }
        )
        for row in t.identity_links
        if row["anonymous_id"] is not None
    ),
    "an unlinked device": lambda world, t: any(
        row["status"] == "unlinked" and row["anonymous_id"] is not None for row in t.identity_links
    ),
    "an unlinked customer": lambda world, t: any(
        row["status"] == "unlinked" and row["other_customer_id"] is not None for row in t.identity_links
    ),
    "an unlink that was taken back": lambda world, t: any(
        one["kind"] == "unlink"
        and other["kind"] == "relink"
        and (one["id"], one["customer_id"]) == (other["id"], other["customer_id"])
        and (one["decided_at"], one["decision_id"]) < (other["decided_at"], other["decision_id"])
        for one in world.decisions
        for other in world.decisions
    ),
    "a reference record that lost": lambda world, t: any(
        len(getattr(t, f"ref_{name}")) < len(records) for name, records in world.references.items()
    ),
    "a contract with several reference rows": lambda world, t: (
        len({row["contract_id"] for row in t.ref_contracts}) < len(t.ref_contracts)
    ),
    "a contract that changes its owner": lambda world, t: owned_by_another(t),
    "a contract known by the reference alone": lambda world, t: any(
        row["contract_id"] not in {touchpoint["contract_id"] for touchpoint in t.touchpoints}
        for row in t.contracts
    ),
    "a termination that leaves nothing": lambda world, t: bool(last_ends(world, t)),
    "a termination that leaves another contract": lambda world, t: (
        LAST_CONTRACT_ENDED in world.options.end_on
        and any(event["event_id"] not in t.enders for _, event in terminations(t))
    ),
    "two terminations at one instant": lambda world, t: any(
        one["contract_id"] < other["contract_id"]
        and one["terminated_at"] == other["terminated_at"]
        and one["profile_id"] == other["profile_id"]
        for one, _ in terminations(t)
        for other, _ in terminations(t)
    ),
    "a contract signed at the instant of a termination": lambda world, t: any(
        one["terminated_at"] == other["held_from"] and one["profile_id"] == other["profile_id"]
        for one, _ in terminations(t)
        for other in t.contracts
    ),
    "a contract over at the instant of a termination": lambda world, t: any(
        one["terminated_at"] == row["effective_to"]
        for one, _ in terminations(t)
        for row in t.newest_contracts.values()
        if row["contract_id"] != one["contract_id"]
    ),
    "a termination that takes effect later": lambda world, t: any(
        row["termination_effective_to"] is not None and row["termination_effective_to"] > row["terminated_at"]
        for row in t.contracts
    ),
    "a quote that was bound": lambda world, t: any(row["quoted_by"] and row["bound_by"] for row in t.quotes),
    "a claim opened again": lambda world, t: any(row["closed_at"] and row["reopened_at"] for row in t.claims),
    "a case opened again": lambda world, t: any(row["reopened_at"] for row in t.cases),
    **{
        f"a return of kind {kind}": lambda world, t, kind=kind: any(
            row["return_kind"] == kind for row in t.stage_visits
        )
        for kind in ("claim", "request", "new product", "other")
    },
    **{
        f"two journeys of one {unit}": lambda world, t, unit=unit: (
            world.options.unit == unit
            and len({(row["profile_id"], row["unit_key"]) for row in t.journeys}) < len(t.journeys)
        )
        for unit in UNITS
    },
}


def contracts_and_profiles(world, tables, as_of):
    """What may be at an instant."""
    return contracts_at(tables, as_of), profiles_at(tables, as_of, world.options)


AT_INSTANTS = {
    "a contract in force": lambda contracts, profiles: any(row["in_force"] for row in contracts),
    "a contract that ended": lambda contracts, profiles: any(row["ended_at"] for row in contracts),
    "a contract held and not yet in force": lambda contracts, profiles: any(
        row["held_from"] and not row["began_at"] for row in contracts
    ),
    "a tenure of exactly three years": lambda contracts, profiles: any(
        row["tenure_years"] == 3 for row in profiles
    ),
    "a contract of exactly one year": lambda contracts, profiles: any(
        row["longest_in_force_years"] == 1 for row in profiles
    ),
    "one who holds nothing any more": lambda contracts, profiles: any(
        row["holds_nothing_any_more"] for row in profiles
    ),
    **{
        f"a rung of {rung}": lambda contracts, profiles, rung=rung: any(
            row["rung"] == rung for row in profiles
        )
        for rung in ("prospect", "consumer", "customer", "loyal customer", "advocate")
    },
}


def count_situations(worlds_to_look_at):
    """Count in how many worlds each situation comes up."""
    seen = Counter()

    @settings(
        max_examples=worlds_to_look_at,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def look(data):
        world = data.draw(worlds())
        tables = build(world.events, world.options, world.references, world.decisions)
        seen.update(name for name, comes_up in SITUATIONS.items() if comes_up(world, tables))
        as_of = data.draw(moments(world))
        there = contracts_and_profiles(world, tables, as_of)
        seen.update(name for name, comes_up in AT_INSTANTS.items() if comes_up(*there))
        seen["a journey that was open then and is not now"] += any(
            not row["closed"] and row["last_at"] < as_of for row in journeys_at(tables, as_of, world.options)
        )

    look()
    return seen


@pytest.mark.long
def test_every_situation_comes_up():
    """Six hundred worlds hold every situation that the rules speak of, and each at least twice."""
    seen = count_situations(600)

    rare = {name: seen[name] for name in (*SITUATIONS, *AT_INSTANTS) if seen[name] < 2}
    assert {} == rare


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
        keys = [pair["key"] for pair in event.get("attributes", [])]
        assert len(set(keys)) == len(keys)
    for name, records in world.references.items():
        places = [(record["source_topic"], record["source_offset"]) for record in records]
        assert len(set(places)) == len(places)
        for record in records:
            assert {column for column in record if not column.startswith("source_")} <= set(
                REFERENCE_FIELDS[name]
            )
            assert (
                name != "aliases"
                or record["id"] != record["customer_id"]
                or (record["id_type"] == "anonymous_id")
            )
    assert len({decision["decision_id"] for decision in world.decisions}) == len(world.decisions)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_runs_hold_every_record_once(data):
    """Cutting and shuffling neither loses nor doubles a record, and changes no table."""
    world = data.draw(worlds(max_events=6))

    cut = data.draw(runs(world))

    def content(events, references, decisions):
        everything = [*events, *decisions, *(record for records in references.values() for record in records)]
        return sorted(map(repr, everything))

    events = [event for part in cut for event in part.events]
    references = {
        name: [record for part in cut for record in part.references[name]] for name in world.references
    }
    decisions = [decision for part in cut for decision in part.decisions]
    assert content(world.events, world.references, world.decisions) == content(events, references, decisions)
    assert_same(
        build(world.events, world.options, world.references, world.decisions),
        build(events, world.options, references, decisions),
    )
