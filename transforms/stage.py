"""Stage: valid and rejected rows become Parquet files, and each range one manifest that names them.

Retries and orphaned workers leave files behind, so file names are unique, a file is renamed into place when
it is whole, and only files that a manifest names are ever read. A range's manifest has one name: the last
attempt to finish wins, and each attempt's manifest names that attempt's files alone.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from parcours.transforms.contexts import context_id
from parcours.transforms.elements import PlannedRange, RangeEnd, ValidatedBatch

RANGE_BITS = 40
"""A row's ``rid`` is its range's id and, in so many bits, its place in the range."""

DICTIONARY = [
    "event_type",
    "stage",
    "channel",
    "source",
    "campaign",
    "product",
    "currency",
    "survey",
    "experiment",
]
"""Columns with few words: worth a dictionary. For ids and hashes building one is lost time."""


@dataclass(frozen=True)
class StagedBatch:
    """One batch's files and counts."""

    range_id: int
    touchpoints: str | None
    rejected: str | None
    context: str | None
    valid: int
    invalid: int


@dataclass(frozen=True)
class Manifest:
    """What became of one planned range: its files, counts, gap and warnings.

    ``replays`` is the form of the records where the range stands for quarantined ones that are tried again:
    they have no offsets to go on from. ``forgotten_by`` is the run that forgot their log, where one did.
    """

    range_id: int
    source: str
    topic: str
    partition: int
    start: int
    next_offset: int
    read: int
    valid: int
    invalid: int
    gap: int
    gap_reason: str | None
    resume: dict[str, object]
    warnings: list[str]
    touchpoints: list[str]
    rejected: list[str]
    contexts: list[str] = field(default_factory=list)
    replays: str | None = None
    forgotten_by: str | None = None

    @property
    def from_start(self) -> bool:
        """Whether a log was read from its beginning."""
        return self.start == 0 and self.replays is None


class IncompleteRangeError(Exception):
    """A range did not end in exactly one complete manifest: its slice is not committed."""


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write under a temporary name, then rename: nobody ever sees half a file."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    write(temporary)
    temporary.replace(path)


def stage_batch(batch: ValidatedBatch, folder: Path) -> StagedBatch:
    """Write one batch under ``folder`` and return its files and counts.

    Rows get ``rid``, a number that is unique in the slice and grows with the offset in a range.
    """
    names: list[str | None] = []
    for kind, table in (("touchpoints", batch.touchpoints), ("rejected", batch.rejected)):
        if not table.num_rows:
            names.append(None)
            continue
        offsets = table.column("source_offset").to_numpy() - batch.range.start
        rid = pa.array((batch.range.id << RANGE_BITS) + offsets.astype(np.int64))
        path = folder / f"{kind}-{uuid.uuid4().hex}.parquet"
        write_whole(path, partial(_write_parquet, table.append_column("rid", rid)))
        names.append(path.name)
    context = None if batch.context is None else _stage_context(batch.context, folder)
    return StagedBatch(
        batch.range.id, names[0], names[1], context, batch.touchpoints.num_rows, batch.rejected.num_rows
    )


def _stage_context(context: bytes, folder: Path) -> str:
    """Write a context, once however many batches have it."""
    path = folder / f"context-{context_id(context)}"
    if not path.exists():
        write_whole(path, lambda temporary: temporary.write_bytes(context))
    return path.name


def _write_parquet(table: pa.Table, path: Path) -> None:
    words = [name for name in DICTIONARY if name in table.column_names]
    pq.write_table(table, path, compression="lz4", use_dictionary=words, write_statistics=False)


def manifest_path(folder: Path, range_id: int) -> Path:
    """Return where a range's manifest is."""
    return folder / f"manifest-{range_id:06d}.json"


def write_manifest(folder: Path, ends: Iterable[RangeEnd], staged: Iterable[StagedBatch]) -> Manifest:
    """Close one range: its end and its staged batches must add up.

    Raises:
        IncompleteRangeError: a batch is missing, or the counts do not close.
    """
    ends, staged = list(ends), list(staged)
    if len(ends) != 1:
        raise IncompleteRangeError(f"a range ended {len(ends)} times, it ends once")
    end = ends[0]
    valid, invalid = sum(batch.valid for batch in staged), sum(batch.invalid for batch in staged)
    planned = end.range
    where = f'topic "{planned.topic}" partition {planned.partition} from offset {planned.start}'
    if end.read != valid + invalid:
        raise IncompleteRangeError(f"{where}: {end.read} records were read, {valid} + {invalid} were staged")
    if end.next_offset - planned.start != end.read + end.gap:
        raise IncompleteRangeError(
            f"{where} to {end.next_offset}: {end.read} records and a gap of {end.gap} do not fill the range"
        )
    manifest = Manifest(
        range_id=planned.id,
        source=planned.source,
        topic=planned.topic,
        partition=planned.partition,
        start=planned.start,
        next_offset=end.next_offset,
        read=end.read,
        valid=valid,
        invalid=invalid,
        gap=end.gap,
        gap_reason=end.gap_reason,
        resume=dict(end.resume),
        warnings=list(end.warnings),
        touchpoints=[batch.touchpoints for batch in staged if batch.touchpoints],
        rejected=[batch.rejected for batch in staged if batch.rejected],
        contexts=sorted({batch.context for batch in staged if batch.context}),
    )
    text = json.dumps(asdict(manifest))
    write_whole(manifest_path(folder, planned.id), lambda path: path.write_text(text, "utf-8"))
    return manifest


def read_manifests(folder: Path, ranges: Iterable[PlannedRange]) -> list[Manifest]:
    """Return the manifest of each planned range, in the ranges' order.

    Raises:
        IncompleteRangeError: a range has none.
    """
    manifests = []
    for planned in ranges:
        path = manifest_path(folder, planned.id)
        if not path.exists():
            raise IncompleteRangeError(
                f'topic "{planned.topic}" partition {planned.partition} from offset {planned.start} left '
                "no manifest"
            )
        manifests.append(Manifest(**json.loads(path.read_text("utf-8"))))
    return manifests


class Progress:
    """Counts what this process's workers have staged, for whoever watches; workers elsewhere stay silent."""

    _counts: ClassVar[defaultdict[str, Counter[int]]] = defaultdict(Counter)

    @classmethod
    def add(cls, folder: str, range_id: int, rows: int) -> None:
        """Note that a range staged some more rows."""
        cls._counts[folder][range_id] += rows

    @classmethod
    def total(cls, folder: str) -> int:
        """Return how many rows were staged under a folder."""
        return sum(list(cls._counts[folder].values()))

    @classmethod
    def forget(cls, folder: str) -> None:
        """Drop a folder's count."""
        cls._counts.pop(folder, None)
