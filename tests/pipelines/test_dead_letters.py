"""Rejected records on their way to a real dead-letter topic: whole, at least once, and never in the way."""

import json
import signal
import socket
import time
from datetime import datetime

import duckdb
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from killing import KilledRuns

from parcours.pipelines import dead_letters
from parcours.pipelines.commit import RunInfo
from parcours.pipelines.dead_letters import Outbox
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.replay import replay
from parcours.schemas import relations
from parcours.schemas.rule import DeadLetters
from stores import assert_balanced, config_of, file_source, load, one, rows, topic_source

pytestmark = pytest.mark.kafka

GOOD = {
    "event_id": "e1",
    "occurred_at": "2025-01-01T00:00:00Z",
    "customer_id": "M-1",
    "event_type": "site_visited",
    "channel": "site",
}
BAD = json.dumps({**GOOD, "event_id": "e2", "channel": None}).encode()
WAITING = "SELECT count(*) FROM internal.dead_letters"


@pytest.fixture
def topic(kafka, request):
    """An empty dead-letter topic of this test's own."""
    name = f"dead.{request.node.name}"[:200].replace("[", ".").replace("]", "")
    kafka.create_topic(name)
    return name


def received(kafka, topic):
    """What the topic holds: value, key, and headers, theirs and ours, as texts."""
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    found = []
    while consumer.position(place) < end:
        for records in consumer.poll(1_000).values():
            found += [(each.value, each.key, {k: v.decode() for k, v in each.headers}) for each in records]
    consumer.close()
    return found


def to(kafka, topic, **settings):
    """The part of a config that sends rejected records to a topic."""
    return {"topic": topic, "bootstrap": kafka.bootstrap, "kafka": settings}


def a_file(tmp_path, *lines):
    """A source that reads these lines of a file."""
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return file_source(path)


def nowhere():
    """An address at which no broker listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{closed.getsockname()[1]}"


def test_each_rejected_record_arrives_once_as_it_was(kafka, topic, tmp_path):
    """Key, value and own headers are the record's; ours tell where it stood and why it was rejected."""
    kafka.create_topic("rejecting", 2)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    own = [("trace", b"t-1"), ("parcours-reason", b"of another time"), ("empty", b"")]
    for value, key, headers in (
        *(
            (json.dumps({**GOOD, "event_id": event_id}).encode(), b"k0", [])
            for event_id in ("e3", "e4", "e5")
        ),
        (BAD, "clé".encode(), own),
        (b"\xff\xfenot json", None, []),
        (None, b"k3", []),
    ):
        producer.send("rejecting", value, key, headers, partition=1).get(10)
    producer.close()
    store = tmp_path / "store.duckdb"
    source = topic_source(kafka.bootstrap, "rejecting", name="crm")
    config = config_of(store, source, dead_letters=to(kafka, topic, compression_type="gzip"))
    result = load(config)
    assert (result.loaded, result.quarantined, result.warnings) == (3, 3, [])
    found = received(kafka, topic)
    ids = dict(rows(store, "SELECT source_offset, quarantine_id FROM quarantine"))
    ours = {"source": "crm", "topic": "rejecting", "partition": "1", "attempt": "1", "form": "record"}
    expected = [
        (3, BAD, "clé".encode(), {"reason": "missing_field", "step": "validate"}),
        (4, b"\xff\xfenot json", None, {"reason": "encoding", "step": "decode"}),
        (5, None, b"k3", {"reason": "tombstone", "step": "decode"}),
    ]
    rules = dict(rows(store, "SELECT source_offset, rule FROM quarantine"))
    assert found == [
        (
            value,
            key,
            {
                **({"trace": "t-1", "empty": ""} if offset == 3 else {}),
                **{
                    f"parcours-{name}": text
                    for name, text in {
                        **ours,
                        **why,
                        "rule": rules[offset],
                        "offset": str(offset),
                        "run": result.run_id,
                        "quarantine-id": ids[offset],
                    }.items()
                    if text is not None
                },
            },
        )
        for offset, value, key, why in expected
    ]
    assert (0, []) == (one(store, WAITING), load(config).warnings)
    assert 3 == len(received(kafka, topic)), "a second run has nothing to send"


def test_killed_between_commit_and_topic(kafka, topic, tmp_path):
    """The next run sends what a killed one rejected; a replay that fails again sends it again."""
    store = tmp_path / "store.duckdb"
    config = config_of(store, a_file(tmp_path, BAD, b"x"), dead_letters=to(kafka, topic))
    killed = KilledRuns()
    try:
        assert signal.SIGKILL == killed(config, "begin tell")
    finally:
        killed.close()
    assert (2, []) == (one(store, WAITING), received(kafka, topic))
    assert load(config).nothing_to_do
    first = one(store, "SELECT DISTINCT run_id FROM quarantine")
    second = replay(config, observer=SilentObserver()).run_id
    sent = [
        tuple(h[f"parcours-{n}"] for n in ("offset", "attempt", "run")) for _, _, h in received(kafka, topic)
    ]
    assert [("0", "1", first), ("1", "1", first), ("0", "2", second), ("1", "2", second)] == sent
    assert 0 == one(store, WAITING)
    assert_balanced(store)


