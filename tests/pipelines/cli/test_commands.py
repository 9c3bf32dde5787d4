"""The commands on real files and a real store: from ``init`` to ``query``, and every exit code on the way."""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.store import Store

EVENTS = 3_000


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a config, simulated files, and a store that holds them: made by the commands alone."""
    folder = tmp_path_factory.mktemp("project")
    before = os.getcwd()  # noqa: PTH109, the fixture is older than monkeypatch's scope
    os.chdir(folder)
    try:
        assert run_guarded(root, ["init"]) == 0
        simulate = [
            "simulate",
            "--events",
            str(EVENTS),
            "--seed",
            "7",
            "--format",
            "json",
            "--out",
            "touchpoints",
        ]
        assert run_guarded(root, simulate) == 0
        with Path("parcours.toml").open("a") as config:
            config.write("\n[gate]\nat_end = false\n")
        assert run_guarded(root, ["run"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def manifest(project):
    """What the simulator planted."""
    return json.loads((project / "touchpoints" / "manifest.json").read_text())


def test_the_first_run_loads_what_was_simulated(parcours, project, manifest):
    """``init``, ``simulate`` and ``run`` after one another load every good event, once."""
    ran = parcours("query", "SELECT count(*) AS n FROM touchpoints", "--format", "json", cwd=project)
    assert json.loads(ran.out) == [{"n": manifest["events"]}]


def test_a_run_without_anything_new(parcours, project):
    """Nothing to do is success, or 10 where a program asks for it."""
    ran = parcours("run", cwd=project)
    assert (ran.code, ran.out) == (0, "nothing to do: everything there is was read before\n")
    ran = parcours("run", "--exit-nothing", "--json")
    assert ran.code == 10
    told = json.loads(ran.out)
    assert told["nothing_to_do"] is True
    assert told["exit_code"] == 10
    assert ran.err == ""


def test_query_writes_tables_csv_and_json(parcours, project, manifest):
    """The same rows in three forms; SQL that is wrong is one message and 1."""
    sql = "SELECT channel, count(*) AS n, sum(value) AS v FROM touchpoints GROUP BY ALL ORDER BY channel"
    table = parcours("query", sql, cwd=project).out
    rows = list(csv.DictReader(io.StringIO(parcours("query", sql, "--format", "csv").out)))
    objects = json.loads(parcours("query", sql, "--format", "json").out)
    assert {row["channel"]: int(row["n"]) for row in rows} == manifest["by_channel"]
    assert {entry["channel"]: entry["n"] for entry in objects} == manifest["by_channel"]
    assert all(channel in table for channel in manifest["by_channel"])
    assert json.loads(parcours("query", "FROM touchpoints WHERE false", "--format", "json").out) == []
    wrong = parcours("query", "SELECT nope FROM touchpoints")
    assert wrong.code == 1
    assert "nope" in wrong.err
    assert "Traceback" not in wrong.err


@pytest.mark.parametrize("sql", ["", "/* a note */"])
def test_a_query_without_a_statement_says_so(parcours, project, sql):
    """A text that holds no statement is a wrong command line, and says what to write."""
    ran = parcours("query", sql, cwd=project)
    assert ran.code == 2
    assert "no statement" in ran.err


def test_a_table_cannot_steer_the_terminal(parcours, project):
    """Control characters of a record are shown as they are written in a program; lines and accents stay."""
    ran = parcours("query", r"SELECT e'\x1b]0;name\x07é\nline' AS v", cwd=project)
    assert ran.code == 0
    assert r"\x1b]0;name\x07é" in ran.out
    assert "\x1b" not in ran.out
    assert "line" in [line.strip() for line in ran.out.splitlines()]


def test_query_changes_nothing(parcours, project, manifest):
    """Writing SQL is refused."""
    assert parcours("query", "DELETE FROM touchpoints", cwd=project).code == 1
    count = parcours("query", "SELECT count(*) AS n FROM touchpoints", "--format", "csv").out
    assert count == f"n\n{manifest['events']}\n"


def test_status_tells_offsets_balances_and_quarantine(parcours, project, manifest):
    """Every record that was read stands in the balances, every broken one in the quarantine, by reason."""
    told = json.loads(parcours("status", "--json", cwd=project).out)
    balances = told["balances"]
    assert sum(row["read"] for row in balances) == EVENTS
    assert sum(offset["next_offset"] for offset in told["offsets"]) == EVENTS
    assert all(offset["lag"] == 0 for offset in told["offsets"])
    conflicts = {"conflicting_duplicate": manifest["conflicting_duplicates"]}
    assert told["quarantine"] == {**manifest["broken_by_reason"], **{k: v for k, v in conflicts.items() if v}}
    shown = parcours("status").out
    for word in ("Last runs", "Offsets", "Balances", "In quarantine", *told["quarantine"]):
        assert word in shown


def test_inspect_shows_records_and_what_is_not_mapped(parcours, project):
    """``inspect`` shows raw beside touchpoint, rejects by reason, unknown words, and a block that loads."""
    (project / "other.toml").write_text(
        '[[source]]\nname = "demo"\nkind = "file"\nformat = "json"\n'
        'path = "touchpoints/touchpoints-*.ndjson"\n'
    )
    store = project / "parcours.duckdb"
    before = store.stat().st_mtime_ns
    ran = parcours("inspect", "demo", "-n", "400", "-c", "other.toml", "--json", cwd=project)
    told = json.loads(ran.out)
    assert told["read"] == 400
    assert told["valid"] + sum(reject["count"] for reject in told["rejects"].values()) == 400
    sample = told["samples"][0]
    assert json.loads(sample["raw"])["event_id"] == sample["became"]["event_id"]
    assert sum(told["unmapped_channels"].values()) == told["valid"]
    (project / "pasted.toml").write_text(told["config"])
    assert parcours("config", "check", "-c", "pasted.toml").code == 0
    again = json.loads(parcours("inspect", "demo", "-n", "400", "-c", "pasted.toml", "--json").out)
    assert again["unmapped_channels"] == {}
    shown = parcours("inspect", "demo", "-n", "400", "-c", "other.toml").out
    for word in (sample["became"]["event_id"], "Rejected", "[[source]]", *told["rejects"]):
        assert word in shown
    assert store.stat().st_mtime_ns == before


def test_inspect_of_a_foreign_file_says_what_its_mapping_lacks(parcours, tmp_path):
    """A CSV of other people's columns: the fields it lacks are named, with the nearest column of its own."""
    (tmp_path / "shop.csv").write_text("user_id;time;event;chanel\n42;2026-01-05T10:00:00Z;quote;web\n")
    flags = ("--format", "csv", "--delimiter", ";", "--map", "event_id=@hash", "--map", "customer_id=user_id")
    told = json.loads(parcours("inspect", "shop.csv", *flags, "--json").out)
    assert (told["read"], told["valid"]) == (1, 0)
    assert '# channel = "chanel"' in told["config"]
    assert 'customer_id = "user_id"' in told["config"]
    more = (*flags, "--map", "occurred_at=time", "--map", "event_type=event", "--map", "channel=chanel")
    told = json.loads(parcours("inspect", "shop.csv", *more, "--json").out)
    assert told["valid"] == 1
    assert told["samples"][0]["became"]["customer_id"] == "42"
    assert told["unmapped_event_types"] == {"quote": 1}


