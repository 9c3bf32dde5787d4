"""Reads whole record batches out of kafka-python, and puts them together into batches of the right size.

The only file that touches what kafka-python does not make public: ``Fetcher.PartitionRecords``, which its
fetcher asks for the records of one response, and the fields of its v2 record batch.
:func:`whole_batches_supported` looks at the installed version; where it says no, ``poll()`` gives records
one at a time, which is ten times slower and alike in everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS
from parcours.transforms.sources.kafka_columns import columns_of_batches, columns_of_records

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
