"""Stage conversion, the headline: of the journeys that entered a stage, how many went on to a later one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from types import MappingProxyType

from parcours.kpis.placing import deliveries, period_in
from parcours.schemas import config
from parcours.schemas.literal import literal

VERSION = 2
"""Raised whenever the formula changes, so that every row's ``definition`` does."""

GRAINS = {"day": "1 DAY", "week": "7 DAY", "month": "1 MONTH", "quarter": "3 MONTH", "year": "1 YEAR"}
"""The periods and how long each is."""

DIMENSIONS = ("total", "identified", "channel", "medium", "campaign", "product", "source")
"""Taken one at a time: ``total`` is all journeys together, ``identified`` parts those of known persons from
the others; the rest is said by the touchpoint that entered the stage."""

WINDOW_DAYS = {"consideration": 30, "purchase": 90, "later": 365}
"""How long after entering one stage the entry to another still counts, by the stage that is entered."""

COMMENTS = {
    "kpi": "stage_conversion.",
    "grain": "day, week, month, quarter or year, in the configured time zone; filter on it.",
    "period_start": "First day of the period in which the touchpoint that entered from_stage occurred.",
    "dimensions": "What the rows are cut by, one name or total; filter on it.",
    "dimension_values": "The dimension's value at the touchpoint that entered from_stage (identified: "
    "true for journeys of known persons); total for total.",
    "numerator": "Journeys whose entry to to_stage follows their entry to from_stage within the window.",
    "denominator": "Journeys that entered from_stage: numerator + b_before_a + after_window + not_yet.",
    "value": "numerator / denominator, 0 to 1; null where the denominator is 0.",
    "n": "What value rests on: the denominator.",
    "low": "Lower end of Wilson's 95 % interval.",
    "high": "Upper end of Wilson's 95 % interval.",
    "additive": "False: a share must not be added up; numerators and denominators may.",
    "mature": "True where the window of every journey of the period is over, and no source is incomplete.",
    "incomplete_sources": "Sources that declare expected_every and delivered nothing past the period's end.",
    "target": "The target for value, of ref_targets with kpi stage_conversion.FROM.TO; null: none is set.",
    "options": "The options, as JSON.",
    "definition": "MD5 of formula, version and options: rows with equal ones are comparable.",
    "from_stage": "The stage that is left.",
    "to_stage": "The later stage.",
    "window_days": "Days of 24 hours within which the entry must follow; null: to date.",
    "b_before_a": "Journeys that had entered to_stage before from_stage.",
    "after_window": "Journeys that entered to_stage too late.",
    "not_yet": "Journeys that have not entered to_stage.",
    "skipped_in": "Journeys that entered to_stage before any entry to from_stage, by that entry.",
    "median_seconds": "Median seconds between the entries of the journeys in the numerator.",
    "p90_seconds": "90 % of the journeys in the numerator took at most so many seconds.",
    "not_yet_by_stage": "not_yet by the stage that the journeys stand in.",
}


def create_statements(kpi: config.Kpi, expected: Sequence[str] = ()) -> list[str]:
    """Return the SQL that makes, or makes anew, the figure's macro and view in a store with the relations.

    ``kpi_stage_conversion_at(as_of, unlimited := false)`` counts what occurred up to ``as_of`` (UTC); with
    ``unlimited`` no window limits the conversion. ``kpi_stage_conversion`` is the same, windows and all, at
    ``default_as_of()``.

    Args:
        kpi: the time zone and the first day of weeks, by which entries fall into periods.
        expected: names of the sources that declare ``expected_every``.
    """
    view = "kpi_stage_conversion"
    about = (
        "Of the journeys that entered one stage, how many entered a later one within its window: "
        "every pair of stages, by the period and a dimension of the touchpoint that entered the first"
    )
    return [
        f"CREATE OR REPLACE MACRO {view}_at(as_of, unlimited := false) AS TABLE\n{query(kpi, expected)}",
        f"COMMENT ON MACRO TABLE {view}_at IS '{about}, at an instant (UTC).'",
        f"CREATE OR REPLACE VIEW {view} AS FROM {view}_at(default_as_of())",
        f"COMMENT ON VIEW {view} IS '{about}, at default_as_of().'",
        *(f"COMMENT ON COLUMN {view}.{column} IS {literal(text)}" for column, text in COMMENTS.items()),
    ]


_STAGES = f"[{', '.join(map(literal, config.STAGES))}]"

RANKS = range(1, len(config.STAGES) + 1)

WAITS = {2: WINDOW_DAYS["consideration"], 3: WINDOW_DAYS["purchase"]}
"""Days by rank of the stage that is entered; ``WINDOW_DAYS["later"]`` for the others."""


