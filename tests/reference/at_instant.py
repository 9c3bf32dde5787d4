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
    """Return the contracts that were held, in force or terminated by an instant.

    A contract begins at its effective date, else when it was first held. It ends at the effective date
    of a termination that had happened by then, else at the termination, else at the end that the
    reference input gives. At its end it is no longer in force. What a signing or a termination says is
    known from then on; what the reference input says, always.
    """
    rows = []
    for contract in tables.contracts:
        known = tables.newest_contracts.get(contract["contract_id"], {})
        row = known_by(contract, known, as_of)
        since = (contract["held_from"], known.get("effective_from"), contract["terminated_at"])
        if not any(at is not None and at <= as_of for at in since):
            continue
        ends = known.get("effective_to")
        if row["terminated_at"] is not None:
            ends = row["termination_effective_to"] or row["terminated_at"]
        begins = row["effective_from"] or row["held_from"]
        begun = begins is not None and begins <= as_of
        ended = ends is not None and ends <= as_of
        rows.append(
            {
                **row,
                "began_at": begins if begun else None,
                "ended_at": ends if ended else None,
                "in_force": begun and not ended,
                "in_force_since": begins if begun and not ended else None,
            }
        )
    return rows


SAID_BY_THE_SIGNING = ("effective_from", "effective_to", "due_at", "annual_premium", "currency")
SAID_BY_THE_TERMINATION = (
    "terminated_at",
    "terminated_by",
    "termination_effective_to",
    "initiator",
    "reason",
)


def known_by(contract: Row, known: Row, as_of: datetime) -> Row:
    """Return a contract's row without what events after the instant say."""
    row = dict(contract)
    row["renewed_at"] = [at for at in row["renewed_at"] if at <= as_of]
    if row["held_from"] is not None and row["held_from"] > as_of:
        row["held_from"] = None
    if row["signed_at"] is not None and row["signed_at"] > as_of:
        row["signed_at"] = row["signed_by"] = None
        row.update({name: known.get(name) for name in SAID_BY_THE_SIGNING})
    if row["terminated_at"] is not None and row["terminated_at"] > as_of:
        row.update(dict.fromkeys(SAID_BY_THE_TERMINATION))
    return row


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
        facts = {
            "identified": history[0]["identified"],
            "touchpoints": len(history),
            "journeys": journeys.get(profile_id, 0),
            **facts_of(history, own, as_of),
        }
        rows.append(
            {
                "profile_id": profile_id,
                "first_at": history[0]["occurred_at"],
                "last_at": history[-1]["occurred_at"],
                **facts,
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
