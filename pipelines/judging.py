"""Quarantined records tried again: cut into batches, decoded and validated as their source, or a fix, says.

Nothing here writes into the store's relations. A batch has records that are read alike: one place, one
context, one set of fixes; and no two of one offset, so that the offset tells which one is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from parcours.pipelines.fixes import as_edited, of_contents, overlaid
from parcours.schemas.config import Config, Source
from parcours.schemas.touchpoint import RAW, TOUCHPOINT
from parcours.transforms.contexts import context_of
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import PlannedRange, SourceBatch, ValidatedBatch
from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS
from parcours.transforms.stage import RANGE_BITS
from parcours.transforms.validate import make_validator

FORGOTTEN_PARTITIONS = 1_000_000
"""How far below its own partition a reference row of a log that was forgotten stands."""


class UnknownSourceError(Exception):
    """Records are of sources that the config does not have: nobody knows how to read them."""


@dataclass(frozen=True)
class _Batch:
    """Records that are read alike.

    ``edited``: their bytes are those that a person wrote; ``copy``: which of those of one place, where their
    log was forgotten, by the run ``forgotten_by``.
    """

    id: int
    source: str
    topic: str
    partition: int
    form: str
    context_id: str | None
    changes: tuple[str, ...]
    edited: bool
    copy: int | None
    forgotten_by: str | None

    @property
    def reading(self) -> tuple[object, ...]:
        """What decides how its records are read."""
        return (self.source, self.form, self.changes, self.edited)


@dataclass(frozen=True)
class Judged:
    """What came of one batch.

    Attributes:
        batch: the valid and the rejected rows.
        form: record or contents.
        forgotten_by: the run that forgot the log that they are of, as ``reset`` does; null: none did.
        ids: the records' quarantine ids.
        offsets: their offsets, in the same order.
        fields: gives the fields of all that could be decoded, valid or not, with ``source_offset``.
    """

    batch: ValidatedBatch
    form: str
    forgotten_by: str | None
    ids: pa.Array
    offsets: pa.Array
    fields: Callable[[], pa.Table]

    def ids_of(self, rows: pa.Table) -> pa.Array:
        """Return the quarantine ids of valid or rejected rows of the batch."""
        return self.ids.take(pc.index_in(rows["source_offset"].combine_chunks(), value_set=self.offsets))


def choose(connection: duckdb.DuckDBPyConnection, config: Config) -> dict[str, int]:
    """Cut what ``selected(quarantine_id)`` names into batches: the tables ``tried`` and ``batches``.

    Returns:
        How many records are not tried, by why: they are no longer ``open``, their bytes were ``cut`` at
        max_record_bytes, or they are a conflict's losers whose event stands (``conflict``) and nothing was
        decided about them.

    Raises:
        UnknownSourceError: the config lacks a source of theirs.
    """
    formats = [(source.name, source.format) for source in config.source]
    connection.execute("CREATE OR REPLACE TEMP TABLE source_formats(source VARCHAR, format VARCHAR)")
    if formats:
        connection.executemany("INSERT INTO source_formats VALUES (?, ?)", formats)
    text = resources.files(__package__).joinpath("commit_sql", "choose.sql").read_text("utf-8")
    for key, value in {
        "$most_records": BATCH_RECORDS,
        "$most_bytes": BATCH_BYTES,
        "$range_bits": RANGE_BITS,
    }.items():
        text = text.replace(key, str(value))
    connection.execute(text)
    unknown = connection.execute(
        "SELECT source, count(*) FROM tried_records ANTI JOIN source_formats USING (source) "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    if unknown:
        listed = ", ".join(f'"{name}" ({count:,} record{"s" * (count != 1)})' for name, count in unknown)
        raise UnknownSourceError(
            f"the config has no source {listed}: nothing was replayed; put the source back, leave its "
            "records out of the selection, or discard them"
        )
    found = connection.execute("SELECT why, count(*) FROM not_tried GROUP BY ALL ORDER BY ALL").fetchall()
    return dict(found)


def count_tried(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many records ``choose`` found to try."""
    count: int = connection.execute("SELECT count(*) FROM tried").fetchall()[0][0]
    return count


