"""Every example of docs/semantics.md, executed."""

import re
import tomllib
from pathlib import Path

import page_examples
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "semantics.md"
TEXT = PAGE.read_text("utf-8")
COMMON = tomllib.loads(re.search(r"^```toml common\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1])
EXAMPLES = page_examples.examples_of(PAGE)

SECTIONS_WITHOUT = {"What the words mean", "The words of the examples"}
"""Sections that state no rule."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_what_the_page_shows_is_what_the_program_does(example, tmp_path):
    """What becomes of each touchpoint, and the answer to each question, as they stand on the page."""
    with page_examples.load(example, COMMON, tmp_path) as connection:
        if example.results:
            assert example.shown == page_examples.becomes(example, connection)
        for query, table in example.questions:
            assert table == page_examples.answer(query, connection)


def test_every_section_has_an_example():
    """A rule that is explained is also shown."""
    sections = [(match.start(), match[1]) for match in re.finditer(r"^## (.*)$", TEXT, re.MULTILINE)]
    lines = {title: TEXT.count("\n", 0, start) + 1 for start, title in sections}
    ends = [*list(lines.values())[1:], TEXT.count("\n") + 1]
    without = {
        title
        for (title, start), end in zip(lines.items(), ends, strict=True)
        if not any(start < example.line < end for example in EXAMPLES)
    }
    assert without <= SECTIONS_WITHOUT
