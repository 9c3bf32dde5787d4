"""From facts to the rows of a figure: periods, groups, intervals, as the catalogue's words say.

A fact is a dictionary: ``numerator`` and ``denominator``, or ``measure``; the dimensions by name; ``person``
where persons are counted; and when: ``at``, or ``since`` and ``until`` for what stands, or ``grain`` and
``period_start`` for a snapshot. What stood at a period's start and has ``at`` too counts its numerator in the
period that this instant falls into or ends. All instants are naive UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from math import sqrt
from typing import Any

from scipy import stats

from reference.figures.world import World
from reference.model import Options, Row
from reference.stage_conversion import instant, next_period, period_start, quantile, wilson

Fact = dict[str, Any]

NONE = (None, None)

GRAINS = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True)
class Twin:
    """A figure as the catalogue says it.

    Attributes:
        facts: what is counted; of a snapshot, called with the world and each period in turn.
        kind: count, amount, share, ratio, rate, mean, median, p90 or nps.
        dimensions: taken one at a time beside the total.
        numerator_dimensions: what cuts the numerator alone.
        always: what every row is cut by.
        grains: which periods the figure has.
        standing: ``start`` or ``end``: where in a period facts with ``since`` are counted.
        snapshot: the facts are those of one period.
        persons: distinct persons count.
        parts: each fact is in one group of a dimension alone.
        window: how long after its end a period may still change.
    """

    facts: Callable[..., Iterable[Fact]]
    kind: str
    dimensions: tuple[str, ...] = ()
    numerator_dimensions: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    grains: tuple[str, ...] = GRAINS
    standing: str | None = None
    snapshot: bool = False
    persons: bool = False
    parts: bool = True
    window: timedelta = timedelta(0)
    window_months: int = 0


def rows_of(name: str, twin: Twin, world: World, grains: Iterable[str] = GRAINS) -> list[Row]:
    """Return the rows of a figure: for each grain, the total and each dimension alone."""
    facts = [] if twin.snapshot else list(twin.facts(world))
    rows = []
    for grain in grains:
        if grain not in twin.grains:
            continue
        spans = periods(world, grain)
        if twin.snapshot:
            facts = [
                {**fact, "period_start": start}
                for start, begins, ends in spans
                for fact in twin.facts(world, start, begins, ends)
            ]
        placed = [each for fact in facts for each in counted_in(fact, twin, grain, world, spans)]
        for cut in ((), *((each,) for each in (*twin.dimensions, *twin.numerator_dimensions))):
            rows += groups(twin, world, grain, placed, cut)
    return [{"kpi": name, **row} for row in rows]


def groups(
    twin: Twin, world: World, grain: str, placed: list[tuple[date, Fact]], cut: tuple[str, ...]
) -> list[Row]:
    """Return the rows of one row set: of one grain, cut by nothing or one dimension."""
    shared = bool(set(cut) & set(twin.numerator_dimensions))
    names = (*cut, *twin.always)
    found = grouped(placed, names)
    whole = grouped(placed, twin.always) if shared else {}
    rows = []
    for values, of_period in found.items():
        start = min(of_period)
        while start <= max(of_period):
            facts = of_period.get(start, [])
            of_all = whole[values[len(cut) :]].get(start, []) if shared else facts
            rows.append(
                {
                    "grain": grain,
                    "period_start": start,
                    "dimensions": list(names) or ["total"],
                    "dimension_values": [text(value) for value in values] or ["total"],
                    **figure(twin, facts, of_all),
                    "additive": twin.kind in ("count", "amount") and twin.parts and not twin.persons,
                    "mature": over_at(start, grain, twin, world) < world.as_of,
                }
            )
            start = next_period(start, grain)
    return rows


def grouped(
    placed: list[tuple[date, Fact]], names: tuple[str, ...]
) -> dict[tuple[Any, ...], dict[date, list[Fact]]]:
    """Return the facts by their values of some dimensions, and by period."""
    found: dict[tuple[Any, ...], dict[date, list[Fact]]] = {}
    for start, fact in placed:
        values = tuple([fact.get(name) for name in names])
        found.setdefault(values, {}).setdefault(start, []).append(fact)
    return found


def figure(twin: Twin, facts: list[Fact], of_all: list[Fact]) -> Row:
    """Return numerator, denominator, value, n and interval of one row.

    Args:
        twin: the figure.
        facts: those of the group, which the numerator is taken from.
        of_all: those that the denominator is taken from.
    """
    if twin.kind in ("mean", "median", "p90"):
        return of_measures(twin.kind, [f["measure"] for f in facts if f["measure"] is not None])
    numerator, denominator = added(twin, facts, "numerator"), added(twin, of_all, "denominator")
    if twin.kind in ("count", "amount"):
        n = numerator if twin.kind == "count" else sum(fact.get("numerator") is not None for fact in facts)
        return row(numerator, None, numerator, n)
    n = denominator if twin.kind != "ratio" else sum(bool(fact.get("denominator")) for fact in of_all)
    value = Fraction(numerator) / Fraction(denominator) if denominator else None
    low, high = None, None
    if denominator and twin.kind == "share":
        low, high = wilson(int(numerator), int(denominator))
        assert low is not None and high is not None
        low, high = max(low, 0.0), min(high, 1.0)
    if denominator and twin.kind == "rate":
        low, high = (end / float(denominator) for end in poisson(int(numerator)))
    if denominator and twin.kind == "nps":
        value = Fraction(100) * value
        plus = sum(fact["numerator"] == 1 for fact in facts) / n
        minus = sum(fact["numerator"] == -1 for fact in facts) / n
        half = 1.959964 * 100 * sqrt(max(0.0, plus + minus - (plus - minus) ** 2) / n)
        low, high = float(value) - half, float(value) + half
    return row(numerator, denominator, value, n, (low, high))


def of_measures(kind: str, measures: list[Any]) -> Row:
    """Return the figures of a mean, median or 90th percentile."""
    n = len(measures)
    if kind != "mean":
        value = quantile(sorted(map(float, measures)), 0.5 if kind == "median" else 0.9)
        return row(None, n, value, n)
    total = sum(map(Fraction, measures), Fraction(0))
    if n == 0:
        return row(total, 0, None, 0)
    mean = total / n
    low, high = None, None
    if n >= 2:
        deviation = sqrt(sum((Fraction(each) - mean) ** 2 for each in measures) / (n - 1))
        half = float(stats.t.ppf(0.975, n - 1)) * deviation / sqrt(n)
        low, high = float(mean) - half, float(mean) + half
    return row(total, n, mean, n, (low, high))


def row(
    numerator: Any, denominator: Any, value: Any, n: Any, interval: tuple[float | None, float | None] = NONE
) -> Row:
    """Return the columns as floats, null for null; ``n`` is a whole number."""
    return {
        "numerator": None if numerator is None else float(numerator),
        "denominator": None if denominator is None else float(denominator),
        "value": None if value is None else float(value),
        "n": int(n),
        "low": interval[0],
        "high": interval[1],
    }


def added(twin: Twin, facts: list[Fact], column: str) -> Any:
    """Return the sum of a column, or how many distinct persons it is true of."""
    if not twin.persons:
        return sum(fact[column] for fact in facts if fact.get(column) is not None)
    if column == "denominator":
        return len({fact["person"] for fact in facts})
    return len({fact["person"] for fact in facts if fact["numerator"]})


def poisson(count: int) -> tuple[float, float]:
    """Return the ends of the exact 95 % interval of a count."""
    low = float(stats.chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(stats.chi2.ppf(0.975, 2 * count + 2)) / 2


def text(value: Any) -> str | None:
    """Return a dimension's value as the product writes it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def counted_in(
    fact: Fact, twin: Twin, grain: str, world: World, spans: list[Span]
) -> list[tuple[date, Fact]]:
    """Return the fact at each period that it counts in; none for what is not yet, or has no instant.

    Where what stood ends, it leaves a fact that counts nothing: a group ends with the zero.
    """
    if twin.snapshot:
        return [(fact["period_start"], fact)]
    if fact.get("since") is None:
        known = fact.get("at") is not None and fact["at"] <= world.as_of
        return [(period_of(fact["at"], grain, world), fact)] if known else []
    since, until = fact["since"], fact["until"]
    if since > world.as_of:
        return []
    if until is not None and until > world.as_of:
        until = None
    counted = fact.get("at")
    standing = fact if counted is None else {**fact, "numerator": None}
    nothing = {**fact, "numerator": None, "denominator": None, "measure": None}
    placed = []
    last_began = None
    for start, begins, ends in spans:
        if twin.standing == "start":
            stands = since <= begins and (until is None or begins < until)
            leaves = until is not None and until <= begins and (last_began is None or last_began < until)
        else:
            stands = since < ends and (until is None or ends <= until)
            leaves = until is not None and begins <= until < ends
        if stands:
            placed.append((start, standing))
        elif leaves:
            placed.append((start, nothing))
        if counted is not None and since <= begins < counted <= min(ends, world.as_of):
            placed.append((start, {**fact, "denominator": None}))
        last_began = begins
    return placed


Span = tuple[date, datetime, datetime]
"""A period: its first day, when it begins, when the next one does."""


def periods(world: World, grain: str) -> list[Span]:
    """Return every period from the first touchpoint's to that of the instant."""
    if not world.touchpoints:
        return []
    start = period_of(world.touchpoints[0]["occurred_at"], grain, world)
    found = []
    while instant(start, world.options) <= world.as_of:
        following = next_period(start, grain)
        found.append((start, instant(start, world.options), instant(following, world.options)))
        start = following
    return found


def period_of(at: datetime, grain: str, world: World) -> date:
    """Return the first day of the period that an instant falls in."""
    return _period_of(at, grain, world.options.time_zone, world.options.week_start)


@lru_cache(maxsize=100_000)
def _period_of(at: datetime, grain: str, time_zone: str, week_start: str) -> date:
    return period_start(at, grain, Options(time_zone=time_zone, week_start=week_start))


def over_at(start: date, grain: str, twin: Twin, world: World) -> datetime:
    """Return when nothing can change a period's rows any more."""
    ends = instant(next_period(start, grain), world.options)
    month = ends.month - 1 + twin.window_months
    year, month = ends.year + month // 12, month % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return ends.replace(year=year, month=month, day=min(ends.day, last)) + twin.window
