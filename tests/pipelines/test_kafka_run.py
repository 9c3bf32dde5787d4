"""Runs on a real topic whose broker goes away, whose log grows, widens, is rewound, or loses records."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from kafka import TopicPartition
from topics import produce

from parcours.pipelines import runs
from parcours.pipelines.cli.exits import describe, run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate
from parcours.transforms.sources.contract import LogStoppedError
from stores import assert_balanced, assert_same_stores, config_of, load, one, rows, topic_source, write_toml

pytestmark = pytest.mark.kafka

AWAY_SECONDS = 20
TOUCHPOINTS = "SELECT count(*) FROM touchpoints"


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Good records, and some that come twice with other contents."""
    out = tmp_path_factory.mktemp("simulated")
    simulate(3_000, 71, "json", out, files=1, broken=0, duplicates=0.1)
    return (out / "touchpoints-0000.ndjson").read_bytes().splitlines()


class Outage(SilentObserver):
    """Kills the broker when the second slice begins to read, and starts it again a while later."""

    def __init__(self, broker):
        self._broker = broker
        self._slices = 0
        self._back = threading.Timer(AWAY_SECONDS, broker.start)
        self.warnings = []

    def begin(self, step):
        """Kill the broker at the second slice."""
        self._slices += step == "ingest"
        if step == "ingest" and self._slices == 2:
            self._broker.kill()
            self._back.start()

    def warn(self, text):
        """Keep what was said."""
        self.warnings.append(text)

    def over(self):
        """Wait until the broker is back, whatever happened."""
        if self._back.ident:
            self._back.join()


@pytest.mark.long
def test_broker_away_for_twenty_seconds(lines, kafka, tmp_path):
    """A broker that is killed in the middle of a run and comes back: the run waits, and loads all."""
    kafka.create_topic("outage", 4)
    produce(kafka, "outage", lines)
    stores = [tmp_path / f"{name}.duckdb" for name in ("disturbed", "undisturbed")]
    disturbed, undisturbed = (
        config_of(store, topic_source(kafka.bootstrap, "outage"), slice_records=1_000) for store in stores
    )
    outage = Outage(kafka)
    began = time.monotonic()
    try:
        result = load(disturbed, outage)
    finally:
        outage.over()
    assert time.monotonic() - began > AWAY_SECONDS
    assert 3 == result.slices
    assert len(lines) == result.read
    load(undisturbed)
    assert_same_stores(*reversed(stores))
    assert_balanced(stores[0])


def test_follow_reads_what_comes_while_it_runs(lines, kafka, tmp_path):
    """``run --follow`` loads records soon after they are written, and ends on SIGINT with 130."""
    kafka.create_topic("followed", 2)
    store = tmp_path / "store.duckdb"
    config = write_toml(config_of(store, topic_source(kafka.bootstrap, "followed")), tmp_path)
    command = [sys.executable, "-m", "parcours.pipelines.cli", "run", "--follow", "--config", config]
    told = store.with_name("store.duckdb.status.json")

    def loaded():
        """What the status file says while the run holds the store."""
        return json.loads(told.read_text())["relations"]["touchpoints"] if told.exists() else 0

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            before = 0
            for part in (lines[:1_000], lines[1_000:]):
                produce(kafka, "followed", part)
                deadline = time.monotonic() + 60
                while loaded() < before + 0.8 * len(part):
                    assert time.monotonic() < deadline, loaded()
                    assert process.poll() is None, process.stderr.read()
                    time.sleep(0.1)
                before = loaded()
            time.sleep(1)  # nothing to read: the interrupt finds the run idle
        finally:
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert 130 == process.returncode, said
    assert len(lines) == one(store, "SELECT sum(read) FROM run_balances")
    assert [("follow", "interrupted")] == rows(store, "SELECT command, status FROM runs")
    assert_balanced(store)


def test_rewind_loads_nothing_twice(lines, kafka, tmp_path):
    """Rewound to the beginning, to an offset or to a time, a run reads again and counts duplicates."""
    kafka.create_topic("rewound", 1)
    middle = datetime.now(UTC)
    millis = int(middle.timestamp() * 1000)
    produce(kafka, "rewound", lines[:1_000], timestamp=millis - 60_000)
    produce(kafka, "rewound", lines[1_000:1_500], timestamp=millis)
    store = tmp_path / "store.duckdb"
    config = config_of(store, topic_source(kafka.bootstrap, "rewound"))
    load(config)
    before = one(store, TOUCHPOINTS)
    for to, offset in (("earliest", 0), ("600", 600), (middle.isoformat(), 1_000)):
        assert {("rewound", 0): offset} == runs.rewind(config, "topic", to)
        result = load(config)
        assert (1_500 - offset, 0) == (result.read, result.loaded)
        assert result.read == result.duplicate + result.quarantined
        assert before == one(store, TOUCHPOINTS)
    assert_balanced(store)
    with pytest.raises(ValueError, match="a rewind goes back"):
        runs.rewind(config, "topic", "2000")
    fresh = config_of(tmp_path / "fresh.duckdb", topic_source(kafka.bootstrap, "rewound"))
    load(fresh)
    assert_same_stores(tmp_path / "fresh.duckdb", store)


