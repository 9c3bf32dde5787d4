"""Which customer ids are one person: aliases and merges tie them, and one of the ids names them all."""

from __future__ import annotations

from datetime import datetime

from reference.decisions import pair_of, unlinked_customers
from reference.model import Row


def customer_links(touchpoints: list[Row], aliases: list[Row], decisions: list[Row]) -> list[Row]:
    """Return the links between customer ids: ``other_customer_id`` is another name of ``customer_id``.

    A touchpoint of role ``customer_merged`` says in its attribute ``merged_customer_id`` which customer
    was merged into its own. An alias says it without a touchpoint.
    """
    links = []
    for touchpoint in touchpoints:
        if "customer_merged" not in touchpoint["roles"] or touchpoint["customer_id"] is None:
            continue
        merged = attribute(touchpoint, "merged_customer_id")
        if merged is not None and merged != touchpoint["customer_id"]:
            links.append(
                {
                    "kind": "merge",
                    "anonymous_id": None,
                    "other_customer_id": merged,
                    "customer_id": touchpoint["customer_id"],
                    "event_id": touchpoint["event_id"],
                    "linked_at": touchpoint["occurred_at"],
                }
            )
    links += [
        {
            "kind": "alias",
            "anonymous_id": None,
            "other_customer_id": alias["id"],
            "customer_id": alias["customer_id"],
            "event_id": None,
            "linked_at": alias["valid_from"],
        }
        for alias in aliases
        if alias["id_type"] == "customer_id"
    ]
    undone = unlinked_customers(decisions)
    for link in links:
        pair = pair_of(link["other_customer_id"], link["customer_id"])
        link["status"] = "unlinked" if pair in undone else "active"
    return links


def attribute(touchpoint: Row, key: str) -> str | None:
    """Return an attribute's value; a blank one is none."""
    for pair in touchpoint["attributes"]:
        if pair["key"] == key and pair["value"] is not None and pair["value"].strip():
            return str(pair["value"])
    return None


def persons(links: list[Row]) -> dict[str, str]:
    """Return the person of each customer id that an active link names; any other id is its own person."""
    active = [link for link in links if link["status"] == "active"]
    found = {}
    for component in components(active):
        name = name_of(component, active)
        found.update(dict.fromkeys(component, name))
    return found


def components(active: list[Row]) -> list[set[str]]:
    """Return the sets of ids that are tied, one to the other, whichever way the links point."""
    sets: list[set[str]] = []
    for link in active:
        tied = {link["other_customer_id"], link["customer_id"]}
        apart = [ids for ids in sets if not ids & tied]
        sets = [*apart, tied.union(*(ids for ids in sets if ids & tied))]
    return sets


def name_of(component: set[str], active: list[Row]) -> str:
    """Return the id that names a person.

    An id that is not another name of any; where all are (a circle), one that has another name. Of several
    the one that was last given another name, then the smaller.
    """
    links = [link for link in active if link["customer_id"] in component]
    candidates = component - {link["other_customer_id"] for link in links}
    if not candidates:
        candidates = {link["customer_id"] for link in links}
    last: dict[str, datetime] = {}
    for link in links:
        at = link["linked_at"] or datetime.min
        last[link["customer_id"]] = max(at, last.get(link["customer_id"], datetime.min))
    latest = max(last[candidate] for candidate in candidates)
    return min(candidate for candidate in candidates if last[candidate] == latest)
