"""How a decision about quarantined records is written: to read them otherwise, or to give them up."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from parcours.pipelines import commit
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import StoreRun
from parcours.schemas.config import Config


@contextmanager
def deciding(config: Config, command: str, observer: Observer) -> Iterator[StoreRun]:
    """Open the store for a command that decides.

    Raises:
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds it.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": nothing is in quarantine')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        run = StoreRun(store, config, command, observer)
        try:
            yield run
        finally:
            run.close()


def decide(
    run: StoreRun, change: Mapping[str, object], *, edited: bytes | None = None, note: str | None
) -> str:
    """Write a decision about the selected records and the run that records it, in the caller's transaction.

    Returns:
        The decision's id.
    """
    fix_id, now = uuid.uuid4().hex, datetime.now(UTC).replace(tzinfo=None)
    text = json.dumps(change, ensure_ascii=False)
    run.connection.execute(
        "INSERT INTO fixes SELECT ?, ?, ?, ?, ?, ?, count(*) FROM selected",
        [fix_id, now, run.run.run_id, text, edited, note],
    )
    run.connection.execute(
        "UPDATE quarantine SET fixes = list_append(fixes, ?) FROM selected AS s"
        " WHERE quarantine.quarantine_id = s.quarantine_id",
        [fix_id],
    )
    commit.record_run(run.connection, run.run, now, "done")
    return fix_id
