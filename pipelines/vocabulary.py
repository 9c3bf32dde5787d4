"""The words that records use, and the taxonomy: which it does not know, and what a change of it moves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from parcours.pipelines.mistakes import nearest
from parcours.pipelines.rules import Change, differences
from parcours.schemas.config import Taxonomy


@dataclass(frozen=True)
class Word:
    """An event type or a channel that the taxonomy does not know.

    Attributes:
        kind: what it is.
        word: as the records have it.
        touchpoints: how many stored touchpoints lack a stage, or a medium, for want of it.
        first_at: the first of them, UTC.
        last_at: the last of them, UTC.
        source: a source that they come from: the first by name.
        near: the word of the taxonomy that is spelled most like it, if one is near.
    """

    kind: Literal["event type", "channel"]
    word: str
    touchpoints: int
    first_at: datetime
    last_at: datetime
    source: str
    near: str | None


@dataclass(frozen=True)
class WordChange:
    """A change of the taxonomy, and how many stored touchpoints it gives another stage, role or medium."""

    change: Change
    touchpoints: int

    def as_json(self) -> dict[str, Any]:
        """Return key, before, after and touchpoints."""
        return {**asdict(self.change), "touchpoints": self.touchpoints}


def unmapped(connection: duckdb.DuckDBPyConnection, taxonomy: Taxonomy) -> list[Word]:
    """Find the event types and channels of a store that a taxonomy does not list, the most frequent first.

    An event type that is listed without a stage is so on purpose, and a touchpoint whose record gives the
    stage itself lacks nothing: neither is unmapped.
    """
    return [
        *_unlisted(connection, "event type", "event_type", "stage_given IS NULL", taxonomy.events),
        *_unlisted(connection, "channel", "channel", "true", taxonomy.channels),
    ]


def _unlisted(
    connection: duckdb.DuckDBPyConnection,
    kind: Literal["event type", "channel"],
    column: str,
    lacking: str,
    listed: Iterable[str],
) -> list[Word]:
    rows = connection.execute(
        f"""
        SELECT {column}, count(*), min(occurred_at), max(occurred_at), min(source_name)
        FROM touchpoints WHERE {lacking} GROUP BY 1 ORDER BY 2 DESC, 1
        """
    ).fetchall()
    known = set(listed)
    return [
        Word(kind, word, touchpoints, first_at, last_at, source, nearest(word, known))
        for word, touchpoints, first_at, last_at, source in rows
        if word not in known
    ]


def stored_taxonomy(rules: str) -> Taxonomy:
    """Return the taxonomy of a text of rules."""
    return Taxonomy.model_validate(json.loads(rules)["taxonomy"])


def taxonomy_changes(
    connection: duckdb.DuckDBPyConnection, before: Taxonomy, after: Taxonomy
) -> Sequence[WordChange]:
    """Return what differs between two taxonomies, with the stored touchpoints that each alone moves."""
    events = {
        word: (total, without)
        for word, total, without in connection.execute(
            "SELECT event_type, count(*), count(*) FILTER (stage_given IS NULL) FROM touchpoints GROUP BY 1"
        ).fetchall()
    }
    channels = dict(connection.execute("SELECT channel, count(*) FROM touchpoints GROUP BY 1").fetchall())
    old, new = (taxonomy.model_dump(mode="json") for taxonomy in (before, after))
    found = []
    for kind in ("channels", "events"):
        for word in sorted({*old[kind], *new[kind]}):
            entries = old[kind].get(word), new[kind].get(word)
            for change in differences(("taxonomy", kind, word), *entries):
                if kind == "channels":
                    count = channels.get(word, 0)
                else:
                    count = _moved_by(change, *events.get(word, (0, 0)))
                found.append(WordChange(change, count))
    return found


def _moved_by(change: Change, total: int, without_stage: int) -> int:
    """Return how many touchpoints of an event type a change of it moves.

    Args:
        change: of one key, or of the whole entry.
        total: all touchpoints of the event type.
        without_stage: those whose records give no stage themselves.
    """
    entry = change.after if change.before is None else change.before
    keys = set(entry) if isinstance(entry, Mapping) else {change.key.rsplit(".", 1)[1]}
    if keys - {"stage"}:
        return total
    return without_stage if keys else 0
