"""The gate: what checks find decides what may be published, and those who asked are told of changes."""

import json
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from killing import KilledRuns

from parcours.pipelines import checks, publication, runs
from parcours.pipelines.derived import make_derived
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate
from parcours.pipelines.status import read_status
from parcours.pipelines.store import Store
from stores import config_of, file_source, load, one, rows

CHECKED = {"figures": []}
"""A gate as by default, but that no figure is computed for it."""


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file of records that are all right."""
    folder = tmp_path_factory.mktemp("good")
    simulate(300, 31, "json", folder, files=1, broken=0, duplicates=0)
    (file,) = folder.glob("*.ndjson")
    return file


@pytest.fixture
def log(tmp_path, good):
    """A folder that sources read, with the good file in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndjson").write_bytes(good.read_bytes())
    return tmp_path / "in"


def configured(log, gate=CHECKED, **tables):
    """A config of the folder, whose notices are lines of a file."""
    source = {"expected_every": None, **tables.pop("source", {})}
    append = f"cat >> '{log.parent}/notices'; echo >> '{log.parent}/notices'"
    tables = {"notify": {"command": ["sh", "-c", append]}, **tables}
    return config_of(
        log.parent / "store.duckdb", file_source(log / "*.ndjson", **source), gate=gate, **tables
    )


def notices(log):
    """The notices that were told."""
    file = log.parent / "notices"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def broken_rules(check):
    """The names of the broken rules that hold."""
    return [found.rule.name for found in check.broken if found.rule.severity == "stop"]


def change(config, statement):
    """Change a closed store by SQL."""
    with Store(config.store.path) as store:
        store.connection.execute(statement)


def write_unreadable(log, records):
    """Put a file of broken records beside the good one."""
    (log / "b.ndjson").write_text('{"event_id": \n' * records)


def test_a_bad_slice_is_held_back_until_it_is_put_right(log):
    """The store keeps what the published copy does not get; the gate opens after the fix; both are told."""
    config = configured(log, publish={"after_check": True})
    first = load(config)
    assert ("done", "open") == (first.status, first.gate.state)
    link = publication.link_of(config)
    assert link.name == "store.published.duckdb"
    count = "SELECT count(*) FROM touchpoints"
    good = one(link, count)
    assert (300, first.published) == (good, str(link.readlink()))

    simulate(120, 32, "json", log / "more", files=1, broken=0, duplicates=0)
    next((log / "more").glob("*.ndjson")).rename(log / "c.ndjson")
    write_unreadable(log, 150)
    with duckdb.connect(str(link), read_only=True) as reader:  # a tool that has the copy open all the while
        second = load(config)
        assert ("held", "held", None) == (second.status, second.gate.state, second.published)
        assert good == reader.execute(count).fetchone()[0]
    (reason,) = second.gate.reasons
    assert reason.startswith("quarantine.share")
    assert (420, good) == (one(config.store.path, count), one(link, count))

    held = publication.publish_now(config, SilentObserver())
    assert (None, "held", second.gate.since) == (held.copy, held.gate.state, held.gate.since)
    assert held.gate.decided_at > held.gate.since
    assert read_status(Path(config.store.path))["gate"]["reasons"] == [reason]

    change(config, "UPDATE quarantine SET status = 'discarded'")
    released = publication.publish_now(config, SilentObserver())
    assert ("open", 420) == (released.gate.state, one(link, count))
    assert released.gate.since == released.gate.decided_at
    told = notices(log)
    assert ["held", "released"] == [notice["event"] for notice in told]
    assert [{"rule": reason.partition(":")[0], "failed": 1}] == told[0]["reasons"]
    assert {"event", "store", "at", "run_id", "reasons"} == set(told[0])
    assert ("store.duckdb", second.run_id) == (told[0]["store"], told[0]["run_id"])
    gates = rows(config.store.path, "SELECT state FROM gate ORDER BY decided_at")
    assert [("open",), ("held",), ("held",), ("open",)] == gates
    assert 2 == one(config.store.path, "SELECT count(*) FROM publications")


def test_what_holds_besides_rejected_records(log):
    """A balance that does not close, and an event far past the rest: each holds, and is named."""
    config = configured(log, gate={**CHECKED, "at_end": False})
    load(config)
    change(config, "UPDATE run_balances SET loaded = loaded + 1, duplicate = duplicate - 1")
    change(
        config,
        "UPDATE touchpoints SET occurred_at = '2026-06-01'"
        " WHERE event_id = (SELECT max(event_id) FROM touchpoints)",
    )
    found = checks_of(config)
    assert "touchpoints.not_far_past_the_rest" in broken_rules(found)
    assert any("balance" in name for name in broken_rules(found)), broken_rules(found)
    kept = rows(
        config.store.path,
        "SELECT rule, failed, sample FROM quality_results WHERE NOT passed AND severity = 'stop' ORDER BY 1",
    )
    assert sorted(broken_rules(found)) == [rule for rule, _, _ in kept]
    far = next(row for row in kept if row[0] == "touchpoints.not_far_past_the_rest")
    assert (1, [one(config.store.path, "SELECT max(event_id) FROM touchpoints")]) == far[1:]
    patient = config.model_copy(update={"gate": config.gate.model_copy(update={"far_past": timedelta(400)})})
    assert "touchpoints.not_far_past_the_rest" not in broken_rules(checks_of(patient))


def checks_of(config):
    """Check a store now."""
    return publication.check_now(config, SilentObserver())


