"""A log that lost what was not read, or is not the one that was read, on a real broker."""

import time

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka_reading import BOTH_WAYS, commit, plan, read, send

from parcours.transforms.sources.contract import LogStoppedError, Position, SourceUnavailableError

pytestmark = pytest.mark.kafka


def test_lost_offsets_stop_or_are_recorded(kafka, opened, producer):
    """Retention took what was not yet read: a stop that says what to do, or a gap that says what is gone."""
    topic, now = "retention", int(time.time() * 1000)
    kafka.create_topic(topic, retention_ms=3_600_000, segment_ms=100)
    for n in range(60):
        # kept for long enough to read some of them first
        producer.send(topic, b"old%d" % n, timestamp_ms=now - 3_600_000 + 10_000)
    producer.flush()
    committed = commit(read(opened(kafka, topic), plan(opened(kafka, topic), records=10).ranges)[1])
    for n in range(40):
        producer.send(topic, b"new%d" % n, timestamp_ms=now)
    producer.flush()
    place, deadline = TopicPartition(topic, 0), time.monotonic() + 30
    while kafka.admin.list_partition_offsets({place: OffsetSpec.EARLIEST})[place].offset < 60:
        assert time.monotonic() < deadline, "the broker deletes nothing"
        time.sleep(0.1)
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


@pytest.mark.parametrize("count", [4, 50])
def test_a_topic_made_again_stops(kafka, opened, topic, producer, count):
    """Shorter than the committed offset, or grown past it already: its id tells, and the stop what to do."""
    send(producer, topic, 10)
    source = opened(kafka, topic)
    _, ends = read(source, plan(source).ranges)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as fresh:
        send(fresh, topic, count)
    said = rf"the topic has another id .* another topic.*: parcours source reset shop --topic {topic} "
    with pytest.raises(LogStoppedError, match=said):
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
        (
            Position(3, {"cluster_id": "another"}),
            "the cluster has another id .*: parcours source reset shop ",
        ),
        (Position(11), "committed and the log ends at 10: .*source reset shop --topic"),
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
    with pytest.raises(LogStoppedError, match=r"\[4\]\" was read before .*source reset shop --topic"):
        plan(opened(kafka, topic), {(topic, 4): Position(0)})


def test_unknown_topics_are_all_named(kafka, opened, topic):
    """With the near spelling, and none of them made by asking."""
    wrong = topic[:-1] + "x"
    with pytest.raises(
        SourceUnavailableError, match=f'"{wrong}" does not exist.*did you mean {topic}.*"zz9"'
    ):
        plan(opened(kafka, wrong, "zz9"))
    assert wrong not in kafka.admin.list_topics()
