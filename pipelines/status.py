"""What a run tells while it holds the store: a small JSON file, replaced after each commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from parcours.pipelines.lock import StoreHeldError, read_owner
from parcours.pipelines.store import Store
from parcours.schemas.config import Config
from parcours.transforms.stage import write_whole

LAST_RUNS = 10
"""Runs that the status shows, newest first."""

RELATIONS = (
    "touchpoints",
    "profiles",
    "journeys",
    "journey_steps",
    "stage_visits",
    "identity_links",
    "ref_customers",
    "ref_contracts",
    "ref_aliases",
    "ref_spend",
    "ref_events_held",
    "ref_indicators",
    "ref_targets",
    "quarantine",
)


def status_path(store: Path) -> Path:
    """Return where the store's status file is."""
    return store.with_name(store.name + ".status.json")


def describe(
    connection: duckdb.DuckDBPyConnection, ends: Mapping[tuple[str, str, int], int]
) -> dict[str, Any]:
    """Read offsets, lag, last runs, balances, gate, publication, quarantine and sizes from a store.

    ``ends`` gives the end of each (source, topic, partition) when it was last asked; lag is null where it is
    not known.
    """

    def rows(query: str) -> list[dict[str, Any]]:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    offsets = rows("SELECT source, topic, partition, next_offset FROM internal.offsets ORDER BY ALL")
    for offset in offsets:
        end = ends.get((offset["source"], offset["topic"], offset["partition"]))
        offset["end"] = end
        offset["lag"] = None if end is None else max(0, end - offset["next_offset"])
    return {
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": rows(f"SELECT * FROM runs ORDER BY started_at DESC LIMIT {LAST_RUNS}"),
        "balances": rows(
            f"""
            SELECT run_id, source, source_topic, source_partition, min(from_offset) AS from_offset,
                max(to_offset) AS to_offset, sum(read)::BIGINT AS read, sum(loaded)::BIGINT AS loaded,
                sum(duplicate)::BIGINT AS duplicate, sum(quarantined)::BIGINT AS quarantined,
                sum(suppressed)::BIGINT AS suppressed, sum(demoted)::BIGINT AS demoted,
                sum(gap)::BIGINT AS gap
            FROM run_balances
            WHERE run_id IN (SELECT run_id FROM runs ORDER BY started_at DESC LIMIT {LAST_RUNS})
            GROUP BY ALL ORDER BY run_id DESC, source, source_topic, source_partition LIMIT 1000
            """
        ),
        "offsets": offsets,
        "gate": next(iter(rows("SELECT * FROM gate ORDER BY decided_at DESC LIMIT 1")), None),
        "publication": next(
            iter(rows("SELECT * FROM publications ORDER BY published_at DESC LIMIT 1")), None
        ),
        "dead_letters": rows("SELECT count(*) AS n FROM internal.dead_letters")[0]["n"],
        "quarantine": dict(
            connection.execute(
                "SELECT reason, count(*) FROM quarantine WHERE status = 'open' GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        ),
        "relations": {name: rows(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in RELATIONS},
    }


def write_status(store: Store, ends: Mapping[tuple[str, str, int], int]) -> None:
    """Replace the status file: readers never see half of one."""
    text = json.dumps(describe(store.connection, ends), default=str, indent=1)
    write_whole(status_path(store.path), lambda path: path.write_text(text, "utf-8"))


def read_status(store: Path) -> dict[str, Any] | None:
    """Return what the last commit told, or None where there is no store yet."""
    path = status_path(store)
    if not path.exists():
        return None
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return told


def known_ends(store: Path) -> dict[tuple[str, str, int], int]:
    """Return the ends of the logs that the status file has: those of the last run's planning."""
    return {
        (offset["source"], offset["topic"], offset["partition"]): offset["end"]
        for offset in (read_status(store) or {}).get("offsets", [])
        if offset["end"] is not None
    }


def store_status(config: Config) -> dict[str, Any] | None:
    """Return the state of the store: its own or, while a run holds it, that of the last commit.

    The ends of the logs, and so the lag, are those of the last run's planning. ``holder`` says who holds the
    store.
    """
    path = Path(config.store.path)
    try:
        with Store(path, memory_limit=config.store.memory_limit, read_only=True) as store:
            return {
                **json.loads(json.dumps(describe(store.connection, known_ends(path)), default=str)),
                "holder": None,
            }
    except FileNotFoundError:
        return None
    except StoreHeldError:
        return {**(read_status(path) or {}), "holder": read_owner(path)}