def test_inspect_of_an_unknown_source(parcours, project):
    """A source that is not in the config is a usage error that names the near one."""
    ran = parcours("inspect", "dmo", cwd=project)
    assert ran.code == 2
    assert '"demo"' in ran.err
    (project / "folder").mkdir()
    assert "is a folder" in parcours("inspect", "folder").err


def test_run_without_a_config(parcours, tmp_path):
    """One file, described by flags, becomes a store; running again finds nothing new."""
    (tmp_path / "shop.csv").write_text(
        "user_id;time;event\n42;2026-01-05T10:00:00Z;quote\n42;2026-01-06T10:00:00Z;sale\n;2026-01-06T11:00:00Z;sale\n"
    )
    flags = ("--source", "shop.csv", "--format", "csv", "--delimiter", ";", "--database", "shop.duckdb")
    maps = ("event_id=@hash", "customer_id=user_id", "occurred_at=time", "event_type=event", "channel==web")
    command = ("run", *flags, *(part for text in maps for part in ("--map", text)))
    first = parcours(*command)
    assert "read 3 = loaded 2 + duplicate 0 + quarantined 1 " in first.out
    assert "why: parcours quarantine summary --database shop.duckdb" in first.err
    assert parcours(*command, "--exit-nothing").code == 10
    rows = parcours(
        "query",
        "FROM journeys SELECT profile_id, touchpoints",
        "--database",
        "shop.duckdb",
        "--format",
        "csv",
    )
    assert rows.out == "profile_id,touchpoints\n42,2\n"


def test_flags_without_a_file_are_a_usage_error(parcours):
    """``--map`` without ``--source``, and nothing at all to read, say what is missing."""
    assert "--source" in parcours("run", "--map", "channel==web").err
    ran = parcours("run")
    assert ran.code == 2
    assert "parcours init" in ran.err


def test_a_wrong_mapping_is_a_mistake_of_the_command_line(parcours, tmp_path):
    """A field that is not ours stops before anything is read, with the near spelling."""
    (tmp_path / "x.csv").write_text("a\n1\n")
    ran = parcours("run", "--source", "x.csv", "--format", "csv", "--map", "custmer_id=a")
    assert ran.code == 3
    assert "command line" in ran.err
    assert '"customer_id"' in ran.err
    assert not (tmp_path / "parcours.duckdb").exists()


def test_rewind_is_safe(parcours, project, manifest):
    """What is read again is recognised: the same touchpoints, all duplicates."""
    assert parcours("rewind", "demo", "--to", "earliest", cwd=project).code == 0
    told = json.loads(parcours("run", "--json").out)
    assert (told["read"], told["loaded"]) == (EVENTS, 0)
    count = parcours("query", "SELECT count(*) AS n FROM touchpoints", "--format", "csv").out
    assert count == f"n\n{manifest['events']}\n"
    assert parcours("rewind", "dmo", "--to", "earliest").code == 2
    assert parcours("rewind", "demo", "--to", "someday").code == 2


