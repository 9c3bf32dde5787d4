"""The structured log: events as JSON, one a line."""

import io
import json
from datetime import datetime

from parcours.pipelines.log import JsonLog, JsonObserver
from parcours.pipelines.observe import Observers, PlainObserver, SilentObserver, observer_for
from parcours.pipelines.secrets import Secrets

SECRET = 'hunt"er2'


def logged(*calls):
    """Return what observers log that are told these things: a method's name and what it is given."""
    file, secrets = io.StringIO(), Secrets()
    secrets.add([SECRET])
    observer = observer_for(str, quiet=True, log=JsonLog(secrets.mask, file))
    for name, *given in calls:
        getattr(observer, name)(*given)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def counts(read, loaded):
    """Return a slice's counts."""
    rest = {"duplicate": 0, "quarantined": read - loaded, "suppressed": 0, "demoted": 0}
    return {"read": read, "loaded": loaded, **rest}


def test_an_event_is_one_line_with_time_level_and_run():
    """Times are UTC to the millisecond; the run stands in each line from its beginning on."""
    before, begun, warning = logged(
        ("warn", "early"),
        ("told", "run_started", {"run_id": "R", "command": "run"}),
        ("warn", "two\nlines"),
    )
    assert ("warning", "warning", "early") == (before["level"], before["event"], before["message"])
    assert "run_id" not in before
    assert ("info", "run_started", "R", "run") == tuple(
        begun[key] for key in ("level", "event", "run_id", "command")
    )
    assert ("R", "two\nlines") == (warning["run_id"], warning["message"])
    assert begun["at"].endswith("Z")
    assert len("2026-01-01T00:00:00.000Z") == len(begun["at"])
    assert datetime.fromisoformat(begun["at"]).tzinfo


def test_a_slice_has_counts_by_source_and_seconds_by_step():
    """Topics of one source are one source; paths of files that were built are no part of a log."""
    balances = [
        {"source": "shop", "topic": "a", **counts(3, 2)},
        {"source": "shop", "topic": "b", **counts(4, 4)},
        {"source": "crm", "topic": "c", **counts(1, 0)},
    ]
    summary = {**counts(8, 6), "slices": 1, "seconds": 1.5, "steps": {"ingest": 1.2}, "balances": balances}
    (slice_,) = logged(("slice_done", {**summary, "files": {"journeys": [object()]}}))
    assert "slice_committed" == slice_["event"]
    assert {"shop": counts(7, 6), "crm": counts(1, 0)} == slice_["sources"]
    assert (8, 1.5, {"ingest": 1.2}) == (slice_["read"], slice_["seconds"], slice_["steps"])
    assert not {"balances", "files"} & set(slice_)


def test_a_check_logs_the_broken_rules():
    """Of rules that hold, their number is enough."""
    held = {"rule": "a", "relation": "touchpoints", "passed": True, "failed": 0}
    broken = {**held, "rule": "b", "passed": False, "failed": 2}
    fields = {"run_id": "R", "state": "held", "since": datetime(2026, 1, 2), "findings": [held, broken]}
    (check,) = logged(("told", "check", fields))
    assert [broken] == check["broken"]
    assert (2, "held", "2026-01-02T00:00:00.000Z") == (check["rules"], check["state"], check["since"])


def test_secrets_are_masked_wherever_they_stand():
    """A secret is found before a quote in it is written as JSON writes quotes."""
    lines = logged(("warn", f"no {SECRET}"), ("told", "published", {"path": [f"x{SECRET}"]}))
    assert ["no ****", ["x****"]] == [lines[0]["message"], lines[1]["path"]]
    assert "hunt" not in json.dumps(lines)


def test_progress_is_rare(monkeypatch):
    """It does not flood the log, and says of which step."""
    calls = [("begin", "ingest"), *(("progress", done, 1_000) for done in range(1_000))]
    assert [] == logged(*calls)
    monkeypatch.setattr(PlainObserver, "EVERY_SECONDS", 0)
    (progress,) = logged(*calls[:2])
    assert ("progress", "ingest", 0, 1_000) == tuple(
        progress[key] for key in ("event", "step", "done", "total")
    )


def test_a_run_that_fails_is_an_error():
    """Whoever looks for errors finds it by its level."""
    (failed,) = logged(("told", "run_failed", {"run_id": "R", "error": "LogStoppedError", "message": "gap"}))
    assert ("error", "LogStoppedError") == (failed["level"], failed["error"])


def test_several_observers_hear_all_of_it():
    """What one observer is told, each is told: the protocol has no call that is lost on the way."""
    heard = []

    class Listener(SilentObserver):
        def __getattribute__(self, name):
            heard.append((self, name))
            return super().__getattribute__(name)

    both = Listener(), Listener()
    calls = [name for name in vars(SilentObserver) if not name.startswith("_")]
    given = {
        "begin": 1,
        "end": 1,
        "warn": 1,
        "slice_done": 1,
        "planned": 1,
        "look": 1,
        "progress": 2,
        "told": 2,
    }
    assert sorted(given) == sorted(calls)
    for name in calls:
        heard.clear()
        getattr(Observers(*both), name)(*["x"] * (1 + (name in ("progress", "told"))))
        assert [(observer, name) for observer in both] == heard


def test_a_log_is_kept_where_a_program_reads_the_result():
    """``--json`` silences what is for people; a structured log that was asked for is written."""
    log = JsonLog(str, io.StringIO())
    assert isinstance(observer_for(str, quiet=True, log=log), JsonObserver)
