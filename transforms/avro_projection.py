"""The reader's columns from the writer's, where the two schemas' bytes are alike.

A field that was added with a default, removed, renamed, reordered, made nullable or promoted costs nothing
then: the column walk reads the bytes, and the table's columns are chosen, cast and filled up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from parcours.schemas import compatibility as rules
from parcours.schemas.compatibility import resolved
from parcours.transforms.avro_columns import compile_record
from parcours.transforms.avro_nested import Record
from parcours.transforms.avro_schemas import WriterSchema
from parcours.transforms.raw_rows import columns_beside_row

_FLOATS = {"float": pa.float32(), "double": pa.float64()}

_DEFAULTS: dict[type, tuple[frozenset[str], pa.DataType]] = {
    str: (frozenset({"string", "enum"}), pa.string()),
    bool: (frozenset({"boolean"}), pa.bool_()),
    int: (frozenset({"int", "long"}), pa.int64()),
    float: (frozenset({"float", "double"}), pa.float64()),
}
"""Defaults that columns repeat, by their type in JSON: of which Avro types, as which column."""


@dataclass(frozen=True)
class _Column:
    """One of the reader's columns: the writer's of this index, cast; at -1, the default for all."""

    name: str
    index: int = -1
    type: pa.DataType | None = None
    default: Any = None

    def of(self, table: pa.Table) -> pa.Array:
        if self.index < 0:
            return pa.repeat(pa.scalar(self.default, self.type), len(table))
        column = table.column(self.index + 1)
        # unsafe: a number may have more digits than the float that the specification makes of it
        return column if self.type is None else column.cast(self.type, safe=False)


@dataclass(frozen=True)
class Projection:
    """How to walk the writer's records, and what the reader's schema makes of the columns."""

    walk: Record
    _columns: tuple[_Column, ...]

    def apply(self, table: pa.Table) -> pa.Table:
        """Give the reader's columns of a table that ``decode_columns`` made with ``walk``."""
        names = columns_beside_row(column.name for column in self._columns)
        return pa.table([table.column(0), *(column.of(table) for column in self._columns)], names=names)


def project(writer: WriterSchema, reader: WriterSchema) -> Projection | None:
    """Plan the reader's columns; None where a record has to be resolved value by value."""
    if writer.recursive or reader.recursive:
        return None
    record, wanted = _inline(writer.parsed, writer.named), _inline(reader.parsed, reader.named)
    kinds = {whole["type"] for whole in (record, wanted) if isinstance(whole, dict)}
    both = isinstance(record, dict) and isinstance(wanted, dict)
    if not both or not kinds <= {"record", "error"} or rules.judge(record, wanted, ""):
        return None
    fields = [dict(item) for item in record["fields"]]
    places = {item["name"]: place for place, item in enumerate(fields)}
    columns = []
    for item, written in rules.counterparts(record, wanted):
        if written is None:
            column = _default_column(item)
        else:
            place, float_ = places[written["name"]], _float(written["type"], item["type"])
            alike = None if float_ else _alike(written["type"], item["type"])
            fields[place]["type"] = alike or written["type"]
            column = _Column(item["name"], place, float_) if float_ or alike else None
        if column is None:
            return None
        columns.append(column)
    walk = compile_record(WriterSchema({**record, "fields": fields}, {}, recursive=False))
    return Projection(walk, tuple(columns)) if walk and columns else None


def _inline(schema: Any, named: Mapping[str, Any]) -> Any:
    """A type with every name replaced by what it stands for; null is the only one that stays a text."""
    whole = resolved(schema, named)
    if isinstance(whole, list):
        return [_inline(branch, named) for branch in whole]
    match whole["type"]:
        case "null":
            return "null"
        case "array":
            return {"type": "array", "items": _inline(whole["items"], named)}
        case "map":
            return {"type": "map", "values": _inline(whole["values"], named)}
        case "record" | "error":
            fields = [{**item, "type": _inline(item["type"], named)} for item in whole["fields"]]
            return {**whole, "fields": fields}
    return whole


def _default_column(item: Mapping[str, Any]) -> _Column | None:
    """A column of nothing but the default; None where that takes more than to repeat it."""
    if "default" in item and item["default"] is None:
        return _Column(item["name"], type=pa.null())
    inner, _ = _beside_null(item["type"])
    default = item.get("default")
    if inner and inner["type"] in _FLOATS and type(default) is int:
        default = float(default)
    kinds, type_ = _DEFAULTS.get(type(default), (frozenset(), None))
    if inner is None or inner["type"] not in kinds or "logicalType" in inner:
        return None
    return _Column(item["name"], type=type_, default=default)


def _beside_null(schema: Any) -> tuple[dict[str, Any] | None, bool]:
    """The type, or the only one that a union has beside null; and whether it has null."""
    branches = schema if isinstance(schema, list) else [schema]
    others = [branch for branch in branches if branch != "null"]
    return others[0] if len(others) == 1 else None, "null" in branches


def _both(written: Any, wanted: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The two types that meet beside null; None where there are several, or where the reader has no null."""
    (writer, nulls), (reader, takes) = _beside_null(written), _beside_null(wanted)
    fits = writer is not None and reader is not None and (takes or not nulls)
    return (writer, reader) if fits and writer and reader else None


def _float(written: Any, wanted: Any) -> pa.DataType | None:
    """The float that a column of numbers is promoted to, if it is."""
    both = _both(written, wanted)
    if both is None or "logicalType" in both[0] or both[0]["type"] == both[1]["type"]:
        return None
    promoted = both[1]["type"] in rules.PROMOTIONS.get(both[0]["type"], ())
    return _FLOATS.get(both[1]["type"]) if promoted else None


def _alike(written: Any, wanted: Any) -> Any:
    """The type to walk the writer's bytes with so that they are the reader's; None if there is none."""
    both = _both(written, wanted)
    if both is None or rules.judge(*both, "") is not None:
        return None
    found = _alike_type(*both)
    return [found if b != "null" else b for b in written] if found and isinstance(written, list) else found


def _alike_type(writer: dict[str, Any], reader: dict[str, Any]) -> dict[str, Any] | None:
    match writer["type"]:
        case "array":
            items = _alike(writer["items"], reader["items"])
            return {**writer, "items": items} if items else None
        case "map":
            values = _alike(writer["values"], reader["values"])
            return {**writer, "values": values} if values else None
        case "record" | "error":
            return _alike_record(writer, reader)
        case "enum":
            return writer if set(writer["symbols"]) <= set(reader["symbols"]) else None
        case kind if kind != reader["type"] and reader["type"] in _FLOATS:
            return None  # other bytes: see _float
    return writer if "logicalType" in writer and "logicalType" not in reader else reader


def _alike_record(writer: dict[str, Any], reader: dict[str, Any]) -> dict[str, Any] | None:
    """A record inside another: its fields have to be the same ones in the same order."""
    if [item["name"] for item in writer["fields"]] != [item["name"] for item in reader["fields"]]:
        return None
    pairs = zip(writer["fields"], reader["fields"], strict=True)
    types = [_alike(item["type"], other["type"]) for item, other in pairs]
    fields = [
        {"name": item["name"], "type": type_} for item, type_ in zip(writer["fields"], types, strict=True)
    ]
    return {**writer, "fields": fields} if all(types) else None
