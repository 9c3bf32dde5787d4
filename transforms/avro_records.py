"""The four Avro formats: the writer schema of each record, then its datum by columns or as a document."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parcours.schemas.config import Source
from parcours.transforms.avro_columns import compile_record, decode_columns
from parcours.transforms.avro_documents import AvroDocuments, refuse_undecodable, refuse_unfinished
from parcours.transforms.avro_nested import Record
from parcours.transforms.avro_projection import project
from parcours.transforms.avro_schemas import SchemaFolder, WriterSchema, open_schemas, parse, read_file
from parcours.transforms.elements import DecodedPart
from parcours.transforms.raw_rows import RawRows, Rejects

COLUMN_RECORD_BYTES = 16 * 1024
"""Largest datum with lists that is decoded by columns; a larger one is a document, whatever its neighbours.

Columns take one step for the n-th item of all records: one record with a million items would take a million.
"""

CONFLUENT_MAGIC, CONFLUENT_HEADER = b"\x00", 5
SINGLE_OBJECT_MAGIC, SINGLE_OBJECT_HEADER = b"\xc3\x01", 10

Parts = tuple[DecodedPart, ...]


class DatumReader:
    """Decodes bare data of one writer schema: the schemas say whether by columns or as documents.

    With a reader's schema the data are resolved to it; without one they have the writer's own fields.
    """

    def __init__(self, schema: WriterSchema, reader: WriterSchema | None = None) -> None:
        self._schema = schema
        self._projection = None if reader is None else project(schema, reader)
        walk = self._projection.walk if self._projection else None
        self._record = compile_record(schema) if reader is None else walk
        self._lists = self._record is not None and _has_lists(self._record.type)
        self._documents = AvroDocuments(schema, reader)

    def decode(self, rows: RawRows, rejects: Rejects) -> Parts:
        """Decode each row's whole value as one datum."""
        if self._record is None:
            return self._documents.decode(rows, rejects)
        parts: Parts = ()
        large = rows.stop - rows.start > COLUMN_RECORD_BYTES
        if self._lists and large.any():
            parts = self._documents.decode(rows.select(large), rejects)
            rows = rows.select(~large)
        return parts + self._columns(self._record, rows, rejects)

    def _columns(self, record: Record, rows: RawRows, rejects: Rejects) -> Parts:
        found = decode_columns(record, rows)
        for index in found.undecodable.tolist():
            problem = "it ends early, or has a length, branch, symbol, number or text that cannot be"
            refuse_undecodable(int(rows.row[index]), rows.value(index), self._schema, problem, rejects)
        for index, left in zip(found.unfinished.tolist(), found.left_over.tolist(), strict=True):
            refuse_unfinished(int(rows.row[index]), rows.value(index), left, self._schema, rejects)
        if not len(found.table):
            return ()
        table = self._projection.apply(found.table) if self._projection else found.table
        return (DecodedPart("columns", table),)


def _readers_schema(source: Source) -> WriterSchema | None:
    """The schema that a source's data are read as; None where they keep the writer's fields."""
    return read_file(source.reader_schema) if source.reader_schema else None


