"""Persons: a touchpoint with both ids links its device to its customer."""

from __future__ import annotations

from collections.abc import Iterable

from reference.model import Options, Row


def link(touchpoints: Iterable[Row], options: Options) -> list[Row]:
    """Return one device link per touchpoint with both ids, with its status.

    A pair that a person unlinked does not count towards the maximum; past the maximum the whole device
    is left unlinked (``over_limit``).
    """
    links = [
        {
            "kind": "device",
            "anonymous_id": touchpoint["anonymous_id"],
            "customer_id": touchpoint["customer_id"],
            "event_id": touchpoint["event_id"],
            "linked_at": touchpoint["occurred_at"],
            "status": "active",
        }
        for touchpoint in touchpoints
        if touchpoint["anonymous_id"] is not None and touchpoint["customer_id"] is not None
    ]
    for row in links:
        if (row["anonymous_id"], row["customer_id"]) in options.unlinked:
            row["status"] = "unlinked"
    customers: dict[str, set[str]] = {}
    for row in links:
        if row["status"] != "unlinked":
            customers.setdefault(row["anonymous_id"], set()).add(row["customer_id"])
    for row in links:
        too_many = len(customers.get(row["anonymous_id"], ())) > options.max_customers_per_device
        if row["status"] == "active" and too_many:
            row["status"] = "over_limit"
    return links


def resolve(touchpoint: Row, links: list[Row]) -> Row:
    """Return the touchpoint with ``profile_id`` and ``identified``.

    A customer_id is always kept. An anonymous touchpoint goes to the customer of its device's nearest
    active link in time; on a tie the earlier link, then the smaller customer_id.
    """
    customer = touchpoint["customer_id"]
    if customer is None:
        at = touchpoint["occurred_at"]
        candidates = [
            (abs(row["linked_at"] - at), row["linked_at"], row["customer_id"])
            for row in links
            if row["anonymous_id"] == touchpoint["anonymous_id"] and row["status"] == "active"
        ]
        if candidates:
            customer = min(candidates)[2]
    return {
        **touchpoint,
        "profile_id": customer if customer is not None else "anon:" + touchpoint["anonymous_id"],
        "identified": customer is not None,
    }
