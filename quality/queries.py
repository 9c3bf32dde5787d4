"""What each kind of rule asks of a store: the rows that break it, and what is observed and expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from parcours.quality.row_ids import TIMES, identifier, row_id, types_of
from parcours.quality.sentences import bounds, percent
from parcours.schemas.config import Config
from parcours.schemas.literal import literal
from parcours.schemas.rule import ROW_KINDS, Rule

Native = tuple[str, Mapping[str, Any]]

LARGEST_PLAIN = 1e15
"""Numbers from here on, and those closer to 0 than its inverse, are compared as DOUBLE: a DECIMAL ends."""


@dataclass(frozen=True)
class Query:
    """How a rule is asked of a store; the fields are those of ``StandingRule``."""

    failing: str
    expected: str = "0 rows"
    observed: str | None = None
    native: Native | None = None


def query_of(rule: Rule, config: Config, now: datetime) -> Query:
    """Return how a rule is asked of a store.

    Args:
        rule: a rule that its checks have found right.
        config: whose sources and time zone count.
        now: the instant that freshness is measured from, UTC without a zone.
    """
    if rule.kind in ROW_KINDS:
        native = _NATIVE[rule.kind](rule) if rule.kind in _NATIVE and not rule.where else None
        return Query(_rows(rule, broken(rule)), native=None if _reads_stage_given(rule) else native)
    return _OF_KIND[rule.kind](rule, config, now)


def broken(rule: Rule) -> str:
    """Return the SQL condition of a rule of one row: true where the row breaks it, null passes.

    What cannot be computed of a row, as where a number gets too large, is null.
    """
    column = identifier(rule.column or "")
    if rule.kind == "not_null":
        condition = f"{column} IS NULL"
    elif rule.kind == "in_set":
        condition = f"{column} NOT IN ({', '.join(map(literal, rule.values))})"
    elif rule.kind == "regex":
        condition = f"NOT regexp_full_match({column}, {literal(rule.pattern or '')})"
    elif rule.kind == "range":
        ends = (("<", rule.min), (">", rule.max))
        condition = " OR ".join(f"{column} {sign} {_bound(end)}" for sign, end in ends if end is not None)
    else:
        condition = f"NOT TRY(({rule.condition}))"
    return f"TRY(({rule.where})) AND ({condition})" if rule.where else condition


def instant(text: str) -> datetime:
    """Read a time or a day as a bound names it: ISO 8601, UTC where it has no offset; without a zone.

    Raises:
        ValueError: it is none.
    """
    read = datetime.fromisoformat(text.strip())
    return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read


def _bound(end: float | str) -> str:
    if isinstance(end, str):
        return f"TIMESTAMP '{instant(end)}'"
    exact = end == 0 or 1 / LARGEST_PLAIN < abs(end) < LARGEST_PLAIN
    return f"{Decimal(repr(end)):f}" if exact else f"'{end!r}'::DOUBLE"


def _reads_stage_given(rule: Rule) -> bool:
    """Whether a rule was held against the stage as a record gives it: a store has another beside it."""
    texts = (rule.column, rule.condition, rule.where)
    return (
        rule.severity == "reject"
        and rule.on == "touchpoints"
        and any(re.search(r"\bstage\b", text or "", re.IGNORECASE) for text in texts)
    )


def _rows(rule: Rule, condition: str) -> str:
    relation = (
        "(SELECT * REPLACE (stage_given AS stage) FROM touchpoints) AS touchpoints"
        if _reads_stage_given(rule)
        else rule.on
    )
    return f"SELECT {row_id(rule.on)} AS id FROM {relation} WHERE {condition}"


def _judged(rule: Rule) -> str:
    """The rows that a rule is about, to stand after FROM."""
    return f"{rule.on} WHERE TRY(({rule.where}))" if rule.where else rule.on


def _and_where(rule: Rule, condition: str) -> str:
    return f"TRY(({rule.where})) AND {condition}" if rule.where else condition


def _unique(rule: Rule, _config: Config, _now: datetime) -> Query:
    columns = ", ".join(map(identifier, rule.columns))
    given = " AND ".join(f"{identifier(column)} IS NOT NULL" for column in rule.columns)
    fit = _and_where(rule, given)
    # numbers are counted in half the time that texts take; the few rows that then seem equal are compared
    failing = f"""SELECT {row_id(rule.on)} AS id FROM {rule.on}
