"""Devices and persons: a touchpoint with both ids links its device to its customer, as an alias does."""

from __future__ import annotations

from reference.decisions import unlinked_devices
from reference.model import SINCE_EVER, Options, Row


def device_links(
    touchpoints: list[Row],
    aliases: list[Row],
    decisions: list[Row],
    person_of: dict[str, str],
    options: Options,
) -> list[Row]:
    """Return one link per touchpoint with both ids and per alias of a device, with its status.

    A pair that a person unlinked does not count towards the maximum, which is one of persons; past it the
    whole device is left unlinked (``over_limit``).
    """
    links = [
        {
            "kind": "device",
            "anonymous_id": touchpoint["anonymous_id"],
            "other_customer_id": None,
            "customer_id": touchpoint["customer_id"],
            "event_id": touchpoint["event_id"],
            "linked_at": touchpoint["occurred_at"],
        }
        for touchpoint in touchpoints
        if touchpoint["anonymous_id"] is not None and touchpoint["customer_id"] is not None
    ]
    links += [
        {
            "kind": "alias",
            "anonymous_id": alias["id"],
            "other_customer_id": None,
            "customer_id": alias["customer_id"],
            "event_id": None,
            "linked_at": alias["valid_from"] or SINCE_EVER,
        }
        for alias in aliases
        if alias["id_type"] == "anonymous_id"
    ]
    undone = unlinked_devices(decisions)
    met: dict[str, set[str]] = {}
    for link in links:
        link["status"] = "active"
        if (link["anonymous_id"], link["customer_id"]) in undone:
            link["status"] = "unlinked"
        else:
            person = person_of.get(link["customer_id"], link["customer_id"])
            met.setdefault(link["anonymous_id"], set()).add(person)
    for link in links:
        too_many = len(met.get(link["anonymous_id"], ())) > options.max_customers_per_device
        if link["status"] == "active" and too_many:
            link["status"] = "over_limit"
    return links


def resolve(touchpoint: Row, links: list[Row], person_of: dict[str, str]) -> Row:
    """Return the touchpoint with ``profile_id`` and ``identified``.

    One with a customer_id belongs to that customer's person. An anonymous one goes to the person of its
    device's nearest active link in time; on a tie the earlier link, then the smaller person.
    """
    person = None
    if touchpoint["customer_id"] is not None:
        person = person_of.get(touchpoint["customer_id"], touchpoint["customer_id"])
    else:
        at = touchpoint["occurred_at"]
        candidates = [
            (
                abs(link["linked_at"] - at),
                link["linked_at"],
                person_of.get(link["customer_id"], link["customer_id"]),
            )
            for link in links
            if link["anonymous_id"] == touchpoint["anonymous_id"] and link["status"] == "active"
        ]
        if candidates:
            person = min(candidates)[2]
    return {
        **touchpoint,
        "profile_id": person if person is not None else "anon:" + touchpoint["anonymous_id"],
        "identified": person is not None,
    }
