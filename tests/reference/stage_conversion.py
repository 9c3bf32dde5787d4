"""The headline figure: of the journeys that entered a stage, how many entered a later one in time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from math import floor, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from reference import stages
from reference.model import STAGES, Options, Row, Tables, rank

Z_95 = 1.959964


def stage_conversion(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the rows of ``kpi_stage_conversion`` at ``as_of`` (naive UTC).

    Only touchpoints up to ``as_of`` count. For each pair of stages, the earlier before the later; for
    each grain; for each list of dimensions (taken, like the period, from the touchpoint that entered the
    first stage of the pair). ``skipped_in`` alone stands at the period and dimensions of the touchpoint
    that entered the second stage: most of those journeys never entered the first.
    """
    touchpoint_of = {row["event_id"]: row for row in tables.touchpoints}
    steps: dict[tuple[Any, ...], list[Row]] = {}
    for step in sorted(tables.journey_steps, key=lambda row: row["position"]):
        if step["occurred_at"] <= as_of:
            steps.setdefault(step["journey_id"], []).append(touchpoint_of[step["event_id"]])

    rows: list[Row] = []
    for from_stage in STAGES:
        for to_stage in STAGES:
            if rank(from_stage) < rank(to_stage):
                window = None if options.unlimited_window else default_window(to_stage)
                facts = [
                    fact
                    for touchpoints in steps.values()
                    for fact in judge(touchpoints, from_stage, to_stage, window)
                ]
                for grain in options.grains:
                    for dimensions in options.dimensions:
                        rows.extend(
                            {"from_stage": from_stage, "to_stage": to_stage, **row}
                            for row in tally(
                                facts, grain, dimensions, window=window, as_of=as_of, options=options
                            )
                        )
    return rows


def default_window(to_stage: str) -> timedelta:
    """Return how long after entering a stage the entry to ``to_stage`` still converts."""
    return timedelta(days={"consideration": 30, "purchase": 90}.get(to_stage, 365))


def judge(
    touchpoints: list[Row], from_stage: str, to_stage: str, window: timedelta | None
) -> list[dict[str, Any]]:
    """Return what one journey adds: an outcome where it entered the first stage, perhaps a ``skipped_in``."""
    entered = stages.entries(touchpoints)
    a, b = entered.get(from_stage), entered.get(to_stage)
    facts: list[dict[str, Any]] = []
    # At one instant the lower stage comes first, so comparing times is comparing places in the journey.
    if a is not None:
        fact: dict[str, Any] = {"where": a, "kind": "not_yet", "current": stages.current(touchpoints)}
        if b is not None:
            wait = b["occurred_at"] - a["occurred_at"]
            if wait < timedelta(0):
                fact["kind"] = "b_before_a"
            elif window is not None and wait > window:
                fact["kind"] = "after_window"
            else:
                fact["kind"] = "converted"
                fact["seconds"] = wait / timedelta(seconds=1)
        facts.append(fact)
    if b is not None and (a is None or b["occurred_at"] < a["occurred_at"]):
        facts.append({"where": b, "kind": "skipped_in"})
    return facts


def tally(
    facts: list[dict[str, Any]],
    grain: str,
    dimensions: tuple[str, ...],
    *,
    window: timedelta | None,
    as_of: datetime,
    options: Options,
) -> list[Row]:
    """Count the facts per group and period; every period between a group's first and last has a row."""
    groups: dict[tuple[Any, ...], dict[date, list[dict[str, Any]]]] = {}
    for fact in facts:
        values = tuple(fact["where"][name] for name in dimensions)
        start = period_start(fact["where"]["occurred_at"], grain, options)
        groups.setdefault(values, {}).setdefault(start, []).append(fact)
    rows = []
    for values, periods in groups.items():
        start = min(periods)
        while start <= max(periods):
            row = figures(periods.get(start, []))
            over_at = instant(next_period(start, grain), options) + (window or timedelta(0))
            rows.append(
                {
                    "kpi": "stage_conversion",
                    "grain": grain,
                    "period_start": start,
                    "dimensions": list(dimensions) or ["total"],
                    "dimension_values": list(values),
                    "window_days": None if window is None else window.days,
                    "mature": window is not None and over_at < as_of,
                    "additive": False,
                    **row,
                }
            )
            start = next_period(start, grain)
    return rows


def figures(facts: list[dict[str, Any]]) -> Row:
    """Return the counts, the rate with its interval, and the times of one group in one period."""

    def count(kind: str) -> int:
        return sum(fact["kind"] == kind for fact in facts)

    numerator = count("converted")
    denominator = numerator + count("b_before_a") + count("after_window") + count("not_yet")
    waits = sorted(fact["seconds"] for fact in facts if fact["kind"] == "converted")
    low, high = wilson(numerator, denominator)
    by_stage: dict[str, int] = {}
    for fact in facts:
        if fact["kind"] == "not_yet":
            by_stage[fact["current"]] = by_stage.get(fact["current"], 0) + 1
    return {
        "numerator": numerator,
        "denominator": denominator,
        "value": numerator / denominator if denominator else None,
        "n": denominator,
        "low": low,
        "high": high,
        "b_before_a": count("b_before_a"),
        "after_window": count("after_window"),
        "not_yet": count("not_yet"),
        "not_yet_by_stage": by_stage,
        "skipped_in": count("skipped_in"),
        "median_seconds": quantile(waits, 0.5),
        "p90_seconds": quantile(waits, 0.9),
    }


def wilson(successes: int, n: int) -> tuple[float | None, float | None]:
    """Return the ends of Wilson's 95 % interval, without continuity correction; null for n = 0."""
    if n == 0:
        return None, None
    share = successes / n
    scale = 1 + Z_95**2 / n
    centre = (share + Z_95**2 / (2 * n)) / scale
    half = Z_95 * sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2)) / scale
    return centre - half, centre + half


def quantile(ascending: list[float], share: float) -> float | None:
    """Interpolate linearly between the two values around the place ``share · (n − 1)``; null for none."""
    if not ascending:
        return None
    place = share * (len(ascending) - 1)
    below = floor(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])


def period_start(at: datetime, grain: str, options: Options) -> date:
    """Return the local date on which the period of a naive UTC instant begins."""
    day = at.replace(tzinfo=UTC).astimezone(ZoneInfo(options.time_zone)).date()
    if grain == "week":
        since = day.weekday() if options.week_start == "monday" else (day.weekday() + 1) % 7
        return day - timedelta(days=since)
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    if grain == "year":
        return day.replace(month=1, day=1)
    return day


def next_period(start: date, grain: str) -> date:
    """Return the first day of the period after the one that begins on ``start``."""
    if grain in ("day", "week"):
        return start + timedelta(days=1 if grain == "day" else 7)
    months = start.year * 12 + start.month - 1 + {"month": 1, "quarter": 3, "year": 12}[grain]
    return date(months // 12, months % 12 + 1, 1)


def instant(day: date, options: Options) -> datetime:
    """Return the naive UTC instant at which a local day begins."""
    midnight = datetime.combine(day, time(), ZoneInfo(options.time_zone))
    return midnight.astimezone(UTC).replace(tzinfo=None)
