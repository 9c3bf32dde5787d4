"""The function ``funnel``: what it takes, gives and refuses. Its answers are compared elsewhere."""

import dataclasses
import random
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from parcours.kpis.funnel import FunnelError, funnel, quick
from parcours.kpis.funnel.attempts import attempts
from parcours.kpis.funnel.chains import Lanes
from parcours.kpis.funnel.events import Events
from parcours.kpis.funnel.options import Rules

SCHEMA = pa.schema(
    {
        "event_id": pa.string(),
        "occurred_at": pa.timestamp("us"),
        "profile_id": pa.string(),
        "event_type": pa.string(),
        "stage": pa.string(),
        "roles": pa.list_(pa.string()),
        "channel": pa.string(),
    }
)

BEGAN = datetime(2026, 3, 1)


def database(rows):
    """A plain database with touchpoints: person, event type, hours after the beginning, channel."""
    touched = pa.Table.from_pylist(
        [
            {
                "event_id": f"e{number:06}",
                "occurred_at": BEGAN + timedelta(hours=hours),
                "profile_id": person,
                "event_type": kind,
                "stage": {"signed": "purchase", "purchase": "service"}.get(kind),
                "roles": {"signed": ["purchase"], "quoted": ["quote_created"]}.get(kind, []),
                "channel": channel,
            }
            for number, (person, kind, hours, channel) in enumerate(rows)
        ],
        SCHEMA,
    )
    connection = duckdb.connect(config={"threads": 2})
    connection.register("touched", touched)
    connection.execute("CREATE TABLE touchpoints AS FROM touched")
    return connection


@pytest.fixture(scope="module")
def shop():
    """Three people on their way to a contract."""
    rows = [
        ("ada", "viewed", 0, "site"),
        ("ada", "quoted", 1, "phone"),
        ("ada", "signed", 50, "agency"),
        ("bob", "viewed", 0, None),
        ("bob", "quoted", 2, "phone"),
        ("cleo", "viewed", 100, "site"),
    ]
    with database(rows) as connection:
        yield connection


def reached(connection, steps, **options):
    """How many reached each step."""
    return funnel(connection, steps=steps, **options).steps["reached"].to_pylist()


def test_a_row_a_step_with_what_is_null_where_nothing_stands_before(shop):
    """Counts, rates with their interval, and times in seconds."""
    rows = funnel(shop, steps=["viewed", "quoted", "signed"], window="3d").steps.to_pylist()
    assert [3, 2, 1] == [row["reached"] for row in rows]
    assert [1, 2 / 3, 1 / 3] == [row["rate_from_first"] for row in rows]
    assert [None, 2 / 3, 1 / 2] == [row["rate_from_previous"] for row in rows]
    assert [None, 1, 1] == [row["dropped"] for row in rows]
    assert [None, 5400.0, 176400.0] == [row["median_seconds"] for row in rows]
    assert [None, 6840.0, 176400.0] == [row["p90_seconds"] for row in rows]
    assert [None, 5400.0, 180000.0] == [row["mean_seconds_from_first"] for row in rows]
    assert (0.2076595, 0.9385084) == (pytest.approx(rows[1]["low"]), pytest.approx(rows[1]["high"]))


def test_an_attempt_is_mature_when_its_window_is_over(shop):
    """At the window's last moment something may still come. Without a window nothing is ever over."""
    steps = ["viewed", "quoted"]
    last = BEGAN + timedelta(hours=100)
    for as_of, mature in (
        (last + timedelta(days=3), False),
        (last + timedelta(days=3, microseconds=1), True),
    ):
        assert {mature} == set(
            funnel(shop, steps=steps, window="3d", as_of=as_of).steps["mature"].to_pylist()
        )
    assert {False} == set(funnel(shop, steps=steps, as_of=as_of).steps["mature"].to_pylist())


def test_no_limit_on_steps():
    """Forty steps, seventy, more than a number has bits: reached one by one."""
    for count in (40, 70):
        rows = [("ada", f"s{n}", n, "site") for n in range(count)]
        rows += [("bob", f"s{n}", n, "site") for n in range(count - 1)]
        with database(rows) as connection:
            steps = [f"s{n}" for n in range(count)]
            for options in (
                {},
                {"order": "strict"},
                {"order": "any"},
                {"step_window": "1h"},
                {"hold": "channel"},
            ):
                assert [2] * (count - 1) + [1] == reached(connection, steps, **options)


