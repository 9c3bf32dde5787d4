"""Records that are given up: a decision of a person, kept as a fix is, that closes them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from parcours.pipelines.observe import Observer
from parcours.pipelines.quarantine import Selection, count_selected, select_open
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import StoreRun
from parcours.schemas.config import Config

DISCARD = {"discard": True}
"""What a decision to discard has in place of a source's keys."""


@dataclass(frozen=True)
class Discarded:
    """What was given up.

    Attributes:
        run_id: the run that did.
        records: how many.
        skipped: of those that were named by id, how many were closed before, by status.
        dry_run: nothing is written.
    """

    run_id: str
    records: int
    skipped: Mapping[str, int]
    dry_run: bool


def discard(
    config: Config, selection: Selection, *, note: str | None, dry_run: bool, observer: Observer
) -> Discarded:
    """Close the open records of a selection for good: no replay tries them, no gate counts them.

    Raises:
        SelectionError: the selection cannot be made.
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
    """
    with open_store(config) as store:
        run = StoreRun(store, config, "discard", observer)
        skipped = select_open(run.connection, selection)
        records = count_selected(run.connection)
        if records and not dry_run:
            with run.transaction():
                decide(run.connection, run.run.run_id, DISCARD, edited=None, note=note)
                run.connection.execute(
                    "UPDATE quarantine SET status = 'discarded', closed_by_run = ? FROM selected AS s"
                    " WHERE quarantine.quarantine_id = s.quarantine_id",
                    [run.run.run_id],
                )
            run.result.slices += 1
            run.finish("done")
        return Discarded(run.run.run_id, records, skipped, dry_run)


def open_store(config: Config) -> Store:
    """Open the store to write, where there is one.

    Raises:
        FileNotFoundError: there is none.
        StoreHeldError: another process holds it.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": nothing is in quarantine yet')
    return Store(config.store.path, memory_limit=config.store.memory_limit)


def decide(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    change: Mapping[str, object],
    *,
    edited: bytes | None,
    note: str | None,
) -> str:
    """Write a decision about the selected records, in the caller's transaction; return its id."""
    fix_id = uuid.uuid4().hex
    connection.execute(
        "INSERT INTO fixes SELECT ?, ?, ?, ?, ?, ?, count(*) FROM selected",
        [
            fix_id,
            datetime.now(UTC).replace(tzinfo=None),
            run_id,
            json.dumps(change, ensure_ascii=False),
            edited,
            note,
        ],
    )
    connection.execute(
        "UPDATE quarantine SET fixes = list_append(fixes, ?) FROM selected AS s"
        " WHERE quarantine.quarantine_id = s.quarantine_id",
        [fix_id],
    )
    return fix_id
