"""Stage conversion as one of the figures: its record, and its rows where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from parcours.kpis import stage_conversion
from parcours.kpis.figures import Setting
from parcours.kpis.placing import TOTAL
from parcours.kpis.scope import Scope
from parcours.schemas.config import STAGES
from parcours.schemas.figure import GRAINS, Figure, Words
from parcours.schemas.literal import literal

NAME = "stage_conversion"

RECORD = Figure(
    phase="stages",
    kind="conversion",
    unit="share",
    numerator="of those, journeys that entered the later stage afterwards and within its window",
    denominator="journeys that entered the one stage in the period",
    dimensions=tuple(name for name in stage_conversion.DIMENSIONS if name not in TOTAL),
    label=Words(en="Conversion from stage to stage", fr="Taux de passage d'une étape à l'autre"),
    explanation=Words(
        en="Of the journeys that entered one stage in the period, the share that entered a later one within "
        "30 days (consideration), 90 days (purchase) or 365 days: for every pair of stages.",
        fr="Parmi les parcours entrés dans une étape pendant la période, la part entrée ensuite dans une "
        "étape suivante sous 30 jours (considération), 90 jours (achat) ou 365 jours : pour chaque paire "
        "d'étapes.",
    ),
    misread=Words(
        en="Journeys that entered the later stage first, or skipped the one, are counted apart: a low share "
        "may be a way around.",
        fr="Les parcours entrés d'abord dans l'étape suivante, ou ayant sauté la première, sont comptés à "
        "part : un taux faible peut cacher un chemin de traverse.",
    ),
    rows=f"FROM kpi_{NAME}_at(as_of)",
)

SHOWN = (
    "kpi", "grain", "period_start", "from_stage", "to_stage", "numerator", "denominator", "value", "low",
    "high", "mature",
)  # fmt: skip
"""The columns that a terminal shows."""

IN_ORDER = tuple(f"list_position({list(STAGES)}, {column})" for column in ("from_stage", "to_stage"))
"""What puts the pairs of stages in order."""


def query(
    name: str,
    figure: Figure,
    scope: Scope,
    setting: Setting,
    *,
    grains: Sequence[str] = GRAINS,
    sets: Sequence[tuple[str, ...]] | None = None,
) -> str:
    """Return the SELECT of the rows.

    Args:
        name: whatever.
        figure: the record.
        scope: the instant, and to what journeys are limited.
        setting: what it is computed with.
        grains: which periods.
        sets: what the rows are cut by, one name each.
    """
    cut_by = sets or [TOTAL, *((name,) for name in figure.dimensions)]
    named = ", ".join(f"[{', '.join(map(literal, names))}]" for names in cut_by)
    rows = stage_conversion.query(
        setting.kpi,
        setting.expected,
        as_of=scope.as_of,
        unlimited="false",
        limits=_limits(scope),
        asked={key: value for key, value in (("where", scope.where), ("segment", scope.segment)) if value},
    )
    return f"FROM ({rows}) WHERE grain IN ({', '.join(map(literal, grains))}) AND dimensions IN ({named})"


def _limits(scope: Scope) -> str:
    """Return which journeys count: of the persons of a segment, with a touchpoint for which where is true."""
    limits = []
    if scope.segment:
        limits.append(
            f"profile_id IN (SELECT profile_id FROM segment_members_at({scope.as_of}) "
            f"WHERE segment = {literal(scope.segment)})"
        )
    if scope.where:
        limits.append(
            "journeys.journey_id IN (SELECT journey_id FROM journey_steps WHERE event_id IN ("
            f"SELECT event_id FROM touchpoints WHERE occurred_at <= CAST({scope.as_of} AS TIMESTAMP) "
            f"AND ({scope.where})))"
        )
    return " AND ".join(limits) or "true"
