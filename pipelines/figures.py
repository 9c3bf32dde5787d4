"""The figures that a store has: what they were made with, and the rows of several at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from parcours.kpis.ask import Answer
from parcours.kpis.figures import Setting
from parcours.kpis.views import all_figures, setting_of
from parcours.pipelines.segments import make_temporary
from parcours.pipelines.store import Store
from parcours.schemas.config import Config, Experiment, Kpi
from parcours.schemas.figure import Figure
from parcours.schemas.segment import Segment, ValueCells

META = "figures"
"""The key of the store's meta that says what its figures were made with."""


@dataclass(frozen=True)
class Figures:
    """Figures by name, and what they are computed with."""

    named: Mapping[str, Figure]
    setting: Setting


def keep(store: Store, config: Config, setting: Setting) -> None:
    """Keep in a store what its figures were made with."""
    kept = {
        "kpi": config.kpi.model_dump(mode="json"),
        "roles": sorted(setting.roles),
        "expected": setting.expected,
        **{name: _kept(getattr(config, name)) for name in ("segment", "experiment")},
        "value_cells": config.value_cells and config.value_cells.model_dump(mode="json"),
        "figure": _kept(config.figure),
    }
    store.set_meta(META, json.dumps(kept))


def kept_in(store: Store, config: Config | None) -> Figures:
    """Return the figures of a store.

    Args:
        store: one that a run has written to; of an empty one, the catalogue with defaults.
        config: whose figures, segments and options count instead of those that the store's were made with;
            its facts, segments and cells are made for this connection. Roles and sources are the store's.
    """
    kept = json.loads(store.meta(META) or "{}")
    roles, expected = frozenset(kept.get("roles", ())), tuple(kept.get("expected", ()))
    if config is not None:
        make_temporary(store.connection, config)
        return Figures(
            all_figures(config.figure), replace(setting_of(config), roles=roles, expected=expected)
        )
    own = {name: Figure.model_validate(record) for name, record in kept.get("figure", {}).items()}
    return Figures(
        all_figures(own),
        Setting(
            kpi=Kpi.model_validate(kept.get("kpi", {})),
            roles=roles,
            expected=expected,
            segment={name: Segment.model_validate(each) for name, each in kept.get("segment", {}).items()},
            value_cells=ValueCells.model_validate(cells) if (cells := kept.get("value_cells")) else None,
            experiment={
                name: Experiment.model_validate(each) for name, each in kept.get("experiment", {}).items()
            },
        ),
    )


def _kept(tables: Mapping[str, BaseModel]) -> dict[str, Any]:
    return {name: table.model_dump(mode="json") for name, table in tables.items()}


def united(found: Mapping[str, Answer]) -> pa.Table:
    """Return the rows of all answers in one table; numerators and denominators become DOUBLE."""
    tables = []
    for answer in found.values():
        fields = [
            pa.field(field.name, pa.float64()) if field.name in ("numerator", "denominator") else field
            for field in answer.rows.schema
        ]
        tables.append(answer.rows.cast(pa.schema(fields)))
    return pa.concat_tables(tables, promote_options="permissive")
