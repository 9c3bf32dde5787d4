"""Avro data to JSON documents, one record after the other: for what columns cannot hold.

Times become ISO texts (with their offset, unless the type is local), decimals texts, bytes base64. NaN and
the infinities, which JSON does not have, become the texts "NaN", "Infinity" and "-Infinity": whether one is
wrong is the validation's judgement, as it is for columns.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
from fastavro._read_py import schemaless_reader as nesting_reader

from parcours.transforms.avro_schemas import WriterSchema
from parcours.transforms.elements import DecodedPart
from parcours.transforms.raw_rows import RawRows, Rejects

# What fastavro raises on bytes that the schema does not allow.
_BROKEN = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    ArithmeticError,
    RecursionError,
    TypeError,
)


class AvroDocuments:
    """Decodes the data of one writer schema."""

    def __init__(self, schema: WriterSchema) -> None:
        self._schema = schema
        # The compiled reader overflows the stack, and ends the process, where a corrupt record nests deeply.
        self._read: Callable[..., Any] = nesting_reader if schema.recursive else fastavro.schemaless_reader

    def decode(self, rows: RawRows, rejects: Rejects) -> tuple[DecodedPart, ...]:
        """Keep the rows that hold exactly one datum as a ``documents`` part; refuse the others."""
        kept, texts = [], []
        for index in range(len(rows)):
            text = self._document(rows, index, rejects)
            if text is not None:
                kept.append(int(rows.row[index]))
                texts.append(text)
        if not kept:
            return ()
        table = pa.table({"row": pa.array(kept, pa.int32()), "document": pa.array(texts, pa.large_string())})
        return (DecodedPart("documents", table),)

    def _document(self, rows: RawRows, index: int, rejects: Rejects) -> str | None:
        value, row = rows.value(index), int(rows.row[index])
        stream = io.BytesIO(value)
        try:
            datum = self._read(stream, self._schema.parsed, None)
            text = _json(datum)
        except _BROKEN as error:
            refuse_undecodable(row, value, self._schema, f"{type(error).__name__} {error}".strip(), rejects)
            return None
        if stream.tell() < len(value):
            refuse_unfinished(row, value, len(value) - stream.tell(), self._schema, rejects)
            return None
        if not isinstance(datum, dict):
            rejects.add(
                row,
                "wrong_type",
                "avro.record",
                text,
                "is not a record; the writer schema is one",
            )
            return None
        return text


def refuse_undecodable(row: int, value: bytes, schema: WriterSchema, problem: str, rejects: Rejects) -> None:
    """Note a datum that breaks its writer schema."""
    rejects.add(
        row,
        "undecodable",
        "avro.decodes",
        value,
        f"is not a datum of the writer schema {schema.name}: {problem}",
    )


def refuse_unfinished(row: int, value: bytes, left: int, schema: WriterSchema, rejects: Rejects) -> None:
    """Note a datum with bytes after it: it was most likely written with another schema."""
    rejects.add(
        row,
        "schema_mismatch",
        "avro.consumed_exactly",
        value,
        f"has {left} bytes after the datum of the writer schema {schema.name}; none are allowed",
    )


def _json(datum: Any) -> str:
    try:
        return json.dumps(datum, default=_plain, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(datum), default=_plain, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal | uuid.UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
