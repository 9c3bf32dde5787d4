"""Runs on a log that is not the one that was read: they stop, say what to do, and that does it."""

import json
import re
import shlex

import pytest
from topics import produce

from parcours.pipelines import runs
from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.simulate import simulate
from stores import (
    assert_balanced,
    assert_same_stores,
    config_of,
    file_source,
    load,
    one,
    rows,
    topic_source,
    write_toml,
)

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Good records, and some that come twice with other contents."""
    out = tmp_path_factory.mktemp("simulated")
    simulate(1_000, 72, "json", out, files=1, broken=0, duplicates=0.1)
    return (out / "touchpoints-0000.ndjson").read_bytes().splitlines()


def stopped(config_file, capsys):
    """Run until the log stops it, and return the command that its message names."""
    capsys.readouterr()
    assert 5 == run_guarded(root, ["run", "--config", str(config_file)])
    said = capsys.readouterr().err
    (command,) = re.findall(r"run: parcours (source reset .+?) \(", said)
    return shlex.split(command)


def test_a_topic_made_again_is_read_after_a_reset(lines, kafka, tmp_path, capsys):
    """Grown past what was read: known records count as duplicates, and what was rejected is kept.

    At the places of two rejected records the new log has a good one and another bad one: neither settles nor
    overwrites what was rejected there.
    """
    topic = "made-again"
    old = [b"]]]", b'{"old', *lines[:100]]
    new = [lines[100], b'{"new', *lines[:200]]
    kafka.create_topic(topic)
    produce(kafka, topic, old)
    config = config_of(tmp_path / "store.duckdb", topic_source(kafka.bootstrap, topic))
    config_file = write_toml(config, tmp_path)
    load(config)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    produce(kafka, topic, new)

    command = stopped(config_file, capsys)
    assert ["source", "reset", "topic", "--topic", topic] == command
    assert 0 == run_guarded(root, [*command, "--yes", "--config", str(config_file)])
    told = capsys.readouterr().out
    assert f"{topic} " in told
    assert "102" in told
    assert "topic_id" in told
    assert 0 == run_guarded(root, ["run", "--config", str(config_file)])

    store = config.store.path
    (tmp_path / "both.ndjson").write_bytes(b"\n".join([*old, *new]) + b"\n")
    expected = tmp_path / "expected.duckdb"
    load(config_of(expected, file_source(tmp_path / "both.ndjson")))
    assert_same_stores(expected, store)
    assert_balanced(store)
    assert [("run",), ("reset",), ("run",)] == rows(store, "SELECT command FROM runs ORDER BY started_at")
    places = "SELECT source_offset, raw, status, attempts FROM quarantine WHERE step = 'decode' ORDER BY ALL"
    rejected = [(0, b"]]]", "open", 1), (1, b'{"new', "open", 1), (1, b'{"old', "open", 1)]
    assert rejected == rows(store, places)

    # the new log goes by its places as any other: read again, its own rejected record is known
    runs.rewind(config, "topic", "earliest")
    assert 0 == load(config).loaded
    assert [1, 2, 1] == [attempts for *_, attempts in rows(store, places)]


def test_another_cluster_at_the_same_address(lines, kafka, kafka_service, tmp_path, capsys):
    """Two real clusters, one after the other: the second is not read before a reset."""
    old, new = lines[:100], lines[50:300]
    kafka.create_topic("moved")
    produce(kafka, "moved", old)
    config = config_of(tmp_path / "store.duckdb", topic_source(kafka.bootstrap, "moved"))
    config_file = write_toml(config, tmp_path)
    load(config)
    before = one(config.store.path, "SELECT count(*) FROM touchpoints")
    kafka.kill()
    other = kafka_service.KafkaBroker(tmp_path / "other", instead_of=kafka, brief=True)
    try:
        other.start()
        other.create_topic("moved")
        produce(other, "moved", new)
        command = stopped(config_file, capsys)
        assert ["source", "reset", "topic"] == command
        assert before == one(config.store.path, "SELECT count(*) FROM touchpoints")
        assert 0 == run_guarded(root, [*command, "--yes", "--config", str(config_file)])
        assert 0 == run_guarded(root, ["run", "--config", str(config_file)])
    finally:
        other.kill()
        kafka.start()
    known = {json.loads(line)["event_id"] for line in (*old, *new)}
    assert len(known) == one(config.store.path, "SELECT count(*) FROM touchpoints")
    assert len(old) + len(new) == one(config.store.path, "SELECT sum(read) FROM run_balances")
    assert_balanced(config.store.path)


def test_a_reference_input_from_a_topic_made_again(kafka, tmp_path):
    """What the old log said stands until the new one says otherwise, whatever their places."""

    def customer(name, region):
        return json.dumps({"customer_id": name, "region": region}).encode()

    kafka.create_topic("members")
    produce(kafka, "members", [customer("ada", "north"), customer("bob", "west"), customer("cy", "east")])
    source = topic_source(kafka.bootstrap, "members", loads="customers")
    config = config_of(tmp_path / "store.duckdb", source)
    load(config)
    kafka.delete_topic("members")
    kafka.create_topic("members")
    produce(kafka, "members", [customer("cy", "south")])
    runs.reset(config, "topic", confirm=lambda _: None)
    load(config)
    regions = "SELECT customer_id, region FROM ref_customers ORDER BY ALL"
    assert [("ada", "north"), ("bob", "west"), ("cy", "south")] == rows(config.store.path, regions)
    kept = "SELECT sum(loaded) - sum(demoted) FROM run_balances"
    assert 3 == one(config.store.path, kept)
