"""A run that is killed anywhere, then run again, gives the tables of an undisturbed run."""

import signal
import threading
from pathlib import Path

import pytest
from killing import KilledRuns

from parcours.pipelines import rules, runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate
from stores import assert_balanced, assert_same_stores, config_of, file_source, load, one, rows

RECORDS, SLICE = 1_500, 500
STEPS = ("plan", "ingest", "merge", "build", "check", "write", "ledger", "tell")


@pytest.fixture(scope="module")
def killed():
    """Runs with this process's DuckDB that kill themselves."""
    runs = KilledRuns()
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Records with duplicates, conflicts and broken ones, in one file."""
    out = tmp_path_factory.mktemp("crashes")
    simulate(RECORDS, 21, "json", out, files=1, broken=0.05, duplicates=0.1)
    return file_source(out / "*.ndjson")


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """The store of a run that nothing happened to."""
    store = tmp_path_factory.mktemp("undisturbed") / "store.duckdb"
    load(config_of(store, source, slice_records=SLICE))
    return store


def assert_recovers(config, undisturbed):
    """What the killed run left is consistent, and the next run ends where an undisturbed one does."""
    store = Path(config.store.path)
    if store.exists() and rows(store, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'touchpoints'"):
        assert_balanced(store)
    assert "done" == load(config).status
    assert_same_stores(undisturbed, store)
    assert_balanced(store)
    assert 0 == one(store, "SELECT count(*) FROM runs WHERE status NOT IN ('done', 'interrupted')")
    assert not Path(f"{store}.staging").exists()


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_of_a_slice(step, killed, source, undisturbed, tmp_path):
    """Killed before a step, then after it, a run has committed its slice wholly or not at all."""
    config = config_of(tmp_path / "store.duckdb", source, slice_records=SLICE)
    read = "SELECT count(DISTINCT from_offset) FROM run_balances"
    is_committed = step == "tell"
    assert signal.SIGKILL == killed(config, f"begin {step}", nth=2)
    # what was committed stands in the log that DuckDB replays: nothing was written into the file itself yet
    assert Path(f"{config.store.path}.wal").stat().st_size > 0
    assert 1 + is_committed == one(config.store.path, read)
    assert signal.SIGKILL == killed(config, f"end {step}")
    assert 1 + 2 * is_committed == one(config.store.path, read)
    assert_recovers(config, undisturbed)


@pytest.mark.parametrize(
    ("point", "nth", "after"),
    [
        *(("start", 1, after) for after in (0.0, 0.02, 0.05)),
        *(("begin ingest", 2, after) for after in (0.02, 0.1, 0.3)),
        *(("end ledger", 2, after) for after in (0.0, 0.002, 0.005)),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_killed_at_any_time(point, nth, after, killed, source, undisturbed, tmp_path):  # noqa: PLR0917
    """Killed while the store is made, in the middle of ingest or in the commit, nothing is half done."""
    config = config_of(tmp_path / "store.duckdb", source, slice_records=SLICE)
    assert signal.SIGKILL == killed(config, point, nth=nth, after=after)
    assert_recovers(config, undisturbed)


def test_killed_while_the_log_is_replayed(killed, source, undisturbed, tmp_path):
    """A store whose log is replayed when it is opened stands being killed in that, several times."""
    config = config_of(tmp_path / "store.duckdb", source, slice_records=SLICE)
    assert signal.SIGKILL == killed(config, "begin tell", nth=2)
    for after in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05):
        assert signal.SIGKILL == killed(config, "start", after=after)
    assert_recovers(config, undisturbed)


@pytest.mark.parametrize(
    "at", [("rebuild", "begin build"), ("rebuild", "end commit"), ("apply", "end commit")]
)
def test_killed_rebuild(at, killed, source, undisturbed, tmp_path):
    """A rebuild by other rules that is killed leaves old tables and old rules, and can be done again."""
    store = tmp_path / "store.duckdb"
    command, point = at
    config = config_of(store, source, slice_records=SLICE)
    load(config)
    changed = config_of(store, source, slice_records=SLICE, journey={"gap": "2d"})
    assert signal.SIGKILL == killed(changed, point, command=command)
    assert_same_stores(undisturbed, store)
    with pytest.raises(rules.RulesChangedError):
        load(changed)
    if command == "apply":
        runs.run(changed, apply_rules=True, observer=SilentObserver(), stop=threading.Event())
    else:
        runs.rebuild(changed, observer=SilentObserver())
    fresh = config_of(tmp_path / "fresh.duckdb", source, journey={"gap": "2d"})
    load(fresh)
    assert_same_stores(Path(fresh.store.path), store)
