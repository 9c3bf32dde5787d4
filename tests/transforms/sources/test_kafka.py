"""Records of a real topic, read in ranges: what the log holds arrives once, what it hides is a gap."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from kafka import KafkaProducer
from kafka_reading import BOTH_WAYS, NOW, commit, plan, plan_when_settled, read, read_both_ways, send

from parcours.transforms.elements import PlannedRange

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_gives_every_record(kafka, opened, topic, codec):
    """Keys, tombstones, headers and times arrive as sent, in each codec and by both ways of reading."""
    sent = [
        (
            None if n % 5 == 0 and n % 7 else b"k%d" % n,
            None if n % 7 == 0 else b"value %d " % n * (n % 40),
            [("trace", b"%d" % n), ("empty", b"")] if n % 11 == 0 else [],
        )
        for n in range(3_000)
    ]
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=codec, linger_ms=20) as producer:
        for n, (key, value, headers) in enumerate(sent):
            producer.send(topic, value, key=key, headers=headers, timestamp_ms=NOW + n)
    found, (end,) = read_both_ways(opened, kafka, topic)
    assert found["offset"].to_pylist() == list(range(3_000))
    assert found["record_key"].to_pylist() == [key for key, _, _ in sent]
    assert found["value"].to_pylist() == [value for _, value, _ in sent]
    assert found["size"].to_pylist() == [len(value or b"") for _, value, _ in sent]
    assert [[(h["key"], h["value"]) for h in row] for row in found["headers"].to_pylist()] == [
        headers for _, _, headers in sent
    ]
    assert found["broker_timestamp"][7].value == (NOW + 7) * 1_000
    assert (end.gap, end.gap_reason) == (0, None)


def test_a_batch_over_a_megabyte_once_decompressed(kafka, opened, topic):
    """Java's producers and ours write zstd frames that do not say their size."""
    with KafkaProducer(
        bootstrap_servers=kafka.bootstrap, compression_type="zstd", linger_ms=500, batch_size=8_000_000
    ) as producer:
        send(producer, topic, 40, tag=b"x" * 100_000)
    found, _ = read_both_ways(opened, kafka, topic)
    assert [len(value) for value in found["value"].to_pylist()] == [100_001] * 10 + [100_002] * 30


def test_transactions_are_read_once_committed(kafka, opened, topic):
    """Committed, aborted and plain records interleaved: what is not to be read is a gap with its reason."""
    expected = []
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as writer:
        writer.init_transactions()
        for round_ in range(6):
            writer.begin_transaction()
            send(writer, topic, 10, tag=b"t%d-" % round_)
            with KafkaProducer(bootstrap_servers=kafka.bootstrap) as plain:
                send(plain, topic, 3, tag=b"p%d-" % round_)
            if round_ % 3 == 2:
                writer.abort_transaction()
            else:
                writer.commit_transaction()
                expected += [b"t%d-%d" % (round_, n) for n in range(10)]
            expected += [b"p%d-%d" % (round_, n) for n in range(3)]
    plan_when_settled(opened(kafka, topic))
    found, (end,) = read_both_ways(opened, kafka, topic)
    assert found["value"].to_pylist() == expected
    # the last offset is a marker: no record is ever read there, and the range ends all the same
    assert found["offset"][-1].as_py() < end.next_offset - 1
    assert (end.gap, end.gap_reason) == (26, "20 in aborted transactions; 6 transaction markers")


def test_an_open_transaction_holds_the_end_back(kafka, opened, topic, producer):
    """The plan ends at the last stable offset and says what waits."""
    send(producer, topic, 5)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as writer:
        writer.init_transactions()
        writer.begin_transaction()
        send(writer, topic, 4)
        source = opened(kafka, topic)
        held = plan(source)
        assert held.ends == {(topic, 0): 5}
        assert held.waiting == (f"{topic}[0]: 4 offsets wait for a transaction to end",)
        writer.commit_transaction()
    assert read(source, plan_when_settled(source).ranges)[0].num_rows == 9


