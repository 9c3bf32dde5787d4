"""Answers of figures: which rows of which figure, at an instant, limited to some touchpoints or persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from parcours.kpis.conditions import check, columns_of
from parcours.kpis.figures import Setting, input_relation, lacking
from parcours.kpis.placing import TOTAL
from parcours.kpis.scope import Scope
from parcours.kpis.shapes import shape_of
from parcours.schemas.figure import GRAINS, INPUTS, Figure
from parcours.schemas.literal import literal

_IMPERSONAL = ("ref_spend", "ref_events_held", "ref_indicators")
"""What names no person, and so cannot be limited to some."""


class AskError(ValueError):
    """A question has no answer: a name that does not exist, or a condition that is none.

    Attributes:
        name: the name that does not exist, where it is about one.
        allowed: the names that do.
    """

    def __init__(self, problem: str, name: str | None = None, allowed: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.name = name
        self.allowed = tuple(allowed)


@dataclass(frozen=True)
class Question:
    """What is asked of figures.

    Attributes:
        grains: the periods; what has one alone, all, answers with it.
        by: the row sets: the names that each is crossed by; ``TOTAL`` is cut by nothing.
        as_of: only what had occurred by then counts; null: ``default_as_of()``. Naive instants are UTC.
        where: condition over touchpoints, see ``Scope``.
        segment: name of a segment, see ``Scope``.
    """

    grains: tuple[str, ...] = ("month",)
    by: tuple[tuple[str, ...], ...] = (TOTAL,)
    as_of: datetime | None = None
    where: str | None = None
    segment: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a figure answers.

    Attributes:
        rows: the columns of the figure's shape; none where something is missing.
        missing: the inputs, roles and options that the figure needs and that are not there.
        left_out: grains and row sets that were asked for and that the figure does not have.
    """

    rows: pa.Table
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def ask(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    named: Mapping[str, Figure],
    setting: Setting,
    question: Question,
) -> Answer:
    """Compute one figure.

    Args:
        connection: a store.
        name: the figure's.
        named: the figures that there are.
        setting: what figures are computed with.
        question: what is asked.

    Returns:
        The rows in the order of grain, dimensions, values and period.

    Raises:
        AskError: there is no such figure, grain, dimension or segment; or the condition is none, or cannot
            limit this figure.
    """
    if name not in named:
        raise AskError(f'there is no figure "{name}"', name, list(named))
    figure = named[name]
    shape = shape_of(figure)
    for grain in question.grains:
        if grain not in GRAINS:
            raise AskError(f'there is no grain "{grain}"', grain, GRAINS)
    sets, left_out = _sets_of(figure, question)
    grains = [grain for grain in question.grains if grain in figure.grains or figure.grains == ("all",)]
    left_out += [f"by the {grain}" for grain in question.grains if grain not in grains]
    limits = [word for word, value in (("where", question.where), ("segment", question.segment)) if value]
    scope = Scope(_instant(question.as_of), question.where, question.segment, figure.consent)
    read = "\n".join((figure.rows, *Scope("").relations(figure.rows, setting.kpi.time_zone)))
    if limits and any(relation in read for relation in _IMPERSONAL):
        raise AskError(f"{name} counts what names no person: {' and '.join(limits)} cannot limit it")
    _check_limits(connection, question, setting)
    missing = missing_of(connection, figure, setting)
    text = shape.query(name, figure, scope, setting, grains=grains or figure.grains[:1], sets=sets or [TOTAL])
    grain = "list_position(['day', 'week', 'month', 'quarter', 'year'], grain)"
    in_order = ", ".join((grain, "dimensions", "dimension_values", "period_start", *shape.then_by))
    try:
        rows = connection.sql(
            f"FROM ({text}) WHERE {'true' if grains and sets else 'false'} ORDER BY {in_order}"
        ).to_arrow_table()
    except duckdb.Error as error:
        said = " ".join(str(error).split("\n\n")[0].split())
        raise AskError(f"{name} cannot be computed: {said}") from error
    return Answer(rows, tuple(missing), tuple(left_out))


def missing_of(connection: duckdb.DuckDBPyConnection, figure: Figure, setting: Setting) -> list[str]:
    """Return the inputs, roles and options that a figure needs and that are not there."""
    inputs = [need for need in figure.needs if need in INPUTS]
    return [
        *(
            need
            for need in inputs
            if not connection.execute(f"FROM {input_relation(need)} LIMIT 1").fetchall()
        ),
        *lacking(figure, setting),
    ]


def _sets_of(figure: Figure, question: Question) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the row sets that the figure has, and those that it does not."""
    has = (*TOTAL, *figure.dimensions, *figure.numerator_dimensions, *figure.always)
    found, left_out = [], []
    for names in question.by:
        unknown = [dimension for dimension in names if dimension not in has]
        if unknown or (len(names) > 1 and shape_of(figure).is_fixed):
            left_out.append(f"by {', '.join(names)}")
        else:
            found.append(tuple(dict.fromkeys(names)))
    return found, left_out


def dimensions_of(figures: Mapping[str, Figure]) -> list[str]:
    """Return every name that some figure may be cut by."""
    names = (
        (*TOTAL, *figure.dimensions, *figure.numerator_dimensions, *figure.always)
        for figure in figures.values()
    )
    return sorted({name for several in names for name in several})


def _check_limits(connection: duckdb.DuckDBPyConnection, question: Question, setting: Setting) -> None:
    if question.where is not None:
        columns = columns_of(connection, "touchpoints")
        for mistake in check(question.where, columns, "column of touchpoints"):
            raise AskError(f"where: {mistake.problem}", mistake.unknown, list(columns))
    if question.segment is not None and question.segment not in setting.segment:
        raise AskError(f'there is no segment "{question.segment}"', question.segment, list(setting.segment))


def _instant(as_of: datetime | None) -> str:
    if as_of is None:
        return "default_as_of()"
    in_utc = as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of
    return f"TIMESTAMP {literal(in_utc.isoformat(sep=' '))}"
