"""Avro's logical types: as nodes of the column walk, and for values that are read one by one.

Both ways give the same texts, so that it does not show in the store which way a record came.
"""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fastavro.read import LOGICAL_READERS

from parcours.schemas.touchpoint import INSTANT
from parcours.transforms.avro_nodes import (
    Chunk,
    Column,
    DecimalBytes,
    Fixed,
    Integer,
    Ints,
    Mask,
    Node,
)

INT = (-(2**31), 2**31 - 1)
"""What an ``int`` holds."""

DECIMAL_DIGITS = 38
"""Most digits of a decimal column."""

_EPOCH = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class _ConvertedColumn:
    inner: Column
    convert: Callable[[pa.Array], pa.Array]

    def build(self, keep: Mask | None) -> pa.Array:
        return self.convert(self.inner.build(keep))


@dataclass(frozen=True)
class Text:
    """A type that becomes text: another node, and what to make of its column."""

    inner: Node
    convert: Callable[[pa.Array], pa.Array]

    @property
    def type(self) -> pa.DataType:
        """Text."""
        return pa.string()

    @property
    def width(self) -> int:
        """The inner node's."""
        return self.inner.width

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read what the inner node reads."""
        column, after = self.inner.read(chunk, position, stop)
        return _ConvertedColumn(column, self.convert), after


def _local_texts(times: pa.Array) -> pa.Array:
    texts = pc.replace_substring(times.cast(pa.string()), " ", "T")
    return pc.replace_substring_regex(texts, r"(\.\d*[1-9])0+$|\.0+$", r"\1")


def duration_text(value: bytes) -> str:
    """Write a duration of twelve bytes in ISO 8601: months, days and milliseconds, as in ``P1M2DT0.5S``."""
    months, days, millis = struct.unpack("<III", value)
    seconds = f"{millis // 1000}.{millis % 1000:03}".rstrip("0").rstrip(".")
    parts = [f"{months}M" if months else "", f"{days}D" if days else "", f"T{seconds}S" if millis else ""]
    return "P" + ("".join(parts) or "T0S")


def _uuid_text(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def _each(text: Callable[[bytes], str]) -> Callable[[pa.Array], pa.Array]:
    return lambda array: pa.array(map(text, array.to_pylist()), pa.string())


_NUMBERS: dict[tuple[str, str], Node] = {
    ("int", "date"): Integer(pa.date32(), *INT),
    ("int", "time-millis"): Integer(pa.time32("ms"), 0, 86_400_000 - 1),
    ("long", "time-micros"): Integer(pa.time64("us"), 0, 86_400_000_000 - 1),
}
for _unit, _scale, _divide in (("millis", 1000, 1), ("micros", 1, 1), ("nanos", 1, 1000)):
    _instant = Integer(INSTANT, scale=_scale, divide=_divide)
    _NUMBERS["long", f"timestamp-{_unit}"] = _instant
    # a local time is text, since only the source knows its zone
    _NUMBERS["long", f"local-timestamp-{_unit}"] = Text(_instant, _local_texts)


def logical_node(schema: Mapping[str, Any]) -> Node | None:
    """Give the node of a type with a logical type, as ``known_logical`` leaves it; None where it has none."""
    kind, logical = schema["type"], schema.get("logicalType", "")
    match kind, logical:
        case "bytes" | "fixed", "decimal":
            type_ = pa.decimal128(schema["precision"], schema.get("scale", 0))
            return DecimalBytes(type_, schema.get("size"))
        case "fixed", "duration":
            return Text(Fixed(12), _each(duration_text))
        case "fixed", "uuid":
            return Text(Fixed(16), _each(_uuid_text))
    return _NUMBERS.get((kind, logical))


def known_logical(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop the logical type of a JSON object that is a schema, where it says nothing or cannot be used.

    The specification has it ignored where it is invalid: a decimal without a precision, a duration or uuid of
    another size. A uuid over ``string`` is the text that it would be without.
    """
    kind, logical = schema.get("type"), schema.get("logicalType")
    needed = {"duration": 12, "uuid": 16}
    unusable = (
        (logical == "decimal" and not isinstance(schema.get("precision"), int))
        or (kind == "fixed" and logical in needed and schema.get("size") != needed[logical])
        or (kind == "string" and logical == "uuid")
    )
    return {key: item for key, item in schema.items() if key != "logicalType"} if unusable else schema


def _from_nanos(value: int, *_: Any) -> dt.datetime:
    return (_EPOCH + dt.timedelta(microseconds=value // 1000)).replace(tzinfo=dt.UTC)


def _from_local_nanos(value: int, *_: Any) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=value // 1000)


def _decimal(value: bytes, schema: Mapping[str, Any], *_: Any) -> Decimal:
    unscaled, precision = int.from_bytes(value, "big", signed=True), schema["precision"]
    if abs(unscaled) >= 10**precision:
        raise ValueError(f"{unscaled} has more than {precision} digits")
    return Decimal(unscaled).scaleb(-schema.get("scale", 0), Context(prec=precision))


_READERS: dict[str, Callable[..., Any]] = {
    **LOGICAL_READERS,
    "bytes-decimal": _decimal,  # fastavro rounds what has too many digits
    "fixed-decimal": _decimal,
    "long-timestamp-nanos": _from_nanos,
    "long-local-timestamp-nanos": _from_local_nanos,
    "fixed-duration": lambda value, *_: duration_text(value),
    "fixed-uuid": lambda value, *_: _uuid_text(value),
}
"""What a decoded value means, by type and logical type."""


def meaning(schema: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """Give what turns a value as fastavro decodes it into what its logical type means; None without one."""
    convert = _READERS.get(f"{schema['type']}-{schema.get('logicalType')}")
    return None if convert is None else lambda value: convert(value, schema, None)
