"""Order, visits, journeys and what stands in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from reference import stages
from reference.model import (
    STAGES,
    UNIT_COLUMN,
    UNITS_THAT_NEED_THEIR_KEY,
    VISIT_GAP,
    Options,
    Row,
    rank,
)


def in_order(touchpoints: Iterable[Row]) -> list[Row]:
    """Sort by occurred_at, then stage rank (no stage first), then event_id."""
    return sorted(touchpoints, key=lambda row: (row["occurred_at"], rank(row["stage"]), row["event_id"]))


def by_profile(touchpoints: Iterable[Row]) -> dict[str, list[Row]]:
    """Return each profile's touchpoints in order."""
    groups: dict[str, list[Row]] = {}
    for row in in_order(touchpoints):
        groups.setdefault(row["profile_id"], []).append(row)
    return groups


OF_THE_FIRST = ("channel", "source", "campaign", "content", "product")
"""What a visit has from its first touchpoint."""


def mark_visits(history: list[Row]) -> list[Row]:
    """Set ``visit_id`` on one profile's touchpoints in order, and return the visits.

    A visit is a run of digital touchpoints, neighbours at most 30 minutes apart; others stand outside. Where
    it came from is where its first touchpoint did.
    """
    found: list[Row] = []
    for touchpoint in history:
        touchpoint["visit_id"] = None
        if touchpoint["medium"] != "digital":
            continue
        at = touchpoint["occurred_at"]
        if not found or at - found[-1]["ended_at"] > VISIT_GAP:
            found.append(
                {
                    "visit_id": touchpoint["event_id"],
                    "profile_id": touchpoint["profile_id"],
                    "started_at": at,
                    "touchpoints": 0,
                    **{name: touchpoint[name] for name in OF_THE_FIRST},
                }
            )
        found[-1]["ended_at"] = at
        found[-1]["touchpoints"] += 1
        touchpoint["visit_id"] = found[-1]["visit_id"]
    return found


def by_unit_key(history: list[Row], options: Options) -> dict[Any, list[Row]]:
    """Return one profile's touchpoints in order per key of the unit; those in no journey are left out."""
    groups: dict[Any, list[Row]] = {}
    for touchpoint in history:
        key = touchpoint[UNIT_COLUMN[options.unit]]
        if key is None and options.unit in UNITS_THAT_NEED_THEIR_KEY:
            continue
        groups.setdefault(key, []).append(touchpoint)
    return groups


def cut(group: list[Row], options: Options, enders: set[str]) -> list[list[Row]]:
    """Cut the touchpoints of one unit and key into journeys.

    Between neighbours further apart than the gap, and after the instant of an end event (those of
    ``enders``): never between touchpoints of one instant.
    """
    journeys: list[list[Row]] = []
    for touchpoint in group:
        if journeys:
            journey = journeys[-1]
            last_at = journey[-1]["occurred_at"]
            too_far = options.gap is not None and touchpoint["occurred_at"] - last_at > options.gap
            ended = touchpoint["occurred_at"] > last_at and end_event(journey, enders) is not None
            if not too_far and not ended:
                journey.append(touchpoint)
                continue
        journeys.append([touchpoint])
    return journeys


def end_event(journey: list[Row], enders: set[str]) -> Row | None:
    """Return the event that ended the journey: the first in order, where several did at one instant."""
    for touchpoint in journey:
        if touchpoint["event_id"] in enders:
            return touchpoint
    return None


def journey_row(journey: list[Row], key: Any, options: Options, enders: set[str]) -> Row:
    """Return the row of ``journeys`` for one journey's touchpoints in order."""
    first, last = journey[0], journey[-1]
    end = end_event(journey, enders)
    if end is not None:
        closes_at = end["occurred_at"]
    elif options.gap is not None:
        closes_at = last["occurred_at"] + options.gap
    else:
        closes_at = None
    entered = stages.entries(journey)
    purchase_at = entered["purchase"]["occurred_at"] if "purchase" in entered else None
    return {
        "journey_id": (options.unit, key, first["event_id"]),
        "profile_id": first["profile_id"],
        "unit": options.unit,
        "unit_key": key,
        "started_at": first["occurred_at"],
        "last_at": last["occurred_at"],
        "closes_at": closes_at,
        "ended_by_event": end["event_id"] if end is not None else None,
        "first_channel": first["channel"],
        "last_channel": last["channel"],
        "touchpoints": len(journey),
        **{f"{stage}_at": entered[stage]["occurred_at"] if stage in entered else None for stage in STAGES},
        "furthest_stage": stages.furthest(journey),
        "current_stage": stages.current(journey),
        "returns": sum(visit["is_return"] for visit in stages.visits(journey)),
        "skipped_stages": stages.skipped(journey),
        "days_to_purchase": (
            None if purchase_at is None else (purchase_at - first["occurred_at"]) / timedelta(days=1)
        ),
    }


def step_rows(journey: list[Row], journey_id: tuple[Any, ...]) -> list[Row]:
    """Return the rows of ``journey_steps`` for one journey's touchpoints in order."""
    rows = []
    for index, touchpoint in enumerate(journey):
        before = journey[index - 1] if index > 0 else None
        after = journey[index + 1] if index + 1 < len(journey) else None
        row = {
            "journey_id": journey_id,
            "profile_id": touchpoint["profile_id"],
            "position": index + 1,
            "event_id": touchpoint["event_id"],
            "occurred_at": touchpoint["occurred_at"],
            "visit_id": touchpoint["visit_id"],
            "seconds_since_previous": (
                None
                if before is None
                else (touchpoint["occurred_at"] - before["occurred_at"]) / timedelta(seconds=1)
            ),
        }
        for name in ("event_type", "channel", "stage"):
            row[name] = touchpoint[name]
            row[f"previous_{name}"] = before[name] if before is not None else None
            row[f"next_{name}"] = after[name] if after is not None else None
        rows.append(row)
    return rows


def amount_rows(journey: list[Row], journey_id: tuple[Any, ...], options: Options) -> list[Row]:
    """Return the sums per kind and currency: values by their money role, and costs.

    A kind without a single amount has no row; a sum of zero has one. A cost without a currency is in the
    store's.
    """
    sums: dict[tuple[str, str], Decimal] = {}
    for touchpoint in journey:
        if touchpoint["value"] is not None and touchpoint["money_role"] is not None:
            place = (touchpoint["money_role"], touchpoint["currency"])
            sums[place] = sums.get(place, Decimal("0.0000")) + touchpoint["value"]
        if touchpoint["cost"] is not None:
            place = ("cost", touchpoint["currency"] or options.default_currency)
            sums[place] = sums.get(place, Decimal("0.0000")) + touchpoint["cost"]
    return [
        {"journey_id": journey_id, "kind": kind, "currency": currency, "amount": amount}
        for (kind, currency), amount in sums.items()
    ]