def test_rebuild_gives_the_same_journeys(parcours, project):
    """Building everything anew changes no journey."""
    sql = "FROM journeys ORDER BY ALL"
    before = parcours("query", sql, "--format", "csv", cwd=project).out
    assert parcours("rebuild").code == 0
    assert parcours("query", sql, "--format", "csv").out == before


def test_changed_rules_stop_a_run_and_say_what_to_do(parcours, project):
    """A run with other rules than the store's stops with 3; nothing is changed."""
    (project / "rules.toml").write_text('[journey]\ngap = "10d"\n')
    ran = parcours("run", "-c", "parcours.toml", "-c", "rules.toml", cwd=project)
    assert ran.code == 3
    assert "parcours rebuild" in ran.err


def test_a_held_store_is_named_and_still_tells_its_status(process, project):
    """While this process writes, another one gets 4 and the holder's name, and status still answers."""
    with Store(project / "parcours.duckdb"):
        for command in (("run",), ("rebuild",), ("query", "SELECT 1")):
            ran = process(*command, cwd=project)
            assert ran.code == 4, ran.err
            assert f"process {os.getpid()} on {socket.gethostname()}" in ran.err
        ran = process("status", "--json", cwd=project)
        assert ran.code == 0
        told = json.loads(ran.out)
    assert told["holder"]["pid"] == os.getpid()
    assert sum(offset["next_offset"] for offset in told["offsets"]) == EVENTS


def test_commands_without_a_store(parcours, tmp_path):
    """Looking at a store that is not there yet says which command makes it."""
    for command in (("status",), ("query", "SELECT 1")):
        ran = parcours(*command)
        assert ran.code == 1
        assert "parcours run makes it" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_looking_at_the_store_needs_no_secrets(parcours, project):
    """Who queries a store need not have the variables of its sources, nor the files that were loaded."""
    (project / "secretive.toml").write_text(
        '[[source]]\nname = "crm"\nkind = "file"\nformat = "json"\npath = "${PARCOURS_NOT_SET}"\n'
    )
    files = ("-c", "parcours.toml", "-c", "secretive.toml")
    assert parcours("query", "SELECT 1", *files, cwd=project).code == 0
    assert parcours("status", *files).code == 0
    assert parcours("run", *files).code == 3


def test_an_error_is_an_object_where_a_program_reads(parcours):
    """With --json a failure is on stdout too, a wrong command line included."""
    assert json.loads(parcours("status", "--json").out)["exit_code"] == 1
    assert json.loads(parcours("inspect", "nowhere", "--json").out)["exit_code"] == 2


@pytest.mark.kafka
def test_an_unknown_topic_is_a_configuration_mistake(process, kafka, tmp_path):
    """A topic that the broker does not have stops the run with 3, before anything is read, and is named."""
    (tmp_path / "parcours.toml").write_text(
        '[[source]]\nname = "crm"\nkind = "kafka"\nformat = "json"\ntopics = ["no-such-topic"]\n'
        f'bootstrap = "{kafka.bootstrap}"\nstart = "earliest"\n'
    )
    ran = process("run")
    assert ran.code == 3
    assert '"no-such-topic" does not exist' in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_following_ends_cleanly_on_a_signal(project, number):
    """Ctrl-C and a container's stop end --follow after its slice, with 130 and a run that says so."""
    command = [sys.executable, "-m", "parcours.pipelines.cli", "run", "--follow", "--json"]
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as following:
        status = project / "parcours.duckdb.status.json"
        deadline = time.monotonic() + 60
        while not (project / "parcours.duckdb.lock").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        following.send_signal(number)
        out, err = following.communicate(timeout=60)
    assert following.returncode == 130, err
    assert json.loads(out)["status"] == "interrupted"
    assert status.exists()


def test_a_second_interrupt_ends_at_once_and_loses_nothing(project, parcours, manifest):
    """Ctrl-C twice in the middle of a slice ends with 130 and no traceback; the next run loads everything."""
    options = ["run", "--database", "twice.duckdb"]
    command = [sys.executable, "-m", "parcours.pipelines.cli", *options, "--follow"]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as following:
        attempts = project / "twice.duckdb.staging"
        deadline = time.monotonic() + 60
        while not list(attempts.glob("attempt-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        following.send_signal(signal.SIGINT)
        time.sleep(0.3)
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=60)
    assert following.returncode == 130, err
    assert "Traceback" not in err
    assert parcours(*options, cwd=project).code == 0
    count = parcours("query", "SELECT count(*) AS n FROM touchpoints", *options[1:], "--format", "csv").out
    assert count == f"n\n{manifest['events']}\n"


def test_a_reader_that_has_seen_enough_is_no_error(project):
    """``parcours query … | head`` ends without a complaint."""
    command = (
        f"{sys.executable} -m parcours.pipelines.cli query 'FROM range(1000000)' --format csv | head -n 1"
    )
    done = subprocess.run(
        command, shell=True, check=False, cwd=project, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("range\n", "")
