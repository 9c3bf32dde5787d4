"""Contracts: what the reference input says of each, and else what its events say.

Nothing here depends on an instant; whether a contract is in force at one is in ``at_instant``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reference.model import LAST_CONTRACT_ENDED, Options, Row
from reference.people import attribute


def by_time(touchpoints: list[Row]) -> list[Row]:
    """Sort by occurred_at, then event_id."""
    return sorted(touchpoints, key=lambda row: (row["occurred_at"], row["event_id"]))


def naming(touchpoints: list[Row], column: str) -> dict[str, list[Row]]:
    """Return, per business key in a column, the touchpoints that name it, by time."""
    groups: dict[str, list[Row]] = {}
    for touchpoint in by_time(touchpoints):
        if touchpoint[column] is not None:
            groups.setdefault(touchpoint[column], []).append(touchpoint)
    return groups


def with_role(touchpoints: list[Row], *roles: str) -> list[Row]:
    """Return the touchpoints that have one of the roles."""
    return [touchpoint for touchpoint in touchpoints if set(roles) & set(touchpoint["roles"])]


def first(touchpoints: list[Row]) -> Row | None:
    """Return the first, if there is one."""
    return touchpoints[0] if touchpoints else None


def value_of(touchpoint: Row | None, column: str) -> Any:
    """Return a column of a touchpoint; null where there is none."""
    return None if touchpoint is None else touchpoint[column]


def told(events: list[Row], column: str, opening: Row | None) -> Any:
    """Return what the opening says; where it is silent, the first event that says it."""
    found = value_of(opening, column)
    return found if found is not None else next((e[column] for e in events if e[column] is not None), None)


def instant_of(touchpoint: Row | None, key: str) -> datetime | None:
    """Return an attribute that is an ISO 8601 date or time, in UTC; null where it is neither."""
    text = None if touchpoint is None else attribute(touchpoint, key)
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def contract_rows(touchpoints: list[Row], newest: dict[str, Row], person_of: dict[str, str]) -> list[Row]:
    """Return one row per contract that a touchpoint or the reference input names.

    Args:
        touchpoints: with their profiles.
        newest: the newest row of the reference input per contract_id.
        person_of: the person of each customer id that is another's.
    """
    events_of = naming(touchpoints, "contract_id")
    return [
        contract_row(contract_id, events_of.get(contract_id, []), newest.get(contract_id, {}), person_of)
        for contract_id in {**events_of, **newest}
    ]


def contract_row(contract_id: str, events: list[Row], known: Row, person_of: dict[str, str]) -> Row:
    """Return one contract's row, from its events by time and its newest reference row (or none)."""
    signing = first(with_role(events, "contract_signed"))
    termination = first(with_role(events, "contract_terminated"))
    held = first(with_role(events, "contract_signed", "contract_renewed"))
    if known:
        profile_id = person_of.get(known["customer_id"], known["customer_id"])
    else:
        profile_id = value_of(signing or first(events), "profile_id")
    premium, currency = known.get("annual_premium"), known.get("currency")
    if premium is None and signing is not None and signing["money_role"] == "premium":
        premium, currency = signing["value"], signing["currency"]
    return {
        "contract_id": contract_id,
        "profile_id": profile_id,
        "customer_id": either(known.get("customer_id"), told(events, "customer_id", signing)),
        "product": either(known.get("product"), told(events, "product", signing)),
        "held_from": either(value_of(held, "occurred_at"), known.get("effective_from")),
        "signed_at": value_of(signing, "occurred_at"),
        "signed_by": value_of(signing, "event_id"),
        "effective_from": either(known.get("effective_from"), instant_of(signing, "effective_from")),
        "effective_to": either(known.get("effective_to"), instant_of(signing, "effective_to")),
        "due_at": either(known.get("due_at"), instant_of(signing, "due_at")),
        "terminated_at": value_of(termination, "occurred_at"),
        "terminated_by": value_of(termination, "event_id"),
        "termination_effective_to": instant_of(termination, "effective_to"),
        "initiator": None if termination is None else attribute(termination, "initiator"),
        "reason": None if termination is None else attribute(termination, "reason"),
        "renewed_at": [event["occurred_at"] for event in with_role(events, "contract_renewed")],
        "annual_premium": premium,
        "currency": None if premium is None else currency,
        "signed": None if signing is None else said_by(signing),
        "renewals": [
            {
                "renewed_at": event["occurred_at"],
                "annual_premium": event["value"],
                "currency": event["currency"],
            }
            for event in with_role(events, "contract_renewed")
            if event["money_role"] == "premium" and event["value"] is not None
        ],
    }


def said_by(signing: Row) -> Row:
    """Return what a signing says, whatever the reference input does."""
    is_premium = signing["money_role"] == "premium" and signing["value"] is not None
    return {
        "effective_from": instant_of(signing, "effective_from"),
        "effective_to": instant_of(signing, "effective_to"),
        "due_at": instant_of(signing, "due_at"),
        "annual_premium": signing["value"] if is_premium else None,
        "currency": signing["currency"] if is_premium else None,
    }


def either(one: Any, other: Any) -> Any:
    """Return the first that is not null."""
    return one if one is not None else other


def enders(
    touchpoints: list[Row], contracts: list[Row], newest: dict[str, Row], options: Options
) -> set[str]:
    """Return the event_ids that end a journey.

    ``end_on`` names their event type or one of their roles; or, for ``last_contract_ended``, they terminate
    a contract of their own profile, which at that instant holds no other.
    """
    found = {
        touchpoint["event_id"]
        for touchpoint in touchpoints
        for name in options.end_on
        if name == touchpoint["event_type"] or name in touchpoint["roles"]
    }
    if LAST_CONTRACT_ENDED not in options.end_on:
        return found
    profile_of = {touchpoint["event_id"]: touchpoint["profile_id"] for touchpoint in touchpoints}
    for contract in contracts:
        if contract["terminated_by"] is None:
            continue
        if profile_of[contract["terminated_by"]] != contract["profile_id"]:
            continue
        others = [
            other
            for other in contracts
            if other["profile_id"] == contract["profile_id"]
            and other["contract_id"] != contract["contract_id"]
            and is_held(other, newest.get(other["contract_id"], {}), contract["terminated_at"])
        ]
        if not others:
            found.add(contract["terminated_by"])
    return found


def is_held(contract: Row, known: Row, at: datetime) -> bool:
    """Say whether a contract is held at an instant: from its signing on, though it may take effect later."""
    if contract["held_from"] is None or contract["held_from"] > at:
        return False
    if contract["terminated_at"] is not None and contract["terminated_at"] <= at:
        return False
    effective_to = known.get("effective_to")
    return effective_to is None or effective_to > at
