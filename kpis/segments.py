"""Segments of persons and the cells of value and potential: macros that follow the config."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from string import Template

from parcours.kpis import facts
from parcours.kpis.conditions import check
from parcours.schemas.config import Config
from parcours.schemas.literal import literal
from parcours.schemas.segment import Segment, ValueCells

_NOBODY = """SELECT
    NULL::VARCHAR AS segment, NULL::VARCHAR AS profile_id, NULL::VARCHAR AS "over", NULL::VARCHAR[] AS matter
WHERE false"""

_NO_CELLS = """SELECT
    NULL::VARCHAR AS profile_id, false AS profitable, false AS potential, NULL::VARCHAR AS cell
WHERE false"""


def create_statements(config: Config) -> list[str]:
    """Return the SQL that makes, or makes anew, the macros and views of facts, segments and cells.

    Raises:
        ValueError: a condition is none; it names all that are wrong.
    """
    conditions = {
        **{f"segment > {name}": (each.over, each.where) for name, each in config.segment.items()},
        **{
            f"value_cells > {name}": ("profiles", where) for name, where in _cells(config.value_cells).items()
        },
    }
    wrong = [
        f"{place}: {mistake.problem}"
        for place, (over, where) in conditions.items()
        for mistake in check(where, facts.columns(over), "column")
    ]
    if wrong:
        raise ValueError("; ".join(wrong))
    words = {
        "members": _members(config.segment),
        "cells": _select_cells(config.value_cells),
        "time_zone": config.kpi.time_zone,
    }
    text = resources.files(__package__).joinpath("segments.sql").read_text("utf-8")
    # parted before conditions are filled in: they may hold what parts statements
    parts = text.removesuffix(";\n").split(";\n\n")
    return [
        *facts.create_statements(config.kpi.time_zone),
        *(Template(part).substitute(words) for part in parts),
    ]


def _members(segments: Mapping[str, Segment]) -> str:
    """Return the query of all segments, for which the rows of each kind are computed once.

    A row for which a condition cannot be computed does not fit.
    """
    if not segments:
        return _NOBODY
    overs = dict.fromkeys(each.over for each in segments.values())
    tables = ",\n".join(
        f"{over}_then AS MATERIALIZED (FROM {facts.MATTERS[over][0]}(as_of))" for over in overs
    )
    selects = "\nUNION ALL\n".join(_select(name, each) for name, each in segments.items())
    return f"WITH {tables}\n{selects}"


def _select(name: str, segment: Segment) -> str:
    _, key = facts.MATTERS[segment.over]
    # the condition stands inside: a fact may be called segment too
    return f"""SELECT {literal(name)} AS segment, profile_id, {literal(segment.over)} AS "over", matter
FROM (
    SELECT profile_id, list({key} ORDER BY {key}) AS matter
    FROM {segment.over}_then
    WHERE TRY({segment.where})
    GROUP BY profile_id
)"""


def _cells(cells: ValueCells | None) -> dict[str, str]:
    return {} if cells is None else {"profitable": cells.profitable, "high_potential": cells.high_potential}


def _select_cells(cells: ValueCells | None) -> str:
    if cells is None:
        return _NO_CELLS
    return f"""SELECT
    *,
    CASE WHEN profitable THEN 'profitable, ' ELSE 'not profitable, ' END
        || CASE WHEN potential THEN 'high potential' ELSE 'low potential' END AS cell
FROM (
    SELECT
        profile_id,
        coalesce(TRY({cells.profitable}), false) AS profitable,
        coalesce(TRY({cells.high_potential}), false) AS potential
    FROM profile_facts_at(as_of)
    WHERE is_customer
)"""
