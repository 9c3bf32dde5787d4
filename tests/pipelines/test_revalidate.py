"""What is loaded held against the rules in force: the store is that of a log read under them."""

import json
import shutil
import signal

import pytest
from fixing import fix, replayed
from killing import KilledRuns

from parcours.pipelines import revalidate, runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate
from stores import TABLES, assert_balanced, assert_same_stores, config_of, file_source, load, one, rows

RELATIONS = tuple(name for name in TABLES if name != "quarantine")
LATER = {"min_time": "2024-06-01T00:00:00Z"}
RECORDS = 1_200


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A folder with a closed store, and one of the same log under a narrower limit."""
    folder = tmp_path_factory.mktemp("loaded")
    simulate(RECORDS, 61, "json", folder / "in", files=1, broken=0.05, duplicates=0.1)
    load(config_of(folder / "store.duckdb", source_of(folder)))
    load(config_of(folder / "narrow.duckdb", source_of(folder), validation=LATER))
    return folder


def source_of(folder):
    """The log's source, whose words are looked up: contents are told apart before that."""
    return file_source(
        folder / "in" / "*.ndjson", map={"channel": {"path": "channel", "lookup": {"branch": "agency"}}}
    )


@pytest.fixture
def store(loaded, tmp_path):
    """A copy of the store."""
    shutil.copy(loaded / "store.duckdb", tmp_path)
    return tmp_path / "store.duckdb"


def revalidated(config, **options):
    """Hold a store against a config's rules."""
    return revalidate.revalidate(config, observer=SilentObserver(), **options)


def test_under_a_narrower_limit_and_back(loaded, store):
    """What breaks it goes, as if it had never been read; under the old limit a replay brings it back."""
    narrow = config_of(store, source_of(loaded), validation=LATER)
    wide = config_of(store, source_of(loaded))
    before = one(store, "SELECT count(*) FROM touchpoints")
    told = revalidated(narrow, dry_run=True)
    assert before == one(store, "SELECT count(*) FROM touchpoints")
    done = revalidated(narrow)
    assert (before, told.moved, told.rules) == (done.judged, done.moved, done.rules)
    assert {"occurred_at.range"} == done.rules.keys()
    assert 0 < done.moved < before
    assert_same_stores(loaded / "narrow.duckdb", store, RELATIONS)
    assert_balanced(store)
    moved = "step = 'validate' AND form = 'contents' AND status = 'open'"
    assert done.moved == one(store, f"SELECT count(*) FROM quarantine WHERE {moved}")
    assert 0 == revalidated(narrow).moved
    runs.rebuild(narrow, observer=SilentObserver())
    assert_same_stores(loaded / "narrow.duckdb", store, RELATIONS)

    assert done.moved == replayed(narrow, moved).quarantined
    assert done.moved == replayed(wide, moved).loaded
    assert_same_stores(loaded / "store.duckdb", store, RELATIONS)
    runs.rewind(wide, "files", "earliest")
    assert 0 == load(wide).loaded
    assert_balanced(store)


def test_the_loser_of_a_conflict_whose_winner_went(tmp_path):
    """It can be replayed then; where the winner comes back, it loses again."""
    record = {"event_id": "e", "customer_id": "ada", "event_type": "visit", "channel": "web"}
    early, late = (record | {"occurred_at": f"{year}-01-01T00:00:00Z"} for year in (2024, 2025))
    (tmp_path / "log").write_text(f"{json.dumps(early)}\n{json.dumps(late)}\n")
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(tmp_path / "log"))
    load(config)
    narrow = config_of(store, file_source(tmp_path / "log"), validation=LATER)
    assert 1 == revalidated(narrow).moved
    assert (1, 1) == ((done := replayed(narrow, "step = 'conflict'")).loaded, done.open)
    winner = "SELECT year(occurred_at) FROM touchpoints"
    assert [(2025,)] == rows(store, winner)
    assert (1, 1) == ((done := replayed(config)).loaded, done.demoted)
    assert [(2024,)] == rows(store, winner)
    states = "SELECT step, status, attempts FROM quarantine ORDER BY ALL"
    assert [("conflict", "open", 2), ("validate", "replayed", 1)] == rows(store, states)
    assert_balanced(store)


def test_a_record_that_was_replayed_goes_back_with_its_fixes(tmp_path):
    """Its own row is open again, with its bytes and what was decided about them."""
    record = {
        "event_id": "e",
        "occurred_at": "2024-01-01T00:00:00Z",
        "customer_id": "ada",
        "event_type": "visit",
    }
    (tmp_path / "log").write_text(json.dumps(record) + "\n")
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(tmp_path / "log"))
    load(config)
    fix(store, map={"channel": "=web"})
    replayed(config)
    revalidated(config_of(store, file_source(tmp_path / "log"), validation=LATER))
    states = "SELECT decode(raw), form, rule, status, attempts, len(fixes) FROM quarantine"
    assert [(json.dumps(record), "record", "occurred_at.range", "open", 2, 1)] == rows(store, states)
    assert 1 == replayed(config).loaded
    assert_balanced(store)


def test_an_id_that_is_the_hash_of_its_contents_stays(tmp_path):
    """Moved to the quarantine and back, a row that was loaded with a fix is the row that it was."""
    record = {"occurred_at": "2024-01-01T00:00:00Z", "customer_id": "ada", "event_type": "visit"}
    (tmp_path / "log.ndjson").write_text(json.dumps(record) + "\n")
    store = tmp_path / "store.duckdb"
    source = file_source(tmp_path / "log.ndjson", map={"event_id": "@hash"})
    load(config_of(store, source))
    fix(store, map={"channel": "=web"})
    replayed(config_of(store, source))
    ids = rows(store, "SELECT event_id FROM touchpoints")
    assert 1 == revalidated(config_of(store, source, validation=LATER)).moved
    assert 1 == replayed(config_of(store, source)).loaded
    assert ids == rows(store, "SELECT event_id FROM touchpoints")
    assert_balanced(store)


def test_killed(loaded, store):
    """Killed before its commit it moved nothing; done again, it moves all."""
    narrow = config_of(store, source_of(loaded), validation=LATER)
    killed = KilledRuns()
    try:
        for point in ("end merge", "end ledger"):
            assert signal.SIGKILL == killed(narrow, point, command="revalidate")
            assert_same_stores(loaded / "store.duckdb", store)
    finally:
        killed.close()
    revalidated(narrow)
    assert_same_stores(loaded / "narrow.duckdb", store, RELATIONS)
    assert_balanced(store)
