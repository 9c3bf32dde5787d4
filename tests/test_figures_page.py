"""Every example of docs/figures.md, executed: what comes in, and what the figures make of it."""

import csv
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import page_examples
import pytest
from figure_worlds import rows_of_csv

from loading import Loader, hashed
from parcours.kpis import segments, views
from parcours.schemas.config import Config
from parcours.schemas.references import REFERENCES
from reference import FIELDS, Channel, EventType, Options
from strategies import Slice

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "figures.md").read_text("utf-8")
COMMON = tomllib.loads(re.search(r"^```toml common\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1])
EXAMPLES = page_examples.examples_of(DOCS / "figures.md")

CONFIG = Config.model_validate(COMMON)
OPTIONS = Options(
    events={
        name: EventType(event.stage, event.roles, event.money_role)
        for name, event in CONFIG.taxonomy.events.items()
    },
    channels={
        name: Channel(channel.medium, channel.direct) for name, channel in CONFIG.taxonomy.channels.items()
    },
    time_zone=CONFIG.kpi.time_zone,
)


@pytest.fixture(scope="module")
def loader():
    """One store for all examples, with every figure's macro: its view is the macro at one instant."""
    made = Loader()
    for statement in (*segments.create_statements(CONFIG), *views.create_statements(CONFIG)):
        if not statement.startswith(("CREATE OR REPLACE VIEW kpi", "COMMENT ON")):
            made.connection.execute(statement)
    return made


def content_of(example, folder):
    """Return an example's touchpoints and reference inputs as they are once they are valid."""
    headings = [
        page_examples.NAMES.get(heading, heading)
        for heading in example.touchpoints[0]
        if not heading.startswith(page_examples.ARROW)
    ]
    rows = [dict(zip(headings, row, strict=False)) for row in example.touchpoints[1:]]
    references = {}
    for name, text in example.references.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
        references[name] = list(rows_of_csv(folder / f"{name}.csv", REFERENCES[name].fields))
    return Slice(hashed([touchpoint(row, offset) for offset, row in enumerate(rows)]), references)


def touchpoint(row, offset):
    """Return one line of a table as a touchpoint's fields, attributes and coordinates."""
    given = {name: cell for name, cell in row.items() if cell}
    types = {"occurred_at": page_examples.instant, "value": Decimal, "cost": Decimal, "score": float}
    return {
        "event_type": "seen",
        "channel": "site",
        **{name: types.get(name, str)(cell) for name, cell in given.items() if name in FIELDS},
        "attributes": [{"key": key, "value": cell} for key, cell in given.items() if key not in FIELDS],
        "source_name": "s",
        "source_topic": "t",
        "source_partition": 0,
        "source_offset": offset,
    }


def figures_in(query):
    """Return the figures that a question names."""
    return set(re.findall(r"kpi_(\w+?)_at\(", query))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_what_the_page_shows_is_what_figures_say(loader, example, tmp_path):
    """What becomes of each touchpoint, and the answer to each question about figures that are built."""
    loader.empty()
    loader.load([content_of(example, tmp_path)], OPTIONS)
    assert example.shown == page_examples.becomes(example, loader.connection)
    there = {name for (name,) in loader.connection.execute(
        "SELECT function_name[5:-4] FROM duckdb_functions() WHERE function_name LIKE 'kpi%at'"
    ).fetchall()}  # fmt: skip
    for query, table in example.questions:
        if figures_in(query) <= there:
            assert table == page_examples.answer(query, loader.connection)


def test_every_figure_of_a_phase_has_an_example():
    """A phase that the page treats is treated whole."""
    with (DOCS / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    treated = {title.lower() for title in re.findall(r"^## (.*)$", TEXT, re.MULTILINE)}
    shown = {name for example in EXAMPLES for query, _ in example.questions for name in figures_in(query)}
    assert set() == {row["name"] for row in rows if row["phase"] in treated} - shown
