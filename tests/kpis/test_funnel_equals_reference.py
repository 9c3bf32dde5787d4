"""Funnels equal the reference's on small worlds in which whatever can collide does."""

import os
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from parcours.kpis.funnel import funnel
from reference import funnel as reference

BEGAN = datetime(2026, 3, 1)
SPANS = [None, timedelta(0), timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4)]
STEPS = {
    "a": lambda event: event["event_type"] == "a",
    "b": lambda event: event["event_type"] == "b",
    "c": lambda event: event["event_type"] == "c",
    "event_type IN ('a', 'b')": lambda event: event["event_type"] in ("a", "b"),
    "event_type <> 'a'": lambda event: event["event_type"] != "a",
    "role:seen": lambda event: "seen" in event["roles"],
    "stage:purchase": lambda event: event["stage"] == "purchase",
    "channel = 'site'": lambda event: event["channel"] == "site",
}
"""Steps as users write them, and the same as functions; some overlap."""

SCHEMA = pa.schema(
    {
        "event_id": pa.string(),
        "occurred_at": pa.timestamp("us"),
        "profile_id": pa.string(),
        "event_type": pa.string(),
        "stage": pa.string(),
        "roles": pa.list_(pa.string()),
        "channel": pa.string(),
        "visit_id": pa.string(),
    }
)

MICRO = timedelta(microseconds=1)


@st.composite
def events(draw):
    """One to three people with a few events at a few instants, on whole seconds and a microsecond beside."""
    found = []
    for person in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(0, 7))):
            at = (
                BEGAN
                + timedelta(seconds=draw(st.integers(0, 6)))
                + draw(st.sampled_from([0, 0, 0, -1, 1])) * MICRO
            )
            found.append(
                {
                    "occurred_at": at,
                    "profile_id": f"p{person}",
                    "event_type": draw(st.sampled_from("aabbcx")),
                    "stage": draw(st.sampled_from([None, None, "awareness", "purchase"])),
                    "roles": draw(st.sampled_from([[], ["seen"]])),
                    "channel": draw(st.sampled_from(["site", "app", None])),
                    "visit_id": draw(st.sampled_from([None, f"v{person}", f"w{person}"])),
                }
            )
    ids = draw(st.permutations([f"e{n:02}" for n in range(len(found))]))
    return [{"event_id": event_id, **event} for event_id, event in zip(ids, found, strict=True)]


@st.composite
def questions(draw):
    """Options, each mostly as it is when nothing is said."""
    steps = draw(st.lists(st.sampled_from(list(STEPS)), min_size=1, max_size=4))
    spans = st.lists(st.sampled_from(SPANS), min_size=len(steps) - 1, max_size=len(steps) - 1)
    return {
        "steps": steps,
        "window": draw(st.sampled_from(SPANS)),
        "order": draw(st.sampled_from(["ordered", "ordered", "strict", "any"])),
        "ties": draw(st.sampled_from(["allow", "allow", "forbid"])),
        "entry": draw(st.sampled_from(["best", "best", "latest", "first", "every"])),
        "exclude": draw(st.one_of(st.just([]), st.lists(st.sampled_from(["c", *STEPS]), max_size=2))),
        "hold": draw(st.sampled_from([None, None, "channel"])),
        "count": draw(st.sampled_from(["profiles", "profiles", "visits"])),
        "step_window": draw(st.one_of(st.none(), spans)),
    }


def asked_of(question):
    """The reference's question."""
    return reference.Asked(
        steps=[STEPS[step] for step in question["steps"]],
        exclude=[STEPS[step] for step in question["exclude"]],
        unit={"profiles": "profile_id", "visits": "visit_id"}[question["count"]],
        **{name: question[name] for name in ("window", "order", "ties", "entry", "hold", "step_window")},
    )


@pytest.fixture(scope="module")
def connection():
    """One plain database; each world replaces its touchpoints."""
    with duckdb.connect(config={"threads": 1}) as opened:
        yield opened


ALL_TYPES = [
    {
        "event_id": f"z{kind}",
        "occurred_at": BEGAN + timedelta(days=900),
        "profile_id": "z",
        "event_type": kind,
        "stage": None,
        "roles": ["seen"],
        "channel": None,
        "visit_id": None,
    }
    for kind in "abcx"
]
"""After the instant that is asked about: they make every step's name known."""

AS_OF = BEGAN + timedelta(seconds=8)


def load(connection, world):
    """Make the world's events the touchpoints of the database."""
    connection.register("world", pa.Table.from_pylist([*world, *ALL_TYPES], SCHEMA))
    connection.execute("CREATE OR REPLACE TABLE touchpoints AS FROM world")


def compare(connection, world, question):
    """Ask both."""
    load(connection, world)
    asked = asked_of(question)
    expected = reference.attempts(world, asked)
    found = funnel(connection, **question, as_of=AS_OF, people=True)
    assert [
        (
            a.events[0]["profile_id"],
            a.unit,
            a.number,
            len(a.events),
            [event["event_id"] for event in a.events],
        )
        for a in expected
        if not a.excluded
    ] == [tuple(row.values()) for row in found.people.to_pylist()]
    rows = reference.steps_of(expected, asked, AS_OF)
    assert len(rows) == found.steps.num_rows
    for row, got in zip(rows, found.steps.to_pylist(), strict=True):
        assert {name: pytest.approx(value) for name, value in row.items()} == {
            name: got[name] for name in row
        }
    quick = funnel(connection, **question, as_of=AS_OF)
    assert found.steps.equals(quick.steps)


EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 200


def at_once(*kinds):
    """Events of one person at one instant: their types, in capitals where they have the role too."""
    return [
        {
            "event_id": f"e{number:02}",
            "occurred_at": BEGAN,
            "profile_id": "p0",
            "event_type": kind.lower(),
            "stage": None,
            "roles": ["seen"] if kind.isupper() else [],
            "channel": None,
            "visit_id": None,
        }
        for number, kind in enumerate(kinds)
    ]


ANY = {
    "steps": ["a", "a", "role:seen"],
    "window": None,
    "order": "any",
    "ties": "allow",
    "entry": "best",
    "exclude": [],
    "hold": None,
    "count": "profiles",
    "step_window": None,
}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=events(), question=questions())
@example(world=at_once(*"aAaA"), question=ANY)  # the second serves the third step, so that the third counts
def test_every_option_equals_the_reference(connection, world, question):
    """People, their matches and the figures of each step are the same, whatever the options."""
    compare(connection, world, question)
