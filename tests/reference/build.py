"""From a heap of valid events to the tables."""

from __future__ import annotations

from reference import stages
from reference.conflicts import settle
from reference.identity import link, resolve
from reference.journeys import (
    amount_rows,
    by_profile,
    by_unit_key,
    cut,
    journey_row,
    mark_visits,
    step_rows,
)
from reference.model import Options, Row, Tables
from reference.taxonomy import look_up


def build(events: list[Row], options: Options) -> Tables:
    """Return the tables that a set of valid events makes, in whatever order they stand.

    Args:
        events: dictionaries of ``FIELDS`` as they are once valid (occurred_at a naive UTC datetime,
            value and cost Decimal, consent a list, attributes a list of ``{"key", "value"}``),
            optionally ``COORDINATES`` and ``content_sha256``.
        options: the rules.
    """
    tables = Tables()
    kept, tables.conflicts, counts = settle(events)
    touchpoints = [look_up(event, options) for event in kept]
    tables.identity_links = link(touchpoints, options)
    touchpoints = [resolve(touchpoint, tables.identity_links) for touchpoint in touchpoints]
    for profile_id, history in by_profile(touchpoints).items():
        tables.visits.extend(mark_visits(history))
        journeys = 0
        for key, group in by_unit_key(history, options).items():
            for journey in cut(group, options):
                journeys += 1
                row = journey_row(journey, key, options)
                tables.journeys.append(row)
                journey_id = row["journey_id"]
                tables.journey_steps.extend(step_rows(journey, journey_id))
                tables.journey_amounts.extend(amount_rows(journey, journey_id, options))
                tables.stage_visits.extend(
                    {"journey_id": journey_id, **visit} for visit in stages.visits(journey)
                )
        tables.profiles.append(
            {
                "profile_id": profile_id,
                "identified": history[0]["identified"],
                "first_at": history[0]["occurred_at"],
                "last_at": history[-1]["occurred_at"],
                "touchpoints": len(history),
                "journeys": journeys,
            }
        )
        tables.touchpoints.extend(history)
    over_limit = {row["anonymous_id"] for row in tables.identity_links if row["status"] == "over_limit"}
    tables.counts = {
        **counts,
        "unmapped_stages": sum(row["stage"] is None for row in touchpoints),
        "unmapped_channels": sum(row["medium"] is None for row in touchpoints),
        "devices_over_limit": len(over_limit),
    }
    return tables
