"""The Kafka source against a real broker."""

import socket
import threading
import time
from datetime import UTC, datetime
from itertools import pairwise

import pyarrow as pa
import pytest
from kafka import KafkaProducer, TopicPartition

from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW
from parcours.transforms.elements import PlannedRange, RangeEnd
from parcours.transforms.sources.contract import LogStoppedError, Position, SourceUnavailableError
from parcours.transforms.sources.kafka import KafkaSource

pytestmark = pytest.mark.kafka

NOW = 1_790_000_000_000
SMALL_FETCHES = {"fetch_max_bytes": 20_000, "max_partition_fetch_bytes": 20_000}
BOTH_WAYS = pytest.mark.parametrize("whole_batches", [True, False])


@pytest.fixture
def topic(kafka, request):
    """A fresh topic of one partition, named after the test."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    kafka.create_topic(name)
    return name


@pytest.fixture
def opened():
    """Opens sources and closes them after the test."""
    sources = []

    def make(broker, *topics, max_record_bytes=10**7, whole_batches=True, stall_seconds=60, **options):
        options = {"start": "earliest", "bootstrap": broker and broker.bootstrap, **options}
        config = Source(name="shop", kind="kafka", format="json", topics=topics, **options)
        validation = Validation(max_record_bytes=max_record_bytes)
        sources.append(
            KafkaSource(config, validation, whole_batches=whole_batches, stall_seconds=stall_seconds)
        )
        return sources[-1]

    yield make
    for source in sources:
        source.close()


@pytest.fixture
def producer(kafka):
    """A producer whose batches are as large as what is sent before a flush."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=100, batch_size=500_000) as made:
        yield made


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
    """Offsets that compaction took are a gap with its reason; every remaining record is read."""
    kafka.create_topic("compacted", cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
    for round_ in range(3):
        for n in range(50):
            producer.send("compacted", b"%d-%d" % (round_, n), key=b"k%d" % (n % 10))
        producer.flush()
        time.sleep(0.15)  # segments roll by time, on the next write after it
    producer.send("compacted", b"last", key=b"last").get(10)
    deadline = time.monotonic() + 60
    while True:
        found, (end,) = read_both_ways(opened, kafka, "compacted")
        if end.gap >= 100 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert end.gap >= 100
    assert end.gap_reason == f"{end.gap} compacted away"
    latest = dict(zip(found["record_key"].to_pylist(), found["value"].to_pylist(), strict=True))
    assert latest == {b"last": b"last", **{b"k%d" % n: b"2-%d" % (n + 40) for n in range(10)}}


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


def test_lost_offsets_stop_or_are_recorded(kafka, opened, topic, producer):
    """Retention took what was not yet read: a stop that says what to do, or a gap that says what is gone."""
    send(producer, topic, 100)
    committed = commit(read(opened(kafka, topic), plan(opened(kafka, topic), records=10).ranges)[1])
    kafka.admin.delete_records({TopicPartition(topic, 0): 60})
    with pytest.raises(LogStoppedError, match=r'10 to 59 .*on_gap = "record"'):
        plan(opened(kafka, topic), committed)
    for whole in (True, False):
        source = opened(kafka, topic, on_gap="record", whole_batches=whole)
        found, (end,) = read(source, plan(source, committed).ranges)
        assert found["offset"].to_pylist() == list(range(60, 100))
        assert (end.gap, end.gap_reason) == (50, "retention: offsets 10 to 59 are gone")
        assert plan(source, commit([end])).ranges == ()


@pytest.mark.parametrize(
    ("to", "offset"), [("earliest", 20), ("5", 20), ("30", 30), ("2026-09-21T14:13:20.035Z", 35)]
)
def test_a_rewind_goes_back_as_far_as_the_log_does(kafka, opened, producer, to, offset):
    """To the beginning, an offset, or the first record at a time; what was not yet read is not skipped."""
    topic = f"rewind-{offset}-{len(to)}"
    kafka.create_topic(topic)
    send(producer, topic, 100)
    kafka.admin.delete_records({TopicPartition(topic, 0): 20})
    source = opened(kafka, topic)
    back = source.rewound({(topic, 0): Position(50, {"topic_id": "x"})}, to)
    assert back == {(topic, 0): Position(offset, {"topic_id": "x"})}
    assert source.rewound({(topic, 0): Position(7)}, "earliest") == {(topic, 0): Position(7)}
    with pytest.raises(ValueError, match="a rewind goes back"):
        source.rewound({(topic, 0): Position(50)}, "60")


@BOTH_WAYS
@pytest.mark.parametrize("on_gap", ["stop", "record"])
def test_offsets_lost_while_reading(kafka, opened, topic, on_gap, whole_batches):
    """Retention passes between the plan and the read."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, batch_size=1_000) as producer:
        send(producer, topic, 5_000)
    source = opened(kafka, topic, on_gap=on_gap, whole_batches=whole_batches)
    ranges = plan(source).ranges
    kafka.admin.delete_records({TopicPartition(topic, 0): 4_321})
    if on_gap == "stop":
        with pytest.raises(LogStoppedError, match="begins at 4321"):
            read(source, ranges)
    else:
        found, (end,) = read(source, ranges)
        assert found["offset"].to_pylist() == list(range(4_321, 5_000))
        assert (end.gap, end.gap_reason) == (4_321, "retention: offsets 0 to 4320 are gone")


def test_a_topic_made_again_stops(kafka, opened, topic, producer):
    """Even when it has grown past the committed offset, its id tells."""
    send(producer, topic, 10)
    source = opened(kafka, topic)
    _, ends = read(source, plan(source).ranges)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
        send(fresh, topic, 50)
    with pytest.raises(LogStoppedError, match=r"the topic has another id .* belong to another topic"):
        plan(source, commit(ends))


@BOTH_WAYS
def test_a_topic_made_again_while_it_is_read_stops(kafka, opened, topic, producer, whole_batches):
    """What was read under the old plan is not kept."""
    send(producer, topic, 50)
    source = opened(kafka, topic, whole_batches=whole_batches)
    (only,) = plan(source).ranges
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
        send(fresh, topic, 80)
    with pytest.raises(LogStoppedError, match="made again while it was read"):
        read(source, [only])


@pytest.mark.parametrize(
    "case",
    [
        (Position(3, {"cluster_id": "another"}), "the cluster has another id"),
        (Position(11), "committed and the log ends at 10"),
    ],
)
def test_a_log_that_is_not_the_committed_one_stops(kafka, opened, topic, producer, case):
    """Another cluster, or a log that ends before the committed offset."""
    position, said = case
    send(producer, topic, 10)
    with pytest.raises(LogStoppedError, match=said):
        plan(opened(kafka, topic), {(topic, 0): position})


def test_a_partition_that_is_gone_stops(kafka, opened, topic):
    """The committed offsets name a partition that the topic does not have."""
    with pytest.raises(LogStoppedError, match=r"\[4\] was read before and no longer exists"):
        plan(opened(kafka, topic), {(topic, 4): Position(0)})


def test_unknown_topics_are_all_named(kafka, opened, topic):
    """With the near spelling, and none of them made by asking."""
    wrong = topic[:-1] + "x"
    with pytest.raises(
        SourceUnavailableError, match=f'"{wrong}" does not exist.*did you mean {topic}.*"zz9"'
    ):
        plan(opened(kafka, wrong, "zz9"))
    assert wrong not in kafka.admin.list_topics()


def test_an_unreachable_broker_is_named_soon(opened, topic):
    """Within the time that a connection may take, with the address and what to check."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
    source = opened(None, topic, bootstrap=nowhere, kafka={"bootstrap_timeout_ms": 1_500})
    begun = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=rf"{nowhere} cannot be read.*bootstrap"):
        plan(source)
    assert time.monotonic() - begun < 6


