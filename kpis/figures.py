"""From the record of a figure to its SQL: counted, cut into periods, and given its interval."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from string import Template
from typing import Any

from parcours.kpis.scope import Scope
from parcours.schemas.config import Experiment, Kpi
from parcours.schemas.figure import GRAINS, INPUTS, WITHOUT_DENOMINATOR, Figure
from parcours.schemas.literal import literal
from parcours.schemas.segment import Segment, ValueCells

COLUMNS = {
    "kpi": "Name of the figure.",
    "grain": "day, week, month, quarter or year, in the configured time zone; filter on it.",
    "period_start": "First day of the period.",
    "dimensions": "What the rows are cut by, [total] where by nothing; filter on it.",
    "dimension_values": "The values of dimensions, in their order; null for null.",
    "numerator": "What is counted; null for a median or a 90th percentile.",
    "denominator": "Of what; null for a count or an amount.",
    "value": "The figure in its unit; null where the denominator is 0.",
    "n": "How many counted things the value rests on.",
    "low": "Lower end of the 95 % interval; null where the figure has none.",
    "high": "Upper end of the 95 % interval; null where the figure has none.",
    "additive": "Whether the groups of a dimension add up to the total.",
    "mature": "True where nothing that is still to come changes the row any more.",
    "incomplete_sources": "Sources that declare expected_every and delivered nothing past the period's end.",
    "target": "The target for value; null where none is set.",
    "options": "The options, as JSON.",
    "definition": "MD5 of formula and options: rows with equal ones are comparable.",
}
"""The columns that the rows of every figure have, with their meaning."""

TOTAL = ("total",)
"""The row set that is cut by nothing."""


@dataclass(frozen=True)
class Setting:
    """What figures are computed with, whatever is asked.

    Attributes:
        kpi: periods and options.
        roles: those that the taxonomy gives to event types.
        expected: names of the sources of touchpoints that declare ``expected_every``.
        segment: the segments, by name.
        value_cells: what makes the four cells; null: nothing.
        experiment: how tests of variants are judged, by name.
    """

    kpi: Kpi = field(default_factory=Kpi)
    roles: frozenset[str] = frozenset()
    expected: tuple[str, ...] = ()
    segment: Mapping[str, Segment] = field(default_factory=dict)
    value_cells: ValueCells | None = None
    experiment: Mapping[str, Experiment] = field(default_factory=dict)


def row_sets(figure: Figure) -> list[tuple[str, ...]]:
    """Return the row sets that a figure has unasked: the total, and each of its dimensions alone."""
    return [TOTAL, *((name,) for name in (*figure.dimensions, *figure.numerator_dimensions))]


def lacking(figure: Figure, setting: Setting) -> list[str]:
    """Return the roles, options and tables that a figure needs and the config does not give."""
    return [
        need
        for need in figure.needs
        if (need.startswith("role:") and not setting.roles.intersection(need[5:].split("|")))
        or (need.startswith("option:") and not getattr(setting.kpi, need[7:]))
        or (need.startswith("config:") and not getattr(setting, need[7:]))
    ]


def query(
    name: str,
    figure: Figure,
    scope: Scope,
    setting: Setting,
    *,
    grains: Sequence[str] = GRAINS,
    sets: Sequence[tuple[str, ...]] | None = None,
) -> str:
    """Return the SELECT of a figure's rows, with the columns of ``COLUMNS``.

    Args:
        name: the figure's.
        figure: its record.
        scope: the instant, and to what the figure is limited.
        setting: what it is computed with.
        grains: which; those that the figure does not have are left out.
        sets: the names that each row set is crossed by; default: ``row_sets``.
    """
    cut_by = [_crossed(names, figure) for names in (sets or row_sets(figure))]
    width = max(map(len, cut_by))
    keys = [f"v{place + 1}" for place in range(width)]
    sums = _sums(figure)
    value, n, low, high = _VALUES[figure.kind]
    timing = _timing(figure, sums, setting.kpi)
    words = {
        **common_words(name, figure, scope, setting, is_after=any("after" in names for names in cut_by)),
        "grains": ", ".join(_GRAIN_ROWS[grain] for grain in figure.grains if grain in grains),
        "last_period": _period_of("until", setting.kpi),
        "sets": ", ".join(
            f"({number}, [{', '.join(map(literal, names))}])" for number, names in enumerate(cut_by)
        ),
        "keys": ", ".join(keys),
        "summed": _summed(figure, sums, cut_by),
        "sums": ", ".join(_counted(name, sum_, figure) for name, sum_ in sums.items()),
        "filled": ", ".join(_filled(name, figure) for name in sums),
        "shared": _shared(figure, cut_by),
        "ends_at": f"timezone('UTC', timezone('{setting.kpi.time_zone}', period + step))",
        "numerator": _numerator(figure),
        "denominator": _DENOMINATORS.get(figure.kind, "denominator::BIGINT"),
        "value": value,
        "n": n,
        "low": low,
        "high": high,
        "additive": str(figure.additive).lower(),
        "target_dimension": _target_dimension(width),
        # weeks that begin on Sunday are named by the ISO week of their Monday
        "week_name": "period" if setting.kpi.week_start == "monday" else "period + 1",
        **timing,
        "dated": _persons(figure, cut_by, timing["period"])
        if figure.persons
        else _dated(figure, cut_by, timing),
    }
    template = resources.files(__package__).joinpath("figure.sql").read_text("utf-8")
    return Template(template).substitute(words)


def common_words(
    name: str, figure: Figure, scope: Scope, setting: Setting, *, is_after: bool = False
) -> dict[str, str]:
    """Return what the SQL of every figure is filled in with, whatever its kind: by the word for it.

    Args:
        name: the figure's.
        figure: its record.
        scope: the instant, and to what the figure is limited.
        setting: what it is computed with.
        is_after: whether rows are cut by what people met before they answered.
    """
    facts = Template(figure.rows.strip()).substitute(
        _as_sql(figure, setting.kpi), answers=_ANSWERS[is_after], counts_person=scope.counts_person()
    )
    told = json.dumps(_told(figure, scope, setting), ensure_ascii=False, sort_keys=True)
    formula = json.dumps([name, figure.kind, figure.standing, figure.snapshot, figure.rows, told])
    return {
        "relations": ",\n".join(scope.relations(facts, setting.kpi.time_zone)),
        "facts": facts,
        "name": literal(name),
        "window": figure.window,
        "options": literal(told),
        "definition": hashlib.md5(formula.encode(), usedforsecurity=False).hexdigest(),
        "available": _available(figure, setting),
        **_deliveries(setting),
    }


_ANSWERS = {
    True: "answers_after_then",
    False: "(SELECT *, CAST(NULL AS VARCHAR) AS after FROM answers_then)",
}
"""What $answers stands for, by whether rows are cut by what people met before: that takes a while to find."""


def _crossed(names: tuple[str, ...], figure: Figure) -> tuple[str, ...]:
    """Return what the rows of a row set are cut by: its names, and those that cut every row."""
    crossed = dict.fromkeys(name for name in (*names, *figure.always) if name not in TOTAL)
    return tuple(crossed) or TOTAL


def _as_sql(figure: Figure, kpi: Kpi) -> dict[str, str]:
    """Return what the rows may name with a dollar: the time zone, and the figure's options."""
    return {"time_zone": kpi.time_zone, **{name: _constant(getattr(kpi, name)) for name in figure.options}}


