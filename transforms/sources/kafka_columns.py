"""Parses the records of Kafka's record batches column by column, into Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from kafka.errors import CorruptRecordError

from parcours.schemas.touchpoint import HEADERS, INSTANT, RAW

_Longs = npt.NDArray[np.int64]

_LAST_INSTANT_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: a producer may write any number as a time."""


def columns_of_batches(
    batches: Sequence[Any], bodies: Sequence[memoryview], start: int, end: int, max_bytes: int
) -> pa.RecordBatch:
    """Parse v2 batches of one partition into one ``RAW`` batch, without a Python object per record.

    Args:
        batches: kafka-python's ``DefaultRecordBatch`` objects, in offset order.
        bodies: the decompressed records' bytes of each.
        start: records before this offset are dropped: a fetch may begin inside a batch.
        end: records at or past this offset are dropped.
        max_bytes: longer values are cut to this many bytes.

    Raises:
        CorruptRecordError: the bytes are not records of format 2.
    """
    data = b"".join(bodies)
    try:
        ends = _record_ends(data, [b.records_count for b in batches], [len(b) for b in bodies])
        table = _columns(data, ends, batches, max_bytes)
    except IndexError as error:
        first = batches[0].base_offset
        raise CorruptRecordError(f"a record beyond its batch's end, at offset {first} or later") from error
    offsets = table["offset"].to_numpy()
    wanted = (offsets >= start) & (offsets < end)
    return table if wanted.all() else table.filter(pa.array(wanted))


def _record_ends(data: bytes, counts: list[int], lengths: list[int]) -> _Longs:
    """Find where each record ends, by jumping from length to length.

    Each length depends on the one before, so this is the one loop over records; it does nothing else.
    """
    ends: list[int] = []
    note = ends.append
    position = body_end = 0
    for count, length in zip(counts, lengths, strict=True):
        body_end += length
        for _ in range(count):
            byte = data[position]
            position += 1
            if byte < 0x80:
                position += byte >> 1  # a length is never negative, so its zigzag form is its double
            else:
                size = byte & 0x7F
                shift = 7
                while byte >= 0x80:
                    byte = data[position]
                    position += 1
                    size |= (byte & 0x7F) << shift
                    shift += 7
                position += size >> 1
            note(position)
        if position != body_end:
            raise CorruptRecordError(f"a batch's {count} records do not fill its {length} bytes")
    return np.array(ends, np.int64)


def _columns(data: bytes, ends: _Longs, batches: Sequence[Any], max_bytes: int) -> pa.RecordBatch:
    octets = np.frombuffer(data, np.uint8)
    counts = [batch.records_count for batch in batches]
    # length; attributes (one byte, unused); time and offset relative to the batch; key; value; headers
    length, at = _varints(octets, np.concatenate([np.zeros(min(len(ends), 1), np.int64), ends[:-1]]))
    time_delta, at = _varints(octets, at + 1)
    offset_delta, at = _varints(octets, at)
    key_size, key_at = _varints(octets, at)
    value_size, value_at = _varints(octets, key_at + np.maximum(key_size, 0))
    header_count, header_at = _varints(octets, value_at + np.maximum(value_size, 0))
    # headers, where there are some, are checked when they are parsed
    filled = np.where(header_count > 0, header_at < ends, header_at == ends)
    if not (filled & (length >= 0) & (header_count >= 0)).all():
        raise CorruptRecordError(f"a record's fields do not fill it, near offset {batches[0].base_offset}")

    offsets = np.repeat([batch.base_offset for batch in batches], counts) + offset_delta
    first_times = [b.max_timestamp if b.timestamp_type else b.first_timestamp for b in batches]
    # the broker's own time stands for all records of a batch; the producers' deltas then mean nothing
    scale = np.repeat([0 if b.timestamp_type else 1 for b in batches], counts)
    millis = np.repeat(np.array(first_times, np.int64), counts) + time_delta * scale

    return pa.RecordBatch.from_arrays(
        [
            pa.array(offsets, pa.int64()),
            instants(millis),
            _spans(data, key_at, key_size, pa.binary()),
            _headers(data, header_count, header_at, ends),
            _spans(data, value_at, np.minimum(value_size, max_bytes), pa.large_binary()),
            pa.array(np.maximum(value_size, 0), pa.int64()),
        ],
        schema=RAW,
    )


