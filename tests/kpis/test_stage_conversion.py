"""Stage conversion over small stores, one case per rule, and its balance over any store."""

from datetime import date, datetime, timedelta
from functools import cache

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcours.kpis.stage_conversion import COMMENTS, create_statements
from parcours.schemas import relations
from parcours.schemas.config import STAGES, Kpi
from parcours.transforms.journeys import BUILT, JourneyRules, build_journeys

NOON = datetime(2024, 3, 13, 12)  # a Wednesday; Paris is an hour ahead of UTC, two from the 31st


def entry(person, days, stage, **fields):
    """A touchpoint of a person in a stage, ``days`` after noon."""
    at = NOON + timedelta(days=days) if not isinstance(days, datetime) else days
    return {
        "profile_id": person,
        "identified": not person.startswith("anon:"),
        "occurred_at": at,
        "stage": stage,
        "event_type": stage or "nothing",
        "channel": "site",
        "medium": "digital",
        "roles": [],
        **fields,
    }


@cache
def empty_store(week_start, run_at):
    """A store in memory with the figure and one run; made once, because it takes longer than most tests."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'America/New_York'")  # must not matter
    for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
        connection.execute(relations.statement(name))
    for name, _, null, *_ in connection.execute("DESCRIBE touchpoints").fetchall():
        if null == "NO":  # columns that play no part here
            connection.execute(f"ALTER TABLE touchpoints ALTER {name} DROP NOT NULL")
    connection.execute("INSERT INTO runs VALUES ('r', 'run', ?, NULL, 'done', '')", [run_at])
    connection.execute(
        "CREATE TEMP VIEW history AS SELECT source_offset AS rid, false AS ends_holding, * FROM touchpoints"
    )
    for statement in create_statements(Kpi(week_start=week_start)):
        connection.execute(statement)
    return connection


def store(entries, week_start="monday", run_at=datetime(2030, 1, 1)):
    """A store that holds these touchpoints and what is derived from them, and nothing of earlier tests."""
    connection = empty_store(week_start, run_at)
    connection.execute("DELETE FROM touchpoints; DELETE FROM ref_targets")
    for number, fields in enumerate(entries):
        row = {"event_id": f"e{number:03}", "source_offset": number, **fields}
        places = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO touchpoints ({', '.join(row)}) VALUES ({places})", [*row.values()])
    build_journeys(connection, JourneyRules())
    for name in BUILT:
        connection.execute(f"DELETE FROM {name}")
        connection.execute(f"INSERT INTO {name} BY NAME FROM built_{name}")
    return connection


def figures(connection, where="true", source="kpi_stage_conversion"):
    """The rows that fit, as dictionaries, by period and dimension."""
    result = connection.execute(f"FROM {source} WHERE {where} ORDER BY period_start, dimension_values")
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def pair(a, b, grain="month", dimension="total"):
    """The filter for one pair of stages."""
    return f"grain = '{grain}' AND dimensions = ['{dimension}'] AND from_stage = '{a}' AND to_stage = '{b}'"


SHARES = ("numerator", "denominator", "b_before_a", "after_window", "not_yet", "skipped_in")


def shares(row):
    """What becomes of the journeys of a row."""
    return tuple(row[name] for name in SHARES)


def test_what_becomes_of_those_who_enter():
    """Each journey that entered a converted, had b before, is too late or not there yet; skips are apart."""
    window = timedelta(days=90)
    connection = store(
        [
            entry("converted", 0, "awareness"),
            entry("converted", 3, "purchase"),
            entry("at-the-limit", 0, "awareness"),
            entry("at-the-limit", NOON + window, "purchase"),
            entry("too-late", 0, "awareness"),
            entry("too-late", NOON + window + timedelta(microseconds=1), "purchase"),
            entry("before", 0, "purchase"),
            entry("before", 1, "awareness"),
            entry("before", 2, "purchase"),
            entry("not-yet", 0, "awareness"),
            entry("not-yet", 1, "consideration"),
            entry("not-yet", 2, "service"),
            entry("never", 0, "purchase"),
            entry("together", 0, "purchase"),
            entry("together", 0, "awareness"),
        ]
    )
    (row,) = figures(connection, pair("awareness", "purchase"))
    assert (3, 6, 1, 1, 1, 2) == shares(row)
    assert 0.5 == row["value"]
    assert 6 == row["n"]
    assert 90 == row["window_days"]
    assert {stage: int(stage == "service") for stage in STAGES} == row["not_yet_by_stage"]
    assert 3 * 86_400 == row["median_seconds"]
    assert pytest.approx((3 + 0.8 * 87) * 86_400) == row["p90_seconds"]
    # Wilson for 3 of 6
    assert pytest.approx((0.187617, 0.812383), abs=1e-6) == (row["low"], row["high"])


def test_windows_of_every_pair():
    """All 15 pairs are there: 30 days to consideration, 90 to purchase, 365 to what follows."""
    connection = store([entry("a", n, stage) for n, stage in enumerate(STAGES)])
    rows = figures(connection, "grain = 'year' AND dimensions = ['total']")
    days = dict(zip(STAGES, (None, 30, 90, 365, 365, 365), strict=True))
    assert {(a, b, days[b]) for i, a in enumerate(STAGES) for b in STAGES[i + 1 :]} == {
        (row["from_stage"], row["to_stage"], row["window_days"]) for row in rows
    }
    assert [(1, 1)] * 15 == [(row["numerator"], row["denominator"]) for row in rows]


def test_unlimited_is_to_date():
    """Without windows any later entry converts, nothing is too late, and no row is ever mature."""
    connection = store([entry("a", 0, "awareness"), entry("a", 300, "purchase")])
    (limited,) = figures(connection, pair("awareness", "purchase"))
    (row,) = figures(
        connection,
        pair("awareness", "purchase"),
        "kpi_stage_conversion_at('2029-01-01', unlimited := true)",
    )
    assert ((0, 1, 0, 1, 0, 0), (1, 1, 0, 0, 0, 0)) == (shares(limited), shares(row))
    assert (None, False) == (row["window_days"], row["mature"])
    assert limited["definition"] != row["definition"]


@pytest.mark.parametrize(
    ("grain", "week_start", "start"),
    [
        ("day", "monday", date(2024, 3, 17)),
        ("week", "monday", date(2024, 3, 11)),
        ("week", "sunday", date(2024, 3, 17)),
        ("month", "monday", date(2024, 3, 1)),
        ("quarter", "monday", date(2024, 1, 1)),
        ("year", "monday", date(2024, 1, 1)),
    ],
)
def test_periods(grain, week_start, start):
    """A Saturday's last hour in UTC is Sunday in Paris, whatever the session's time zone."""
    connection = store([entry("a", datetime(2024, 3, 16, 23, 30), "awareness")], week_start)
    (row,) = figures(connection, pair("awareness", "purchase", grain))
    assert start == row["period_start"]


def test_periods_between_are_listed():
    """A group's periods are all there from its first to its last, empty ones with a null rate."""
    connection = store(
        [
            entry("a", datetime(2024, 1, 31, 23, 30), "awareness", channel="site"),
            entry("b", datetime(2024, 4, 1), "awareness", channel="site"),
            entry("c", datetime(2024, 3, 1), "awareness", channel="agency"),
        ]
    )
    rows = figures(connection, pair("awareness", "purchase", "month", "channel"))
    assert [
        (2, ["site"], 1, 0.0),
        (3, ["agency"], 1, 0.0),
        (3, ["site"], 0, None),
        (4, ["site"], 1, 0.0),
    ] == [
        (row["period_start"].month, row["dimension_values"], row["denominator"], row["value"]) for row in rows
    ]
    empty = rows[2]
    assert (0, 0, 0, 0, 0, 0) == shares(empty)
    assert (None, None, None) == (empty["low"], empty["high"], empty["median_seconds"])
    assert dict.fromkeys(STAGES, 0) == empty["not_yet_by_stage"]


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("total", {"total": 2}),
        ("channel", {"email": 1, "site": 1}),
        ("campaign", {"spring": 1, None: 1}),
        ("product", {"auto": 1, None: 1}),
        ("source", {"post": 1, None: 1}),
        ("medium", {"mail": 1, "digital": 1}),
        ("identified", {"true": 1, "false": 1}),
    ],
)
def test_dimensions_are_those_of_the_entry(dimension, expected):
    """A journey stands in the group of the touchpoint that entered a, not of a later one; null is a group."""
    named = {"channel": "email", "campaign": "spring", "product": "auto", "source": "post", "medium": "mail"}
    connection = store(
        [
            entry("a", 0, None, channel="phone", campaign="none"),
            entry("a", 1, "awareness", **named),
            entry("a", 2, "awareness", channel="app", campaign="late"),
            entry("a", 3, "consideration", channel="app"),
            entry("a", 4, "awareness", channel="app"),
            entry("anon:b", 0, "awareness"),
        ]
    )
    rows = figures(connection, pair("awareness", "purchase", "month", dimension))
    assert expected == {row["dimension_values"][0]: row["denominator"] for row in rows}


