"""Fixes: decisions on how quarantined records are read, written or only tried out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
from pydantic import ValidationError

from parcours.pipelines.fix_change import Asked, FixError, change_of, check_source, first_problem
from parcours.pipelines.fixes import as_edited, of_contents, overlaid
from parcours.pipelines.observe import Observer
from parcours.pipelines.preview import Preview, fields_of_samples, preview
from parcours.pipelines.quarantine import Selection, select_open, selected_ids
from parcours.pipelines.record_decisions import decide, deciding
from parcours.pipelines.store_run import DryRunError, StoreRun
from parcours.schemas.config import Config, Source


@dataclass(frozen=True)
class Fixed:
    """What was decided.

    Attributes:
        run_id: the run that recorded it; null where nothing was written.
        fix_ids: one a source, form and history of fixes of the records; none where it was only tried out.
        ids: the records.
        skipped: of those that were named by id, how many are closed, by status.
        preview: what would become of them; null where the decision was written.
    """

    run_id: str | None
    fix_ids: Sequence[str]
    ids: Sequence[str]
    skipped: Mapping[str, int]
    preview: Preview | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: the records are counted."""
        told = asdict(self)
        return {"records": len(told.pop("ids")), **told}


def fix(
    config: Config, selection: Selection, asked: Asked, *, note: str | None, dry_run: bool, observer: Observer
) -> Fixed:
    """Decide how the open records of a selection are read, in one transaction; or say what would come of it.

    Args:
        config: names the store, and has the sources.
        selection: which records.
        asked: what is to change.
        note: why.
        dry_run: write nothing, and try the records out.
        observer: is told of the run.

    Raises:
        SelectionError: the selection cannot be made.
        FixError: what is asked for is no fix of a source of theirs.
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
    """
    with deciding(config, "fix", observer) as run:
        connection = run.connection
        skipped = select_open(connection, selection)
        ids = selected_ids(connection)
        if not ids:
            return Fixed(None, [], [], skipped, None)
        before = fields_of_samples(connection, config) if dry_run else {}
        try:
            with run.transaction():
                fix_ids = _decide(run, asked, note)
                if dry_run:
                    found = preview(connection, config, before, asked.fields)
                    raise DryRunError
        except DryRunError:
            return Fixed(None, [], ids, skipped, found)
        run.tell()
        return Fixed(run.run.run_id, fix_ids, ids, skipped, None)


def _decide(run: StoreRun, asked: Asked, note: str | None) -> list[str]:
    """Write one fix for each group of the selected records, and leave all of them selected."""
    connection, fix_ids = run.connection, []
    connection.execute("CREATE OR REPLACE TEMP TABLE chosen AS FROM selected")
    groups = connection.execute(
        "SELECT source, form, fixes FROM quarantine SEMI JOIN chosen USING (quarantine_id)"
        " GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for source, form, fixes in groups:
        own = _as_read(connection, run.config, source, form, fixes)
        change = change_of(asked, own)
        try:
            changed = overlaid(own, [json.dumps(change)])
        except ValidationError as error:
            raise FixError(first_problem(error)) from error
        check_source(as_edited(changed) if asked.edited is not None else changed, run.config)
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE selected AS SELECT quarantine_id FROM quarantine"
            " SEMI JOIN chosen USING (quarantine_id) WHERE source = ? AND form = ? AND fixes = ?",
            [source, form, fixes],
        )
        edited = asked.edited
        if edited is not None and as_edited(own).format in ("json", "csv"):
            # an editor ends a file with a line end, which is no part of a record
            edited = edited.removesuffix(b"\n").removesuffix(b"\r")
        fix_ids.append(decide(run, change, edited=edited, note=note))
    connection.execute("CREATE OR REPLACE TEMP TABLE selected AS FROM chosen")
    return fix_ids


def _as_read(
    connection: duckdb.DuckDBPyConnection, config: Config, name: str, form: str, fixes: Sequence[str]
) -> Source:
    """Return how records of a source are read until now.

    Raises:
        FixError: the config lacks the source.
    """
    found = next((source for source in config.source if source.name == name), None)
    if found is None:
        raise FixError(
            f'the config has no source "{name}", whose mapping a fix changes: put it back, leave its records'
            " out of the selection, or discard them"
        )
    rows = connection.execute(
        "SELECT change FROM fixes WHERE list_contains($fixes, fix_id) ORDER BY list_position($fixes, fix_id)",
        {"fixes": list(fixes)},
    ).fetchall()
    return overlaid(of_contents(name) if form == "contents" else found, [row[0] for row in rows])
