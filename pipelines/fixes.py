"""Fixes: how quarantined records are read when they are tried again, other than the config says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from parcours.schemas.config import MapEntry, Source
from parcours.transforms.given import layout_of, with_lookup

CHANGEABLE = (
    "map",
    "nulls",
    "decimal_mark",
    "date_format",
    "time_unit",
    "time_zone",
    "encoding",
    "delimiter",
    "quote",
    "envelope",
    "attributes",
    "writer_schema",
    "reader_schema",
    "schemas",
)
"""Keys of a source that a fix may set; of ``map`` it sets single fields."""

_KEPT_FORMATS = ("json", "csv")


def overlaid(source: Source, changes: Sequence[str]) -> Source:
    """Return a source as fixes read it.

    Args:
        source: the config's.
        changes: each a JSON object of the source's keys, in the order of the decisions: of one key the last
            counts, and of the mapping the last of each field.

    Raises:
        ValueError: a fix sets what it may not, or what is no source; pydantic's says which key.
    """
    if not changes:
        return source
    keys = source.model_dump()
    for text in changes:
        change = json.loads(text)
        unknown = sorted(change.keys() - set(CHANGEABLE))
        if unknown:
            raise ValueError(f"a fix cannot set {', '.join(unknown)}; it may set {', '.join(CHANGEABLE)}")
        entries = {name: _corrected(source, name, entry) for name, entry in change.get("map", {}).items()}
        keys |= {**change, "map": {**keys["map"], **entries}}
    return Source.model_validate(keys)


def _corrected(source: Source, name: str, given: Any) -> MapEntry:
    """Return a fix's entry of the mapping, with its look-up as part of what the record says.

    A config's look-up translates a source's words, and two records with other words are other contents. A
    fix's puts right what the record says: it is to be equal to one that was right from the start.
    """
    entry = MapEntry.model_validate(given)
    configured = source.map[name].lookup if name in source.map else {}
    kept = {word: ours for word, ours in entry.lookup.items() if configured.get(word) == ours}
    own = {word: ours for word, ours in entry.lookup.items() if word not in kept}
    if not own or name not in layout_of(source).texts:
        return entry
    if kept.keys() & own.values():  # what a fix says is not translated once more
        own, kept = entry.lookup, {}
    said = f"({entry.sql})" if entry.sql else f'"{name}"'
    return entry.model_copy(update={"sql": with_lookup(said, own), "lookup": kept})


def as_edited(source: Source) -> Source:
    """Return a source whose records a person wrote anew: in its format where that is text, else as JSON.

    The JSON has the record's own names, as the mapping knows them.
    """
    if source.format in _KEPT_FORMATS:
        return source
    return source.model_copy(update={"format": "json", "reader_schema": None})


def of_contents(name: str) -> Source:
    """Return the source that reads contents, the canonical JSON of our own fields, as they are."""
    return Source(name=name, kind="file", format="json", path="quarantine", time_unit="us", attributes=())