def test_a_skip_stands_with_the_entry_that_skipped():
    """Who enters b without a is in no denominator; the group is that of the touchpoint that entered b."""
    connection = store(
        [entry("a", 0, "purchase", channel="agency"), entry("a", 40, "awareness", channel="site")]
    )
    rows = figures(connection, pair("awareness", "purchase", "month", "channel"))
    assert [(3, ["agency"], (0, 0, 0, 0, 0, 1)), (4, ["site"], (0, 1, 1, 0, 0, 0))] == [
        (row["period_start"].month, row["dimension_values"], shares(row)) for row in rows
    ]


def test_as_of():
    """At an instant only what occurred up to it counts: entries, conversions and the stage stood in."""
    connection = store(
        [
            entry("a", 0, "consideration"),
            entry("a", 1, "awareness"),
            entry("a", 2, "purchase"),
            entry("b", 3, "consideration"),
        ]
    )

    def at(days):
        rows = figures(
            connection,
            pair("consideration", "purchase"),
            f"kpi_stage_conversion_at(TIMESTAMP '{NOON + timedelta(days=days)}')",
        )
        return [(shares(row), row["not_yet_by_stage"]["awareness"]) for row in rows]

    assert [] == at(-1)
    assert [((0, 1, 0, 0, 1, 0), 0)] == at(0.5)
    assert [((0, 1, 0, 0, 1, 0), 1)] == at(1)
    assert [((1, 1, 0, 0, 0, 0), 0)] == at(2)
    assert [((1, 2, 0, 0, 1, 0), 0)] == at(3)


