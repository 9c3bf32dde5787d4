"""What flows between the steps of the ingest pipeline: ranges, and batches with their coordinates.

Never one object per event: a batch is an Arrow table plus the few facts that hold for all its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa


@dataclass(frozen=True)
class PlannedRange:
    """A stretch of one log, read by one worker and answered by exactly one manifest.

    ``start`` is the first offset to read. ``end`` is exclusive: for Kafka no record at or past it is read and
    the range is done when the position reaches it; for files it is an upper bound that the file's end may
    undercut. ``resume`` is what the source kind needs to find its place (a file's byte position, a topic's
    id).
    """

    id: int
    source: str
    topic: str
    partition: int
    start: int
    end: int
    resume: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceBatch:
    """Records as read: a ``RAW`` batch, the range it belongs to, and what is needed to decode it.

    ``context`` is a CSV file's header line or an Avro container's writer schema; null for everything else.
    """

    range: PlannedRange
    records: pa.RecordBatch
    context: bytes | None = None


@dataclass(frozen=True)
class RangeEnd:
    """A range was read to its end: how many batches and records came of it, and what the log did not have.

    ``next_offset - range.start == read + gap``. ``resume`` is kept with the committed offset and handed back
    in the next plan.
    """

    range: PlannedRange
    batches: int
    read: int
    next_offset: int
    gap: int = 0
    gap_reason: str | None = None
    resume: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecodedPart:
    """Rows that were decoded alike.

    ``documents``: column ``document`` holds one valid JSON object a row. ``columns``: the source's own
    columns, typed. Both have ``row`` (int32), the row's place in the batch as read.
    """

    kind: Literal["documents", "columns"]
    table: pa.Table


@dataclass(frozen=True)
class DecodedBatch:
    """A batch after decoding: every row of ``source.records`` is in exactly one part or in ``rejects``.

    ``rejects`` has the columns of ``REJECT_NOTE``. ``schema_ids`` has one int32 a raw row, or is null where
    the format carries none.
    """

    source: SourceBatch
    parts: tuple[DecodedPart, ...]
    rejects: pa.Table
    schema_ids: pa.Array | None = None


REJECT_NOTE = pa.schema(
    [
        ("row", pa.int32()),
        ("step", pa.string()),  # decode or validate
        ("reason", pa.string()),  # one of schemas.touchpoint.REASONS
        ("rule", pa.string()),
        ("field", pa.string()),
        ("value", pa.string()),  # at most 200 characters
        ("message", pa.string()),
    ]
)
"""Why one row of a batch is rejected."""


@dataclass(frozen=True)
class ValidatedBatch:
    """A batch after validation: valid and ``REJECTED`` rows, together as many as were read.

    ``touchpoints`` are ``TOUCHPOINT`` rows or, of a source that loads a reference input, that input's rows.
    ``context`` is what the rejected records need to be read again, where they need something.
    """

    range: PlannedRange
    touchpoints: pa.Table
    rejected: pa.Table
    context: bytes | None = None
