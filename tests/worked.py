"""Small relations for worked examples of figures, and what a twin makes of them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from reference import Options
from reference.figures import FIGURES
from reference.figures.tally import rows_of
from reference.figures.world import World

AS_OF = datetime(2025, 12, 31, 12)
TOUCHPOINT = (
    *(
        "event_type",
        "stage",
        "money_role",
        "medium",
        "source",
        "campaign",
        "content",
        "product",
        "contract_id",
    ),
    *("case_id", "referral_id", "value", "currency", "cost", "survey", "score", "experiment", "variant"),
)


def at(text: str) -> datetime:
    """Return an instant of 2025: ``01-31`` or ``01-31 12:00``; with a year before it, of that year."""
    return datetime.fromisoformat(text if text[:2] == "20" else f"2025-{text}")


def touchpoint(
    event_id: str, when: str, *roles: str, person: str = "p", theme: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Return a touchpoint with the columns that twins read; event types are named as their first role."""
    return {
        **dict.fromkeys(TOUCHPOINT),
        "event_id": event_id,
        "occurred_at": at(when),
        "event_type": roles[0] if roles else "seen",
        "profile_id": person,
        "roles": list(roles),
        "channel": "site",
        "attributes": [{"key": "theme", "value": theme}] if theme else [],
        **fields,
    }


def contract(
    contract_id: str, began: str, ended: str | None = None, *, person: str = "p", **fields: Any
) -> dict[str, Any]:
    """Return a contract with the columns that twins read; known by reference unless it says more."""
    return {
        **dict.fromkeys(("signed_at", "signed_by", "due_at", "effective_from", "initiator", "reason")),
        "contract_id": contract_id,
        "profile_id": person,
        "began_at": at(began),
        "ended_at": at(ended) if ended else None,
        "held_from": at(began),
        "product": "auto",
        **fields,
    }


def premium(began: str, amount: int, ended: str | None = None, *, person: str = "p", **fields: Any) -> Any:
    """Return a version of what a contract costs a year."""
    return {
        "profile_id": person,
        "product": "auto",
        "currency": "EUR",
        "annual_premium": amount,
        "from_at": at(began),
        "until_at": at(ended) if ended else None,
        **fields,
    }


def customer(
    customer_id: str, since: str | None = None, until: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Return a row of the reference input customers."""
    return {
        **dict.fromkeys(("region", "segment", "potential", "valid_from")),
        "customer_id": customer_id,
        "member_since": date.fromisoformat(since) if since else None,
        "member_until": date.fromisoformat(until) if until else None,
        **fields,
    }


def world(as_of: datetime = AS_OF, **relations: Any) -> World:
    """Return the relations as they stand at the end of 2025, in UTC."""
    return World(as_of, Options(time_zone="UTC"), **relations)


def rows(name: str, given: World, dimension: str = "total", grain: str = "year") -> dict[Any, dict[str, Any]]:
    """Return a figure's rows of one row set, by period and value."""
    return {
        (str(row["period_start"])[: 4 if grain == "year" else 7], *row["dimension_values"]): row
        for row in rows_of(name, FIGURES[name], given, [grain])
        if row["dimensions"][0] == dimension
    }


def counts(name: str, given: World, dimension: str = "total", grain: str = "year") -> dict[Any, Any]:
    """Return numerator and denominator, by period and value."""
    found = rows(name, given, dimension, grain)
    return {key: (row["numerator"], row["denominator"]) for key, row in found.items()}


def values(name: str, given: World, dimension: str = "total", grain: str = "year") -> dict[Any, Any]:
    """Return values, by period and value."""
    return {key: row["value"] for key, row in rows(name, given, dimension, grain).items()}
