"""Fixes: decisions on how quarantined records are read, written or only tried out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb
import pyarrow.compute as pc
from pydantic import ValidationError

from parcours.pipelines.discarding import decide, open_store
from parcours.pipelines.fix_change import Asked, FixError, change_of, check_source, first_problem
from parcours.pipelines.fixes import as_edited, of_contents, overlaid
from parcours.pipelines.observe import Observer
from parcours.pipelines.quarantine import Selection, select_open, selected_ids
from parcours.pipelines.replay import judge
from parcours.pipelines.rows import Row, rows_of
from parcours.pipelines.store_run import StoreRun
from parcours.schemas.config import Config, Source
from parcours.schemas.references import fields_of

SAMPLES = 10
"""Records that a preview shows field by field."""


@dataclass(frozen=True)
class Preview:
    """What would become of the chosen records.

    Attributes:
        records: how many there are.
        passing: of these, those that would pass.
        failing: of these, those that would be rejected again, by reason.
        skipped: of these, those that a replay does not try, by why.
        samples: the first of them: id, place, ``fields`` (name to before and after), and where it would be
            rejected again ``rule``, ``field`` and ``message``, else null.
    """

    records: int
    passing: int
    failing: Mapping[str, int]
    skipped: Mapping[str, int]
    samples: Sequence[Row]


@dataclass(frozen=True)
class Fixed:
    """What was decided.

    Attributes:
        run_id: the run that recorded it.
        fix_ids: one a source, form and history of fixes of the records.
        ids: the records.
        skipped: of those that were named by id, how many are closed, by status.
        preview: what would become of them; null where it was written.
    """

    run_id: str
    fix_ids: Sequence[str]
    ids: Sequence[str]
    skipped: Mapping[str, int]
    preview: Preview | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: the records are counted."""
        told = asdict(self)
        return {**told, "ids": None, "records": len(told["ids"])}


@dataclass
class _Group:
    """Records that are read alike until now."""

    source: str
    form: str
    fixes: list[str]
    ids: list[str] = field(default_factory=list)


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
    with open_store(config) as store:
        run = StoreRun(store, config, "fix", observer)
        connection = run.connection
        skipped = select_open(connection, selection)
        ids = selected_ids(connection)
        if not ids:
            return Fixed(run.run.run_id, [], [], skipped, None)
        connection.execute("BEGIN")
        try:
            fix_ids = _decide(run, asked, note)
            preview = _preview(connection, config, asked) if dry_run else None
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("ROLLBACK" if dry_run else "COMMIT")
        if not dry_run:
            run.result.slices += 1
            run.finish("done")
        return Fixed(run.run.run_id, fix_ids, ids, skipped, preview)


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
        fix_ids.append(decide(connection, run.run.run_id, change, edited=edited, note=note))
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


_SAMPLES = f"""
SELECT
    quarantine_id, source, source_topic, source_partition, source_offset, field AS was_field, value AS was
FROM quarantine SEMI JOIN selected USING (quarantine_id)
ORDER BY source, source_topic, source_partition, source_offset, quarantine_id LIMIT {SAMPLES}
"""


def _preview(connection: duckdb.DuckDBPyConnection, config: Config, asked: Asked) -> Preview:
    """Try the selected records out, fixes and all."""
    samples = {row["quarantine_id"]: row for row in rows_of(connection, _SAMPLES)}
    loads = {source.name: source.loads for source in config.source}
    passing, failing = 0, Counter[str]()
    for judged in judge(connection, config):
        valid, rejected = judged.batch.touchpoints, judged.batch.rejected
        passing += valid.num_rows
        failing.update(
            {pair["values"]: pair["counts"] for pair in pc.value_counts(rejected["reason"]).to_pylist()}
        )
        for table in (valid, rejected):
            ids = judged.ids_of(table).to_pylist()
            for at, id_ in enumerate(ids):
                if id_ in samples:
                    _add(samples[id_], table.slice(at, 1).to_pylist()[0], asked, loads)
    skipped = connection.execute("SELECT why, count(*) FROM not_tried GROUP BY ALL ORDER BY ALL").fetchall()
    told = [{"fields": {}, "rule": None, "field": None, "message": None} | row for row in samples.values()]
    records = passing + failing.total() + sum(count for _, count in skipped)
    return Preview(records, passing, dict(failing.most_common()), dict(skipped), told)


def _add(sample: Row, row: Row, asked: Asked, loads: Mapping[str, str]) -> None:
    """Note what would become of one record: the fields that are about to change, or its new reason."""
    if "reason" in row:
        sample |= {name: row[name] for name in ("rule", "field", "message")}
        return
    fields = fields_of(loads[sample["source"]]).names
    names = [name for name in fields if name in asked.fields or name == sample["was_field"]] or fields
    sample["fields"] = {
        name: (sample["was"] if name == sample["was_field"] else None, row[name])
        for name in names
        if row[name] not in (None, [])
    }
