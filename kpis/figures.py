"""From the record of a figure to its SQL: counted, cut into periods, and given its interval."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from string import Template
from typing import Any

from parcours.kpis.kinds import DENOMINATORS, VALUES, adds_up, numerator_of, sums_of
from parcours.kpis.placing import (
    GRAIN_ROWS,
    TOTAL,
    dated,
    deliveries,
    kept,
    period_of,
    persons,
    summed,
    timing_of,
)
from parcours.kpis.scope import Scope
from parcours.schemas.config import Experiment, Kpi
from parcours.schemas.figure import GRAINS, INPUTS, Figure
from parcours.schemas.literal import literal
from parcours.schemas.segment import Segment, ValueCells

COLUMNS = {
    "kpi": "Name of the figure.",
    "grain": "day, week, month, quarter or year, in the configured time zone; filter on it.",
    "period_start": "First day of the period.",
    "dimensions": "What the rows are cut by, [total] where by nothing; filter on it.",
    "dimension_values": "The values of dimensions, in their order; null for null.",
    "numerator": "What is counted; null for a median or a 90th percentile.",
    "denominator": "Of what; null for a count or an amount.",
    "value": "The figure in its unit; null where the denominator is 0.",
    "n": "How many counted things the value rests on.",
    "low": "Lower end of the 95 % interval; null where the figure has none.",
    "high": "Upper end of the 95 % interval; null where the figure has none.",
    "additive": "Whether the groups of a dimension add up to the total.",
    "mature": "True where nothing that is still to come changes the row any more.",
    "incomplete_sources": "Sources that declare expected_every and delivered nothing past the period's end.",
    "target": "The target for value; null where none is set.",
    "options": "The options, as JSON.",
    "definition": "MD5 of formula and options: rows with equal ones are comparable.",
}
"""The columns that the rows of every figure have, with their meaning."""


@dataclass(frozen=True)
class Setting:
    """What figures are computed with, whatever is asked.

    Attributes:
        kpi: periods and options.
        roles: those that the taxonomy gives to event types.
        expected: names of the sources of touchpoints that declare ``expected_every``.
        segment: the segments, by name.
        value_cells: what makes the four cells; null: nothing.
        experiment: how tests of variants are judged, by name.
    """

    kpi: Kpi = field(default_factory=Kpi)
    roles: frozenset[str] = frozenset()
    expected: tuple[str, ...] = ()
    segment: Mapping[str, Segment] = field(default_factory=dict)
    value_cells: ValueCells | None = None
    experiment: Mapping[str, Experiment] = field(default_factory=dict)


def row_sets(figure: Figure) -> list[tuple[str, ...]]:
    """Return the row sets that a figure has unasked: the total, and each of its dimensions alone."""
    return [TOTAL, *((name,) for name in (*figure.dimensions, *figure.numerator_dimensions))]


def lacking(figure: Figure, setting: Setting) -> list[str]:
    """Return the roles, options and tables that a figure needs and the config does not give."""
    return [
        need
        for need in figure.needs
        if (need.startswith("role:") and not setting.roles.intersection(need[5:].split("|")))
        or (need.startswith("option:") and not getattr(setting.kpi, need[7:]))
        or (need.startswith("config:") and not getattr(setting, need[7:]))
    ]


def query(
    name: str,
    figure: Figure,
    scope: Scope,
    setting: Setting,
    *,
    grains: Sequence[str] = GRAINS,
    sets: Sequence[tuple[str, ...]] | None = None,
) -> str:
    """Return the SELECT of a figure's rows, with the columns of ``COLUMNS``.

    Args:
        name: the figure's.
        figure: its record.
        scope: the instant, and to what the figure is limited.
        setting: what it is computed with.
        grains: which; those that the figure does not have are left out.
        sets: the names that each row set is crossed by; default: ``row_sets``.
    """
    cut_by = [_crossed(names, figure) for names in (sets or row_sets(figure))]
    width = max(map(len, cut_by))
    keys = [f"v{place + 1}" for place in range(width)]
    sums = sums_of(figure)
    value, n, low, high = VALUES[figure.kind]
    timing = timing_of(figure, sums, setting.kpi)
    words = {
        **common_words(name, figure, scope, setting, is_after=any("after" in names for names in cut_by)),
        "grains": ", ".join(GRAIN_ROWS[grain] for grain in figure.grains if grain in grains),
        "last_period": period_of("until", setting.kpi),
        "sets": ", ".join(
            f"({number}, [{', '.join(map(literal, names))}])" for number, names in enumerate(cut_by)
        ),
        "keys": ", ".join(keys),
        "summed": summed(figure, sums, cut_by),
        "sums": ", ".join(_counted(name, sum_, figure) for name, sum_ in sums.items()),
        "filled": ", ".join(_filled(name, figure) for name in sums),
        "shared": _shared(figure, cut_by),
        "ends_at": f"timezone('UTC', timezone('{setting.kpi.time_zone}', period + step))",
        "numerator": numerator_of(figure),
        "denominator": DENOMINATORS.get(figure.kind, "denominator::BIGINT"),
        "value": value,
        "n": n,
        "low": low,
        "high": high,
        "additive": str(figure.additive).lower(),
        "target_dimension": _target_dimension(width),
        # weeks that begin on Sunday are named by the ISO week of their Monday
        "week_name": "period" if setting.kpi.week_start == "monday" else "period + 1",
        **timing,
        "dated": persons(figure, cut_by, timing["period"])
        if figure.persons
        else dated(figure, cut_by, timing),
    }
    template = resources.files(__package__).joinpath("figure.sql").read_text("utf-8")
    return Template(template).substitute(words)


def common_words(
    name: str, figure: Figure, scope: Scope, setting: Setting, *, is_after: bool = False
) -> dict[str, str]:
    """Return what the SQL of every figure is filled in with, whatever its kind: by the word for it.

    Args:
        name: the figure's.
        figure: its record.
        scope: the instant, and to what the figure is limited.
        setting: what it is computed with.
        is_after: whether rows are cut by what people met before they answered.
    """
    facts = Template(figure.rows.strip()).substitute(
        _as_sql(figure, setting.kpi), answers=_ANSWERS[is_after], counts_person=scope.counts_person()
    )
    told = json.dumps(_told(figure, scope, setting), ensure_ascii=False, sort_keys=True)
    formula = json.dumps([name, figure.kind, figure.standing, figure.snapshot, figure.rows, told])
    return {
        "relations": ",\n".join(scope.relations(facts, setting.kpi.time_zone)),
        "facts": facts,
        "name": literal(name),
        "window": figure.window,
        "options": literal(told),
        "definition": hashlib.md5(formula.encode(), usedforsecurity=False).hexdigest(),
        "available": _available(figure, setting),
        **deliveries(setting.expected),
    }


_ANSWERS = {
    True: "answers_after_then",
    False: "(SELECT *, CAST(NULL AS VARCHAR) AS after FROM answers_then)",
}
"""What $answers stands for, by whether rows are cut by what people met before: that takes a while to find."""


def _crossed(names: tuple[str, ...], figure: Figure) -> tuple[str, ...]:
    """Return what the rows of a row set are cut by: its names, and those that cut every row."""
    crossed = dict.fromkeys(name for name in (*names, *figure.always) if name not in TOTAL)
    return tuple(crossed) or TOTAL


def _as_sql(figure: Figure, kpi: Kpi) -> dict[str, str]:
    """Return what the rows may name with a dollar: the time zone, and the figure's options."""
    return {"time_zone": kpi.time_zone, **{name: _constant(getattr(kpi, name)) for name in figure.options}}


