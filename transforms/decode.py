"""Raw batches to tables: one decoder per source, chosen by its format, never guessed.

Every raw row ends in exactly one part or in the rejects. A broken record never touches its neighbours.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from parcours.schemas.config import Source, Validation
from parcours.transforms.csv_columns import CsvColumns
from parcours.transforms.elements import DecodedBatch, DecodedPart, SourceBatch
from parcours.transforms.json_documents import JsonDocuments
from parcours.transforms.raw_rows import RawRows, Rejects


def make_decoder(source: Source, validation: Validation) -> Decoder:
    """Open the decoder of one source: its schemas are read here, not at the first record.

    Raises:
        ValueError: the source's writer schema cannot be read or used.
    """
    return Decoder(source, validation)


class Decoder:
    """Decodes the batches of one source. Used by one thread; holds what its format needs."""

    def __init__(self, source: Source, validation: Validation) -> None:
        self._limit = validation.max_record_bytes
        self._json = JsonDocuments(source.encoding) if source.format == "json" else None
        self._csv = (
            CsvColumns(source.encoding, source.delimiter, source.quote) if source.format == "csv" else None
        )

    def decode(self, batch: SourceBatch) -> DecodedBatch:
        """Decode one batch.

        Raises:
            ValueError: the batch's context (CSV header, Avro writer schema) cannot be used; names the topic.
        """
        rejects = Rejects()
        rows = _present(batch.records, self._limit, rejects)
        parts: tuple[DecodedPart, ...] = ()
        schema_ids = None
        if self._json is not None:
            parts = self._json.decode(rows, rejects)
        elif self._csv is not None:
            names = self._csv.header(batch.context or b"", batch.range.topic)
            parts = self._csv.decode(rows, names, rejects)
        return DecodedBatch(batch, parts, rejects.table(), schema_ids)


def _present(records: pa.RecordBatch, limit: int, rejects: Rejects) -> RawRows:
    """Refuse tombstones and records over the limit; view the others."""
    rows = RawRows.of(records.column("value"))
    missing = pc.is_null(records.column("value")).to_numpy(zero_copy_only=False)
    size = records.column("size").to_numpy(zero_copy_only=False)
    large = ~missing & (size > limit)
    for index in np.flatnonzero(missing).tolist():
        rejects.add(
            index,
            "tombstone",
            "record.value",
            None,
            "the record has no value; a touchpoint is a record with one",
        )
    for index in np.flatnonzero(large).tolist():
        rejects.add(
            index,
            "too_large",
            "record.size",
            int(size[index]),
            f"bytes are in the record; at most {limit} are allowed",
        )
    return rows.select(~(missing | large)) if (missing | large).any() else rows
