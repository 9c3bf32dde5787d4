"""The touchpoints that a funnel needs, as sorted columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcours.kpis.funnel.chains import WORD, Array, Lanes
from parcours.kpis.funnel.options import FunnelError
from parcours.kpis.funnel.steps import Step
from parcours.schemas.config import STAGES
from parcours.schemas.literal import literal


@dataclass(frozen=True)
class Question:
    """Which touchpoints a funnel is about.

    Attributes:
        steps: the steps.
        unit: the column that names a unit.
        as_of: only what occurred until then, UTC.
        columns: the columns that touchpoints have.
        exclude: what leaves a unit out.
        where: conditions that touchpoints fulfil.
        hold: the column that stays equal through an attempt.
        value: the column whose values group attempts.
        every_event: whether touchpoints that fit no step are read too.
    """

    steps: Sequence[Step]
    unit: str
    as_of: datetime
    columns: Collection[str]
    exclude: Sequence[Step] = ()
    where: Sequence[str] = ()
    hold: str | None = None
    value: str | None = None
    every_event: bool = False


@dataclass(frozen=True)
class Events:
    """Touchpoints sorted by unit and time; those of one instant by stage rank, then event_id.

    Attributes:
        lanes: all of them, a lane a unit.
        excludes: whether each leaves its unit out; null: none does.
        hold: a number for each one's value of the column that stays equal; null: no column has to.
        table: ``unit_id``, ``profile_id``, ``event_id`` and ``group_value`` of each; null: not read.
    """

    lanes: Lanes
    excludes: Array | None = None
    hold: Array | None = None
    table: pa.Table | None = None


def read_times(connection: duckdb.DuckDBPyConnection, question: Question) -> tuple[Array, Array, Array]:
    """Read units, times and steps, in no order, for at most ``WORD`` steps: much faster than ``read``.

    A unit is known by a hash of 64 bits: of two million units, any two share one once in ten million times.
    """
    _, fits = _fits(question.steps)
    fitting = " OR ".join(step.condition for step in question.steps)
    table = _computed(
        connection,
        f"SELECT hash({question.unit}) AS unit, epoch_us(occurred_at) AS us, {fits[0]} "
        f"FROM {_source(question)} WHERE {fitting}",
    )
    return table["unit"].to_numpy(), table["us"].to_numpy(), table["fits_0"].to_numpy()


def read(connection: duckdb.DuckDBPyConnection, question: Question) -> Events:
    """Read all that any option needs."""
    names, fits = _fits(question.steps)
    excludes = " OR ".join(step.condition for step in question.exclude) or "false"
    rank = (
        f"coalesce(list_position([{', '.join(map(literal, STAGES))}], stage), 0)"
        if "stage" in question.columns
        else "0"
    )
    table = _computed(
        connection,
        "SELECT * EXCLUDE (stage_rank) FROM ("
        f"SELECT {question.unit}::VARCHAR AS unit_id, profile_id, event_id, epoch_us(occurred_at) AS us, "
        f"{rank} AS stage_rank, {', '.join(fits)}, coalesce({excludes}, false) AS excludes, "
        f"{_text(question.hold)} AS held, {_text(question.value)} AS group_value FROM {_source(question)}) "
        f"WHERE {'true' if question.every_event else f'excludes OR {_any(names)}'} "
        "ORDER BY unit_id, us, stage_rank, event_id",
    )
    units = table["unit_id"].combine_chunks()
    key = np.zeros(len(units), np.int64)
    if len(units):
        key[1:] = np.cumsum(pc.not_equal(units[1:], units[:-1]).to_numpy(zero_copy_only=False))
    lanes = _lanes(key, table, names)
    hold = None
    if question.hold:
        held = table["held"].combine_chunks().dictionary_encode()
        hold = held.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        lanes = Lanes(key, lanes.us, tuple(np.where(hold < 0, 0, word) for word in lanes.fits))
    return Events(
        lanes,
        table["excludes"].to_numpy() if question.exclude else None,
        hold,
        table.select(["unit_id", "profile_id", "event_id", "group_value"]),
    )


def _computed(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Return what a query finds.

    Raises:
        FunnelError: a condition fails on the values of some touchpoint; nothing else in these queries can.
    """
    try:
        return connection.sql(query).to_arrow_table()
    except (duckdb.DataError, duckdb.InvalidInputException) as error:
        said = str(error).splitlines()[0]
        raise FunnelError(f"the condition cannot be computed for some touchpoint: {said}") from error


def _lanes(key: Array, table: pa.Table, names: Sequence[str]) -> Lanes:
    return Lanes(key, table["us"].to_numpy(), tuple(table[name].to_numpy() for name in names))


def _fits(steps: Sequence[Step]) -> tuple[list[str], list[str]]:
    """Return names and SQL of the numbers whose bits say which steps a touchpoint fits."""
    names: list[str] = []
    fits = []
    for begin in range(0, len(steps), WORD):
        some = steps[begin : begin + WORD]
        kind = next(name for name, bits in _INTEGERS.items() if len(some) <= bits)
        bits = " | ".join(
            f"CASE WHEN {step.condition} THEN {1 << bit} ELSE 0 END::{kind}" for bit, step in enumerate(some)
        )
        names.append(f"fits_{len(names)}")
        fits.append(f"({bits}) AS {names[-1]}")
    return names, fits


_INTEGERS = {"UTINYINT": 8, "USMALLINT": 16, "BIGINT": WORD}
"""How many steps a number of each type has bits for: what is sorted should be small."""


def _any(names: Sequence[str]) -> str:
    return " OR ".join(f"{name} <> 0" for name in names)


def _text(column: str | None) -> str:
    return f'"{column}"::VARCHAR' if column else "NULL::VARCHAR"


def _source(question: Question) -> str:
    """Return the touchpoints that count, in SQL, with their units."""
    journeys = (
        " JOIN (SELECT event_id, journey_id FROM journey_steps) USING (event_id)"
        if question.unit == "journey_id"
        else ""
    )
    conditions = [
        f"occurred_at <= TIMESTAMP '{question.as_of.isoformat(sep=' ')}'",
        f"{question.unit} IS NOT NULL",
        *question.where,
    ]
    return f"(FROM touchpoints{journeys} WHERE {' AND '.join(conditions)})"