def test_default_as_of():
    """Unless told otherwise, figures stop at the newest touchpoint that is not after the last run's start."""
    connection = store(
        [entry("a", 0, "awareness"), entry("b", 1, "awareness"), entry("c", 9, "awareness")],
        run_at=NOON + timedelta(days=5),
    )
    assert [(NOON + timedelta(days=1),)] == connection.execute("SELECT default_as_of()").fetchall()
    (row,) = figures(connection, pair("awareness", "purchase"))
    assert 2 == row["denominator"]


def test_mature():
    """A row is mature once the window of the period's last instant, in the configured zone, is over."""
    connection = store([entry("a", 0, "awareness")])
    # March ends in Paris at 22:00 UTC on the 31st, summer time being in force
    over = datetime(2024, 3, 31, 22) + timedelta(days=90)
    found = [
        figures(connection, pair("awareness", "purchase"), f"kpi_stage_conversion_at(TIMESTAMP '{at}')")[0]
        for at in (over, over + timedelta(microseconds=1))
    ]
    assert [False, True] == [row["mature"] for row in found]


def test_a_source_that_is_late():
    """While a source that is expected has delivered nothing past a period's end, the period is not mature."""
    connection = store(
        [
            entry("a", datetime(2024, 1, 10), "awareness", source_name="web"),
            entry("b", datetime(2024, 2, 10), "awareness", source_name="web"),
            entry("b", datetime(2024, 2, 9), None, source_name="shops"),
            entry("b", datetime(2024, 3, 1), None, source_name="unasked"),
        ]
    )
    try:
        for statement in create_statements(Kpi(), ("web", "shops", "never heard of")):
            connection.execute(statement)
        rows = figures(connection, pair("awareness", "purchase"), "kpi_stage_conversion_at('2029-01-01')")
        assert [(["never heard of"], False), (["never heard of", "shops", "web"], False)] == [
            (row["incomplete_sources"], row["mature"]) for row in rows
        ]
        for statement in create_statements(Kpi(), ("web", "shops")):
            connection.execute(statement)
        rows = figures(connection, pair("awareness", "purchase"), "kpi_stage_conversion_at('2029-01-01')")
        assert [([], True), (["shops", "web"], False)] == [
            (row["incomplete_sources"], row["mature"]) for row in rows
        ]
    finally:  # the store serves other tests
        for statement in create_statements(Kpi()):
            connection.execute(statement)