def _constant(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"INTERVAL '{value.total_seconds():.0f} seconds'"
    if isinstance(value, Mapping):
        return f"MAP {{{', '.join(f'{literal(key)}: {item}' for key, item in value.items())}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_constant, value))}]"
    return literal(value) if isinstance(value, str) else str(value if value is not None else "NULL")


def _told(figure: Figure, scope: Scope, setting: Setting) -> dict[str, Any]:
    """Return the options that a row states: those that change what is counted."""
    kpi = setting.kpi
    asked = {"where": scope.where, "segment": scope.segment, "consent": scope.consent}
    window = None if figure.window.startswith("0 ") else figure.window
    return {
        "time_zone": kpi.time_zone,
        "week_start": kpi.week_start,
        **{name: value for name, value in {**asked, "window": window}.items() if value},
        **kpi.model_dump(mode="json", include=set(figure.options)),
        **_conditions(figure, scope, setting),
    }


def _conditions(figure: Figure, scope: Scope, setting: Setting) -> dict[str, Any]:
    """Return what the config says of the persons asked about, by its place there."""
    told: dict[str, Any] = {
        f"segment.{name}": f"{segment.over}: {segment.where}"
        for name, segment in setting.segment.items()
        if name == scope.segment or "config:segment" in figure.needs
    }
    if "config:value_cells" in figure.needs and setting.value_cells:
        told |= {f"value_cells.{key}": condition for key, condition in setting.value_cells}
    if figure.kind == "lift":
        told |= {
            f"experiment.{name}": test.model_dump(exclude_none=True)
            for name, test in setting.experiment.items()
        }
    return told


_GRAIN_ROWS = {
    "day": "('day', INTERVAL 1 DAY)",
    "week": "('week', INTERVAL 7 DAY)",
    "month": "('month', INTERVAL 1 MONTH)",
    "quarter": "('quarter', INTERVAL 3 MONTH)",
    "year": "('year', INTERVAL 1 YEAR)",
}


def _period_of(instant: str, kpi: Kpi) -> str:
    """Return SQL for the first day of the period, of the grain at hand, that an instant falls in."""
    return _period_in(f"timezone('{kpi.time_zone}', make_timestamptz(epoch_us({instant})))", kpi)


def _period_in(local: str, kpi: Kpi) -> str:
    """Return the same for a local time."""
    if kpi.week_start == "monday":
        return f"date_trunc(grain, {local})::DATE"
    # date_trunc's weeks begin on Monday: a day later, a Sunday falls into the week that it begins
    shift = "CASE grain WHEN 'week' THEN 1 ELSE 0 END"
    return f"(date_trunc(grain, {local} + to_days({shift}))::DATE - {shift})"


def _sums(figure: Figure) -> dict[str, str]:
    """Return what is summed up in each group and period, as aggregates over the rows."""
    if figure.persons:
        of_whom = {"denominator": "count(person)"} if figure.kind == "share" else {}
        return {"numerator": "count(person) FILTER (numerator)", **of_whom}
    return _SUMS[figure.kind]


_PAIR = {"numerator": "sum(numerator)", "denominator": "sum(denominator)"}
_SUMS = {
    "count": {"numerator": "sum(numerator)"},
    "amount": {"numerator": "sum(numerator)", "counted": "count(numerator)"},
    "share": _PAIR,
    "rate": _PAIR,
    "ratio": {**_PAIR, "counted": "count(nullif(denominator, 0))"},
    "nps": {
        **_PAIR,
        "promoters": "count(nullif(numerator > 0, false))",
        "detractors": "count(nullif(numerator < 0, false))",
    },
    "mean": {
        "numerator": "sum(measure)",
        "denominator": "count(measure)",
        "squares": "sum(measure * measure)",
    },
    "median": {"middle": "quantile_cont(measure, 0.5)", "denominator": "count(measure)"},
    "p90": {"middle": "quantile_cont(measure, 0.9)", "denominator": "count(measure)"},
}

_NUMERATORS = {
    **dict.fromkeys(("count", "share", "rate", "nps"), "numerator::BIGINT"),
    "amount": "numerator::DECIMAL(38, 4)",
    **dict.fromkeys(("median", "p90"), "CAST(NULL AS DOUBLE)"),
}


def _numerator(figure: Figure) -> str:
    if figure.kind == "amount" and figure.unit == "count":
        return "numerator::BIGINT"
    return _NUMERATORS.get(figure.kind, "numerator::DOUBLE")


_DENOMINATORS = {
    **dict.fromkeys(WITHOUT_DENOMINATOR, "CAST(NULL AS BIGINT)"),
    **dict.fromkeys(("ratio", "rate"), "denominator::DOUBLE"),
}

_NONE = "CAST(NULL AS DOUBLE)"
_QUOTIENT = "numerator::DOUBLE / nullif(denominator::DOUBLE, 0)"
_MEAN_MARGIN = (
    "t_975((denominator - 1)::BIGINT) * sqrt(greatest(0, ("
    "squares::DOUBLE - numerator::DOUBLE ** 2 / nullif(denominator, 0)"
    ") / nullif(denominator - 1, 0)) / nullif(denominator, 0))"
)
_NPS_MARGIN = "nps_margin(promoters, detractors, denominator)"
_VALUES = {
    "count": ("numerator::DOUBLE", "numerator", _NONE, _NONE),
    "amount": ("numerator::DOUBLE", "counted", _NONE, _NONE),
    "share": (
        _QUOTIENT, "denominator", "wilson_low(numerator, denominator)", "wilson_high(numerator, denominator)",
    ),
    "ratio": (_QUOTIENT, "counted", _NONE, _NONE),
    "rate": (
        _QUOTIENT,
        "denominator",
        "poisson_low(numerator) / nullif(denominator, 0)",
        "poisson_high(numerator) / nullif(denominator, 0)",
    ),
    "mean": (_QUOTIENT, "denominator", f"{_QUOTIENT} - {_MEAN_MARGIN}", f"{_QUOTIENT} + {_MEAN_MARGIN}"),
    "median": ("middle", "denominator", _NONE, _NONE),
    "p90": ("middle", "denominator", _NONE, _NONE),
    "nps": (
        f"100 * {_QUOTIENT}",
        "denominator",
        f"100 * {_QUOTIENT} - {_NPS_MARGIN}",
        f"100 * {_QUOTIENT} + {_NPS_MARGIN}",
    ),
}  # fmt: skip
"""By kind: value, n, low and high."""


def _timing(figure: Figure, sums: Mapping[str, str], kpi: Kpi) -> dict[str, str]:
    """Return the words that say in which periods a row counts."""
    words = {
        "periods": "",
        "first_period": "",
        "placed": "grain,",
        "materialized": "NOT MATERIALIZED",
        "moves": _FLOW_OF_PERSONS.format(zone=kpi.time_zone, slot=_SLOT) if figure.persons else _FLOW,
        "excluded": "moved_at",
        "period": _period_in("local_at", kpi) if figure.persons else _period_of("moved_at", kpi),
        "with_grains": "CROSS JOIN grains",
        "stood": "",
        "from_period": "period_start",
        "last_of_group": "period_start",
        "counts": "",
        "met": "",
    }
    first = f", (SELECT {_period_of('min(occurred_at)', kpi)} FROM touchpoints) AS first_period"
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


def _counted(name: str, sum_: str, figure: Figure) -> str:
    sum_ = f"sum({name})" if _adds_up(figure) else sum_
    if not figure.standing:
        return f"{sum_} AS {name}"
    kinds = [f"coalesce({sum_} FILTER ({condition}), 0)" for condition in
             ("NOT stands", "stands AND sign > 0", "stands AND sign < 0")]  # fmt: skip
    return f"{kinds[0]} AS flow_{name}, {kinds[1]} - {kinds[2]} AS moved_{name}"


def _filled(name: str, figure: Figure) -> str:
    own = f"flow_{name}" if figure.standing else name
    if name == "middle":
        return "CASE WHEN period = period_start THEN middle END AS middle"
    stood = f" + stood_{name}" if figure.standing else ""
    return f"CASE WHEN period = period_start THEN coalesce({own}, 0) ELSE 0 END{stood} AS {name}"


def _adds_up(figure: Figure) -> bool:
    """Tell whether what is counted of two parts of the rows is the sum of what is counted of each."""
    return not figure.persons and figure.kind not in ("median", "p90")


_SLOT = 900_000_000
"""Fifteen minutes, in microseconds: days begin at a multiple of it in every time zone (since November 2011:
before, clocks in Newfoundland were changed a minute after midnight)."""


def _summed(figure: Figure, sums: Mapping[str, str], cut_by: Sequence[tuple[str, ...]]) -> str:
    """Return SQL that sums rows up by the quarter of an hour, before they meet row sets and grains.

    There are a hundred of these in a day, and millions of rows: days, periods and values are found for each
    of what is left alone.
    """
    if not _adds_up(figure):
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


def _kept(names: tuple[str, ...], figure: Figure) -> list[int]:
    """Return the places of a row set's names that cut the denominator too."""
    return [place for place, name in enumerate(names) if name not in figure.numerator_dimensions]


def _dated(figure: Figure, cut_by: Sequence[tuple[str, ...]], timing: Mapping[str, str]) -> str:
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
    FROM {"summed" if _adds_up(figure) else "moves"} AS moves CROSS JOIN sets {timing["with_grains"]}
    WHERE {" AND ".join(conditions) or "true"}
),"""


def _persons(figure: Figure, cut_by: Sequence[tuple[str, ...]], period: str) -> str:
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


def _shared(figure: Figure, cut_by: Sequence[tuple[str, ...]]) -> str:
    """Return how the denominator becomes the whole period's where a dimension cuts the numerator alone."""
    cases = []
    for number, names in enumerate(cut_by):
        if set(names) & set(figure.numerator_dimensions):
            kept = [f"v{place + 1}" for place in _kept(names, figure)]
            by = ", ".join(("grain", "set_number", "period", *kept))
            cases.append(f" WHEN {number} THEN sum(denominator) OVER (PARTITION BY {by})")
    return f"REPLACE (CASE set_number{''.join(cases)} ELSE denominator END AS denominator)" if cases else ""


