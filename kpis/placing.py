"""In which periods and groups a row of a figure counts: SQL that figure.sql is filled in with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parcours.kpis.kinds import adds_up
from parcours.schemas.config import Kpi
from parcours.schemas.figure import WITHOUT_DENOMINATOR, Figure
from parcours.schemas.literal import literal

TOTAL = ("total",)
"""The row set that is cut by nothing."""

GRAIN_ROWS = {
    "day": "('day', INTERVAL 1 DAY)",
    "week": "('week', INTERVAL 7 DAY)",
    "month": "('month', INTERVAL 1 MONTH)",
    "quarter": "('quarter', INTERVAL 3 MONTH)",
    "year": "('year', INTERVAL 1 YEAR)",
}
"""The periods, and how long each is."""


def period_of(instant: str, kpi: Kpi) -> str:
    """Return SQL for the first day of the period, of the grain at hand, that an instant falls in."""
    return period_in(f"timezone('{kpi.time_zone}', make_timestamptz(epoch_us({instant})))", kpi)


def period_in(local: str, kpi: Kpi) -> str:
    """Return the same for a local time."""
    if kpi.week_start == "monday":
        return f"date_trunc(grain, {local})::DATE"
    # date_trunc's weeks begin on Monday: a day later, a Sunday falls into the week that it begins
    shift = "CASE grain WHEN 'week' THEN 1 ELSE 0 END"
    return f"(date_trunc(grain, {local} + to_days({shift}))::DATE - {shift})"


def timing_of(figure: Figure, sums: Mapping[str, str], kpi: Kpi) -> dict[str, str]:
    """Return the words that say in which periods a row counts."""
    words = {
        "periods": "",
        "first_period": "",
        "placed": "grain,",
        "materialized": "NOT MATERIALIZED",
        "moves": _FLOW_OF_PERSONS.format(zone=kpi.time_zone, slot=_SLOT) if figure.persons else _FLOW,
        "excluded": "moved_at",
        "period": period_in("local_at", kpi) if figure.persons else period_of("moved_at", kpi),
        "with_grains": "CROSS JOIN grains",
        "stood": "",
        "from_period": "period_start",
        "last_of_group": "period_start",
        "counts": "",
        "met": "",
    }
    first = f", (SELECT {period_of('min(occurred_at)', kpi)} FROM touchpoints) AS first_period"
    if figure.snapshot:
        return words | {
            "first_period": first,
            "periods": _PERIODS.format(zone=kpi.time_zone),
            "moves": "moves AS (FROM facts),",
            "excluded": "grain, period_start",
            "period": "moves.period_start",
            "with_grains": "",
        }
    if not figure.standing:
        return words
    at_start = figure.standing == "start"
    period = words["period"]
    starts_at = f"timezone('UTC', timezone('{kpi.time_zone}', {period}::TIMESTAMP))"
    stands = " OR ".join(f"stood_{name} <> 0" for name in sums)
    return words | {
        "first_period": first,
        "placed": "grain, last_period,",
        "materialized": "MATERIALIZED",
        "moves": _standing_moves(figure),
        "excluded": "moved_at, stood_from" if at_start else "moved_at",
        "counts": f"(stands OR stood_from IS NULL OR stood_from <= {starts_at})" if at_start else "",
        "period": f"CASE WHEN stands THEN ({period} + step)::DATE ELSE {period} END" if at_start else period,
        "stood": "".join(f"sum(moved_{name}) OVER following AS stood_{name}, " for name in sums),
        # what was before the first touchpoint is known of those alone who were still there
        "from_period": "greatest(period_start, first_period)",
        "last_of_group": f"CASE WHEN {stands} THEN last_period ELSE period_start END",
        # what stands from within the last period on meets no start any more
        "met": "WHERE period_start <= last_period",
    }


_PERIODS = """periods AS (
    SELECT
        named.*,
        least(period_ends_at, until) AS ends_at,
        least(period_ends_at - INTERVAL 1 MICROSECOND, until) AS last_at
    FROM (
        SELECT
            grain,
            period_start,
            timezone('UTC', timezone('{zone}', period_start::TIMESTAMP)) AS starts_at,
            timezone('UTC', timezone('{zone}', period_start + step)) AS period_ends_at
        FROM (
            SELECT
                grain,
                step,
                unnest(generate_series(first_period::TIMESTAMP, last_period::TIMESTAMP, step))::DATE
                    AS period_start
            FROM grains
        )
    ) AS named CROSS JOIN instant
),"""

_FLOW = """moves AS (
    SELECT facts.*, counted_at AS moved_at FROM facts CROSS JOIN instant WHERE counted_at <= instant.until
),"""


# local times are looked up by the quarter of an hour: to compute them would take as long as all the rest
_FLOW_OF_PERSONS = """slots AS MATERIALIZED (
    SELECT slot, timezone('{zone}', make_timestamptz(slot * {slot})) AS local_at
    FROM (
        SELECT unnest(range(
            epoch_us(min(occurred_at)) // {slot}, epoch_us(max(occurred_at)) // {slot} + 1
        )) AS slot
        FROM touchpoints
    )
),
moves AS (
    SELECT facts.*, coalesce(local_at, timezone('{zone}', make_timestamptz(epoch_us(counted_at)))) AS local_at
    FROM facts CROSS JOIN instant LEFT JOIN slots ON slot = epoch_us(counted_at) // {slot}
    WHERE counted_at <= instant.until
),"""


def _standing_moves(figure: Figure) -> str:
    """Return SQL of what a standing row adds where: the sum of its moves up to a period is what stands there.

    What ends before it begins never stands. A row that stands and is counted too, as a contract that ended,
    adds its numerator where it is counted and its denominator where it stands.
    """
    counted, stands = "", ""
    if "measure" not in figure.rows and figure.kind not in WITHOUT_DENOMINATOR:
        counted = "REPLACE (CASE WHEN since IS NULL THEN denominator END AS denominator)"
    if "measure" not in figure.rows:
        stands = "REPLACE (CASE WHEN counted_at IS NULL THEN numerator END AS numerator)"
    row = "facts.* EXCLUDE (counted_at, since, until)"
    return f"""moves AS (
    SELECT 1 AS sign, false AS stands, counted_at AS moved_at, since AS stood_from, {row} {counted}
    FROM facts CROSS JOIN instant WHERE counted_at <= instant.until
    UNION ALL BY NAME
    SELECT 1 AS sign, true AS stands, since AS moved_at, since AS stood_from, {row} {stands}
    FROM facts CROSS JOIN instant WHERE since <= instant.until AND coalesce(since < facts.until, true)
    UNION ALL BY NAME
    SELECT -1 AS sign, true AS stands, facts.until AS moved_at, since AS stood_from, {row} {stands}
    FROM facts CROSS JOIN instant WHERE facts.until <= instant.until AND since < facts.until
),"""


_SLOT = 900_000_000
"""Fifteen minutes, in microseconds: days begin at a multiple of it in every time zone (since November 2011:
before, clocks in Newfoundland were changed a minute after midnight)."""


def summed(figure: Figure, sums: Mapping[str, str], cut_by: Sequence[tuple[str, ...]]) -> str:
    """Return SQL that sums rows up by the quarter of an hour, before they meet row sets and grains.

    There are a hundred of these in a day, and millions of rows: days, periods and values are found for each
    of what is left alone.
    """
    if not adds_up(figure):
        return ""
    floor = f"make_timestamp(epoch_us({{}}) // {_SLOT} * {_SLOT})"
    if figure.snapshot:
        times = ["grain", "period_start"]
    elif figure.standing == "start":
        # what stands from within a period on is first met at the start of the next,
        # and what ends with a period ends in it
        just_before = "CASE WHEN stood_from IS NULL THEN moved_at ELSE moved_at - INTERVAL 1 MICROSECOND END"
        ceiling = f"make_timestamp((epoch_us(stood_from) + {_SLOT - 1}) // {_SLOT} * {_SLOT})"
        stood_from = f"CASE WHEN stands THEN '-infinity'::TIMESTAMP ELSE {ceiling} END AS stood_from"
        times = ["sign", "stands", f"{floor.format(just_before)} AS moved_at", stood_from]
    else:
        times = [*(("sign", "stands") if figure.standing else ()), f"{floor.format('moved_at')} AS moved_at"]
    names = dict.fromkeys(name for names in cut_by for name in names if name not in TOTAL)
    times += ["counts_in"] if figure.apart else []
    columns = [
        *times,
        *(f'"{name}"' for name in names),
        *(f"{sum_} AS {name}" for name, sum_ in sums.items()),
    ]
    return f"summed AS (SELECT {', '.join(columns)} FROM moves GROUP BY ALL),"


def _cut(place: int, cut_by: Sequence[tuple[str, ...]]) -> str:
    cases = "".join(
        f" WHEN {number} THEN {_value_of(names[place])}"
        for number, names in enumerate(cut_by)
        if place < len(names)
    )
    return f"CASE set_number{cases} END AS v{place + 1}"


def _value_of(name: str) -> str:
    return "'total'" if name in TOTAL else f'moves."{name}"::VARCHAR'


def kept(names: tuple[str, ...], figure: Figure) -> list[int]:
    """Return the places of a row set's names that cut the denominator too."""
    return [place for place, name in enumerate(names) if name not in figure.numerator_dimensions]


