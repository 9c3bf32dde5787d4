"""Finds the examples of a documentation page and runs them: what a page shows is what the program does.

An example begins with what comes in: a table of touchpoints, one a line, whose columns with an arrow say what
becomes of each, or a ``json`` block of records as a source writes them. A ``toml`` block before it holds
its rules, a ``csv NAME`` block a reference input, and lines ``parcours identity …`` in a ``sh`` block are
decisions that are made once all is loaded. ``sql`` blocks with a table after them ask for more.
Drawings and other tables are left alone.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from parcours.pipelines import decisions
from parcours.pipelines.observe import SilentObserver
from parcours.schemas.config import Config
from stores import load as load_store

Table = list[list[str]]

ARROW = "→ "

NAMES = {"event": "event_id", "at": "occurred_at", "customer": "customer_id", "device": "anonymous_id"}
"""Short headings that are no fields' names."""

DEFAULTS = {"event_type": "=seen", "channel": "=site"}
"""What a touchpoint is where the table does not say."""

RESULTS = {
    "profile": "profile_id",
    "visit": "visit_id",
    "journey": "(SELECT journey_id FROM journey_steps AS s WHERE s.event_id = t.event_id)",
}
"""Headings of results that are no columns of touchpoints."""

GROUPS = ("visit", "journey")
"""Results that are numbered from 1 as they come: the ids are hashes."""

_BLOCKS = re.compile(
    r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$|(?P<table>(?:^\|[^\n]*\|$\n?)+)", re.DOTALL | re.MULTILINE
)


_DECIDES = ("parcours identity unlink", "parcours identity relink")


@dataclass
class Example:
    """One example: where it stands, its rules, what comes in and is decided, and what is shown of it."""

    line: int
    rules: dict[str, Any]
    references: dict[str, str]
    decisions: list[list[str]] = field(default_factory=list)
    records: str = ""
    touchpoints: Table = field(default_factory=list)
    questions: list[tuple[str, Table]] = field(default_factory=list)

    @property
    def results(self) -> list[str]:
        """The headings of the columns that say what becomes of each touchpoint."""
        headings = self.touchpoints[0] if self.touchpoints else []
        return [heading.removeprefix(ARROW) for heading in headings if heading.startswith(ARROW)]

    @property
    def shown(self) -> Table:
        """What the page says becomes of each touchpoint."""
        width = len(self.results)
        return [row[-width:] for row in self.touchpoints[1:]]


def examples_of(page: Path) -> list[Example]:
    """Return a page's examples in their order; rules and inputs hold for the example that follows them."""
    found: list[Example] = []
    rules: dict[str, Any] = {}
    references: dict[str, str] = {}
    decisions: list[list[str]] = []
    query: str | None = None
    for line, kind, text in _blocks(page.read_text("utf-8")):
        table = _cells(text) if kind == "table" else []
        if kind == "toml":
            rules = tomllib.loads(text)
        elif kind.startswith("csv "):
            references[kind.removeprefix("csv ")] = text
        elif kind == "sh":
            decisions = [words.split()[2:] for words in text.splitlines() if words.startswith(_DECIDES)]
        elif kind == "json":
            found.append(Example(line, rules, references, decisions, records=text))
            rules, references, decisions = {}, {}, []
        elif table and any(heading.startswith(ARROW) for heading in table[0]):
            found.append(Example(line, rules, references, decisions, touchpoints=table))
            rules, references, decisions = {}, {}, []
        elif kind == "sql":
            query = text
            continue
        elif kind == "table" and query is not None:
            found[-1].questions.append((query, table))
        query = None
    return found


def _blocks(text: str) -> Iterator[tuple[int, str, str]]:
    for found in _BLOCKS.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield (line, "table", found["table"]) if found["table"] else (line, found["kind"], found["text"])


def _cells(table: str) -> Table:
    lines = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [lines[0], *lines[2:]]


def instant(text: str) -> datetime:
    """Read a time as a page writes it: without a day it is on 2 March, without a year in 2026."""
    for missing in ("", " 2026", " 2 Mar 2026"):
        for pattern in ("%d %b %Y", "%d %b %Y %H:%M", "%H:%M %d %b %Y", "%d %b %H:%M %Y"):
            with contextlib.suppress(ValueError):
                return datetime.strptime(text + missing, pattern)
    raise ValueError(f'"{text}" is no time of an example')


def load(example: Example, common: dict[str, Any], folder: Path) -> duckdb.DuckDBPyConnection:
    """Load an example into a store of its own, and open it.

    Args:
        example: what to load.
        common: the rules that all examples of the page share; the example's own replace them table by table.
        folder: where files and the store are made.
    """
    rules = dict(example.rules)
    source: dict[str, Any] = {"name": "example", "kind": "file", **rules.pop("source", [{}])[0]}
    if example.touchpoints:
        source |= {"format": "csv", "path": str(folder / "touchpoints.csv")}
        headings = [heading for heading in example.touchpoints[0] if not heading.startswith(ARROW)]
        fields = [NAMES.get(heading, heading) for heading in headings]
        source["map"] = {name: constant for name, constant in DEFAULTS.items() if name not in fields}
        lines = [",".join(fields)]
        for row in example.touchpoints[1:]:
            cells = dict(zip(fields, row, strict=False))
            cells["occurred_at"] = instant(cells["occurred_at"]).isoformat()
            lines.append(",".join(f'"{cell}"' if cell else "" for cell in cells.values()))
        (folder / "touchpoints.csv").write_text("\n".join(lines) + "\n", "utf-8")
    else:
        source |= {"format": "json", "path": str(folder / "records.json")}
        (folder / "records.json").write_text(example.records, "utf-8")
    sources = [source]
    for name, text in example.references.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
        sources.append(
            {
                "name": name,
                "loads": name,
                "kind": "file",
                "format": "csv",
                "path": str(folder / f"{name}.csv"),
            }
        )
    config = Config.model_validate(
        {
            **common,
            **rules,
            "store": {"path": str(folder / "store")},
            "source": sources,
            "gate": {"at_end": False},
        }
    )
    load_store(config)
    for kind, id_, customer_id in example.decisions:
        decisions.decide(config, kind, id_, customer_id, observer=SilentObserver())
    return duckdb.connect(str(folder / "store"), read_only=True)


def becomes(example: Example, connection: duckdb.DuckDBPyConnection) -> Table:
    """Return what became of each touchpoint, under the example's own headings."""
    columns = ", ".join(RESULTS.get(name, name) for name in example.results)
    numbers: dict[str, dict[str, str]] = {name: {} for name in GROUPS}
    place = example.touchpoints[0].index("event")
    found = []
    for row in example.touchpoints[1:]:
        values = connection.execute(
            f"SELECT {columns} FROM touchpoints AS t WHERE event_id = ?", [row[place]]
        )
        texts = [_text(value) for value in values.fetchone() or ()]
        for at, name in enumerate(example.results):
            if name in GROUPS and texts[at:] and texts[at]:
                texts[at] = numbers[name].setdefault(texts[at], str(len(numbers[name]) + 1))
        found.append(texts)
    return found


def answer(query: str, connection: duckdb.DuckDBPyConnection) -> Table:
    """Run a question; return its columns' names and its rows as a page shows them."""
    rows = connection.execute(query)
    return [
        [column[0] for column in rows.description],
        *([_text(value) for value in row] for row in rows.fetchall()),
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, datetime) and not value.microsecond and not value.second:
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
