"""Suites over a store: what is found, what is kept, and that nothing else is seen or heard of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from parcours.quality.standing import StandingRule
from parcours.quality.suites import DOCS, run_suites

ROWS = 210_000

STORE = f"""
CREATE SCHEMA internal;
CREATE TABLE internal.meta AS SELECT 1 AS one;
CREATE TABLE touchpoints AS
SELECT 'e' || i AS event_id, i % 7 AS k, if(i % 1000 = 3, NULL, 'p' || i) AS profile_id,
    i AS "odd ""col% :x", {{'key': 'a', 'value': 'b{{c}}'}} AS pair
FROM range({ROWS}) AS numbers(i);
CREATE TABLE nobody (id VARCHAR, n INTEGER);
CREATE SEQUENCE computed;
CREATE VIEW kpi_share AS SELECT 'month' AS grain, 1.5 AS share, nextval('computed') AS times;
CREATE VIEW unread AS SELECT CAST(event_id AS INTEGER) AS id FROM touchpoints;
"""


def rule(
    name, failing, *, on="touchpoints", severity="stop", english="All is well", observed=None, native=None
):
    """Return a rule about a relation."""
    return StandingRule(
        name=name,
        relation=on,
        kind="sql",
        severity=severity,
        owner="marketing",
        english=english,
        french="Tout va bien",
        failing=failing,
        observed=observed,
        expected="0 rows",
        native=native,
    )


def where(condition):
    """Return the touchpoints of a condition."""
    return f"SELECT event_id AS id FROM touchpoints WHERE {condition}"


@pytest.fixture
def store(tmp_path):
    """An open store of some relations."""
    with duckdb.connect(str(tmp_path / "store.duckdb")) as connection:
        connection.execute(STORE)
        yield connection


def found(store, folder, *rules, name="check"):
    """Run rules, and return each one's number of failures, or its error."""
    return {
        finding.rule.name: finding.error or finding.failed
        for finding in run_suites(store, rules, folder, name=name)
    }


def suites(folder):
    """Return the names of the kept rules by suite."""
    kept = (folder / "gx" / "expectations").glob("*.json")
    return {
        path.stem: [each["meta"]["rule"] for each in json.loads(path.read_text("utf-8"))["expectations"]]
        for path in kept
    }


def results(folder):
    """Return which checks' results are kept."""
    return sorted({path.parent.parent.name for path in (folder / "gx").rglob("validations/*/*/*/*.json")})


