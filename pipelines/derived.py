"""The macros and views that a config shapes: remade in a store when the config makes others than before."""

from __future__ import annotations

import hashlib
import json

from parcours.kpis import ladder, segments, stage_conversion, views
from parcours.pipelines.figures import keep
from parcours.pipelines.store import Store
from parcours.schemas.config import Config


def make_derived(store: Store, config: Config) -> None:
    """Make ladder, segments and figures as the config says, where the store has others or none."""
    setting = views.setting_of(config)
    made = {
        "ladder": ladder.create_statements(config.ladder),
        "stage_conversion": stage_conversion.create_statements(config.kpi, setting.expected),
        "segments": segments.create_statements(config),
        "figures": views.create_statements(config),
    }
    for name, statements in made.items():
        fingerprint = hashlib.md5("\n".join(statements).encode(), usedforsecurity=False).hexdigest()
        if store.meta(f"made.{name}") != fingerprint:
            for statement in [*(_old_figures(store) if name == "figures" else ()), *statements]:
                store.connection.execute(statement)
            store.set_meta(f"made.{name}", fingerprint)
    keep(store, config, setting)
    store.set_meta("ladder", json.dumps(config.ladder))  # what tells a story names the conditions


def _old_figures(store: Store) -> list[str]:
    """Return the SQL that drops the figures' relations that there are: some may be no more."""
    views = store.connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE view_name LIKE 'kpi!_%' ESCAPE '!'"
        " AND view_name <> 'kpi_stage_conversion'"
    ).fetchall()
    macros = store.connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_name LIKE 'kpi!_%' ESCAPE '!'"
        " AND function_name <> 'kpi_stage_conversion_at'"
    ).fetchall()
    return [
        *(f'DROP VIEW "{name}"' for (name,) in views),
        *(f'DROP MACRO TABLE "{name}"' for (name,) in macros),
    ]