def test_targets():
    """A row has the target of its pair, dimension and period: the version in force at the instant."""
    connection = store(
        [entry("a", 0, "awareness"), entry("b", 0, "awareness", channel="app"), entry("c", 40, "awareness")]
    )
    connection.execute(
        """
        INSERT INTO ref_targets
        SELECT
            'stage_conversion.awareness.' || stage, dimension, period, value, 'up', valid_from, [],
            '', '', 0, 0, ''
        FROM (VALUES
            ('purchase', 'total', '2024-03', 0.1, NULL),
            ('purchase', 'total', '2024-03', 0.2, TIMESTAMP '2028-01-01'),
            ('purchase', 'total', '2024-03', 0.9, TIMESTAMP '2030-01-01'),
            ('purchase', 'channel=app', '2024-03', 0.3, NULL),
            ('purchase', 'total', '2024-W11', 0.4, NULL),
            ('service', 'total', '2024-03', 0.5, NULL)
        ) AS given(stage, dimension, period, value, valid_from)
        """
    )

    def targets(grain, dimension, year=2029):
        source = f"kpi_stage_conversion_at('{year}-01-01')"
        rows = figures(connection, pair("awareness", "purchase", grain, dimension), source)
        return [row["target"] for row in rows]

    assert [0.2, None] == targets("month", "total")
    assert [0.1, None] == targets("month", "total", 2027)
    assert [0.3, None, None] == targets("month", "channel")
    assert 0.4 == targets("week", "total")[0]
    assert [None] == targets("year", "total")


def test_columns():
    """The common columns come first, in their order; every column of the view has its comment."""
    connection = store([])
    names = [row[0] for row in connection.execute("DESCRIBE kpi_stage_conversion").fetchall()]
    assert list(COMMENTS) == names
    common = (
        "kpi grain period_start dimensions dimension_values numerator denominator value n low high additive"
    )
    assert f"{common} mature incomplete_sources target options definition".split() == names[:17]
    comments = connection.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'kpi_stage_conversion'"
    ).fetchall()
    assert COMMENTS == dict(comments)
    assert [] == figures(connection)


@pytest.mark.parametrize(("dimension", "scanned"), [("total", 1), ("identified", 1), ("medium", 2)])
def test_a_filter_computes_one_branch(dimension, scanned):
    """A filter on dimensions leaves one branch: journeys alone, or with stage visits; touchpoints never."""
    connection = store([entry("a", 0, "awareness")])
    query = "EXPLAIN (FORMAT json) FROM kpi_stage_conversion_at('2029-01-01') "
    where = f"WHERE grain = 'month' AND dimensions = ['{dimension}']"
    (_, every), (_, one) = (connection.execute(query + limit).fetchone() for limit in ("", where))
    around = 4  # the days, the journeys under way with their visits, and the targets
    assert every.count("SEQ_SCAN") > one.count("SEQ_SCAN")
    assert scanned + around >= one.count("SEQ_SCAN")
    assert "Table: touchpoints" not in every


def test_made_anew():
    """Other options replace the figure and change its definition."""
    connection = store([entry("a", datetime(2024, 3, 31, 22, 30), "awareness")], run_at=datetime(2031, 1, 1))
    (paris,) = figures(connection, pair("awareness", "purchase"))
    for statement in create_statements(Kpi(time_zone="UTC")):
        connection.execute(statement)
    (utc,) = figures(connection, pair("awareness", "purchase"))
    assert (4, 3) == (paris["period_start"].month, utc["period_start"].month)
    assert paris["definition"] != utc["definition"]


@settings(max_examples=10, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "anon:c"]),
            st.sampled_from([0, 1, 29, 30, 31, 90, 91, 365, 500]),
            st.sampled_from([None, *STAGES]),
            st.sampled_from(["site", "agency"]),
        ),
        max_size=20,
    )
)
def test_balance(rows):
    """Denominator = converted + b_before_a + after_window + not_yet; groups add up to what journeys say."""
    connection = store([entry(person, days, stage, channel=channel) for person, days, stage, channel in rows])
    for grain, dimension in (("month", "total"), ("day", "channel"), ("week", "identified")):
        totals = {(a, b): [0, 0] for i, a in enumerate(STAGES) for b in STAGES[i + 1 :]}
        for row in figures(connection, f"grain = '{grain}' AND dimensions = ['{dimension}']"):
            converted, entered, before, late, not_yet, skipped = shares(row)
            assert entered == converted + before + late + not_yet
            assert not_yet == sum(row["not_yet_by_stage"].values())
            assert entered == 0 or 0 <= row["low"] <= row["value"] + 1e-12 <= row["high"] + 2e-12 <= 1 + 2e-12
            totals[row["from_stage"], row["to_stage"]][0] += entered
            totals[row["from_stage"], row["to_stage"]][1] += skipped
        for (a, b), expected in totals.items():
            journeys = connection.execute(
                f"SELECT count({a}_at), count({b}_at) FILTER (coalesce({a}_at > {b}_at, true)) FROM journeys"
            )
            assert tuple(expected) == journeys.fetchone()