def test_a_check_is_due_where_something_changed(log):
    """New data, other rules or views, a decision about the quarantine: each is checked once, none twice."""
    config = configured(log, gate={**CHECKED, "at_end": False})
    load(config)
    stop = {"on": "touchpoints", "kind": "in_set", "column": "channel", "values": ["x"], "severity": "stop"}
    other = config.model_copy(update={"rule": config_of(log, rule={"only": stop}).rule})
    with Store(config.store.path) as store:
        connection = store.connection
        assert checks.is_due(store, config)
        assert [] == broken_rules(
            checks.check(store, config, "one", observer=SilentObserver(), warn=pytest.fail)
        )
        assert not checks.is_due(store, config)
        assert checks.is_due(store, other)
        loyal = config_of(log, segment={"loyal": {"over": "profiles", "where": "journeys > 2"}})
        make_derived(store, loyal)
        assert checks.is_due(store, config)
        make_derived(store, config)
        assert not checks.is_due(store, config)
        connection.execute("INSERT INTO runs SELECT run_id || 'x', * EXCLUDE run_id FROM runs")
        assert checks.is_due(store, config)
    nothing_new = load(config.model_copy(update={"gate": configured(log).gate}))
    assert (True, "open") == (nothing_new.nothing_to_do, nothing_new.gate.state)
    before = one(config.store.path, "SELECT count(*) FROM gate")
    assert load(config.model_copy(update={"gate": configured(log).gate})).gate == nothing_new.gate
    assert before == one(config.store.path, "SELECT count(*) FROM gate")


def test_a_check_that_fails_holds_and_loses_nothing(log):
    """Where results cannot be kept, what was loaded stands, publication is held, and the next run checks."""
    config = configured(log)
    folder = checks.quality_folder(Path(config.store.path))
    folder.write_text("a file where a folder should be")
    result = load(config)
    assert ("held", 300) == (result.status, result.loaded)
    assert ["check.failed: NotADirectoryError"] == [text.partition(",")[0] for text in result.gate.reasons]
    assert any("the check failed, so publication is held" in text for text in result.warnings)
    assert ["failed", "held"] == [notice["event"] for notice in notices(log)]
    assert ("NotADirectoryError", []) == (notices(log)[0]["error"], notices(log)[1]["reasons"])
    folder.unlink()
    again = load(config)
    assert (True, "done", "open") == (again.nothing_to_do, again.status, again.gate.state)
    assert "released" == notices(log)[-1]["event"]


def test_a_late_source_is_told_once(log):
    """A source that has not delivered for longer than it should is a warning, told when it becomes late."""
    config = configured(log, gate={**CHECKED, "at_end": False}, source={"expected_every": "1d"})
    load(config)
    change(config, "UPDATE run_balances SET committed_at = committed_at - INTERVAL 3 DAY")
    for _ in range(2):
        found = checks_of(config)
        assert ["source.files.late"] == [each.rule.name for each in found.broken]
        assert "open" == found.gate.state
    assert [("late", [{"rule": "source.files.late", "failed": 1}])] == [
        (notice["event"], notice["reasons"]) for notice in notices(log)
    ]


def test_a_failed_run_is_told(log):
    """A run that fails is told with the kind of its error and nothing of the data."""
    config = configured(log)
    (log / "a.ndjson").unlink()
    missing = config_of(
        config.store.path, file_source(log / "none" / "x.ndjson"), notify=config.notify.model_dump()
    )
    with pytest.raises(Exception, match=r"x\.ndjson"):
        load(missing)
    (told,) = notices(log)
    assert ("failed", []) == (told["event"], told["reasons"])
    assert told["error"].endswith("Error")


def test_killed_while_it_publishes(log):
    """Killed anywhere in it, the old copy is what readers open; the next copy sweeps what was left."""
    config = configured(log, gate={**CHECKED, "at_end": False})
    load(config)
    first = publication.publish_now(config, SilentObserver()).copy
    link = publication.link_of(config)
    killed = KilledRuns()
    try:
        for after in (None, 0.01, 0.03, 0.06, 0.1):
            assert signal.SIGKILL == killed(config, "begin publish", after=after, command="publish")
            assert 300 == one(link, "SELECT count(*) FROM touchpoints")
            assert sum(path.suffix == ".duckdb" for path in log.parent.glob("store.published-*")) <= 2
        assert 0 == killed(config, None, command="publish")
    finally:
        killed.close()
    last = link.resolve()
    assert last.name > first.file.name
    assert {first.file.name, last.name} >= {path.name for path in log.parent.glob("store.published-*")}
    assert 300 == one(config.store.path, "SELECT touchpoints FROM publications ORDER BY published_at DESC")


def wait_for(seen, seconds=60):
    """Wait until something is to be seen."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_following_checks_every_so_often(log):
    """A run that follows publishes what is right, holds what is not, and tells so all the while."""
    config = configured(log, gate={**CHECKED, "every": "1s"}, publish={"after_check": True})
    stop, results = threading.Event(), []
    following = threading.Thread(
        target=lambda: results.append(runs.run(config, follow=True, observer=SilentObserver(), stop=stop))
    )
    following.start()
    try:
        link = publication.link_of(config)
        wait_for(link.exists)
        write_unreadable(log, 150)

        def state():
            gate = (read_status(Path(config.store.path)) or {}).get("gate")
            return gate and gate["state"]

        wait_for(lambda: state() == "held")
        assert 300 == one(link, "SELECT count(*) FROM touchpoints")
    finally:
        stop.set()
        following.join()
    (result,) = results
    assert ("interrupted", "held") == (result.status, result.gate.state)
    assert ["held"] == [notice["event"] for notice in notices(log)]
    assert 1 == one(config.store.path, "SELECT count(*) FROM publications")
    assert 0 == one(
        config.store.path,
        "SELECT count(*) FROM (SELECT rule FROM quality_results WHERE passed AND relation <> 'slice'"
        " GROUP BY run_id, rule HAVING count(*) > 1)",
    )
