"""The README's commands work: its marked blocks are run, one after the other, in one empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parcours.pipelines.cli.exits import EXIT_CODES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"<!-- tested -->\n```sh\n(.*?)```", TEXT, re.DOTALL)


INIT = re.search(r"parcours init .*\n", TEXT)[0]

UNCHECKED = r"printf '\n[gate]\nat_end = false\n' >> parcours.toml" + "\n"
"""Each run would load Great Expectations anew: the passage on the gate checks what all of them have done."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the blocks wrote; the folder that they ran in."""
    folder = tmp_path_factory.mktemp("readme")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", "".join(BLOCKS).replace(INIT, INIT + UNCHECKED)],
        check=False,
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done, folder


def test_every_marked_block_is_found():
    """The marks stand right before the blocks that they mark."""
    assert TEXT.count("<!-- tested -->") == len(BLOCKS) >= 5


def test_the_commands_work(ran):
    """Each command ends well, from the first file to the rebuild."""
    done, _ = ran
    assert done.returncode == 0, done.stderr


def test_they_do_what_the_text_says(ran):
    """What is announced beside the commands is what they write."""
    done, folder = ran
    assert "valid 3, rejected 1" in done.stdout  # inspect
    assert "the configuration is right: 2 sources" in done.stdout
    assert (
        "done: read 20,004 = loaded 19,403" in done.stdout
    )  # the simulated events, and three of the agency's
    assert "nothing to do" in done.stdout  # the second run
    assert "done: read 3 = loaded 2 + duplicate 0 + quarantined 1" in done.stdout  # the contracts
    assert "replayed: tried 1 = loaded 1" in done.stdout  # the third contract, once its customer is known
    assert "done: read 20,000 = loaded 0" in done.stdout  # after the rewind
    assert "2 persons became one: 2 journeys became one (alias; 1 touchpoint moved)" in done.stdout
    assert "M-2002 is unlinked from M-1001: 1 link" in done.stdout
    assert "K-77, auto: in force since 2025-01-01 00:00" in done.stdout  # a person's story
    assert "moved 1 of 19,403 touchpoints (stage 1)" in done.stdout  # another taxonomy, applied
    checked = json.loads((folder / "checked.json").read_text())
    assert "open" == checked["status"], checked["reasons"]
    assert "published 19,403 touchpoints" in done.stdout
    assert (folder / "parcours.published.duckdb").is_symlink()
    assert (folder / "stage_visits.csv").read_text().startswith("journey_id,position,stage,")


def test_a_newcomer_sees_no_noise(ran):
    """Libraries' own log lines are not for people: Beam's import says things that mean nothing to them."""
    done, _ = ran
    said = ("warning: ", "slice 1 committed", "why: ", "which: ", "one of them: ", "try it:", "  parcours ")
    said += (": not available: needs ", "wrote ", "not mature: ", "left out", "ingest: ")
    assert [] == [line for line in done.stderr.splitlines() if not any(text in line for text in said)]


def test_exit_codes_are_those_of_the_program():
    """The README's table has every exit code, with the words of --help."""
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE))
    assert {str(code): text for code, text in EXIT_CODES.items()} == {
        code: text.replace("`", "") for code, text in rows.items()
    }


def test_links_lead_somewhere():
    """Each page and folder that the README links to is there."""
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert [] == [link for link in links if "://" not in link and not (ROOT / link).exists()]
