"""Stage conversion, the headline: of the journeys that entered a stage, how many went on to a later one."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from string import Template

from parcours.schemas import config

VERSION = 1
"""Raised whenever the formula changes, so that every row's ``definition`` does."""

GRAINS = ("day", "week", "month", "quarter", "year")

DIMENSIONS = ("total", "channel", "campaign", "product", "source", "identified")
"""Taken one at a time, from the touchpoint that entered the stage; ``total`` is all of them together."""

WINDOW_DAYS = {"consideration": 30, "purchase": 90, "later": 365}
"""How long after entering one stage the entry to another still counts, by the stage that is entered."""

COMMENTS = {
    "kpi": "stage_conversion.",
    "grain": "day, week, month, quarter or year, in the configured time zone; filter on it.",
    "period_start": "First day of the period in which the touchpoint that entered from_stage occurred.",
    "dimensions": "What the rows are cut by, one name or total; filter on it.",
    "dimension_values": "The dimension's value at the touchpoint that entered from_stage; total for total.",
    "numerator": "Journeys whose entry to to_stage follows their entry to from_stage within the window.",
    "denominator": "Journeys that entered from_stage: numerator + b_before_a + after_window + not_yet.",
    "value": "numerator / denominator, 0 to 1; null where the denominator is 0.",
    "n": "What value rests on: the denominator.",
    "low": "Lower end of Wilson's 95 % interval.",
    "high": "Upper end of Wilson's 95 % interval.",
    "additive": "False: a share must not be added up; numerators and denominators may.",
    "mature": "True where the window of every journey of the period is over.",
    "target": "The target for value; null: none is set.",
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


def create_statements(kpi: config.Kpi) -> list[str]:
    """Return the SQL that makes, or makes anew, the figure's macro and view in a store with the relations.

    ``kpi_stage_conversion_at(as_of, unlimited := false)`` counts what occurred up to ``as_of`` (UTC); with
    ``unlimited`` no window limits the conversion. ``kpi_stage_conversion`` is the same, windows and all, at
    ``default_as_of()``.

    Args:
        kpi: the time zone and the first day of weeks, by which entries fall into periods.
    """
    branches = [_branch(grain, dimension, kpi) for grain in GRAINS for dimension in DIMENSIONS]
    view = "kpi_stage_conversion"
    about = (
        "Of the journeys that entered one stage, how many entered a later one within its window: "
        "every pair of stages, by the period and a dimension of the touchpoint that entered the first"
    )
    return [
        f"CREATE OR REPLACE MACRO {view}_at(as_of, unlimited := false) AS TABLE\n"
        + "UNION ALL\n".join(branches),
        f"COMMENT ON MACRO TABLE {view}_at IS '{about}, at an instant (UTC).'",
        f"CREATE OR REPLACE VIEW {view} AS FROM {view}_at(default_as_of())",
        f"COMMENT ON VIEW {view} IS '{about}, at default_as_of().'",
        *(
            f"COMMENT ON COLUMN {view}.{column} IS '{text.replace(chr(39), chr(39) * 2)}'"
            for column, text in COMMENTS.items()
        ),
    ]


def _branch(grain: str, dimension: str, kpi: config.Kpi) -> str:
    """Return the SELECT of one grain and dimension."""
    if dimension == "total":
        value = "'total'"
        entries = "standing, stages WHERE instants[rank] IS NOT NULL"
    else:
        value = f"touchpoints.{dimension}::VARCHAR"
        entries = (
            "stage_visits JOIN stages USING (stage) JOIN standing USING (journey_id) "
            "JOIN touchpoints ON event_id = first_event_id WHERE stage_visits.entered_at = instants[rank]"
        )
    words = {
        "grain": grain,
        # date_trunc's weeks begin on Monday: a day later, a Sunday falls into the week that it begins
        "shift": "1" if grain == "week" and kpi.week_start == "sunday" else "0",
        "time_zone": kpi.time_zone,
        "dimension": dimension,
        "dimension_value": value,
        "entries": entries,
    }
    for suffix, windows in (("", WINDOW_DAYS), ("_unlimited", None)):
        options = json.dumps(
            {"time_zone": kpi.time_zone, "week_start": kpi.week_start, "window_days": windows}
        )
        definition = hashlib.md5(f"stage_conversion {VERSION} {options}".encode(), usedforsecurity=False)
        words |= {f"options{suffix}": options, f"definition{suffix}": definition.hexdigest()}
    template = resources.files(__package__).joinpath("stage_conversion.sql").read_text("utf-8")
    return Template(template).substitute(words)
