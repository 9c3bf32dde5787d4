"""Decides about quarantined records of a closed store, as parcours quarantine fix does."""

import json
import uuid

import duckdb
import pyarrow as pa

from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.replay import replay


def fix(store, where="true", **change):
    """Add a fix to the open records that fit a condition."""
    asked = f"SELECT quarantine_id FROM quarantine WHERE status = 'open' AND ({where})"
    with duckdb.connect(str(store)) as connection:
        ids = [each for (each,) in connection.execute(asked).fetchall()]
        _add(connection, [(id_, "fix", json.dumps(change), None) for id_ in ids], uuid.uuid4().hex)


def edit(store, records):
    """Write open records anew: bytes by quarantine id."""
    with duckdb.connect(str(store)) as connection:
        _add(connection, [(id_, id_, "{}", content) for id_, content in records.items()], uuid.uuid4().hex)


def _add(connection, decided, number):
    if not decided:
        return
    columns = zip(("id", "fix", "change", "edited"), zip(*decided, strict=True), strict=False)
    connection.register("decided", pa.table({name: list(values) for name, values in columns}))
    connection.execute(
        f"""
        INSERT INTO fixes
        SELECT DISTINCT fix || '{number}', now()::TIMESTAMP, 'run', change, edited::BLOB, NULL, 1
        FROM decided;
        UPDATE quarantine SET fixes = list_append(fixes, fix || '{number}')
        FROM decided WHERE decided.id = quarantine_id
        """
    )


def selecting(where="true"):
    """Select the records that fit a condition."""
    return lambda connection: connection.execute(
        f"CREATE OR REPLACE TEMP TABLE selected AS SELECT quarantine_id FROM quarantine WHERE {where}"
    )


def replayed(config, where="status = 'open'", **options):
    """Replay the records that fit a condition."""
    return replay(config, selecting(where), observer=SilentObserver(), **options)
