"""Reads whole record batches out of kafka-python, and parses their records column by column.

The only file that touches what kafka-python does not make public: ``Fetcher.PartitionRecords``, which its
fetcher asks for the records of one response, and the fields of its v2 record batch.
:func:`whole_batches_supported` looks at the installed version; where it says no, ``poll()`` gives records
one at a time, which is ten times slower and alike in everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

from parcours.schemas.touchpoint import HEADERS, INSTANT, RAW
from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS

_Longs = npt.NDArray[np.int64]

_LAST_INSTANT_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: a producer may write any number as a time."""

_NEEDED = (
    "_unpack_records",
    "_maybe_skip_record",
    "_consume_aborted_transactions_up_to",
    "_is_batch_aborted",
)


@dataclass(frozen=True)
class Hidden:
    """Offsets, both ends included, that a reader of committed records does not see, and why."""

    kind: Literal["aborted", "control"]
    first: int
    last: int


def whole_batches_supported(consumer: KafkaConsumer) -> bool:
    """Whether the installed kafka-python has the parts that :func:`yield_whole_batches` changes."""
    fetcher = getattr(consumer, "_fetcher", None)
    inner = getattr(fetcher, "PartitionRecords", None)
    return all(hasattr(inner, name) for name in (*_NEEDED, "_contains_abort_marker")) and all(
        hasattr(DefaultRecordBatch, name) for name in ("_maybe_uncompress", "_buffer", "_pos")
    )


def yield_whole_batches(consumer: KafkaConsumer) -> None:
    """Make ``consumer.poll()`` return record batches and :class:`Hidden` stretches in place of records.

    ``max_records`` then counts those.
    """
    consumer._fetcher.PartitionRecords = _WholeBatches


class _WholeBatches(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types here
    """The batches of one partition in one fetch response, still compressed, as they are read."""

    def _maybe_skip_record(self, record: Any) -> bool:
        """Keep a batch that begins before the fetch offset: parsing drops its early records."""
        return False

    def _unpack_records(self, tp: Any, records: Any, *_deserializers: Any) -> Iterator[Any]:
        """Yield the batches, and a :class:`Hidden` for control batches and those of aborted transactions.

        Raises:
            CorruptRecordError: a batch does not match its checksum.
        """
        for batch in iter(records.next_batch, None):
            if not batch.validate_crc():
                raise CorruptRecordError(
                    f"the batch at offset {batch.base_offset} does not match its checksum"
                )
            if batch.magic < 2:
                yield from self._old_records(batch)
                continue
            self.leader_epoch = batch.leader_epoch
            # also when a batch's every record was compacted away, the position moves past it
            self.next_fetch_offset = batch.next_offset
            yield self._as_seen(batch)
        self.drain()

    def _as_seen(self, batch: Any) -> Any:
        """Return the batch, or that it is hidden; keeps track of aborted transactions."""
        if batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return Hidden("aborted", batch.base_offset, batch.last_offset)
        return Hidden("control", batch.base_offset, batch.last_offset) if batch.is_control_batch else batch

    def _old_records(self, batch: Any) -> Iterator[Any]:
        """Yield the records of a batch in format 0 or 1, which knows no transactions."""
        for record in batch:
            if not record.validate_crc():
                raise CorruptRecordError(f"the record at offset {record.offset} does not match its checksum")
            self.next_fetch_offset = record.offset + 1
            yield record


class Assembler:
    """Puts what ``poll()`` returns for one partition together into ``RAW`` batches of the right size.

    Takes whole batches and single records, in offset order; drops records outside ``[start, end)`` and cuts
    values at ``max_bytes``.
    """

    def __init__(self, start: int, end: int, max_bytes: int) -> None:
        self.start = start
        self.hidden = {"aborted": 0, "control": 0}
        self._end = end
        self._max_bytes = max_bytes
        self._items: list[Any] = []
        self._bodies: list[memoryview] = []
        self._rows = self._bytes = 0

    def add(self, item: Any) -> Iterator[pa.RecordBatch]:
        """Take one item; yield what is full.

        Raises:
            CorruptRecordError: a batch's bytes are not records.
        """
        if isinstance(item, Hidden):
            seen = min(item.last + 1, self._end) - max(item.first, self.start)
            self.hidden[item.kind] += max(seen, 0)
            return
        whole = isinstance(item, DefaultRecordBatch)
        if (item.base_offset if whole else item.offset) >= self._end:
            return
        body = _body(item) if whole else memoryview(item.value or b"")
        rows = item.records_count if whole else 1
        full = self._rows + rows > BATCH_RECORDS or self._bytes + len(body) > BATCH_BYTES
        if full or (self._items and whole != bool(self._bodies)):
            yield from self.flush()
        self._items.append(item)
        if whole:
            self._bodies.append(body)
        self._rows += rows
        self._bytes += len(body)

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Yield what was taken and not yet yielded; a batch beyond the limits is cut."""
        if not self._items:
            return
        if self._bodies:
            table = columns_of_batches(self._items, self._bodies, self.start, self._end, self._max_bytes)
        else:
            table = columns_of_records(self._items, self.start, self._end, self._max_bytes)
        self._items, self._bodies = [], []
        self._rows = self._bytes = 0
        first = 0
        bytes_ = np.minimum(table["size"].to_numpy(), self._max_bytes).cumsum()
        while first < table.num_rows:
            before = bytes_[first - 1] if first else 0
            fitting = int(np.searchsorted(bytes_, before + BATCH_BYTES, "right")) - first
            count = max(1, min(fitting, BATCH_RECORDS))
            yield table.slice(first, count)
            first += count


def _body(batch: Any) -> memoryview:
    """Return the records' bytes of a v2 batch, decompressed."""
    batch._maybe_uncompress()
    return memoryview(batch._buffer)[batch._pos :]


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
