"""Avro datums of the touchpoint schema, written column by column: one join instead of one call a record."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcours.pipelines.simulate.fields import Field, pick
from parcours.pipelines.simulate.rows import NO_AMOUNT, NONE, Ints
from parcours.schemas.touchpoint import avro_schema


def varint(number: int) -> bytes:
    """Return a long as Avro writes it: zigzag, then seven bits a byte, the lowest first."""
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _string(text: str) -> bytes:
    data = text.encode()
    return varint(len(data)) + data


_LENGTHS = [varint(length) for length in range(1024)]
_NULL, _SOME = b"\x00", b"\x02"


class AvroDatums:
    """One bare datum a record, after ``prefix`` (empty, Confluent's five bytes, or a single object's ten)."""

    def __init__(self, prefix: bytes = b"") -> None:
        self._prefix = prefix

    def words(self, field: Field, words: tuple[str, ...]) -> list[bytes]:
        """See ``Encoder``."""
        if field.kind == "list":
            lists = [word.split("|") for word in words]
            return [*(varint(len(items)) + b"".join(map(_string, items)) + _NULL for items in lists), _NULL]
        branch = b"" if field.required else _SOME
        if field.kind == "score":
            return [*(branch + np.array(float(word), "<f8").tobytes() for word in words), _NULL]
        return [*(branch + _string(word) for word in words), _NULL]

    def text(self, field: Field, values: pa.Array) -> pa.Array:
        """See ``Encoder``."""
        values = values.cast(pa.binary())
        lengths = pa.array(_LENGTHS, pa.binary()).take(pc.binary_length(values))
        branch = b"" if field.required else _SOME
        return pc.binary_join_element_wise(branch, lengths, values, b"").fill_null(_NULL)

    def instant(self, field: Field, micros: Ints) -> pa.Array:
        """See ``Encoder``; every time between 1979 and 3111 takes eight bytes."""
        rest = (micros.astype(np.uint64) << np.uint64(1))[:, None]
        groups = (rest >> (np.arange(8, dtype=np.uint64) * np.uint64(7))) & np.uint64(0x7F)
        groups[:, :7] |= np.uint64(0x80)
        return _fixed(groups.astype(np.uint8))

    def amount(self, field: Field, cents: Ints) -> pa.Array:
        """See ``Encoder``."""
        absent = cents == NO_AMOUNT
        cells = np.empty((len(cents), 9), np.uint8)
        cells[:, 0] = _SOME[0]
        cells[:, 1:] = (cents / 100).astype("<f8").view(np.uint8).reshape(-1, 8)
        return pc.if_else(pa.array(absent), pa.scalar(_NULL, pa.binary()), _fixed(cells))

    def attributes(self, columns: list[tuple[str, tuple[str, ...], Ints]]) -> list[pa.Array]:
        """See ``Encoder``: a block of as many pairs as there are, then the end of the array."""
        count = np.sum([codes != NONE for _, _, codes in columns], axis=0)
        head = pick([b"", *(varint(number) for number in range(1, len(columns) + 1)), b""], count)
        items = [
            pick([*(_string(key) + _string(word) for word in words), b""], codes)
            for key, words, codes in columns
        ]
        return [head, *items]

    def record(self, cells: list[pa.Array]) -> pa.Array:
        """See ``Encoder``."""
        return pc.binary_join_element_wise(self._prefix, *cells, _NULL, b"")


@cache
def parsed_schema() -> Any:
    """Return the touchpoint schema as fastavro wants it."""
    return fastavro.parse_schema(avro_schema())


def avro_record(record: Mapping[str, Any]) -> bytes:
    """Write one record as the datums above, whatever is wrong with it; a missing required text is blank."""
    pairs = [{"key": key, "value": value} for key, value in record["attributes"].items()]
    blank = {"event_id": "", "event_type": "", "channel": ""}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed_schema(), {**blank, **record, "attributes": pairs})
    return out.getvalue()


def confluent_prefix(schema_id: int) -> bytes:
    """Return the magic byte and the schema's id."""
    return b"\x00" + schema_id.to_bytes(4, "big")


@cache
def single_object_prefix() -> bytes:
    """Return the marker and the fingerprint of the schema's canonical form, little-endian."""
    canonical = fastavro.schema.to_parsing_canonical_form(avro_schema())
    print_ = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    return b"\xc3\x01" + bytes.fromhex(print_)


def _fixed(cells: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    count, width = cells.shape
    offsets = pa.py_buffer(np.arange(0, width * count + 1, width, dtype=np.int32))
    return pa.BinaryArray.from_buffers(
        pa.binary(), count, [None, offsets, pa.py_buffer(np.ascontiguousarray(cells))]
    )
