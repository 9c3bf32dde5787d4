"""What people decided about links: the last word on a pair holds, for later links too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from reference.model import Row

Pair = tuple[Any, ...]


def unlinked_devices(decisions: list[Row]) -> set[Pair]:
    """Return the unlinked pairs of (anonymous_id, customer_id)."""
    return _unlinked(decisions, lambda row: (row["id"], row["customer_id"]))


def unlinked_customers(decisions: list[Row]) -> set[Pair]:
    """Return the unlinked pairs of customer ids; which of the two was named first does not matter."""
    return _unlinked(decisions, lambda row: pair_of(row["id"], row["customer_id"]))


def pair_of(one: str, other: str) -> Pair:
    """Return two customer ids in one order."""
    return (min(one, other), max(one, other))


def _unlinked(decisions: Iterable[Row], pair: Callable[[Row], Pair]) -> set[Pair]:
    last: dict[Pair, str] = {}
    for row in sorted(decisions, key=lambda row: (row["decided_at"], row["decision_id"])):
        last[pair(row)] = row["kind"]
    return {found for found, kind in last.items() if kind == "unlink"}
