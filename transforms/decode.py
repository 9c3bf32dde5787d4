"""Raw batches to tables: one decoder per source, chosen by its format, never guessed.

Every raw row ends in exactly one part or in the rejects. A broken record never touches its neighbours.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcours.schemas.config import Source, Validation
from parcours.transforms.avro_records import BareAvro, ConfluentAvro, FileAvro, SingleObjectAvro
from parcours.transforms.csv_columns import CsvColumns
from parcours.transforms.elements import DecodedBatch, SourceBatch
from parcours.transforms.json_documents import JsonDocuments
from parcours.transforms.parquet_columns import ParquetColumns
from parcours.transforms.raw_rows import RawRows, Rejects


def make_decoder(source: Source, validation: Validation) -> Decoder:
    """Open the decoder of one source: its schemas are read here, not at the first record.

    Raises:
        ValueError: a schema or the folder of schemas cannot be read or used.
    """
    return Decoder(source, validation)


_Format = JsonDocuments | CsvColumns | ParquetColumns | BareAvro | FileAvro | SingleObjectAvro | ConfluentAvro


def _open_format(source: Source) -> _Format:
    if source.format == "json":
        return JsonDocuments(source.encoding)
    if source.format == "csv":
        return CsvColumns(source.encoding, source.delimiter, source.quote)
    if source.format == "parquet":
        return ParquetColumns()
    if source.format == "avro-file":
        return FileAvro(source)
    if source.format == "avro":
        return BareAvro(source)
    return SingleObjectAvro(source) if source.format == "avro-single-object" else ConfluentAvro(source)


class Decoder:
    """Decodes the batches of one source. Used by one thread; holds what its format needs."""

    def __init__(self, source: Source, validation: Validation) -> None:
        self._limit = validation.max_record_bytes
        self._format = _open_format(source)

    def decode(self, batch: SourceBatch) -> DecodedBatch:
        """Decode one batch.

        Raises:
            ValueError: the batch's context (CSV header, Avro writer schema) cannot be used, or what stands
                for a schema id is no Avro schema.
            avro_schemas.RegistryUnavailableError: the registry did not answer; the range can be read again.
        """
        rejects = Rejects()
        rows = _present(batch.records, self._limit, rejects)
        schema_ids = None
        match self._format:
            case CsvColumns() as csv:
                names = csv.header(batch.context or b"", batch.range.topic)
                parts = csv.decode(rows, names, rejects)
            case ParquetColumns() as parquet:
                parts = parquet.decode(rows, batch.context, rejects)
            case FileAvro() as avro:
                parts = avro.decode(rows, batch.context, batch.range.topic, rejects)
            case ConfluentAvro() as avro:
                parts, schema_ids = avro.decode(rows, len(batch.records), rejects)
            case other:
                parts = other.decode(rows, rejects)
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
