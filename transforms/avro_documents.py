"""Avro data to JSON documents, one record after the other: for what columns cannot hold.

Times become ISO texts (with their offset, unless the type is local), durations ISO texts too, decimals plain
digits, bytes base64: the same texts that columns have as attributes. NaN and the infinities, which JSON does
not have, become the texts "NaN", "Infinity" and "-Infinity": whether one is wrong is the validation's
judgement, as it is for columns.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import re
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa

from parcours.schemas.compatibility import Incompatibility
from parcours.transforms.avro_resolution import ResolutionError, compile_reader
from parcours.transforms.avro_schemas import WriterSchema
from parcours.transforms.elements import DecodedPart
from parcours.transforms.raw_rows import RawRows, Rejects

_FRACTION = re.compile(r"(\.\d*[1-9])0+|\.0+")
"""A fraction of a second with zeros at its end."""

BROKEN = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    ArithmeticError,
    RecursionError,
    TypeError,
)
"""What reading raises on bytes that the schema does not allow."""


class AvroDocuments:
    """Decodes the data of one writer schema, as those of a reader's schema if there is one."""

    def __init__(self, schema: WriterSchema, reader: WriterSchema | None = None) -> None:
        self._schema = schema
        self._read = compile_reader(schema, reader or schema)

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
            datum = self._read(stream)
            text = _json(datum)
        except ResolutionError as error:
            refuse_unresolved(row, value, error.problem, rejects)
            return None
        except BROKEN as error:
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


def refuse_unresolved(row: int, value: bytes, problem: Incompatibility, rejects: Rejects) -> None:
    """Note a datum that the reader's schema cannot take."""
    rejects.add(
        row, "schema_mismatch", "avro.resolves", value, f"cannot be read: {problem}", name=problem.path
    )


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
    if isinstance(value, dt.datetime | dt.time):
        return _FRACTION.sub(r"\1", value.isoformat())
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, uuid.UUID):
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
