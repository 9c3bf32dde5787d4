"""docs/quarantine.md, executed: its commands on its own log, and on one of 60,000 records."""

import re
import shlex
from pathlib import Path

import pytest
from quarantined import write_logs

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from stores import TABLES, assert_balanced, assert_same_stores, one

TEXT = (Path(__file__).parents[1] / "docs" / "quarantine.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
QUICK = "\n[kpi]\nfigures = []\n[gate]\nat_end = false\n"
"""Figures and the check at a run's end are not what the page is about, and take seconds."""

CHANGING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "AT"),
    (r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{8}", "RUN"),
    (r"in \d+\.\d s", "in SOME s"),
    (r"fixed: [0-9a-f]{12}", "fixed: FIX"),
    (r" +$", ""),
)
"""What differs from one time to the next: instants, ids of runs and fixes, seconds."""


def settled(text):
    """A command's output without what differs each time."""
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text.strip()


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs the lines of a block in the test's folder, and returns what they wrote."""
    monkeypatch.chdir(tmp_path)

    def run(block):
        capsys.readouterr()
        for line in block.splitlines():
            code = run_guarded(root, shlex.split(line)[1:])
            assert code == 0, f"{line}: {capsys.readouterr().err}"
        return capsys.readouterr().out

    return run


def test_what_the_page_shows_is_what_the_program_does(run, tmp_path):
    """Each command's output, as it stands on the page."""
    written = ""
    for kind, name, text in BLOCKS:
        if name == "later":
            with (tmp_path / "parcours.toml").open("a") as file:
                file.write(text)
        elif name:
            (tmp_path / name).write_text(text + (QUICK if kind == "toml" else ""))
        elif kind == "sh":
            written += run(text)
        elif kind == "text":
            assert settled(text) == settled(written)
            written = ""


def test_fifty_thousand_records_are_emptied_by_the_series(run, tmp_path):
    """All but the truly broken ones are loaded, once; the tables are those of a log that was right."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    broken, torn = write_logs(right, wrong, records=60_000, broken=50_000)
    config = next(text for kind, name, text in BLOCKS if name == "parcours.toml") + QUICK
    series = TEXT[TEXT.index("## The series") : TEXT.index("## Choosing records")]
    commands = [line for line in re.findall(r"^parcours .*$", series, re.MULTILINE) if " show " not in line]
    for folder, lines in ((right, commands[:1]), (wrong, commands)):
        (folder / "parcours.toml").write_text(config)
        named = f"{folder}/parcours.toml"
        run("\n".join(f"{line} --config {named}" for line in lines))
    store = wrong / "shop.duckdb"
    assert one(store, "SELECT quarantined FROM run_balances ORDER BY run_id LIMIT 1") == broken
    assert one(store, "SELECT count(*) FROM quarantine WHERE status = 'replayed'") == broken - torn
    assert one(store, "SELECT count(*) FROM quarantine WHERE status = 'discarded'") == torn
    assert_balanced(store)
    relations = [name for name in TABLES if name != "quarantine"]
    assert_same_stores(right / "shop.duckdb", store, relations)
