"""Avro data to Arrow columns, all records of a batch at once.

Every record has a position in the batch's bytes. The writer schema is walked field by field, and each step
moves the positions of all records together, in numpy:

    record 0   [04 a b | 02 | 06 ...]            p[0] ──►
    record 1   [02 x   | 00 ...     ]            p[1] ──►
    record 2   [06 u v w | 02 | 02 ...]          p[2] ──►
                ▲ name   ▲ union branch

A position never passes ``stop``, one byte beyond its record's end, and a record that breaks a rule is sent
there at once. A position at ``stop`` stays there: so a record decodes exactly if it arrives at ``stop - 1``,
and nothing that a corrupt record says can reach its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parcours.transforms import avro_nested as nested
from parcours.transforms import avro_nodes as nodes
from parcours.transforms.avro_logical import DECIMAL_DIGITS, INT, logical_node
from parcours.transforms.avro_schemas import WriterSchema
from parcours.transforms.raw_rows import RawRows, columns_beside_row

CHUNK_RECORDS = 16_384
"""Records walked together: enough that a numpy call's fixed cost vanishes, few enough for the caches."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Most bytes walked together, but for a single record that is larger."""


_PRIMITIVES: dict[str, nodes.Node] = {
    "null": nodes.Null(),
    "boolean": nodes.Boolean(),
    "int": nodes.Integer(pa.int32(), *INT),
    "long": nodes.Integer(pa.int64()),
    "float": nodes.Float(pa.float32(), 4),
    "double": nodes.Float(pa.float64(), 8),
    "bytes": nodes.Bytes(pa.binary()),
    "string": nodes.Bytes(pa.string()),
}


class _NotColumnarError(Exception):
    """A writer schema has a type that columns do not cover."""


def compile_record(schema: WriterSchema) -> nested.Record | None:
    """Compile a writer schema for ``decode_columns``.

    None where columns do not cover it: it is not a record, or has a union of several types beside null, a
    recursive type, a record without fields, or a decimal of more than 38 digits.
    """
    try:
        node = None if schema.recursive else _compile(schema.parsed, schema.named)
    except _NotColumnarError:
        return None
    return node if isinstance(node, nested.Record) else None


def _compile(schema: Any, named: Mapping[str, Any]) -> nodes.Node:
    if isinstance(schema, list):
        return _compile_union(schema, named)
    full = schema if isinstance(schema, dict) else {"type": schema}
    kind = full["type"]
    if full.get("logicalType") == "decimal" and full["precision"] > DECIMAL_DIGITS:
        raise _NotColumnarError(f"a decimal has more than {DECIMAL_DIGITS} digits")
    meant = logical_node(full) if isinstance(kind, str) else None
    if meant is not None:
        node = meant
    elif not isinstance(kind, str):
        node = _compile(kind, named)
    elif kind in _PRIMITIVES:
        node = _PRIMITIVES[kind]
    elif kind == "fixed":
        node = nodes.Fixed(full["size"])
    elif kind == "enum":
        node = nodes.Enum(tuple(full["symbols"]))
    elif kind == "array":
        node = nested.Array(_compile(full["items"], named))
    elif kind == "map":
        values = _compile(full["values"], named)
        node = nested.Array(nested.Record(("key", "value"), (_PRIMITIVES["string"], values)))
    elif kind in ("record", "error"):
        node = _compile_record(full, named)
    else:
        node = _compile(named[kind], named)
    return node


def _compile_union(branches: list[Any], named: Mapping[str, Any]) -> nested.Optional:
    null = branches.index("null") if "null" in branches else -1
    others = [place for place, branch in enumerate(branches) if branch != "null"]
    if len(others) > 1 or len(branches) > 2:
        raise _NotColumnarError("a union has several types beside null")
    value = others[0] if others else -1
    inner = _compile(branches[value], named) if others else _PRIMITIVES["null"]
    return nested.Optional(inner, null, value)


def _compile_record(schema: Mapping[str, Any], named: Mapping[str, Any]) -> nested.Record:
    fields = schema["fields"]
    if not fields:
        raise _NotColumnarError("a record has no fields")
    return nested.Record(
        tuple(item["name"] for item in fields),
        tuple(_compile(item["type"], named) for item in fields),
    )


@dataclass(frozen=True)
class AvroTable:
    """The outcome of a walk, by index into the rows that went in.

    ``table`` has ``row`` and the schema's columns for the good rows. ``left_over`` counts the bytes that
    remain after the datum of each row in ``unfinished``.
    """

    table: pa.Table
    undecodable: NDArray[np.int64]
    unfinished: NDArray[np.int64]
    left_over: NDArray[np.int64]


def decode_columns(node: nested.Record, rows: RawRows) -> AvroTable:
    """Decode bare Avro data that were all written with one record schema.

    Args:
        node: the writer schema, compiled by ``compile_record``.
        rows: one datum a row.
    """
    names = columns_beside_row(node.names)
    batches, lost, early, spare = [], [_NONE], [_NONE], [_NONE]
    for first, last in _chunks(rows):
        chunk, start, end = _load(rows, first, last)
        column, position = node.read(chunk, start, end + 1)
        keep = position == end
        bad = position > end
        arrays = column.arrays(None if keep.all() else keep)
        if chunk.broken_text:
            where = np.searchsorted(start, np.concatenate(chunk.broken_text), "right") - 1
            bad[where], keep[where] = True, False
            arrays = column.arrays(keep)
        batches.append(pa.RecordBatch.from_arrays([pa.array(rows.row[first:last][keep]), *arrays], names))
        unfinished = np.flatnonzero(~keep & ~bad)
        lost.append(first + np.flatnonzero(bad))
        early.append(first + unfinished)
        spare.append(end[unfinished] - position[unfinished])
    if not batches:
        empty = [pa.array([], type_) for type_ in (pa.int32(), *node.types)]
        batches = [pa.RecordBatch.from_arrays(empty, names)]
    return AvroTable(
        pa.Table.from_batches(batches), np.concatenate(lost), np.concatenate(early), np.concatenate(spare)
    )


_NONE = np.zeros(0, np.int64)


def _chunks(rows: RawRows) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(rows):
        fits = int(np.searchsorted(rows.stop, rows.start[first] + CHUNK_BYTES, "right"))
        last = max(first + 1, min(fits, first + CHUNK_RECORDS, len(rows)))
        yield first, last
        first = last


def _load(rows: RawRows, first: int, last: int) -> tuple[nodes.Chunk, NDArray[np.int64], NDArray[np.int64]]:
    """Copy the bytes of some rows between two pads, so that reading a word at any position stays inside."""
    low, high = int(rows.start[first]), int(rows.stop[last - 1])
    data = np.zeros(high - low + 2 * nodes.PAD, np.uint8)
    data[nodes.PAD : nodes.PAD + high - low] = rows.data[low:high]
    shift = nodes.PAD - low
    return nodes.Chunk(data), rows.start[first:last] + shift, rows.stop[first:last] + shift