def judged(connection: duckdb.DuckDBPyConnection, config: Config) -> Iterator[Judged]:
    """Decode and validate what ``choose`` found, batch by batch: memory is that of one.

    Raises:
        ValueError: a fix, a header or a schema cannot be used.
        RegistryUnavailableError: the registry did not answer.
    """
    sources = {source.name: source for source in config.source}
    batches = connection.execute("SELECT * FROM batches ORDER BY batch").fetchall()
    reader: _Reader | None = None
    for id_, source, topic, partition, form, context, changes, *rest in batches:
        batch = _Batch(id_, source, topic, partition, form, context, tuple(changes), *rest)
        if reader is None or batch.reading != reader.reading:
            reader = _Reader(batch, sources[batch.source], config)
        yield reader.judge(connection, batch)


class _Reader:
    """Decoder and validator of batches that are read alike."""

    def __init__(self, batch: _Batch, source: Source, config: Config) -> None:
        self.reading = batch.reading
        self._is_reference = source.loads != "touchpoints"
        if batch.form == "contents":
            source = of_contents(source.name)
        source = overlaid(source, batch.changes)
        if batch.edited:
            source = as_edited(source)
        self._format = source.format
        self._decoder = make_decoder(source, config.validation)
        self._validator = make_validator(source, config)

    def judge(self, connection: duckdb.DuckDBPyConnection, batch: _Batch) -> Judged:
        """Decode and validate one batch."""
        table = connection.sql(_RECORDS, params=[batch.id]).to_arrow_table().combine_chunks()
        records = raw_batch(table)
        kept = connection.execute(
            "SELECT context FROM internal.contexts WHERE context_id = ?", [batch.context_id]
        ).fetchall()
        context = context_of(self._format, kept[0][0] if kept else None, records["offset"])
        partition = batch.partition
        if batch.copy is not None and self._is_reference:
            partition -= FORGOTTEN_PARTITIONS * batch.copy
        first = records["offset"][0].as_py()
        place = PlannedRange(batch.id, batch.source, batch.topic, partition, first, first)
        decoded = self._decoder.decode(SourceBatch(place, records, context))
        judged = self._validator.validate(decoded)
        if batch.form == "contents" and not batch.changes and not batch.edited:
            judged = _with_own_hash(judged, table)
        ids, fields = table["quarantine_id"].combine_chunks(), partial(self._validator.fields, decoded)
        return Judged(judged, batch.form, batch.forgotten_by, ids, records["offset"], fields)


_RECORDS = """
SELECT
    t.quarantine_id, q.source_offset AS "offset", q.broker_timestamp, q.record_key, q.headers,
    coalesce(f.edited, q.raw) AS "value",
    -- what we wrote ourselves is not held against max_record_bytes
    if(q.form = 'contents', 0, octet_length(coalesce(f.edited, q.raw))) AS "size", q.content_sha256
FROM tried AS t
JOIN quarantine AS q ON q.rowid = t.stored_row
LEFT JOIN fixes AS f ON f.fix_id = t.edited_by
WHERE t.batch = ? ORDER BY q.source_offset
"""


def raw_batch(table: pa.Table) -> pa.RecordBatch:
    """Return the columns of ``RAW`` of a table in one chunk."""
    return pa.record_batch([table[field.name].combine_chunks().cast(field.type) for field in RAW], schema=RAW)


def _with_own_hash(judged: ValidatedBatch, table: pa.Table) -> ValidatedBatch:
    """Give contents the hash that they had: it was taken before look-ups, of which they bear the outcome."""
    valid = judged.touchpoints
    if not valid.num_rows:
        return judged
    rows = pc.index_in(valid["source_offset"].combine_chunks(), value_set=table["offset"].combine_chunks())
    place = TOUCHPOINT.get_field_index("content_sha256")
    hashes = table["content_sha256"].combine_chunks().take(rows).cast(TOUCHPOINT.field(place).type)
    return replace(judged, touchpoints=valid.set_column(place, TOUCHPOINT.field(place), hashes))
