"""Decides about quarantined records of a closed store, as parcours quarantine fix does."""

import json
import uuid

import duckdb

from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.replay import replay


def fix(store, where="true", **change):
    """Add a fix to the open records that fit a condition."""
    with duckdb.connect(str(store)) as connection:
        _add(connection, where, json.dumps(change), None)


def edit(store, records):
    """Write open records anew: bytes by quarantine id."""
    with duckdb.connect(str(store)) as connection:
        for id_, content in records.items():
            _add(connection, f"quarantine_id = '{id_}'", "{}", content)


def _add(connection, where, change, edited):
    fix_id = uuid.uuid4().hex
    connection.execute(
        "INSERT INTO fixes SELECT ?, now()::TIMESTAMP, 'run', ?, ?, NULL, 1", [fix_id, change, edited]
    )
    connection.execute(
        f"UPDATE quarantine SET fixes = list_append(fixes, ?) WHERE status = 'open' AND ({where})", [fix_id]
    )


def selecting(where="true"):
    """Select the records that fit a condition."""
    return lambda connection: connection.execute(
        f"CREATE OR REPLACE TEMP TABLE selected AS SELECT quarantine_id FROM quarantine WHERE {where}"
    )


def replayed(config, where="status = 'open'", **options):
    """Replay the records that fit a condition."""
    return replay(config, selecting(where), observer=SilentObserver(), **options)
