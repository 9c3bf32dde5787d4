"""OpenLineage events of a run: to a real address and a file, valid, with counts, and never in the way."""

import json
import socket
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest
from openlineage_schema import assert_valid

from parcours.pipelines import lineage, runs
from parcours.pipelines.lineage import Lineage
from parcours.pipelines.secrets import Secrets
from parcours.pipelines.simulate import simulate
from parcours.transforms.sources.contract import LogStoppedError
from stores import config_of, file_source, load, one, rows, topic_source

RECORDS = 400


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Records of which some are rejected."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(RECORDS, 11, "json", folder, files=1, broken=0.1, duplicates=0.1)
    return folder


@pytest.fixture
def receiver():
    """A server that keeps what is posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.taken.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(server.answer)
            self.end_headers()

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.taken, server.answer = [], 201
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def watched(config):
    """Return an observer of a config's lineage, and the warnings that it gives."""
    warnings, secrets = [], Secrets()
    secrets.add(["hunter2"])
    return Lineage(config, secrets.mask, warnings.append), warnings


def test_a_run_tells_what_it_read_and_wrote(out, receiver, tmp_path, monkeypatch):
    """START, then COMPLETE with the rows of each data set, as the store has them; to both places alike."""
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    file, store = tmp_path / "events.ndjson", tmp_path / "store.duckdb"
    where = {
        "url": f"http://me:hunter2@127.0.0.1:{receiver.server_port}",
        "file": str(file),
        "namespace": "shop",
    }
    config = config_of(store, file_source(out / "*.ndjson"), lineage=where, slice_records=150)
    observer, warnings = watched(config)
    result = load(config, observer)

    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [event for _, _, event in receiver.taken] == events
    assert {"/api/v1/lineage"} == {path for path, _, _ in receiver.taken}
    assert all(headers["Authorization"].startswith("Basic ") for _, headers, _ in receiver.taken)
    for event in events:
        assert_valid(event)
    begun, ended = events
    assert ("START", "COMPLETE") == (begun["eventType"], ended["eventType"])
    assert begun["eventTime"] < ended["eventTime"]
    assert begun["run"]["runId"] == ended["run"]["runId"]
    assert ("shop", "parcours.run") == (ended["job"]["namespace"], ended["job"]["name"])
    assert [{"key": "run_id", "value": result.run_id, "source": "parcours"}] == ended["run"]["facets"][
        "tags"
    ]["tags"]
    read = {
        (item["namespace"], item["name"]): item["inputFacets"]["inputStatistics"]["rowCount"]
        for item in ended["inputs"]
    }
    assert {("file", str(out / "*.ndjson")): RECORDS} == read
    written = {
        item["name"]: item["outputFacets"]["outputStatistics"]["rowCount"]
        for item in ended["outputs"]
        if item["outputFacets"]
    }
    assert {"contracts", "identity_links"} <= {item["name"] for item in ended["outputs"]} - set(written)
    assert {f"duckdb://{store}"} == {item["namespace"] for item in ended["outputs"]}
    assert one(store, "SELECT sum(loaded) FROM run_balances") == written["touchpoints"]
    assert one(store, "SELECT sum(quarantined) FROM run_balances") == written["quarantine"] > 0
    assert one(store, "SELECT count(*) FROM journeys") <= written["journeys"]
    assert [] == warnings
    assert "hunter2" not in file.read_text()
    ids = rows(store, "SELECT event_id FROM touchpoints UNION ALL SELECT profile_id FROM profiles")
    assert not [value for (value,) in ids if value in file.read_text()]


def test_topics_are_named_as_the_standard_has_them(tmp_path):
    """A topic is of its brokers; each is there from the START on."""
    file = tmp_path / "events.ndjson"
    source = topic_source("kafka-1:9092,kafka-2:9092", "orders")
    observer, _ = watched(config_of(tmp_path / "s.duckdb", source, lineage={"file": str(file)}))
    observer.told("run_started", {"run_id": "R", "command": "follow"})
    event = json.loads(file.read_text())
    assert_valid(event)
    assert [("kafka://kafka-1:9092", "orders")] == [(i["namespace"], i["name"]) for i in event["inputs"]]
    assert "parcours.run" == event["job"]["name"]


