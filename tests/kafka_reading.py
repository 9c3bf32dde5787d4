"""Reading a topic through the Kafka source, as tests do: without limits, as tables, both ways."""

import time

import pyarrow as pa
import pytest

from parcours.schemas.touchpoint import RAW
from parcours.transforms.elements import RangeEnd
from parcours.transforms.sources.contract import Position

NOW = 1_790_000_000_000
SMALL_FETCHES = {"fetch_max_bytes": 20_000, "max_partition_fetch_bytes": 20_000}
BOTH_WAYS = pytest.mark.parametrize("whole_batches", [True, False])


def send(producer, topic, count, tag=b"v", partition=0, **more):
    """Send numbered records and wait until the broker has them."""
    for n in range(count):
        producer.send(topic, tag + b"%d" % n, partition=partition, timestamp_ms=NOW + n, **more)
    producer.flush()


def plan(source, committed=None, records=10**6, bytes_=10**9):
    """Plan with limits that most tests do not reach."""
    return source.plan(committed or {}, first_id=0, records=records, bytes_=bytes_)


def read(source, ranges):
    """All records of some ranges as one table, and how each range ended."""
    tables, ends = [], []
    for each in ranges:
        *batches, end = source.read(each)
        tables += [batch.records for batch in batches]
        assert isinstance(end, RangeEnd)
        assert (end.batches, end.read) == (len(batches), sum(batch.records.num_rows for batch in batches))
        assert end.next_offset - each.start == end.read + end.gap
        assert (end.gap_reason is None) == (end.gap == 0)
        ends.append(end)
    return pa.Table.from_batches(tables, schema=RAW).combine_chunks(), ends


def commit(ends):
    """What a store would keep after these ranges."""
    return {(e.range.topic, e.range.partition): Position(e.next_offset, e.resume) for e in ends}


def read_both_ways(opened, kafka, topic, **options):
    """Read a topic through whole batches and through poll(), and require the same records and gaps."""
    results = []
    for whole in (True, False):
        source = opened(kafka, topic, whole_batches=whole, **options)
        results.append(read(source, plan(source).ranges))
    (whole, whole_ends), (polled, polled_ends) = results
    assert whole == polled
    assert [(e.read, e.gap) for e in whole_ends] == [(e.read, e.gap) for e in polled_ends]
    return whole, whole_ends


def plan_when_settled(source):
    """Plan once no transaction is open: its end is acknowledged before its markers stand."""
    deadline = time.monotonic() + 20
    while (found := plan(source)).waiting:
        assert time.monotonic() < deadline, found.waiting
        time.sleep(0.05)
    return found