def test_a_name_is_a_type_then_a_role_then_a_stage(shop):
    """``purchase`` is a role here, and a prefix says otherwise; the options say what a name was taken for."""
    found = funnel(shop, steps=["viewed", "purchase"])
    assert ["type:viewed", "role:purchase"] == found.options["steps"]
    assert [3, 1] == found.steps["reached"].to_pylist()
    assert [3, 1] == reached(shop, ["viewed", "stage:purchase"])
    with database([("ada", "purchase", 0, "site"), ("ada", "signed", 1, "site")]) as connection:
        assert ["type:purchase"] == funnel(connection, steps=["purchase"]).options["steps"]


def test_a_known_word_without_touchpoints_is_no_mistake(shop):
    """A built-in role or a stage that nobody has reached yet is reached by nobody."""
    assert [3, 0, 0] == reached(shop, ["viewed", "claim_opened", "advocacy"])


def test_groups_by_the_value_at_a_touchpoint(shop):
    """All values are listed, null last; a step's value is null for those who have not got there."""

    def groups(at):
        rows = funnel(shop, steps=["viewed", "quoted", "signed"], breakdown="channel", breakdown_at=at).steps
        return [
            (row["breakdown"], row["position"], row["reached"])
            for row in rows.to_pylist()
            if row["position"] < 3
        ]

    assert [("site", 1, 2), ("site", 2, 1), (None, 1, 1), (None, 2, 1)] == groups("first")
    assert [
        ("agency", 1, 1),
        ("agency", 2, 1),
        ("phone", 1, 1),
        ("phone", 2, 1),
        ("site", 1, 1),
        ("site", 2, 0),
    ] == (groups("last"))
    assert [("phone", 1, 2), ("phone", 2, 2), (None, 1, 1), (None, 2, 0)] == groups("quoted")


def test_groups_by_the_step_in_any_order():
    """The value of the touchpoint that serves the step, whenever it comes."""
    with database([("ada", "b", 0, "site"), ("ada", "a", 1, "phone")]) as connection:
        for at, value in (("a", "phone"), ("b", "site"), ("first", "site")):
            found = funnel(
                connection, steps=["a", "b"], order="any", breakdown="channel", breakdown_at=at
            ).steps
            assert [value] * 2 == found["breakdown"].to_pylist()
            assert ["1 of 2", "2 of 2"] == found["step"].to_pylist()


def test_people_with_their_matches(shop):
    """By unit, the furthest attempt of each."""
    people = funnel(shop, steps=["viewed", "quoted", "signed"], people=True).people.to_pylist()
    assert [
        {
            "profile_id": "ada",
            "unit_id": "ada",
            "attempt": 1,
            "reached": 3,
            "event_ids": ["e000000", "e000001", "e000002"],
        },
        {
            "profile_id": "bob",
            "unit_id": "bob",
            "attempt": 1,
            "reached": 2,
            "event_ids": ["e000003", "e000004"],
        },
        {"profile_id": "cleo", "unit_id": "cleo", "attempt": 1, "reached": 1, "event_ids": ["e000005"]},
    ] == people


def test_only_what_had_occurred_by_then(shop):
    """``as_of`` is a time with or without a zone, a day or a text; the default is the newest touchpoint."""
    steps = ["viewed", "quoted", "signed"]
    for as_of in (datetime(2026, 3, 2), date(2026, 3, 2), "2026-03-02", "2026-03-02T01:00+01:00"):
        assert [2, 2, 0] == reached(shop, steps, as_of=as_of)
    assert (BEGAN + timedelta(hours=100)).isoformat() == funnel(shop, steps=steps).options["as_of"]


def test_nobody_at_all_is_no_error(shop):
    """A filter that leaves nothing: zeros, and rates of nothing are null."""
    rows = funnel(shop, steps=["viewed", "quoted"], where="channel = 'fax'", people=True)
    assert [(0, None, None), (0, None, None)] == [
        (row["reached"], row["rate_from_first"], row["rate_from_previous"]) for row in rows.steps.to_pylist()
    ]
    assert 0 == rows.people.num_rows
    assert [0, 0] == reached(shop, ["viewed", "quoted"], where="channel = 'fax'")
    for entry in ("latest", "first", "every"):
        assert [0, 0] == reached(shop, ["viewed", "quoted"], where="channel = 'fax'", entry=entry)