def test_ranges_cut_anywhere_give_the_same_records(kafka, opened, topic, producer):
    """Fetches begin and end inside Kafka's batches; together the ranges hold each record once."""
    send(producer, topic, 1_000)
    for whole in (True, False):
        source = opened(kafka, topic, whole_batches=whole)
        (one,) = plan(source).ranges
        cuts = [0, 1, 2, 333, 334, 999, 1_000]
        pieces = [
            PlannedRange(n, one.source, one.topic, 0, a, b, one.resume)
            for n, (a, b) in enumerate(pairwise(cuts))
        ]
        found, ends = read(source, reversed(pieces))
        assert sorted(found["offset"].to_pylist()) == list(range(1_000))
        assert [end.gap for end in ends] == [0] * len(pieces)


def test_long_values_are_cut(kafka, opened, topic, producer):
    """Bytes are kept up to max_record_bytes; the size is the record's own."""
    send(producer, topic, 1, tag=b"x" * 5_000)
    send(producer, topic, 1, tag=b"y" * 50)
    found, _ = read_both_ways(opened, kafka, topic, max_record_bytes=100)
    assert [len(value) for value in found["value"].to_pylist()] == [100, 51]
    assert found["size"].to_pylist() == [5_001, 51]


def test_the_brokers_own_time(kafka, opened, producer):
    """With LogAppendTime all records of a batch carry the broker's time, not the producer's."""
    kafka.create_topic("append-time", message_timestamp_type="LogAppendTime")
    before = datetime.now(UTC).replace(tzinfo=None)
    send(producer, "append-time", 50)
    found, _ = read_both_ways(opened, kafka, "append-time")
    times = found["broker_timestamp"].to_pylist()
    assert all(abs((each - before).total_seconds()) < 60 for each in times)
    assert len(times) == 50


