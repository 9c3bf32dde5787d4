"""The store is a function of its events: however they came, the tables are equal."""

import random

import pytest
from topics import produce

from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate
from stores import (
    COMPARED,
    assert_balanced,
    assert_same_stores,
    config_of,
    file_source,
    load,
    one,
    topic_source,
)

RECORDS = 6_000


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Records of every kind: conflicts, late ones, shared devices, broken ones."""
    out = tmp_path_factory.mktemp("simulated")
    simulate(RECORDS, 61, "json", out, files=1, broken=0.03, duplicates=0.15, late=0.1)
    return (out / "touchpoints-0000.ndjson").read_bytes().splitlines()


def write_files(folder, lines, count):
    """Deal lines out to files in turn."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.ndjson").write_bytes(b"".join(line + b"\n" for line in lines[number::count]))
    return file_source(folder / "*.ndjson")


@pytest.fixture(scope="module")
def in_one_run(lines, tmp_path_factory):
    """The store of one file read in one slice, and the source that it came from."""
    folder = tmp_path_factory.mktemp("one")
    store = folder / "store.duckdb"
    result = load(config_of(store, write_files(folder / "in", lines, 1)))
    assert 1 == result.slices
    assert result.quarantined > 0 < result.duplicate
    return store


def shuffled(lines):
    """The lines in an order that has nothing to do with theirs."""
    mixed = list(lines)
    random.Random(61).shuffle(mixed)
    return mixed


def test_twenty_slices_in_order(in_one_run, lines, tmp_path):
    """One file read in twenty slices."""
    store = tmp_path / "store.duckdb"
    result = load(config_of(store, write_files(tmp_path / "in", lines, 1), slice_records=RECORDS // 20))
    assert result.slices >= 20
    assert_balanced(store)
    assert_same_stores(in_one_run, store)


def test_files_shuffled_and_run_after_run(in_one_run, lines, tmp_path):
    """Shuffled lines in several files, one for each run: many events lose to what comes later."""
    store = tmp_path / "store.duckdb"
    write_files(tmp_path / "in", shuffled(lines), 5)
    results = [load(config_of(store, file_source(tmp_path / "in" / f"{n}.ndjson"))) for n in (3, 0, 4, 1, 2)]
    assert sum(result.demoted for result in results) > 10
    assert_balanced(store)
    assert_same_stores(in_one_run, store, COMPARED)


@pytest.mark.kafka
@pytest.mark.parametrize("order", ["in order", "shuffled"])
def test_topic(order, in_one_run, lines, kafka, tmp_path):
    """The same lines through four partitions, in order and in one slice, or shuffled and in several."""
    topic, store = f"same-tables-{order.replace(' ', '-')}", tmp_path / "store.duckdb"
    kafka.create_topic(topic, 4)
    produce(kafka, topic, lines if order == "in order" else shuffled(lines))
    size = RECORDS if order == "in order" else RECORDS // 4
    result = load(config_of(store, topic_source(kafka.bootstrap, topic), slice_records=size))
    assert RECORDS // size == result.slices
    assert_balanced(store)
    assert_same_stores(in_one_run, store)


@pytest.mark.kafka
def test_file_and_topic_together(in_one_run, lines, kafka, tmp_path):
    """Half from files, half from a topic, and a tenth from both: what came twice is a duplicate."""
    store, half, tenth = tmp_path / "store.duckdb", RECORDS // 2, RECORDS // 10
    kafka.create_topic("same-tables-half", 2)
    produce(kafka, "same-tables-half", lines[half:])
    files = write_files(tmp_path / "in", lines[: half + tenth], 2)
    config = config_of(store, files, topic_source(kafka.bootstrap, "same-tables-half"), slice_records=2_000)
    result = load(config)
    assert RECORDS + tenth == result.read
    assert_balanced(store)
    # a broken record that came twice is in quarantine twice, by its coordinates
    assert_same_stores(in_one_run, store, ("touchpoints", "identity_links", "journeys", "journey_steps"))


def test_rebuild(in_one_run, lines, tmp_path):
    """A rebuild of a store that was filled in slices changes nothing, and neither does a second one."""
    store = tmp_path / "store.duckdb"
    config = config_of(store, write_files(tmp_path / "in", shuffled(lines), 2), slice_records=RECORDS // 3)
    load(config)
    for _ in range(2):
        runs.rebuild(config, observer=SilentObserver())
        assert_same_stores(in_one_run, store)
    assert 2 == one(store, "SELECT count(*) FROM runs WHERE command = 'rebuild' AND status = 'done'")
