"""The slice loop around its slices: what it sweeps, when it ends, and what an error leaves behind."""

import json

import pytest

from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.rules import RulesChangedError
from parcours.pipelines.slices import SliceLoop
from parcours.pipelines.status import status_path
from parcours.pipelines.store import Store
from parcours.transforms.sources.contract import LogStoppedError
from stores import assert_balanced, config_of, file_source, load, one, rows

NAMED = {
    "event_id": "id",
    "occurred_at": "at",
    "customer_id": "who",
    "event_type": "type",
    "channel": "=site",
}
HASHED = {**NAMED, "event_id": "@hash"}


def line(number, who="ada", at="2025-06-15T12:00:00Z"):
    """One record as JSON."""
    return json.dumps({"id": f"e{number}", "at": at, "who": who, "type": "seen"}) + "\n"


@pytest.fixture
def log(tmp_path):
    """A file of ten records."""
    path = tmp_path / "in" / "log.ndjson"
    path.parent.mkdir()
    path.write_text("".join(line(n) for n in range(10)))
    return path


def test_a_staging_folder_that_others_use_is_not_swept(log, tmp_path):
    """What a killed run left is, and nothing else: the folder may be anybody's."""
    shared = tmp_path / "shared"
    (shared / "attempt-of-somebody-else").mkdir(parents=True)
    config = config_of(tmp_path / "store.duckdb", file_source(log, map=NAMED))
    config = config.model_copy(update={"store": config.store.model_copy(update={"staging": str(shared)})})
    with Store(config.store.path) as store:
        left = SliceLoop(store, config, "run", SilentObserver()).staging / "attempt-1"
    left.mkdir(parents=True)
    load(config)

    assert ["attempt-of-somebody-else"] == [path.name for path in shared.iterdir()]


def test_a_run_ends_where_the_log_ended_when_it_looked(log, tmp_path):
    """A log that others write to without end does not keep a single run from ending."""

    class Writer(SilentObserver):
        def begin(self, step):
            if step == "ingest":
                with log.open("a") as file:
                    file.write(line(10 + log.stat().st_size))

    config = config_of(tmp_path / "store.duckdb", file_source(log, map=NAMED))

    assert (1, 10) == ((result := load(config, Writer())).slices, result.read)
    assert (1, 1) == ((result := load(config)).slices, result.read)


def test_the_byte_limit_is_for_all_sources_together(log, tmp_path):
    """What one source takes of a slice's bytes is not there for the next one."""
    sources = [file_source(log, name=name, map=NAMED) for name in ("one", "two")]
    config = config_of(tmp_path / "store.duckdb", *sources)
    limit = log.stat().st_size * 3 // 2
    config = config.model_copy(update={"store": config.store.model_copy(update={"slice_bytes": limit})})
    with Store(config.store.path) as store:
        plan = SliceLoop(store, config, "run", SilentObserver()).plan()

    assert limit == sum(planned.resume["bytes"] for planned in plan.ranges)
    assert plan.more
    assert 20 == load(config).read


@pytest.mark.parametrize("to", ["earliest", "4"])
def test_equal_rows_keep_their_numbers_when_a_file_is_read_again(to, tmp_path):
    """The n-th equal row of a file is the same event from wherever the file is read again."""
    path = tmp_path / "log.ndjson"
    path.write_text(line(1) * 8)
    config = config_of(tmp_path / "store.duckdb", file_source(path, map=HASHED), slice_records=3)
    load(config)
    runs.rewind(config, "files", to)
    again = load(config)

    assert (0, 8) == (again.loaded, one(config.store.path, "SELECT count(*) FROM touchpoints"))
    assert_balanced(config.store.path)


def test_a_record_rejected_again_shows_the_bytes_that_were_read_last(log, tmp_path):
    """In a file that was replaced another record stands at its place: bytes and reason belong together."""
    log.write_text("not json\n")
    config = config_of(tmp_path / "store.duckdb", file_source(log, map=NAMED, on_replaced="reload"))
    load(config)
    log.write_text(line(1, at="1066-10-14T00:00:00Z"))
    load(config)

    found = rows(config.store.path, "SELECT decode(raw), reason, attempts FROM quarantine")
    assert [(log.read_text().strip(), "invalid_time", 2)] == found


def test_a_run_that_fails_after_a_commit_is_interrupted(log, tmp_path):
    """It does not look as if it was still running, neither in the ledger nor in the status file."""

    class Replacer(SilentObserver):
        def slice_done(self, summary):
            log.write_text("another file\n" * 100)

    config = config_of(tmp_path / "store.duckdb", file_source(log, map=NAMED), slice_records=5)
    with pytest.raises(LogStoppedError):
        load(config, Replacer())

    assert "interrupted" == one(config.store.path, "SELECT status FROM runs")
    assert (
        "interrupted" == json.loads(status_path(tmp_path / "store.duckdb").read_text())["runs"][0]["status"]
    )


def test_a_status_file_that_cannot_be_written_fails_no_load(log, tmp_path):
    """The slice is committed by then: it is neither tried again nor called a failure."""
    store = tmp_path / "store.duckdb"
    status_path(store).mkdir()
    result = load(config_of(store, file_source(log, map=NAMED)))

    assert ("done", 1, 10) == (result.status, result.slices, result.loaded)
    assert any("status" in warning for warning in result.warnings)


def test_rules_may_change_while_nothing_is_loaded(log, tmp_path):
    """A first run that fails binds nobody to the rules that it had."""
    store = tmp_path / "store.duckdb"
    with Store(store) as opened:
        SliceLoop(opened, config_of(store), "run", SilentObserver()).prepare()
    other = {"journey": {"unit": "contract"}}
    load(config_of(store, file_source(log, map=NAMED), **other))

    with pytest.raises(RulesChangedError, match="journey"):
        load(config_of(store, file_source(log, map=NAMED)))


def test_a_slice_that_is_mostly_rejected_is_warned_of(tmp_path):
    """Records that nearly all fail are most often read with the wrong format or mapping: the run says so."""
    (tmp_path / "in.ndjson").write_text('{"event_id": "a"}\n' * 3)
    result = load(config_of(tmp_path / "store.duckdb", file_source(tmp_path / "in.ndjson")))
    assert result.quarantined == 3
    assert any("3 of 3 records of this slice were rejected" in warning for warning in result.warnings)