def test_a_compacted_topic_has_holes(kafka, opened, producer):
    """Offsets that compaction took are a gap with its reason, at a range's end too; what remains is read."""
    kafka.create_topic("compacted", cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    producer.send("compacted", b"first", key=b"first")
    for round_ in range(3):
        for n in range(50):
            producer.send("compacted", b"%d-%d" % (round_, n), key=b"k%d" % (n % 10))
        producer.flush()
        time.sleep(0.15)  # segments roll by time, on the next write after it
    producer.send("compacted", b"last", key=b"last").get(10)
    source, deadline = opened(kafka, "compacted"), time.monotonic() + 60
    while read(source, plan(source).ranges)[1][0].gap < 140:  # all but the last of each key
        assert time.monotonic() < deadline, "the broker compacts nothing"
        time.sleep(0.2)
    found, (end,) = read_both_ways(opened, kafka, "compacted")
    assert (end.gap, end.gap_reason) == (140, "140 compacted away")
    latest = dict(zip(found["record_key"].to_pylist(), found["value"].to_pylist(), strict=True))
    ends = {b"first": b"first", b"last": b"last"}
    assert latest == ends | {b"k%d" % n: b"2-%d" % (n + 40) for n in range(10)}
    for whole in (True, False):
        source = opened(kafka, "compacted", whole_batches=whole)
        (only,) = plan(source).ranges
        found, cut = read(source, [replace(only, end=60), replace(only, start=1, end=60)])
        assert found["value"].to_pylist() == [b"first"]
        assert [(end.read, end.gap) for end in cut] == [(1, 59), (0, 59)]


@BOTH_WAYS
def test_a_range_whose_tail_is_hidden(kafka, opened, topic, producer, whole_batches):
    """A range ends though no record stands at its end: it was aborted, or is a marker, or all of it is."""
    send(producer, topic, 5)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as writer:
        writer.init_transactions()
        writer.begin_transaction()
        send(writer, topic, 5, tag=b"lost")
        writer.abort_transaction()
    source = opened(kafka, topic, whole_batches=whole_batches)
    plan_when_settled(source)  # the marker stands before what comes after it
    send(producer, topic, 3, tag=b"after")
    (only,) = plan(source).ranges
    assert only.end == 14
    # where the tail is: inside the aborted batch, at its end, at the marker; then ranges of nothing else
    spans = [(0, 8), (0, 10), (0, 11), (5, 10), (7, 9), (10, 11)]
    found, ends = read(source, [replace(only, start=start, end=end) for start, end in spans])
    assert [end.read for end in ends] == [5, 5, 5, 0, 0, 0]
    assert found["value"].to_pylist() == [b"v%d" % n for n in range(5)] * 3
    if whole_batches:
        assert [end.gap_reason for end in ends] == [
            "3 in aborted transactions",
            "5 in aborted transactions",
            "5 in aborted transactions; 1 transaction markers",
            "5 in aborted transactions",
            "2 in aborted transactions",
            "1 transaction markers",
        ]


def test_records_of_the_java_producer(kafka, opened, topic):
    """Without a key, with headers, with a header whose value is null: as Java's own producer writes them."""
    lines = "trace:1,empty:NULL\tkey\tfirst\ntrace:2\tNULL\tsecond\nempty:NULL\tNULL\tNULL\n"
    options = [f"parse.{part}=true" for part in ("headers", "key")] + ["null.marker=NULL"]
    kafka.run_tool(
        *("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", kafka.bootstrap, "--topic", topic),
        *(word for option in options for word in ("--property", option)),
        stdin=lines,
    )
    found, _ = read_both_ways(opened, kafka, topic)
    assert [[(h["key"], h["value"]) for h in row] for row in found["headers"].to_pylist()] == [
        [("trace", b"1"), ("empty", None)],
        [("trace", b"2")],
        [("empty", None)],
    ]
    assert found["record_key"].to_pylist() == [b"key", None, None]
    assert found["value"].to_pylist() == [b"first", b"second", None]


def test_partitions_share_a_slice(kafka, opened, producer):
    """Each partition gets its part of the limit, an empty one a range to commit, and the rest follows."""
    kafka.create_topic("shared", partitions=3)
    send(producer, "shared", 500, partition=0)
    send(producer, "shared", 20, partition=1)
    source = opened(kafka, "shared")
    first = plan(source, records=100)
    assert [(r.partition, r.start, r.end) for r in first.ranges] == [(0, 0, 80), (1, 0, 20), (2, 0, 0)]
    assert first.more
    assert first.ends == {("shared", 0): 500, ("shared", 1): 20, ("shared", 2): 0}
    _, ends = read(source, first.ranges)
    second = plan(source, commit(ends))
    assert [(r.partition, r.start, r.end) for r in second.ranges] == [(0, 80, 500)]
    assert not second.more


def test_bytes_limit_a_slice(kafka, opened, topic, producer):
    """The mean size is measured, so large records make a smaller slice."""
    send(producer, topic, 2_000, tag=b"x" * 996)
    (only,) = plan(opened(kafka, topic), bytes_=100_000).ranges
    assert 90 <= only.end <= 110


def test_where_the_first_run_begins(kafka, opened, topic, producer):
    """At the end, at a time, or at the end when no record is as young; an empty range keeps that place."""
    send(producer, topic, 100)
    at = datetime.fromtimestamp((NOW + 40) / 1000, UTC)
    starts = {}
    for start in ("earliest", "latest", at, datetime(2099, 1, 1, tzinfo=UTC)):
        (only,) = plan(opened(kafka, topic, start=start)).ranges
        starts[start] = (only.start, only.end)
    assert list(starts.values()) == [(0, 100), (100, 100), (40, 100), (100, 100)]
    source = opened(kafka, topic, start="latest")
    _, ends = read(source, plan(source).ranges)
    send(producer, topic, 5)
    (after,) = plan(source, commit(ends)).ranges
    assert (after.start, after.end) == (100, 105)


def test_a_partition_added_later_is_read_from_its_beginning(kafka, opened, topic, producer):
    """Though the topic began at its end: what the new partition holds was never skipped by choice."""
    send(producer, topic, 3)
    source = opened(kafka, topic, start="latest")
    _, ends = read(source, plan(source).ranges)
    kafka.admin.create_partitions({topic: 2})
    kafka.admin.wait_for_topics([topic])
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
        send(fresh, topic, 7, partition=1)
    (added,) = plan(source, commit(ends)).ranges
    assert (added.partition, added.start, added.end) == (1, 0, 7)
