"""Quotes, claims and cases: one row per business key, from the touchpoints that name it."""

from __future__ import annotations

from datetime import datetime

from reference.contracts import first, naming, told, value_of, with_role
from reference.model import Row

CASE_KINDS = (
    ("complaint", ("complaint_",)),
    ("request", ("request_",)),
    ("question", ("question_",)),
    ("listing", ("listing_",)),
    ("meeting", ("meeting_",)),
    ("message", ("email_", "survey_")),
)
"""Per kind of case, how the roles of its first event begin; the first that fits holds."""

OPENING = (
    "complaint_opened",
    "request_opened",
    "question_asked",
    "listing_offered",
    "listing_asked",
    "meeting_attended",
    "survey_sent",
    "email_delivered",
)
ANSWERING = ("complaint_answered", "question_answered", "survey_answered")
CLOSING = ("request_closed",)
"""The roles that open, answer and close a case."""


def owner(events: list[Row]) -> str:
    """Return whose a business key is: the first identified profile's that names it, else the first's."""
    identified = [event for event in events if event["identified"]]
    return str((identified or events)[0]["profile_id"])


def instants(events: list[Row], *roles: str) -> list[datetime]:
    """Return when the events of some roles happened, in order."""
    return [event["occurred_at"] for event in with_role(events, *roles)]


def quote_rows(touchpoints: list[Row]) -> list[Row]:
    """Return one row per quote_id."""
    rows = []
    for quote_id, events in naming(touchpoints, "quote_id").items():
        quoted = first(with_role(events, "quote_created"))
        bound = first(with_role(events, "contract_signed"))
        rows.append(
            {
                "quote_id": quote_id,
                "profile_id": owner(events),
                "first_at": events[0]["occurred_at"],
                "product": told(events, "product", quoted),
                "channel": told(events, "channel", quoted),
                "quoted_at": value_of(quoted, "occurred_at"),
                "quoted_by": value_of(quoted, "event_id"),
                "value": value_of(quoted, "value"),
                "currency": value_of(quoted, "currency"),
                "bound_at": value_of(bound, "occurred_at"),
                "bound_by": value_of(bound, "event_id"),
                "contract_id": value_of(bound, "contract_id"),
            }
        )
    return rows


def claim_rows(touchpoints: list[Row]) -> list[Row]:
    """Return one row per claim_id."""
    rows = []
    for claim_id, events in naming(touchpoints, "claim_id").items():
        opened = first(with_role(events, "claim_opened"))
        rows.append(
            {
                "claim_id": claim_id,
                "profile_id": owner(events),
                "first_at": events[0]["occurred_at"],
                "contract_id": told(events, "contract_id", opened),
                "product": told(events, "product", opened),
                "opened_at": value_of(opened, "occurred_at"),
                "opened_by": value_of(opened, "event_id"),
                "closed_at": instants(events, "claim_closed"),
                "reopened_at": instants(events, "claim_reopened"),
            }
        )
    return rows


def case_rows(touchpoints: list[Row]) -> list[Row]:
    """Return one row per case_id."""
    rows = []
    for case_id, events in naming(touchpoints, "case_id").items():
        opened = first(with_role(events, *OPENING))
        settled = first(with_role(events, *ANSWERING, *CLOSING))
        rows.append(
            {
                "case_id": case_id,
                "profile_id": owner(events),
                "first_at": events[0]["occurred_at"],
                "kind": kind_of(events[0]),
                "product": told(events, "product", opened),
                "channel": told(events, "channel", opened),
                "opened_at": value_of(opened, "occurred_at"),
                "opened_by": value_of(opened, "event_id"),
                "acknowledged_at": value_of(
                    first(with_role(events, "complaint_acknowledged")), "occurred_at"
                ),
                "forwarded_at": instants(events, "question_forwarded"),
                "answered_at": instants(events, *ANSWERING),
                "reminded_at": instants(events, "question_reminded"),
                "closed_at": instants(events, *CLOSING),
                "reopened_at": [
                    at
                    for at in instants(events, *OPENING)
                    if settled is not None and at > settled["occurred_at"]
                ],
                "matched_at": value_of(first(with_role(events, "listing_matched")), "occurred_at"),
            }
        )
    return rows


def kind_of(event: Row) -> str:
    """Return what a case is, by the roles of its first event."""
    for kind, beginnings in CASE_KINDS:
        if any(role.startswith(beginnings) for role in event["roles"]):
            return kind
    return "other"