def test_equal_questions_have_equal_definitions(shop):
    """The hash in the options tells two funnels apart, not when they were asked."""

    def definition(**options):
        return funnel(shop, steps=["viewed", "quoted"], **options).options["definition"]

    assert definition() == definition(as_of="2026-03-02")
    assert definition() != definition(window="3d")


def test_the_result_is_frozen(shop):
    """Nobody changes it by accident."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        funnel(shop, steps=["viewed"]).people = None


@pytest.mark.parametrize("entry", ["best", "latest", "first"])
@pytest.mark.parametrize("window", [None, "5h"])
def test_the_quick_way_equals_the_thorough_one(monkeypatch, entry, window):
    """Counts and times are the same where events are cut into parts that threads share."""
    monkeypatch.setattr(quick, "PART", 100)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    chance = random.Random(1)
    rows = [
        (f"p{chance.randrange(300)}", chance.choice("aaabbcx"), chance.randrange(40), "site")
        for _ in range(3000)
    ]
    with database(rows) as connection:
        options = {"steps": ["a", "b", "c"], "window": window, "entry": entry}
        thorough = funnel(connection, **options, people=True)
        assert thorough.steps.equals(funnel(connection, **options).steps)
        assert 0 < thorough.steps["reached"][2].as_py() < thorough.steps["reached"][1].as_py()


def test_units_whose_hashes_begin_alike_stay_apart():
    """Events of two units that differ in the lowest bits alone of their hashes are not mixed."""
    chance = np.random.default_rng(1)
    unit = np.array([1 << 40, (1 << 40) + 1, (1 << 40) + 2, 1 << 50], np.uint64)[chance.integers(0, 4, 400)]
    us = chance.integers(0, 100, 400)
    fits = np.left_shift(1, chance.integers(0, 3, 400)).astype(np.uint8)
    found, times = quick.quick_attempts(unit, us, fits, Rules(3, window=5))
    rows = sorted(zip(unit.tolist(), us.tolist(), fits.tolist(), strict=True))
    lanes = Lanes(
        *(np.array(column) for column in zip(*((u, t) for u, t, _ in rows), strict=True)),
        (np.array([fit for _, _, fit in rows]),),
    )
    expected = attempts(Events(lanes), Rules(3, window=5)).chains
    assert sorted(expected.reached.tolist()) == sorted(found.chains.reached.tolist())
    assert sorted(lanes.us[expected.starts]) == sorted(times[found.chains.starts])


def test_a_crowded_person_takes_no_longer_than_others():
    """Fifty thousand touchpoints of one person, on whole seconds, with steps that overlap."""
    rows = [("ada", "viewed", n // 2 / 3600, "site") for n in range(50_000)]
    with database([*rows, ("bob", "bought", 0, "site")]) as connection:
        assert [1, 1, 0] == reached(connection, ["viewed", "channel = 'site'", "bought"])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT 1", "needs touchpoints, which this database does not have"),
        ("CREATE TABLE touchpoints (event_id VARCHAR)", "has no column occurred_at, profile_id, event_type"),
        (
            "CREATE TABLE touchpoints (event_id VARCHAR, occurred_at TIMESTAMP, profile_id VARCHAR,"
            " event_type VARCHAR)",
            "load some, as with parcours run",
        ),
    ],
)
def test_a_database_without_touchpoints_says_what_it_lacks(statement, said):
    """No table, not its columns, or nothing in it."""
    with duckdb.connect() as connection:
        connection.execute(statement)
        with pytest.raises(FunnelError, match=said):
            funnel(connection, steps=["viewed"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": []}, "a funnel needs steps"),
        ({"steps": ["viewd"]}, 'did you mean "viewed"'),
        ({"steps": ["viewed"], "count": "journeys"}, "needs journey_steps"),
        ({"steps": ["viewed"], "count": "visits"}, "no column visit_id"),
        ({"steps": ["viewed"], "window": "14 potatoes"}, "write a number and a unit"),
        ({"steps": ["viewed", "quoted"], "step_window": ["1d", "2d"]}, "2 entries for 2 steps"),
        ({"steps": ["viewed"], "segment": "vip"}, "has no segments"),
        ({"steps": ["viewed"], "as_of": "soon"}, "is no time"),
        ({"steps": ["viewed"], "where": "channel = (SELECT 1)"}, "where"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_to_write(shop, options, said):
    """Every error names the option, what is wrong, and what to write."""
    with pytest.raises(FunnelError, match=said):
        funnel(shop, **options)
