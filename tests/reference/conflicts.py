"""Duplicates and conflicts: valid records with one event_id are one event."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

from reference.model import COORDINATES, FIELDS, Row


def canonical_contents(event: Row) -> Row:
    """Return the fields before any look-up, attributes sorted by key; absent ones are null or empty."""
    contents: Row = {name: event.get(name) for name in FIELDS}
    contents["consent"] = list(contents["consent"] or [])
    contents["attributes"] = sorted(
        ({"key": pair["key"], "value": pair["value"]} for pair in contents["attributes"] or []),
        key=lambda pair: (pair["key"], pair["value"] is not None, pair["value"] or ""),
    )
    for name in ("value", "cost"):
        if contents[name] is not None:
            contents[name] = Decimal(contents[name]).quantize(Decimal("0.0001"))
    return contents


def canonical_text(contents: Row) -> str:
    """Write contents as JSON: two contents are equal exactly if their texts are."""
    return json.dumps(contents, default=str, sort_keys=True, ensure_ascii=True)


def settle(events: list[Row]) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Keep one content per event_id.

    Among different contents the event is the one with the smallest (occurred_at, SHA-256). The product's
    hash is used where the event carries it (``content_sha256``, hex), since its canonical text is its
    own business.

    Returns:
        The events that stay (contents and the coordinates of the first copy), the losing contents
        (event_id and contents, one row each however often they came), and the counts of one run that
        reads it all: read = loaded + duplicate + quarantined.

    Raises:
        ValueError: the given hashes tell apart equal contents, or do not tell apart different ones.
    """
    contents_of: dict[str, dict[str, Row]] = {}  # event_id → canonical text → contents and hash
    for event in events:
        contents = canonical_contents(event)
        text = canonical_text(contents)
        given = event.get("content_sha256")
        digest = given or hashlib.sha256(text.encode()).hexdigest()
        rivals = contents_of.setdefault(contents["event_id"], {})
        if text in rivals:
            if rivals[text]["digest"] != digest:
                raise ValueError(f"one content, two hashes: {rivals[text]['digest']} and {digest} for {text}")
            continue
        same_hash = [other for other, rival in rivals.items() if rival["digest"] == digest]
        if same_hash:
            raise ValueError(f"two contents, one hash: {digest} for {same_hash[0]} and {text}")
        coordinates = {name: event.get(name) for name in COORDINATES}
        rivals[text] = {"contents": contents, "digest": digest, "coordinates": coordinates}

    kept: list[Row] = []
    losers: list[Row] = []
    for event_id, rivals in contents_of.items():
        in_order = sorted(
            rivals.values(), key=lambda rival: (rival["contents"]["occurred_at"], rival["digest"])
        )
        kept.append({**in_order[0]["contents"], **in_order[0]["coordinates"]})
        losers.extend({"event_id": event_id, "contents": rival["contents"]} for rival in in_order[1:])
    counts = {
        "read": len(events),
        "loaded": len(kept),
        "duplicate": len(events) - len(kept) - len(losers),
        "quarantined": len(losers),
    }
    return kept, losers, counts