def query(
    kpi: config.Kpi,
    expected: Sequence[str],
    *,
    as_of: str = "as_of",
    unlimited: str = "unlimited",
    limits: str = "true",
    asked: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the SELECT of the figure's rows.

    Args:
        kpi: the time zone and the first day of weeks.
        expected: names of the sources that declare ``expected_every``.
        as_of: SQL of the instant.
        unlimited: SQL that says whether no window limits the conversion.
        limits: condition over ``journeys``: which count.
        asked: what the options of a row say of it.
    """
    told = {"time_zone": kpi.time_zone, "week_start": kpi.week_start, **asked}
    words: dict[str, str] = {}
    for suffix, windows in (("", WINDOW_DAYS), ("_unlimited", None)):
        options = json.dumps({**told, "window_days": windows}, ensure_ascii=False)
        definition = hashlib.md5(f"stage_conversion {VERSION} {options}".encode(), usedforsecurity=False)
        words |= {
            f"options{suffix}": options.replace("'", "''"),
            f"definition{suffix}": definition.hexdigest(),
        }
    counts = [f"standing_in_{rank}" for rank in RANKS]
    counts = ["entered", "converted", "b_before_a", "not_yet", "skipped_in", *counts]
    template = resources.files(__package__).joinpath("stage_conversion.sql").read_text("utf-8")
    return Template(template).substitute(
        words,
        as_of=as_of,
        unlimited=unlimited,
        limits=limits,
        # weeks that begin on Sunday are named by the ISO week of their Monday
        week_name="period" if kpi.week_start == "monday" else "period + 1",
        time_zone=kpi.time_zone,
        stages=_STAGES,
        grains=", ".join(f"('{grain}', INTERVAL {step})" for grain, step in GRAINS.items()),
        instants=_each("CASE WHEN {stage}_at <= until THEN epoch_us({stage}_at) END AS at_{rank}"),
        entries="\nUNION ALL\n".join(map(_entries, DIMENSIONS)),
        period=_period(kpi),
        numbered=_each("at_{rank}"),
        waited=_each(
            "CASE WHEN rank < {rank} AND at_{rank} >= entered"
            f" AND ({unlimited} OR at_{{rank}} - entered <= {{days}} * 86_400_000_000)"
            " THEN at_{rank} - entered END AS wait_{rank}",
            RANKS[1:],
        ),
        crossed=_each(
            "CASE WHEN CASE WHEN rank < {rank} THEN at_{rank} < entered ELSE at_{rank} > entered END"
            " THEN 1 END AS crossed_{rank}"
        ),
        counts=_each("count(at_{rank}) AS reached_{rank}, count(crossed_{rank}) AS against_{rank}"),
        listed=_each("list(wait_{rank}) FILTER (wait_{rank} IS NOT NULL) AS waits_{rank}", RANKS[1:]),
        reached=_each("reached_{rank}"),
        against=_each("against_{rank}"),
        waits=_each("waits_{rank}", RANKS[1:]),
        standing=_each(
            "sum(entered - reached) FILTER (other > rank AND current_rank = {rank}) AS standing_in_{rank}"
        ),
        filled=", ".join(
            f"CASE WHEN period = period_start THEN coalesce({name}, 0) ELSE 0 END::BIGINT AS {name}"
            for name in counts
        ),
        by_stage=_each("{stage}: standing_in_{rank}"),
        **deliveries(expected),
    )


def _each(text: str, ranks: Sequence[int] = RANKS) -> str:
    """Return a text once for each stage, with its name, rank and window."""
    return ", ".join(
        text.format(stage=config.STAGES[rank - 1], rank=rank, days=WAITS.get(rank, WINDOW_DAYS["later"]))
        for rank in ranks
    )


def _entries(dimension: str) -> str:
    """Return the SELECT of the entries to stages with one dimension's values."""
    columns = f"current_rank, {_each('at_{rank}')}"
    if dimension in ("total", "identified"):
        value = "'total'" if dimension == "total" else "CASE WHEN identified THEN 'true' ELSE 'false' END"
        return (
            f"SELECT '{dimension}' AS dimension, {value} AS group_value, rank, entered, {columns} FROM ("
            f"SELECT *, unnest([{_each('{rank}')}]) AS rank, unnest([{_each('at_{rank}')}]) AS entered "
            "FROM standing) WHERE entered IS NOT NULL"
        )
    first = " ".join(
        f"WHEN '{stage}' THEN at_{rank}" for rank, stage in zip(RANKS, config.STAGES, strict=True)
    )
    return (
        f"SELECT '{dimension}' AS dimension, {dimension} AS group_value, "
        f"list_position({_STAGES}, stage) AS rank, "
        f"epoch_us(entered_at) AS entered, {columns} FROM stage_visits JOIN standing USING (journey_id)"
        f" WHERE epoch_us(entered_at) = CASE stage {first} END"
    )


def _period(kpi: config.Kpi) -> str:
    """Return SQL for the first day of the period that an entry falls in."""
    exact = f"epoch_us(timezone('{kpi.time_zone}', make_timestamptz(entered)))"
    local = f"make_timestamp(CASE WHEN is_plain THEN entered + ahead ELSE {exact} END)"
    return period_in(local, kpi)