def _constant(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"INTERVAL '{value.total_seconds():.0f} seconds'"
    if isinstance(value, Mapping):
        return f"MAP {{{', '.join(f'{literal(key)}: {item}' for key, item in value.items())}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_constant, value))}]"
    return literal(value) if isinstance(value, str) else str(value if value is not None else "NULL")


def _told(figure: Figure, scope: Scope, setting: Setting) -> dict[str, Any]:
    """Return the options that a row states: those that change what is counted."""
    kpi = setting.kpi
    asked = {"where": scope.where, "segment": scope.segment, "consent": scope.consent}
    window = None if figure.window.startswith("0 ") else figure.window
    return {
        "time_zone": kpi.time_zone,
        "week_start": kpi.week_start,
        **{name: value for name, value in {**asked, "window": window}.items() if value},
        **kpi.model_dump(mode="json", include=set(figure.options)),
        **_conditions(figure, scope, setting),
    }


def _conditions(figure: Figure, scope: Scope, setting: Setting) -> dict[str, Any]:
    """Return what the config says of the persons asked about, by its place there."""
    told: dict[str, Any] = {
        f"segment.{name}": f"{segment.over}: {segment.where}"
        for name, segment in setting.segment.items()
        if name == scope.segment or "config:segment" in figure.needs
    }
    if "config:value_cells" in figure.needs and setting.value_cells:
        told |= {f"value_cells.{key}": condition for key, condition in setting.value_cells}
    if figure.kind == "lift":
        told |= {
            f"experiment.{name}": test.model_dump(exclude_none=True)
            for name, test in setting.experiment.items()
        }
    return told


def _counted(name: str, sum_: str, figure: Figure) -> str:
    sum_ = f"sum({name})" if adds_up(figure) else sum_
    if not figure.standing:
        return f"{sum_} AS {name}"
    kinds = [f"coalesce({sum_} FILTER ({condition}), 0)" for condition in
             ("NOT stands", "stands AND sign > 0", "stands AND sign < 0")]  # fmt: skip
    return f"{kinds[0]} AS flow_{name}, {kinds[1]} - {kinds[2]} AS moved_{name}"


def _filled(name: str, figure: Figure) -> str:
    own = f"flow_{name}" if figure.standing else name
    if name == "middle":
        return "CASE WHEN period = period_start THEN middle END AS middle"
    stood = f" + stood_{name}" if figure.standing else ""
    return f"CASE WHEN period = period_start THEN coalesce({own}, 0) ELSE 0 END{stood} AS {name}"


def _shared(figure: Figure, cut_by: Sequence[tuple[str, ...]]) -> str:
    """Return how the denominator becomes the whole period's where a dimension cuts the numerator alone."""
    cases = []
    for number, names in enumerate(cut_by):
        if set(names) & set(figure.numerator_dimensions):
            keys = [f"v{place + 1}" for place in kept(names, figure)]
            by = ", ".join(("grain", "set_number", "period", *keys))
            cases.append(f" WHEN {number} THEN sum(denominator) OVER (PARTITION BY {by})")
    return f"REPLACE (CASE set_number{''.join(cases)} ELSE denominator END AS denominator)" if cases else ""


def _target_dimension(width: int) -> str:
    """Return SQL for how a target names the row's dimensions: total, or channel=site,product=auto."""
    pairs = [f"dimensions[{place}] || '=' || v{place}" for place in range(1, width + 1)]
    cases = "".join(
        f" WHEN {number} THEN {' || chr(44) || '.join(pairs[:number])}" for number in range(1, width + 1)
    )
    return f"CASE WHEN dimensions = ['total'] THEN 'total' ELSE CASE len(dimensions){cases} END END"


def _available(figure: Figure, setting: Setting) -> str:
    if lacking(figure, setting):
        return "false"
    inputs = [need for need in figure.needs if need in INPUTS]
    return " AND ".join(f"EXISTS (FROM {input_relation(need)})" for need in inputs) or "true"


def input_relation(need: str) -> str:
    """Return the relation that has rows where an input was loaded."""
    return need if need == "contracts" else f"ref_{need}"