def _has_lists(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or any(
        _has_lists(type_.field(place).type) for place in range(type_.num_fields)
    )


class BareAvro:
    """Format ``avro``: nothing but the datum, written with the configured schema."""

    def __init__(self, source: Source) -> None:
        self._reader = DatumReader(read_file(source.writer_schema or ""), _readers_schema(source))

    def decode(self, rows: RawRows, rejects: Rejects) -> Parts:
        """Decode the rows of a batch."""
        return self._reader.decode(rows, rejects)


class FileAvro:
    """Format ``avro-file``: data of an Avro container, whose header holds the writer schema."""

    def __init__(self, source: Source) -> None:
        self._wanted = _readers_schema(source)
        self._context: bytes | None = None
        self._reader: DatumReader | None = None

    def decode(self, rows: RawRows, context: bytes | None, topic: str, rejects: Rejects) -> Parts:
        """Decode the rows of a batch; without a writer schema they are what a file held that is no container.

        Raises:
            ValueError: the file's writer schema cannot be used.
        """
        if context is None:
            message = (
                "is no Avro container: its header, with the writer schema, is not there or not Avro 1.3's"
            )
            rejects.add_all(rows, range(len(rows)), "undecodable", "avro.container", message)
            return ()
        if self._reader is None or context != self._context:
            schema = parse(context, f"{topic}: the writer schema")
            self._reader, self._context = DatumReader(schema, self._wanted), context
        return self._reader.decode(rows, rejects)


class SingleObjectAvro:
    """Format ``avro-single-object``: two magic bytes, the schema's fingerprint, the datum."""

    def __init__(self, source: Source) -> None:
        schemas = [read_file(source.writer_schema or "")]
        if source.schemas:
            folder = open_schemas(source.schemas)
            if not isinstance(folder, SchemaFolder):
                raise ValueError('a registry has no fingerprints: this format needs schemas = "FOLDER"')
            schemas += folder.all()
        wanted = _readers_schema(source)
        self._readers = {schema.fingerprint(): DatumReader(schema, wanted) for schema in schemas}

    def decode(self, rows: RawRows, rejects: Rejects) -> Parts:
        """Decode the rows of a batch, those of each schema together."""
        rows = _with_magic(rows, SINGLE_OBJECT_MAGIC, SINGLE_OBJECT_HEADER, rejects)
        parts: Parts = ()
        prints = _header(rows, 2, 8).view("<u8").ravel()
        known = ", ".join(sorted(print_.hex() for print_ in self._readers))
        for print_ in np.unique(prints):
            same = rows.select(prints == print_).skip(SINGLE_OBJECT_HEADER)
            name = int(print_).to_bytes(8, "little")
            if name in self._readers:
                parts += self._readers[name].decode(same, rejects)
                continue
            for row in same.row.tolist():
                message = f"is the fingerprint of no configured schema; known are {known}"
                rejects.add(row, "unknown_schema", "avro.schema_known", name.hex(), message)
        return parts


class ConfluentAvro:
    """Format ``avro-confluent``: a zero byte, the schema's id, the datum."""

    def __init__(self, source: Source) -> None:
        self._schemas = open_schemas(source.schemas or "")
        self._wanted = _readers_schema(source)
        self._readers: dict[int, DatumReader | None] = {}

    def decode(self, rows: RawRows, count: int, rejects: Rejects) -> tuple[Parts, pa.Array]:
        """Decode the rows of a batch of ``count``, those of each schema together; give every row's schema id.

        Raises:
            avro_schemas.RegistryUnavailableError: the registry did not answer.
            ValueError: what stands for an id is not an Avro schema.
        """
        rows = _with_magic(rows, CONFLUENT_MAGIC, CONFLUENT_HEADER, rejects)
        ids = _header(rows, 1, 4).view(">i4").ravel().astype(np.int32)
        parts: Parts = ()
        for schema_id in np.unique(ids).tolist():
            same = rows.select(ids == schema_id).skip(CONFLUENT_HEADER)
            reader = self._reader(schema_id)
            if reader is not None:
                parts += reader.decode(same, rejects)
                continue
            for row in same.row.tolist():
                message = f"is the id of no schema in {self._schemas!r}; only known ids can be read"
                rejects.add(row, "unknown_schema", "avro.schema_known", schema_id, message)
        all_ids, unset = np.zeros(count, np.int32), np.ones(count, np.bool_)
        all_ids[rows.row], unset[rows.row] = ids, False
        return parts, pa.array(all_ids, mask=unset)

    def _reader(self, schema_id: int) -> DatumReader | None:
        if schema_id not in self._readers:
            schema = self._schemas.find(schema_id)
            self._readers[schema_id] = None if schema is None else DatumReader(schema, self._wanted)
        return self._readers[schema_id]


def _header(rows: RawRows, begin: int, size: int) -> NDArray[np.uint8]:
    """Copy some bytes of every row's header: (rows, size)."""
    return np.asarray(rows.data[rows.start[:, None] + np.arange(begin, begin + size)])


def _with_magic(rows: RawRows, magic: bytes, header: int, rejects: Rejects) -> RawRows:
    """Refuse the rows that do not begin with a header, and keep the others."""
    fine = rows.stop - rows.start >= header
    for place, byte in enumerate(magic):
        fine[fine] = rows.data[rows.start[fine] + place] == byte
    if fine.all():
        return rows
    message = f"lacks its header: {header} bytes that begin with {magic.hex()} and name the schema"
    rejects.add_all(rows, np.flatnonzero(~fine), "undecodable", "avro.magic", message)
    return rows.select(fine)