def _varints(octets: npt.NDArray[np.uint8], at: _Longs) -> tuple[_Longs, _Longs]:
    """Decode one zigzag varint at each place; return the numbers and the places after them."""
    byte = octets[at].astype(np.int64)
    number = byte & 0x7F
    following = at + 1
    open_ = np.flatnonzero(byte > 0x7F)
    for shift in range(7, 70, 7):
        if not len(open_):
            return ((number >> 1) & 0x7FFF_FFFF_FFFF_FFFF) ^ -(number & 1), following
        byte = octets[following[open_]].astype(np.int64)
        number[open_] |= (byte & 0x7F) << shift
        following[open_] += 1
        open_ = open_[byte > 0x7F]
    raise CorruptRecordError("a number longer than 64 bits")


def _spans(data: bytes, at: _Longs, size: _Longs, type_: pa.DataType) -> pa.Array:
    """Gather stretches of bytes into an Arrow array; a negative size is null.

    The stretches and what lies between them make one array over the whole buffer, of which every second
    element is taken: a copy in compiled code, value by value.
    """
    present = size >= 0
    bounds = np.empty(2 * len(at) + 1, np.int64)
    bounds[0:-1:2] = at
    bounds[1::2] = at + np.maximum(size, 0)
    bounds[-1] = len(data)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    whole = pa.Array.from_buffers(pa.large_binary(), 2 * len(at), buffers)
    return whole.take(pa.array(np.arange(0, 2 * len(at), 2), mask=~present)).cast(type_)


def _headers(data: bytes, counts: _Longs, at: _Longs, ends: _Longs) -> pa.Array:
    """Parse the headers of the records that have some; they are few, so one at a time."""
    keys: list[str] = []
    values: list[bytes | None] = []
    for row in np.flatnonzero(counts):
        position = int(at[row])
        for _ in range(int(counts[row])):
            key, position = _text(data, position)
            value, position = _text(data, position)
            if key is None:
                raise CorruptRecordError("a header without a name")
            keys.append(key.decode("utf-8", "replace"))
            values.append(value)
        if position != ends[row]:
            raise CorruptRecordError("a record's headers do not fill it")
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    pairs = pa.StructArray.from_arrays(
        [pa.array(keys, pa.string()), pa.array(values, pa.binary())], fields=list(HEADERS.value_type)
    )
    return pa.ListArray.from_arrays(pa.array(bounds), pairs).cast(HEADERS)


def _text(data: bytes, position: int) -> tuple[bytes | None, int]:
    number = shift = 0
    byte = 0x80
    while byte > 0x7F:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position += 1
        shift += 7
    size = (number >> 1) ^ -(number & 1)
    return (None, position) if size < 0 else (data[position : position + size], position + size)


def instants(millis: _Longs) -> pa.Array:
    """Turn Kafka's milliseconds into instants; what is no time (−1, or past the year 9999) is null."""
    valid = (millis >= 0) & (millis <= _LAST_INSTANT_MS)
    return pa.array(np.where(valid, millis, 0) * 1000, pa.int64(), mask=~valid).cast(INSTANT)


def columns_of_records(records: Iterable[Any], start: int, end: int, max_bytes: int) -> pa.RecordBatch:
    """Turn records, one Python object each, into one ``RAW`` batch; the arguments are as above."""
    rows = [record for record in records if start <= record.offset < end]
    times = np.array([-1 if r.timestamp is None else r.timestamp for r in rows], np.int64)
    headers = [[{"key": k, "value": v} for k, v in r.headers] for r in rows]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([r.offset for r in rows], pa.int64()),
            instants(times),
            pa.array([r.key for r in rows], pa.binary()),
            pa.array(headers, HEADERS),
            pa.array([None if r.value is None else r.value[:max_bytes] for r in rows], pa.large_binary()),
            pa.array([len(r.value or b"") for r in rows], pa.int64()),
        ],
        schema=RAW,
    )
