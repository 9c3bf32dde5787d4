"""The loyalty ladder: facts about a person at an instant, and the highest rung whose condition they meet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reference.contracts import by_time, with_role
from reference.model import Options, Row


def facts_of(history: list[Row], contracts: list[Row], as_of: datetime) -> dict[str, Any]:
    """Return what conditions can speak of.

    Args:
        history: the person's touchpoints up to the instant.
        contracts: the person's contracts as they stood at the instant.
        as_of: the instant.
    """
    in_force = [contract["began_at"] for contract in contracts if contract["in_force"]]
    begun = [contract for contract in contracts if contract["began_at"] is not None]
    held = [contract for contract in contracts if contract["held_from"] or contract["began_at"]]
    since = unbroken_since(begun)
    answers = [touchpoint for touchpoint in by_time(history) if touchpoint["survey"] == "nps"]
    reviews = [touchpoint["score"] for touchpoint in history if touchpoint["survey"] == "review"]
    return {
        "purchases": len(with_role(history, "purchase", "contract_signed")),
        "contracts_in_force": len(in_force),
        "longest_in_force_years": years(min(in_force), as_of) if in_force else 0,
        "unbroken_since": since,
        "tenure_years": years(since, as_of) if since is not None else 0,
        "holds_nothing_any_more": bool(held) and all(contract["ended_at"] for contract in held),
        "referrals": len(with_role(history, "referral_made")),
        "good_reviews": sum(score > 3 for score in reviews),  # of a scale from 1 to 5
        "last_nps": answers[-1]["score"] if answers else None,
    }


def unbroken_since(begun: list[Row]) -> datetime | None:
    """Return since when at least one contract has been in force at every instant; null if none is.

    A contract that begins at the very end of another leaves no break.
    """
    if not any(contract["in_force"] for contract in begun):
        return None
    since = None
    covered_until: datetime | None = None
    for contract in sorted(begun, key=lambda row: row["began_at"]):
        if covered_until is None or contract["began_at"] > covered_until:
            since = covered_until = contract["began_at"]
        ends = datetime.max if contract["in_force"] else contract["ended_at"]
        covered_until = max(covered_until, ends)
    return since


def years(since: datetime, until: datetime) -> float:
    """Return the years between two instants, counted back from the later one.

    Whole ones by the calendar, and the part of the year that is begun: at the same day and time three
    years on it is exactly 3.
    """
    whole = 0
    while years_before(until, whole + 1) >= since:
        whole += 1
    later, earlier = years_before(until, whole), years_before(until, whole + 1)
    return whole + (later - since) / (later - earlier)


def years_before(instant: datetime, count: int) -> datetime:
    """Return the same day some years before; 28 February where there is no 29th."""
    try:
        return instant.replace(year=instant.year - count)
    except ValueError:
        return instant.replace(year=instant.year - count, day=28)


def rung_of(facts: dict[str, Any], options: Options) -> str:
    """Return the highest rung whose condition holds; ``prospect`` where none does."""
    found = "prospect"
    for rung, condition in options.ladder.items():
        if condition(facts):
            found = rung
    return found
