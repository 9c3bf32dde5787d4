"""Fixes: how quarantined records are read when they are tried again, other than the config says."""

from __future__ import annotations

import json
from collections.abc import Sequence

from parcours.schemas.config import Source

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
        keys |= {**change, "map": {**keys["map"], **change.get("map", {})}}
    return Source.model_validate(keys)


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