def test_log_that_lost_unread_records(lines, kafka, tmp_path, capsys):
    """Records gone before they were read stop a run with exit code 5, or are noted with ``on_gap``."""
    kafka.create_topic("gap", 1)
    produce(kafka, "gap", lines[:400])
    store = tmp_path / "store.duckdb"
    config = config_of(store, topic_source(kafka.bootstrap, "gap"))
    load(config)
    produce(kafka, "gap", lines[400:1_000])
    kafka.admin.delete_records({TopicPartition("gap", 0): 700})
    before = one(store, TOUCHPOINTS)
    assert 5 == run_guarded(root, ["run", "--config", str(write_toml(config, tmp_path))])
    said = capsys.readouterr().err
    assert "offsets 400 to 699" in said
    assert 'on_gap = "record"' in said
    assert before == one(store, TOUCHPOINTS)

    load(config_of(store, topic_source(kafka.bootstrap, "gap", on_gap="record")))
    gap = "SELECT from_offset, to_offset, read, gap, gap_reason FROM run_balances WHERE gap > 0"
    assert [(400, 1_000, 300, 300, "retention: offsets 400 to 699 are gone")] == rows(store, gap)
    assert_balanced(store)


class Loss(SilentObserver):
    """Takes records from a topic when the first slice begins to read; counts the attempts."""

    def __init__(self, broker, topic, before):
        self._broker, self._place, self._before = broker, TopicPartition(topic, 0), before
        self.attempts = 0

    def begin(self, step):
        """Delete the records between the plan and the read."""
        if step == "ingest":
            self.attempts += 1
            self._broker.admin.delete_records({self._place: self._before})


def test_records_lost_while_they_are_read(lines, kafka, tmp_path):
    """A worker that is stopped by the log stops the run at once, as the plan would: with exit code 5."""
    kafka.create_topic("lost", 1)
    produce(kafka, "lost", lines[:400])
    config = config_of(tmp_path / "store.duckdb", topic_source(kafka.bootstrap, "lost"))
    loss = Loss(kafka, "lost", 150)
    with pytest.raises(LogStoppedError, match=r'^source "topic", .* begins at 150 .*on_gap') as stopped:
        load(config, loss)
    assert 5 == describe(stopped.value)[0]
    assert 1 == loss.attempts
    assert 0 == one(config.store.path, TOUCHPOINTS)
    assert 250 == load(config_of(config.store.path, topic_source(kafka.bootstrap, "lost"))).read


def test_a_registry_that_does_not_answer(kafka, tmp_path, capsys):
    """A worker that finds a source unavailable ends the run with exit code 3, and no record is refused."""
    kafka.create_topic("registered", 1)
    produce(kafka, "registered", [b"\0\0\0\0\1..."])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        source = topic_source(kafka.bootstrap, "registered", "avro-confluent", schemas=nowhere)
        config = config_of(tmp_path / "store.duckdb", source)
        assert 3 == run_guarded(root, ["run", "--config", str(write_toml(config, tmp_path))])
    assert f"error: no schema registry answers at {nowhere}" in capsys.readouterr().err
    assert 0 == one(config.store.path, "SELECT count(*) FROM quarantine")


def test_partitions_added_between_runs(lines, kafka, tmp_path):
    """New partitions are read from their beginning; empty ones, old and new, hold nothing up.

    No consumer group is made that could decide what is read.
    """
    kafka.create_topic("widened", 3)
    produce(kafka, "widened", lines[:300], partitions=[0, 1])
    store = tmp_path / "store.duckdb"
    config = config_of(store, topic_source(kafka.bootstrap, "widened"))
    assert 300 == load(config).read
    kafka.admin.create_partitions({"widened": 5})
    kafka.admin.wait_for_topics(["widened"])
    produce(kafka, "widened", lines[300:600], partitions=[1, 3])
    assert 300 == load(config).read
    assert load(config).nothing_to_do
    offsets = "SELECT partition, next_offset FROM internal.offsets ORDER BY ALL"
    assert [(0, 150), (1, 300), (2, 0), (3, 150), (4, 0)] == rows(store, offsets)
    assert [] == kafka.admin.list_groups()
    assert_balanced(store)


@pytest.mark.parametrize("setting", ["group_id", "enable_auto_commit", "session_timeout_ms"])
def test_settings_of_consumer_groups_are_refused(kafka, tmp_path, capsys, setting):
    """Offsets are ours: a setting that a group would need is a mistake, named with its reason."""
    source = topic_source(kafka.bootstrap, "any", kafka={setting: 1})
    config = write_toml(config_of(tmp_path / "store.duckdb", source), tmp_path)
    assert 3 == run_guarded(root, ["run", "--config", str(config)])
    said = capsys.readouterr().err
    assert f'source "topic" > kafka > {setting}' in said
    assert "exactly once" in said or "reads without one" in said
