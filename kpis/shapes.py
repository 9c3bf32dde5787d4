"""What the rows of a figure look like, by its kind: most have the same columns, some have more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from parcours.kpis import experiments, figures, stage_conversion, stages
from parcours.kpis.figures import Setting
from parcours.kpis.scope import Scope
from parcours.schemas.figure import Figure


class Query(Protocol):
    """Makes the SELECT of a figure's rows, as ``parcours.kpis.figures.query`` does."""

    def __call__(
        self,
        name: str,
        figure: Figure,
        scope: Scope,
        setting: Setting,
        *,
        grains: Sequence[str] = ...,
        sets: Sequence[tuple[str, ...]] | None = None,
    ) -> str:
        """Return the SELECT."""


@dataclass(frozen=True)
class Shape:
    """The rows of some figures.

    Attributes:
        columns: their columns, with their meaning; those of ``figures.COLUMNS`` are among them.
        query: what gives them.
        shown: the columns that a terminal shows, beside what the rows are cut by.
        then_by: SQL that puts rows of one period and group in order; empty where there is one.
        is_fixed: whether every store has its relations, whatever ``[kpi] figures`` says; its rows are cut by
            one name at a time.
    """

    columns: Mapping[str, str]
    query: Query
    shown: tuple[str, ...]
    then_by: tuple[str, ...] = ()
    is_fixed: bool = False


COMMON = Shape(
    figures.COLUMNS,
    figures.query,
    ("kpi", "grain", "period_start", "numerator", "denominator", "value", "low", "high", "n", "mature"),
)
"""That of most."""

_OWN = {
    "lift": Shape(experiments.COLUMNS, experiments.query, experiments.SHOWN),
    "conversion": Shape(
        stage_conversion.COMMENTS, stages.query, stages.SHOWN, stages.IN_ORDER, is_fixed=True
    ),
}
"""By the kind of figure."""


def shape_of(figure: Figure) -> Shape:
    """Return the shape of a figure's rows."""
    return _OWN.get(figure.kind, COMMON)