def test_a_broker_that_is_away(kafka, topic, tmp_path):
    """It costs seconds and a warning, and loses nothing; where no topic is configured, nothing waits."""
    store, good = tmp_path / "store.duckdb", json.dumps(GOOD).encode()
    assert 1 == load(config_of(store, a_file(tmp_path, good, BAD))).quarantined
    assert 0 == one(store, WAITING)
    source, there = a_file(tmp_path, good, BAD, good, b"x"), to(kafka, topic)
    address = nowhere()
    began = time.monotonic()
    result = load(config_of(store, source, dead_letters={**there, "bootstrap": address}))
    assert time.monotonic() - began < 10
    assert ("done", 1, 1) == (result.status, result.duplicate, result.quarantined)
    (warning,) = result.warnings
    assert warning.startswith(f'1 rejected record waits for the topic "{topic}" at {address}: ')
    assert "Unable to bootstrap" in warning
    assert 1 == one(store, WAITING)
    assert [] == load(config_of(store, source, dead_letters=there)).warnings
    assert [b"x"] == [value for value, _, _ in received(kafka, topic)]
    assert 0 == one(store, WAITING)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The relations of a store, in memory."""
    connection = duckdb.connect()
    for name in (*relations.INTERNAL, "quarantine", "quarantine_attempts"):
        connection.execute(relations.statement(name))
    yield connection
    connection.close()


def fill(connection, sizes):
    """Put rejected records of these sizes into quarantine and outbox, as a commit does."""
    for name in ("quarantine", "quarantine_attempts", "internal.dead_letters"):
        connection.execute(f"DELETE FROM {name}")
    now = datetime(2026, 1, 1)
    connection.execute(
        """
        INSERT INTO quarantine BY NAME
        SELECT 'q' || i AS quarantine_id, 's' AS source, 't' AS source_topic, 0 AS source_partition,
            i AS source_offset, CASE WHEN n > 0 THEN repeat('x', n)::BLOB END AS raw, 'decode' AS step,
            'undecodable' AS reason, 'run' AS run_id, $now AS first_at, $now AS last_at, 1 AS attempts,
            'open' AS status, 'record' AS form, [] AS fixes
        FROM (SELECT unnest($sizes) AS n, generate_subscripts($sizes, 1) - 1 AS i)
        """,
        {"sizes": sizes, "now": now},
    )
    connection.execute(
        "INSERT INTO quarantine_attempts BY NAME "
        "SELECT quarantine_id, 1 AS attempt, first_at AS attempted_at, run_id, step, reason FROM quarantine"
    )
    dead_letters.enqueue(connection, RunInfo("another run", "run", now, ""), now)
    assert 0 == connection.execute(WAITING).fetchone()[0], "only what this commit rejected"
    dead_letters.enqueue(connection, RunInfo("run", "run", now, ""), now)


def emptied(connection, config):
    """Send everything; return what was warned of."""
    warnings = []
    outbox = Outbox(connection, DeadLetters.model_validate(config), warnings.append)
    outbox.send()
    outbox.close()
    return warnings


def test_many_are_sent_in_their_order(kafka, topic, empty):
    """More records, and larger ones, than a batch takes arrive once each, in the order of their log."""
    fill(empty, [500] * (dead_letters.BATCH_ROWS + 1) + [dead_letters.BATCH_BYTES // 8] * 10)
    empty.execute("DELETE FROM quarantine WHERE source_offset = 7")  # erased while it waited
    assert [] == emptied(empty, to(kafka, topic))
    assert 0 == empty.execute(WAITING).fetchone()[0]
    offsets = [int(headers["parcours-offset"]) for _, _, headers in received(kafka, topic)]
    assert [n for n in range(dead_letters.BATCH_ROWS + 11) if n != 7] == offsets


def test_what_is_too_large_is_told_and_left_aside(kafka, empty):
    """Records that the client or the broker finds too large hold up none of the others."""
    kafka.create_topic("narrow", 1, max_message_bytes=4_000)
    fill(empty, [100, 6_000, 200, 0, 20_000, 2_000_000, 300])
    (warning,) = emptied(empty, to(kafka, "narrow"))
    assert "not sent: 3 rejected records, such as source" in warning
    sizes = [(int(headers["parcours-offset"]), len(value)) for value, _, headers in received(kafka, "narrow")]
    assert [(0, 100), (2, 200), (3, 0), (6, 300)] == sorted(sizes)
    assert 0 == empty.execute(WAITING).fetchone()[0]


def test_a_topic_that_does_not_exist(kafka, empty):
    """It is told and not made, and the broker is left alone for a while."""
    fill(empty, [100])
    config = DeadLetters.model_validate(to(kafka, "nobody.made"))
    warnings = []
    outbox = Outbox(empty, config, warnings.append)
    outbox.send()
    began = time.monotonic()
    outbox.send()
    assert time.monotonic() - began < 1
    (warning,) = warnings
    assert "there is no such topic" in warning
    assert "nobody.made" not in kafka.admin.list_topics()
    assert 1 == empty.execute(WAITING).fetchone()[0]


def test_a_secured_broker(kafka, topic, empty):
    """The settings are kafka-python's own; a wrong password is told without it, and costs nothing."""
    fill(empty, [100])
    secure = {**kafka.secure_settings, "sasl_plain_password": "hunter2-wrong"}
    bootstrap = secure.pop("bootstrap_servers")
    (warning,) = emptied(empty, {"topic": topic, "bootstrap": bootstrap, "kafka": secure})
    assert "Unable to bootstrap" in warning
    assert "hunter2" not in warning
    assert 1 == empty.execute(WAITING).fetchone()[0]
    secure["sasl_plain_password"] = kafka.secure_settings["sasl_plain_password"]
    assert [] == emptied(empty, {"topic": topic, "bootstrap": bootstrap, "kafka": secure})
    assert 1 == len(received(kafka, topic))
