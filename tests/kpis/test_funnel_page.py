"""Every case of docs/funnel.md, executed: the page says what the program does."""

import re
import shlex
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from parcours.kpis.funnel import funnel
from parcours.kpis.funnel.steps import split

PAGE = (Path(__file__).parents[2] / "docs" / "funnel.md").read_text("utf-8")
CASES = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in PAGE[PAGE.index("| case |") :].splitlines()[2:]
]

TOLD = (
    "equal times",
    "repeated events",
    "one event and two equal steps",
    "a window met to the microsecond",
    "an attempt that restarts",
    "a longer chain that needs a later match",
    "an exclusion on the boundary",
    "strict, a foreign event between",
    "strict, equal times",
    "any order",
    "null hold",
    "one-event people, the first step",
)
"""Cases that the page may not lose."""

SCHEMA = pa.schema(
    {
        "event_id": pa.string(),
        "occurred_at": pa.timestamp("us"),
        "profile_id": pa.string(),
        "event_type": pa.string(),
        "product": pa.string(),
    }
)

KINDS = "abcx"


def touchpoints(text):
    """Read ``a1 10:00 auto, b2 10:01``; ids sort as the events are written."""
    rows = []
    for number, event in enumerate(text.split(", ")):
        name, at, *product = event.split()
        rows.append(
            {
                "event_id": f"{number:02} {name}",
                "occurred_at": datetime.fromisoformat(f"2026-03-02T{at}"),
                "profile_id": "ada",
                "event_type": re.sub(r"\d", "", name),
                "product": product[0] if product else None,
            }
        )
    return rows


def others():
    """Another person, who did each thing once, long after the case: event types are known by who did them."""
    return [
        {"event_id": kind, "occurred_at": datetime(2027, 1, 1), "profile_id": "zoe", "event_type": kind}
        for kind in KINDS
    ]


def options(text):
    """Read options as the command line does."""
    words = shlex.split(text)
    found = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(words[::2], words[1::2], strict=True)
    }
    found["steps"] = split(found["steps"])
    if "," in found.get("step_window", ""):
        found["step_window"] = [span or None for span in split(found["step_window"])]
    return found


@pytest.fixture(scope="module")
def connection():
    """One plain database for all cases."""
    with duckdb.connect(config={"threads": 1}) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_each_case_has_the_answer_of_the_page(connection, case):
    """The matches of the attempts that count, or that there are none, or that they are excluded."""
    _, events, asked, answer, why = case
    assert why
    connection.register("events", pa.Table.from_pylist([*touchpoints(events), *others()], SCHEMA))
    connection.execute("CREATE OR REPLACE TABLE touchpoints AS FROM events")
    found = funnel(connection, **options(asked), as_of=datetime(2026, 12, 31), people=True)
    chains = [" ".join(event[3:] for event in row["event_ids"]) for row in found.people.to_pylist()]
    excluded = found.steps["excluded"][0].as_py()
    assert answer == ("; ".join(chains) or ("excluded" if excluded else "none"))


def test_the_page_has_the_cases_that_people_ask_about():
    """Each of them is a line of the table."""
    assert set(TOLD) <= {case[0] for case in CASES}