def dated(figure: Figure, cut_by: Sequence[tuple[str, ...]], timing: Mapping[str, str]) -> str:
    """Return SQL that crosses rows with row sets and grains, and finds each one's values and period."""
    width = max(map(len, cut_by))
    conditions = [timing["counts"]] if timing["counts"] else []
    if figure.apart:
        is_cut = f"list_contains(dimensions, {literal(figure.apart)})"
        conditions.append(f"(counts_in IS NULL OR (counts_in = 'cut') = {is_cut})")
    return f"""dated AS (
    SELECT
        {timing["placed"]} set_number, dimensions,
        {", ".join(_cut(place, cut_by) for place in range(width))},
        {timing["period"]} AS period_start,
        moves.* EXCLUDE ({timing["excluded"]})
    FROM {"summed" if adds_up(figure) else "moves"} AS moves CROSS JOIN sets {timing["with_grains"]}
    WHERE {" AND ".join(conditions) or "true"}
),"""


def persons(figure: Figure, cut_by: Sequence[tuple[str, ...]], period: str) -> str:
    """Return SQL that makes one row of a person's in each group and period.

    To group and then count takes half the time of counting distinct persons. Each row set is grouped by
    itself: it has fewer keys then, and a filter on dimensions leaves one.
    """
    width = max(map(len, cut_by))
    grains = "" if figure.snapshot else "CROSS JOIN grains"
    parts = []
    for number, names in enumerate(cut_by):
        values = [*map(_value_of, names), *["NULL::VARCHAR"] * (width - len(names))]
        keys = [f"v{place + 1}" for place, name in enumerate(names) if name not in TOTAL]
        parts.append(f"""    SELECT
        grain, {number} AS set_number, [{", ".join(map(literal, names))}] AS dimensions,
        {", ".join(f"{value} AS v{place + 1}" for place, value in enumerate(values))},
        {period} AS period_start, person, bool_or(numerator) AS numerator
    FROM moves {grains}
    GROUP BY {", ".join(("grain", "period_start", "person", *keys))}""")
    united = "\n    UNION ALL\n".join(parts)
    return f"dated AS (\n{united}\n),"


def deliveries(expected: Sequence[str]) -> dict[str, str]:
    """Return the words that say which sources have not delivered past a period's end."""
    if not expected:  # nothing is asked of touchpoints then
        return {"delivered": "", "with_delivered": "", "incomplete": "[]::VARCHAR[]"}
    return {
        "delivered": f"""delivered AS (
    SELECT list({{name: name, newest: newest}} ORDER BY name) AS deliveries
    FROM (SELECT unnest([{", ".join(map(literal, expected))}]) AS name)
    LEFT JOIN (SELECT source_name AS name, max(occurred_at) AS newest FROM touchpoints GROUP BY source_name)
        USING (name)
),""",
        "with_delivered": "CROSS JOIN delivered",
        "incomplete": "list_transform("
        "list_filter(deliveries, lambda d: coalesce(d.newest < ended_at, true)), lambda d: d.name)",
    }
