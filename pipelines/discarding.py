"""Records that are given up: a decision of a person, kept as a fix is, that closes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parcours.pipelines.observe import Observer
from parcours.pipelines.quarantine import Selection, count_selected, select_open
from parcours.pipelines.record_decisions import decide, deciding
from parcours.schemas.config import Config

DISCARD = {"discard": True}
"""What a decision to discard has in place of a source's keys."""


@dataclass(frozen=True)
class Discarded:
    """What was given up.

    Attributes:
        run_id: the run that did; null where nothing was written.
        records: how many.
        skipped: of those that were named by id, how many were closed before, by status.
        dry_run: nothing is written.
    """

    run_id: str | None
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
    with deciding(config, "discard", observer) as run:
        skipped = select_open(run.connection, selection)
        records = count_selected(run.connection)
        writes = records > 0 and not dry_run
        if writes:
            with run.transaction():
                decide(run, DISCARD, note=note)
                run.connection.execute(
                    "UPDATE quarantine SET status = 'discarded', closed_by_run = ? FROM selected AS s"
                    " WHERE quarantine.quarantine_id = s.quarantine_id",
                    [run.run.run_id],
                )
            run.tell()
        return Discarded(run.run.run_id if writes else None, records, skipped, dry_run)