def test_sasl_over_tls(kafka, opened, topic, producer):
    """Security settings reach both connections, the one that plans and the one that reads."""
    send(producer, topic, 30)
    settings = dict(kafka.secure_settings)
    bootstrap = settings.pop("bootstrap_servers")
    source = opened(kafka, topic, bootstrap=bootstrap, kafka=settings)
    found, _ = read(source, plan(source).ranges)
    assert found.num_rows == 30


@pytest.mark.parametrize(
    "wrong",
    [
        # some brokers say it, others hang up
        ("(invalid credentials|socket disconnected)", {"sasl_plain_password": "swordfish"}),
        ("certificate verify failed", {"ssl_cafile": None}),
    ],
)
def test_a_refused_connection_says_why_and_no_secret(kafka, opened, topic, wrong):
    """A wrong password or an unknown certificate ends soon, with a reason and without the password."""
    why, changed = wrong
    settings = {**kafka.secure_settings, "bootstrap_timeout_ms": 2_000, **changed}
    bootstrap = settings.pop("bootstrap_servers")
    with pytest.raises(SourceUnavailableError, match=rf"cannot be read.*{why}.*sasl_\*") as refused:
        plan(opened(kafka, topic, bootstrap=bootstrap, kafka=settings))
    assert settings["sasl_plain_password"] not in str(refused.value)


@pytest.fixture(scope="module")
def stoppable(kafka_service):
    """A broker that tests may stop and start: nobody else's."""
    with kafka_service.KafkaBroker() as broker:
        yield broker


def test_silence_fails_the_range_with_its_reason(stoppable, opened):
    """A broker that went away for longer than the limit: the range fails, and says where it was."""
    broker = stoppable
    broker.create_topic("silent")
    with KafkaProducer(bootstrap_servers=broker.bootstrap, batch_size=16_000, linger_ms=50) as producer:
        send(producer, "silent", 80_000)
    settings = {**SMALL_FETCHES, "bootstrap_timeout_ms": 500}
    source = opened(broker, "silent", stall_seconds=2, kafka=settings)
    (only,) = plan(source).ranges
    reading = source.read(only)
    next(reading)
    broker.stop()
    said = r'partition="silent\[0\]" offset="{}".*{}'
    with pytest.raises(SourceUnavailableError, match=said.format(r"\d+", "no progress for 2 s")):
        list(reading)
    with pytest.raises(SourceUnavailableError, match=said.format("0", "cannot be read")):
        read(opened(broker, "silent", stall_seconds=1, kafka=settings), [only])
    broker.start()


@pytest.mark.parametrize("case", [(True, 20), (False, 1)])
def test_a_broker_that_is_away(stoppable, opened, case):
    """Stopped in the middle of a read and started again: every record arrives once."""
    whole_batches, seconds = case
    broker, topic = stoppable, f"away-{seconds}"
    broker.create_topic(topic)
    with KafkaProducer(bootstrap_servers=broker.bootstrap, batch_size=16_000, linger_ms=50) as producer:
        send(producer, topic, 120_000)
    source = opened(broker, topic, whole_batches=whole_batches, kafka=SMALL_FETCHES)
    (only,) = plan(source).ranges
    reading = source.read(only)
    first = next(reading)
    broker.stop()
    stopped = time.monotonic()
    back = threading.Timer(seconds, broker.start)
    back.start()
    *batches, end = reading
    assert time.monotonic() - stopped > seconds
    back.join()
    offsets = pa.concat_arrays([each.records["offset"] for each in [first, *batches]])
    assert offsets.to_pylist() == list(range(120_000))
    assert (end.read, end.gap) == (120_000, 0)
    assert plan(source, commit([end])).ranges == ()