def test_failures_are_counted_and_ten_are_named_in_order(store, tmp_path):
    """A finding has the exact count, ten ids in order, and what its rule observes."""
    own = ("ExpectColumnValuesToNotBeNull", {"column": "profile_id"})
    findings = run_suites(
        store,
        [
            rule("right", where("k > 7")),
            rule("one", where("event_id = 'e5'")),
            rule("all", where("TRUE -- {batch} and a comment")),
            rule("native", where("profile_id IS NULL"), native=own),
            rule("observed", where("k = 0"), observed="SELECT '14.3 %'"),
        ],
        tmp_path / "quality",
        name="check",
    )
    told = [(each.rule.name, each.passed, each.failed, each.observed, each.error) for each in findings]
    assert [
        ("right", True, 0, "0 rows", None),
        ("one", False, 1, "1 row", None),
        ("all", False, ROWS, "210,000 rows", None),
        ("native", False, ROWS // 1000, "210 rows", None),
        ("observed", False, 30_000, "14.3 %", None),
    ] == told
    assert ("e0", "e1", "e10", "e100", "e1000") == findings[2].sample[:5]
    assert 10 == len(findings[2].sample)
    assert ("e5",) == findings[1].sample


def test_odd_sql_odd_names_and_empty_relations(store, tmp_path):
    """Braces, colons and percents in SQL, names that need quoting and relations without rows are as any."""
    odd = 'odd "col% :x'
    assert {"braces": 30_000, "colons": 9, "odd": 0, "empty": 0, "nulls": 0, "schemas": 1} == found(
        store,
        tmp_path / "quality",
        rule("braces", where("pair = {'key': 'a', 'value': 'b{c}'} AND k = 1")),
        rule(
            "colons", where(r"'\:a :b {:c} 12:30 %d' = '\:a ' || ':b {:c} 12:30 %d' AND event_id < 'e100003'")
        ),
        rule(
            "odd", where('"odd ""col% :x" IS NULL'), native=("ExpectColumnValuesToNotBeNull", {"column": odd})
        ),
        rule("empty", "SELECT id FROM nobody", on="nobody"),
        rule(
            "nulls",
            "SELECT id FROM nobody WHERE n IS NULL",
            on="nobody",
            native=("ExpectColumnValuesToNotBeNull", {"column": "n"}),
        ),
        rule("schemas", "SELECT one AS id FROM internal.meta", on="nobody"),
    )


def test_a_rule_that_fails_on_the_data_is_broken_and_stops_no_other(store, tmp_path):
    """Its error is DuckDB's; the other rules, of its relation too, are judged."""
    cast = "Conversion Error: Could not convert string"
    told = found(
        store,
        tmp_path / "quality",
        rule("cast", where("CAST(event_id AS INTEGER) > 3")),
        rule("column", where("nosuch > 3")),
        rule("fine", where("k = 3")),
        rule("view", "SELECT id FROM unread", on="unread"),
        rule("relation", "SELECT id FROM nosuch", on="nosuch"),
        rule("other", "SELECT id FROM nobody", on="nobody"),
    )
    assert (30_000, 0) == (told["fine"], told["other"])
    assert told["cast"].startswith(cast)
    assert told["view"].startswith(cast)
    assert told["column"].startswith('Binder Error: Referenced column "nosuch"')
    assert told["relation"].startswith("Catalog Error: Table with name nosuch")


def test_a_view_is_computed_once_for_all_its_rules(store, tmp_path):
    """Each computation of this view counts on; every rule, in SQL or not, sees the first."""
    kpi = [
        rule(
            f"rule {n}", f"SELECT grain AS id FROM kpi_share WHERE share > {n} AND times = 1", on="kpi_share"
        )
        for n in range(3)
    ]
    own = ("ExpectColumnValuesToNotBeNull", {"column": "share"})
    null = rule("own", "SELECT grain AS id FROM kpi_share WHERE share IS NULL", on="kpi_share", native=own)
    assert {"rule 0": 1, "rule 1": 1, "rule 2": 0, "own": 0} == found(store, tmp_path / "quality", *kpi, null)
    assert [(2,)] == store.execute("SELECT nextval('computed')").fetchall()


def test_suites_are_what_is_in_force_and_results_of_twenty_checks_are_kept(store, tmp_path, monkeypatch):
    """Rules that went are gone from the suites; of results and pages, the newest checks' stay."""
    monkeypatch.setattr("parcours.quality.checkpoint.KEPT", 3)
    folder = tmp_path / "quality"
    first, second = rule("first", where("k = 1")), rule("second", "SELECT id FROM nobody", on="nobody")
    for number in range(5):
        found(store, folder, first, second, name=f"check {number}")
    assert {"touchpoints": ["first"], "nobody": ["second"]} == suites(folder)
    assert ["check_2", "check_3", "check_4"] == results(folder)
    pages = sorted(path.parent.parent.name for path in (folder / DOCS).glob("validations/nobody/*/*/*.html"))
    assert ["check_2", "check_3", "check_4"] == pages
    found(store, folder, rule("third", where("k = 1")), name="check 5")
    assert {"touchpoints": ["third"]} == suites(folder)
    assert ["touchpoints.html"] == [path.name for path in (folder / DOCS / "expectations").iterdir()]


@pytest.mark.parametrize("left", ["a half", "another's"])
def test_a_folder_that_is_no_context_is_made_anew(left, store, tmp_path):
    """What a killed process or somebody else left is no reason to fail for ever."""
    folder = tmp_path / "quality"
    if left == "a half":
        found(store, folder, rule("first", where("k = 1")), name="whole")
        (folder / "gx" / "great_expectations.yml").write_text("config_version: 4.0\nstores: {", "utf-8")
        (folder / "gx" / "expectations" / "touchpoints.json").write_text('{"name": "tou', "utf-8")
        killed = folder / "gx/uncommitted/validations/touchpoints/killed/20260101T000000.000000Z"
        killed.mkdir(parents=True)
        (killed / "store-touchpoints.json").write_text('{"success": tr', "utf-8")
        killed.with_name(".DS_Store").write_text("a file manager's")
    else:
        (folder / "gx" / "expectations").mkdir(parents=True)
        (folder / "gx" / "expectations" / "mine.json").write_text("[]", "utf-8")
        (folder / "checks.json").write_text("nothing of ours", "utf-8")
        (folder / "notes.txt").write_text("keep", "utf-8")
    assert {"first": 30_000} == found(store, folder, rule("first", where("k = 1")))
    assert {"touchpoints": ["first"]} == suites(folder)
    assert (["check", "whole"] if left == "a half" else ["check"]) == results(folder)
    assert (left == "another's") == (folder / "notes.txt").exists()


def test_plain_great_expectations_loads_and_runs_what_is_kept(store, tmp_path):
    """Whoever knows Great Expectations opens the folder with it; the store is closed by then."""
    import great_expectations as gx  # noqa: PLC0415, seconds

    found(store, tmp_path / "quality", rule("fails", where("k = 1")), rule("holds", where("k > 7")))
    store.close()
    context = gx.get_context(mode="file", project_root_dir=tmp_path / "quality")
    (result,) = context.checkpoints.get("gate").run().run_results.values()
    assert {"fails": (False, 30_000), "holds": (True, 0)} == {
        each.expectation_config.meta["rule"]: (each.success, each.result["observed_value"])
        for each in result.results
    }


CHECK = """
import sys
from pathlib import Path
import duckdb
from parcours.quality.standing import StandingRule
from parcours.quality.suites import run_suites

with duckdb.connect(sys.argv[1]) as connection:
    rules = [
        StandingRule(
            f"rule {n}", "touchpoints", "sql", "warn", "o", "All is well", "Tout va bien",
            f"SELECT event_id AS id FROM touchpoints WHERE {condition}", None, "0 rows", None,
        )
        for n, condition in enumerate(["k = 1", "CAST(event_id AS INTEGER) = 1", "TRUE", "k > 9"] * 5)
    ]
    findings = run_suites(connection, rules, Path(sys.argv[2]), name="check")
    assert [30_000, 0, 210_000, 0] * 5 == [found.failed for found in findings]
"""


def test_nothing_is_printed_and_nobody_is_called(store, tmp_path):
    """No output of a library reaches people, nor does a page or a home folder name another machine."""
    store.close()
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "default",
            "-c",
            CHECK,
            str(tmp_path / "store.duckdb"),
            str(tmp_path / "quality"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(home)},
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert [] == list(home.iterdir())
    for page in (tmp_path / "quality" / DOCS).rglob("*.html"):
        text = page.read_text("utf-8")
        for tag in ("<script", '<link rel="stylesheet"', 'src="http', "url('http"):
            assert tag not in text, f"{page.name} has {tag}"


def test_an_interrupt_ends_a_query_that_takes_hours(store, tmp_path):
    """Ctrl-C is heard in the middle of a rule's query, whatever its length; the connection is as it was."""
    endless = "SELECT a.event_id AS id FROM touchpoints AS a, touchpoints AS b, touchpoints AS c WHERE "
    endless += "hash(a.event_id || b.event_id || c.event_id) = 1"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            run_suites(store, [rule("endless", endless)], tmp_path / "quality", name="check")
    finally:
        signal.signal(signal.SIGINT, before)
    assert [(ROWS,)] == store.execute("SELECT count(*) FROM touchpoints").fetchall()


@pytest.mark.parametrize("seen", ["gx/expectations/touchpoints.json", f"{DOCS}/validations"])
def test_killed_in_the_middle_the_next_check_works(seen, store, tmp_path):
    """A process that is killed while it writes suites, or pages, leaves nothing that others fail on."""
    store.close()
    folder = tmp_path / "quality"
    command = [sys.executable, "-c", CHECK, str(tmp_path / "store.duckdb"), str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (folder / seen).exists():
        assert process.poll() is None, "the check ended before it could be killed"
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (folder / "checks.json").exists()
    with duckdb.connect(str(tmp_path / "store.duckdb")) as connection:
        assert {"first": 30_000} == found(connection, folder, rule("first", where("k = 1")))
    assert ["check"] == results(folder)