def test_a_run_that_goes_on_tells_so_far(out, tmp_path, monkeypatch):
    """Now and then a RUNNING has the counts until then: a run that follows ends once in months."""
    monkeypatch.setattr(lineage, "RUNNING_SECONDS", 0)
    file = tmp_path / "events.ndjson"
    source = file_source(out / "*.ndjson")
    config = config_of(
        tmp_path / "store.duckdb", source, lineage={"file": str(file)}, slice_records=RECORDS // 2
    )
    load(config, watched(config)[0])
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for event in events:
        assert_valid(event)
    assert ["START", "RUNNING", "RUNNING", "COMPLETE"] == [event["eventType"] for event in events]
    read = [event["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] for event in events[1:]]
    assert 0 < read[0] < read[1] == read[2] == RECORDS


def test_a_run_that_fails_says_so(out, tmp_path):
    """The last event is a FAIL with the error, when it is one that quotes no record."""
    log, file = tmp_path / "log.ndjson", tmp_path / "events.ndjson"
    log.write_bytes((out / "touchpoints-0000.ndjson").read_bytes())
    config = config_of(tmp_path / "store.duckdb", file_source(log), lineage={"file": str(file)})
    load(config)
    log.write_text("another file\n")
    observer, _ = watched(config)
    with pytest.raises(LogStoppedError):
        load(config, observer)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for event in events:
        assert_valid(event)
    assert ["START", "FAIL"] == [event["eventType"] for event in events]
    told = events[-1]["run"]["facets"]["errorMessage"]
    assert told["message"].startswith("LogStoppedError: source")
    assert "Python" == told["programmingLanguage"]


def test_an_interrupted_run_is_aborted(out, tmp_path):
    """What was stopped is told as ABORT."""
    file, stop = tmp_path / "events.ndjson", threading.Event()
    config = config_of(tmp_path / "s.duckdb", file_source(out / "*.ndjson"), lineage={"file": str(file)})
    stop.set()
    runs.run(config, observer=watched(config)[0], stop=stop)
    assert ["START", "ABORT"] == [json.loads(line)["eventType"] for line in file.read_text().splitlines()]


def test_a_check_tells_its_findings(tmp_path):
    """A check is a run of its own that read the tables, each with the results of its rules."""
    file = tmp_path / "events.ndjson"
    config = config_of(tmp_path / "s.duckdb", lineage={"file": str(file)})
    finding = {"rule": "touchpoints.id_unique", "relation": "touchpoints", "column": "event_id"}
    finding |= {"severity": "stop", "passed": False, "failed": 2, "observed": "2 rows", "expected": "0 rows"}
    other = {**finding, "rule": "lag", "column": None, "severity": "warn", "passed": True}
    fields = {"run_id": "R", "state": "held", "since": datetime.now(UTC), "findings": [finding, other]}
    observer, _ = watched(config)
    observer.told("check", fields)
    observer.told("check", fields)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for event in events:
        assert_valid(event)
    assert ["START", "COMPLETE"] * 2 == [event["eventType"] for event in events]
    assert 2 == len({event["run"]["runId"] for event in events})
    assert "parcours.check" == events[1]["job"]["name"]
    (table,) = events[1]["inputs"]
    assert "touchpoints" == table["name"]
    failed, held = table["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert ("touchpoints.id_unique", False, "event_id", "error", "2 rows") == tuple(
        failed[key] for key in ("assertion", "success", "column", "severity", "actual")
    )
    assert ("lag", True, "warn") == tuple(held[key] for key in ("assertion", "success", "severity"))
    assert "column" not in held


@pytest.mark.parametrize("fault", ["closed", "silent", "refusing", "no such folder"])
def test_what_takes_no_events_stops_nothing(receiver, tmp_path, monkeypatch, fault):
    """A dead address, one that never answers, one that refuses, a file that cannot be: one warning each."""
    monkeypatch.setattr(lineage, "SECONDS", 0.2)
    receiver.answer = 403
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = {
            "closed": {"url": f"http://me:hunter2@127.0.0.1:{closed.getsockname()[1]}/in?token=hunter2"},
            "silent": {"url": f"http://127.0.0.1:{silent.getsockname()[1]}", "api_key": "hunter2"},
            "refusing": {"url": f"http://127.0.0.1:{receiver.server_port}/in?x=1", "api_key": "hunter2"},
            "no such folder": {"file": str(tmp_path / "none" / "events.ndjson")},
        }[fault]
        config = config_of(tmp_path / "s.duckdb", lineage=where)
        observer, warnings = watched(config)
        began = time.monotonic()
        observer.told("run_started", {"run_id": "R", "command": "run"})
        observer.told("run_ended", {"status": "done"})
        assert time.monotonic() - began < 5
    (warning,) = warnings
    said = {
        "closed": "ConnectionError",
        "silent": "did not take a lineage event",
        "refusing": "it answered 403",
        "no such folder": "FileNotFoundError",
    }
    assert said[fault] in warning
    assert "hunter2" not in warning
    if fault == "refusing":
        path, headers, _ = receiver.taken[0]
        assert ("/in?x=1", "Bearer hunter2") == (path, headers["Authorization"])


def test_the_schema_finds_what_is_wrong(tmp_path):
    """The specification that events are held against refuses what it must."""
    file = tmp_path / "events.ndjson"
    observer, _ = watched(config_of(tmp_path / "s.duckdb", lineage={"file": str(file)}))
    observer.told("run_started", {"run_id": "R", "command": "rebuild"})
    event = json.loads(file.read_text())
    assert_valid(event)
    for wrong in (
        {"eventType": "BEGIN"},
        {"eventTime": "2026-01-01T00:00:00"},
        {"run": {**event["run"], "runId": "R"}},
        {"producer": "parcours"},
        {"job": {"name": "x"}},
        {"inputs": [{"name": "x", "namespace": "y", "inputFacets": {"made_up": {}}}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            assert_valid({**event, **wrong})
