"""Logs, metrics and lineage of commands: what stands on stderr, and what is refused."""

import json
import re
import socket
from pathlib import Path

import pytest

from parcours.pipelines.cli.exits import EXIT_CODES
from parcours.pipelines.simulate import simulate
from stores import config_of, file_source, one, rows, write_toml


@pytest.fixture
def config(tmp_path):
    """A config whose source has broken records, and whose lineage goes to an address with a secret."""
    simulate(300, 5, "json", tmp_path / "out", files=1, broken=0.1, duplicates=0.1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = {"url": f"http://me:hunter2@127.0.0.1:{closed.getsockname()[1]}"}
        source = file_source(tmp_path / "out" / "*.ndjson")
        store = tmp_path / "store.duckdb"
        yield write_toml(config_of(store, source, lineage=where, slice_records=200), tmp_path)


def test_the_page_has_every_exit_code():
    """docs/operations.md says what each code means, in the words of ``parcours --help``."""
    page = Path(__file__).parents[3].joinpath("docs", "operations.md").read_text("utf-8")
    written = re.findall(r"^\| (\d+) \| ([^|]+) \|", page, re.MULTILINE)
    assert {str(code): meaning for code, meaning in EXIT_CODES.items()} == {
        code: meaning.replace("`", "") for code, meaning in written
    }


def events_of(ran):
    """Return the events on stderr, each line of which is one."""
    return [json.loads(line) for line in ran.err.splitlines()]


def test_a_run_logs_what_the_store_has(parcours, config):
    """Each slice with its counts, then the run with their sums; the result is for people, on stdout."""
    store = config.with_name("store.duckdb")
    ran = parcours("run", "--config", config, "--log-format", "json")
    assert 0 == ran.code
    assert ran.out.startswith("done: read 300")
    events = events_of(ran)
    assert ["run_started", "warning", "slice_committed", "slice_committed", "run_ended", "message"] == [
        event["event"] for event in events
    ]
    assert 1 == len({event["run_id"] for event in events})
    query = (
        "SELECT read::INTEGER, loaded::INTEGER, quarantined::INTEGER FROM run_balances ORDER BY from_offset"
    )
    names = ("read", "loaded", "quarantined")
    assert rows(store, query) == [tuple(event[name] for name in names) for event in events[2:4]]
    ended = events[4]
    assert ("done", 2, 300) == (ended["status"], ended["slices"], ended["read"])
    assert one(store, "SELECT sum(loaded) FROM run_balances") == ended["loaded"]
    open_ones = "SELECT count(*) FROM quarantine WHERE status = 'open'"
    assert one(store, open_ones) == sum(ended["quarantine"].values()) > 0
    assert {"plan", "ingest", "merge", "build", "ledger"} <= set(events[2]["steps"])
    assert sum(events[2]["steps"].values()) <= events[2]["seconds"]
    ids = rows(store, "SELECT event_id FROM touchpoints UNION ALL SELECT profile_id FROM profiles")
    assert not [value for (value,) in ids if value in ran.err]
    assert "hunter2" not in ran.err
    assert "did not take a lineage event" in events[1]["message"]

    both = parcours("run", "--config", config, "--log-format", "json", "--json")
    assert json.loads(both.out)["nothing_to_do"]
    assert "run_ended" == events_of(both)[-1]["event"]
    rebuilt = parcours("rebuild", "--config", config, "--log-format", "json")
    assert ("run_ended", "done") == tuple(events_of(rebuilt)[-1][key] for key in ("event", "status"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--metrics-port", "none"], 2, "none"),
        (["--config", "nowhere.toml"], 3, "nowhere.toml"),
        (["--metrics-port", "9464"], 2, "--follow"),
    ],
)
def test_an_error_that_ends_a_command_is_an_event(parcours, arguments, code, said):
    """A line as any other, with the exit code, whatever went wrong."""
    ran = parcours("run", "--log-format", "json", *arguments)
    (error,) = events_of(ran)
    assert (code, code, "error", "error") == (ran.code, error["exit_code"], error["event"], error["level"])
    assert said in error["message"]


def test_a_port_that_is_taken_is_told_before_anything_is_read(parcours, config):
    """No store is made, and the message says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = parcours("run", "--follow", "--config", config, "--metrics-port", port)
    assert 1 == ran.code
    assert f"no metrics can be served at 127.0.0.1:{port}" in ran.err
    assert "name a free port" in ran.err
    assert not config.with_name("store.duckdb").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('namespace = "x"', "needs url, file or both"),
        ('url = "ftp://marquez"', "url should be an address"),
        ('file = "x"\napi_key = "y"', "api_key is for url"),
        ('adress = "http://marquez"\nurl = "http://marquez"', "unknown key"),
    ],
)
def test_lineage_that_goes_nowhere_is_a_mistake(parcours, tmp_path, lines, said):
    """[lineage] is checked with the rest of the config."""
    (tmp_path / "parcours.toml").write_text(f"[lineage]\n{lines}\n")
    ran = parcours("config", "check")
    assert 3 == ran.code
    assert said in ran.err


def test_lineage_of_an_address_is_shown_without_its_secrets(parcours, tmp_path):
    """``config show`` hides the key, and who asks."""
    (tmp_path / "parcours.toml").write_text(
        '[lineage]\nurl = "http://me:hunter2@marquez:5000"\napi_key = "hunter3"\n'
    )
    shown = parcours("config", "show").out
    assert "marquez:5000" in shown
    assert "hunter" not in shown
