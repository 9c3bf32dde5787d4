"""Every example of docs/segments.md, executed."""

import re
import tomllib
from datetime import datetime
from pathlib import Path

import page_examples
import pytest

from parcours.kpis.audiences import list_people, packs
from parcours.schemas.config import Config

PAGE = Path(__file__).parents[1] / "docs" / "segments.md"
TEXT = PAGE.read_text("utf-8")
COMMON = tomllib.loads(re.search(r"^```toml common\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1])
EXAMPLES = page_examples.examples_of(PAGE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_what_the_page_shows_is_what_the_program_does(example, tmp_path):
    """The answer to each question, as it stands on the page."""
    with page_examples.load(example, COMMON, tmp_path) as connection:
        assert example.shown == page_examples.becomes(example, connection)
        for query, table in example.questions:
            assert table == page_examples.answer(query, connection)


def test_the_audience_of_the_page(tmp_path):
    """Who is in it with which reason, and how many are left out, as the two tables after the command say."""
    command = re.search(
        r"^parcours audience (\w+) --as-of (\S+)\n```\n\n(.*?)\n\n(.*?)\n\n", TEXT, re.DOTALL | re.M
    )
    name, as_of, people, left_out = command.groups()
    line = TEXT.count("\n", 0, command.start())
    example = max((each for each in EXAMPLES if each.line < line), key=lambda each: each.line)
    with page_examples.load(example, COMMON, tmp_path) as connection:
        config = Config.model_validate({**COMMON, **example.rules})
        found = list_people(connection, config, name, datetime.fromisoformat(as_of))
    shown = [[each.profile_id, ", ".join(each.customer_ids), each.reason] for each in found.people]
    assert rows(people) == [["profile_id", "customer_ids", "reason"], *shown]
    assert rows(left_out) == [[*found.left_out], [str(count) for count in found.left_out.values()]]


def test_the_page_names_every_pack():
    """With its purpose and its days."""
    found = {row[0]: row[2] for row in map(cells, TEXT.splitlines()) if len(row) == 3 and row[0] in packs()}
    said = {
        name: f"{pack.purpose}, {pack.not_contacted_days}" if pack.purpose else ""
        for name, pack in packs().items()
    }
    assert said == found


def rows(table):
    """A table's heading and rows."""
    lines = table.splitlines()
    return [cells(lines[0]), *map(cells, lines[2:])]


def cells(line):
    """The cells of one line of a table."""
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
