"""What depends on when one asks: only what had happened by the instant counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reference.journeys import by_profile, by_unit_key, cut, journey_row
from reference.ladder import facts_of, rung_of
from reference.model import Options, Row, Tables


def journeys_at(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the journeys of the touchpoints up to an instant, and whether each is closed then."""
    known = [touchpoint for touchpoint in tables.touchpoints if touchpoint["occurred_at"] <= as_of]
    rows = []
    for history in by_profile(known).values():
        for key, group in by_unit_key(history, options).items():
            for journey in cut(group, options, tables.enders):
                row = journey_row(journey, key, options, tables.enders)
                over = row["closes_at"] is not None and row["closes_at"] < as_of
                rows.append({**row, "closed": row["ended_by_event"] is not None or over})
    return rows


def contracts_at(tables: Tables, as_of: datetime) -> list[Row]:
    """Return the contracts known at an instant: since when they are in force, and when they ended.

    A contract begins at its effective date, else when it was first held. It ends at the effective date
    of a termination that had happened by then, else at the termination, else at the end that the
    reference input gives.
    """
    rows = []
    for contract in tables.contracts:
        known = tables.newest_contracts.get(contract["contract_id"], {})
        begins = known.get("effective_from")
        if begins is None and contract["signed_at"] is not None and contract["signed_at"] <= as_of:
            begins = contract["effective_from"]
        if begins is None:
            begins = contract["held_from"]
        ends = known.get("effective_to")
        if contract["terminated_at"] is not None and contract["terminated_at"] <= as_of:
            ends = contract["termination_effective_to"] or contract["terminated_at"]
        begun = begins is not None and begins <= as_of
        in_force = begun and (ends is None or ends > as_of)
        rows.append(
            {
                "contract_id": contract["contract_id"],
                "profile_id": contract["profile_id"],
                "in_force": in_force,
                "in_force_since": begins if in_force else None,
                "begins": begins,
                "ended_at": ends if begun and not in_force else None,
            }
        )
    return rows


def profiles_at(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the persons that had a touchpoint by an instant, with the facts and the rung of the ladder."""
    known = [touchpoint for touchpoint in tables.touchpoints if touchpoint["occurred_at"] <= as_of]
    contracts = contracts_at(tables, as_of)
    journeys: dict[str, int] = {}
    for journey in journeys_at(tables, as_of, options):
        journeys[journey["profile_id"]] = journeys.get(journey["profile_id"], 0) + 1
    rows = []
    for profile_id, history in by_profile(known).items():
        own = [contract for contract in contracts if contract["profile_id"] == profile_id]
        facts = facts_of(history, own, as_of)
        rows.append(
            {
                "profile_id": profile_id,
                "identified": history[0]["identified"],
                "first_at": history[0]["occurred_at"],
                "last_at": history[-1]["occurred_at"],
                "touchpoints": len(history),
                "journeys": journeys.get(profile_id, 0),
                "purchases": facts["purchases"],
                "contracts_in_force": facts["contracts_in_force"],
                "unbroken_since": facts["unbroken_since"],
                "rung": rung_of(facts, options),
            }
        )
    return rows


def ladder_moves(tables: Tables, before: datetime, after: datetime, options: Options) -> list[Row]:
    """Return each person's rungs at two instants, and the way between them."""
    earlier = {row["profile_id"]: row["rung"] for row in profiles_at(tables, before, options)}
    rungs = options.rungs()
    rows = []
    for row in profiles_at(tables, after, options):
        rung_before: Any = earlier.get(row["profile_id"])
        move = "new"
        if rung_before is not None:
            steps = rungs.index(row["rung"]) - rungs.index(rung_before)
            move = "up" if steps > 0 else "down" if steps < 0 else "same"
        rows.append(
            {
                "profile_id": row["profile_id"],
                "rung_before": rung_before,
                "rung_after": row["rung"],
                "move": move,
            }
        )
    return rows