def _deliveries(setting: Setting) -> dict[str, str]:
    """Return the words that say which sources have not delivered past a period's end."""
    if not setting.expected:
        return {"delivered": "", "with_delivered": "", "incomplete": "[]::VARCHAR[]"}
    names = ", ".join(map(literal, setting.expected))
    return {
        "delivered": f"""delivered AS (
    SELECT list({{name: name, newest: newest}} ORDER BY name) AS deliveries
    FROM (SELECT unnest([{names}]) AS name)
    LEFT JOIN (SELECT source_name AS name, max(occurred_at) AS newest FROM touchpoints GROUP BY source_name)
        USING (name)
),""",
        "with_delivered": "CROSS JOIN delivered",
        "incomplete": "list_transform("
        "list_filter(deliveries, lambda d: coalesce(d.newest < ended_at, true)), lambda d: d.name)",
    }


def _target_dimension(width: int) -> str:
    """Return SQL for how a target names the row's dimensions: total, or channel=site,product=auto."""
    pairs = [f"dimensions[{place}] || '=' || v{place}" for place in range(1, width + 1)]
    cases = "".join(
        f" WHEN {number} THEN {' || chr(44) || '.join(pairs[:number])}" for number in range(1, width + 1)
    )
    return f"CASE WHEN dimensions = ['total'] THEN 'total' ELSE CASE len(dimensions){cases} END END"


def _available(figure: Figure, setting: Setting) -> str:
    if lacking(figure, setting):
        return "false"
    inputs = [need for need in figure.needs if need in INPUTS]
    return " AND ".join(f"EXISTS (FROM {input_relation(need)})" for need in inputs) or "true"


def input_relation(need: str) -> str:
    """Return the relation that has rows where an input was loaded."""
    return need if need == "contracts" else f"ref_{need}"