WHERE {fit} AND hash({columns}) IN (
    SELECT hash({columns}) FROM {rule.on} WHERE {fit} GROUP BY 1 HAVING count(*) > 1
)
QUALIFY count(*) OVER (PARTITION BY {columns}) > 1"""
    one = len(rule.columns) == 1 and not rule.where
    native = ("ExpectColumnValuesToBeUnique", {"column": rule.columns[0]}) if one else None
    return Query(failing, native=native)


def _reference(rule: Rule, _config: Config, _now: datetime) -> Query:
    relation, _, known = (rule.to or "").partition(".")
    column, other = identifier(rule.column or ""), identifier(known)
    unknown = f"{column} NOT IN (SELECT {other} FROM {relation} WHERE {other} IS NOT NULL)"
    return Query(_rows(rule, _and_where(rule, f"{column} IS NOT NULL AND {unknown}")))


def _order(rule: Rule, _config: Config, _now: datetime) -> Query:
    types, (before, after) = types_of(rule.on), (identifier(rule.before or ""), identifier(rule.after or ""))
    lists = [types.get(name or "", "").endswith("[]") for name in (rule.before, rule.after)]
    last, first = (f"list_max({before})" if lists[0] else before, f"list_min({after})" if lists[1] else after)
    native = (
        "ExpectColumnPairValuesAToBeGreaterThanB",
        {
            "column_A": rule.after,
            "column_B": rule.before,
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    )
    plainly = not rule.where and not any(lists)
    return Query(_rows(rule, _and_where(rule, f"{first} < {last}")), native=native if plainly else None)


def _freshness(rule: Rule, config: Config, now: datetime) -> Query:
    since = f"{now - (rule.within or timedelta()):%Y-%m-%d %H:%M:%S}"
    asked = [source.name for source in config.source if source.loads == "touchpoints"]
    names = ", ".join(f"({literal(name)})" for name in ([rule.source] if rule.source else asked))
    newest = f"""(
    SELECT name, newest FROM (VALUES {names or "(NULL)"}) AS asked(name)
    LEFT JOIN (
        SELECT source_name AS name, max(occurred_at) AS newest FROM touchpoints GROUP BY 1
    ) USING (name)
    WHERE name IS NOT NULL
)"""
    return Query(
        f"SELECT name AS id FROM {newest} WHERE newest IS NULL OR newest < TIMESTAMP '{since}'",
        f"an event after {since}",
        f"""SELECT coalesce(string_agg(
    name || ': ' || coalesce(strftime(newest, '%Y-%m-%d %H:%M:%S'), 'no event'), '; '
    ORDER BY newest NULLS FIRST, name
), 'no source') FROM {newest}""",
    )


def _volume(rule: Rule, config: Config, _now: datetime) -> Query:
    time = rule.time or TIMES.get(rule.on, "")
    moment = identifier(time)

    def day(at: str) -> str:
        zone = "" if types_of(rule.on).get(time) == "DATE" else literal(config.kpi.time_zone)
        return f"CAST({at} AT TIME ZONE 'UTC' AT TIME ZONE {zone} AS DATE)" if zone else at

    fit = _judged(rule)
    near = _and_where(
        rule, f"{moment} >= (SELECT max({moment}) FROM {fit}) - INTERVAL {7 * rule.weeks + 3} DAY"
    )
    compared = f"""(
    WITH counted AS (SELECT {day(moment)} AS day, count(*) AS n FROM {rule.on} WHERE {near} GROUP BY 1),
    ends AS (SELECT min({moment}) AS begun, max({moment}) AS newest FROM {fit}),
    days AS (
        SELECT {day("begun")} AS first_day, {day("newest")} - 1 AS last_day FROM ends
    ),
    past AS (
        SELECT last_day - CAST(7 * week AS INTEGER) AS day
        FROM days CROSS JOIN generate_series(1, {rule.weeks}) AS weeks(week)
        WHERE last_day - CAST(7 * week AS INTEGER) > first_day
    ),
    usual AS (
        SELECT count(*) AS weeks, avg(coalesce(n, 0)) AS mean, stddev_samp(coalesce(n, 0)) AS deviation
        FROM past LEFT JOIN counted USING (day)
    )
    SELECT last_day AS day, coalesce(n, 0) AS n, usual.* FROM days CROSS JOIN usual
    LEFT JOIN counted ON day = last_day
    WHERE weeks >= 3
)"""
    far = f"abs(n - mean) > {rule.deviations!r} * deviation"
    return Query(
        f"SELECT CAST(day AS VARCHAR) AS id FROM {compared} WHERE {far}",
        f"the mean of that weekday, within {rule.deviations:g} standard deviations",
        "SELECT coalesce(max(day || ': ' || n || ' rows; ' || round(mean, 1) || ' in the mean of ' || weeks"
        f" || ' weeks, standard deviation ' || round(deviation, 1)), 'too little past') FROM {compared}",
    )


def _share(rule: Rule, _config: Config, _now: datetime) -> Query:
    fits = f"CAST({identifier(rule.column or '')} AS VARCHAR) = {literal(rule.value or '')}"
    counted = (
        f"(SELECT count(*) FILTER ({fits}) / count(*) AS share FROM {_judged(rule)} HAVING count(*) > 0)"
    )
    ends = (("<", rule.min), (">", rule.max))
    outside = " OR ".join(f"share {sign} {float(end)!r}::DOUBLE" for sign, end in ends if end is not None)
    told = (None if end is None else percent(float(end)) for end in (rule.min, rule.max))
    return Query(
        f"SELECT {literal(f'{rule.column} = {rule.value}')} AS id FROM {counted} WHERE {outside}",
        bounds(*told)[0],
        f"SELECT coalesce(max(round(100 * share, 2) || ' %'), 'no rows') FROM {counted}",
    )


def _completeness(rule: Rule, _config: Config, _now: datetime) -> Query:
    group, column = identifier(rule.by), identifier(rule.column or "")
    counted = (
        f"(SELECT coalesce(CAST({group} AS VARCHAR), '(none)') AS name, count({column}) / count(*) AS share"
        f" FROM {_judged(rule)} GROUP BY 1)"
    )
    least = float(rule.min or 0)
    return Query(
        f"SELECT name AS id FROM {counted} WHERE share < {least!r}::DOUBLE",
        f"at least {percent(least)} of each {rule.by}",
        f"SELECT coalesce(arg_min(name || ': ' || round(100 * share, 2) || ' %', (share, name)), 'no rows')"
        f" FROM {counted}",
    )


def _sql(rule: Rule, _config: Config, _now: datetime) -> Query:
    text = (rule.sql or "").strip().rstrip(";")
    return Query(f"SELECT CAST(id AS VARCHAR) AS id FROM (\n{text}\n) AS found(id)")


_OF_KIND: dict[str, Callable[[Rule, Config, datetime], Query]] = {
    "unique": _unique,
    "reference": _reference,
    "order": _order,
    "freshness": _freshness,
    "volume": _volume,
    "share": _share,
    "completeness": _completeness,
    "sql": _sql,
}

_NATIVE: dict[str, Callable[[Rule], Native | None]] = {
    "not_null": lambda rule: ("ExpectColumnValuesToNotBeNull", {"column": rule.column}),
    "in_set": lambda rule: (
        "ExpectColumnValuesToBeInSet",
        {"column": rule.column, "value_set": [*rule.values]},
    ),
    # times are given as texts there, which compare as such
    "range": lambda rule: (
        (
            "ExpectColumnValuesToBeBetween",
            {"column": rule.column, "min_value": rule.min, "max_value": rule.max},
        )
        if not isinstance(rule.min, str) and not isinstance(rule.max, str)
        else None
    ),
}
"""Expectations of Great Expectations that mean exactly what a kind of one row does, nulls included."""

__all__ = ["Query", "broken", "instant", "query_of"]
