"""Revalidate: what is loaded is held against the rules in force, and what breaks one goes to the quarantine.

A limit may have become narrower, or a rule been added, since a touchpoint was loaded.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parcours.pipelines.fixes import of_contents
from parcours.pipelines.judging import raw_batch
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import DryRunError, StoreRun
from parcours.schemas.config import Config
from parcours.transforms.canonical import canonical_json_sql
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import PlannedRange, SourceBatch
from parcours.transforms.merge import merge, register_staged
from parcours.transforms.sources.contract import BATCH_RECORDS
from parcours.transforms.validate import make_validator


@dataclass(frozen=True)
class Revalidated:
    """What a revalidation did.

    Attributes:
        run_id: its id; null where nothing was written.
        judged: touchpoints that were held against the rules.
        moved: of these, what breaks one and went to the quarantine.
        rules: of what was moved, how many by rule.
        dry_run: nothing was written.
        seconds: how long it took.
    """

    run_id: str | None
    judged: int
    moved: int
    rules: Mapping[str, int]
    dry_run: bool
    seconds: float


def revalidate(config: Config, *, dry_run: bool = False, observer: Observer) -> Revalidated:
    """Hold every touchpoint against the rules for rows, and move what breaks one, in one transaction.

    Rows of reference inputs are left alone: their files are read again after a rewind.

    Args:
        config: names the store, and has its rules.
        dry_run: say what would move, and write nothing.
        observer: is told of the steps.

    Raises:
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
        RulesChangedError: the store was built with other rules of taxonomy, journeys or identity.
        CommitRefusedError: a check failed; nothing was done.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": nothing is loaded')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        run = StoreRun(store, config, "revalidate", observer)
        try:
            run.prepare()
            return _revalidate(run, dry_run=dry_run)
        finally:
            run.close()


def _revalidate(run: StoreRun, *, dry_run: bool) -> Revalidated:
    started = time.monotonic()
    connection, folder = run.connection, run.new_attempt()
    try:
        with run.transaction():
            with run.step("ingest"):
                judged = _find_breakers(run)
            rules = dict(
                connection.execute("SELECT rule, count(*) FROM breakers GROUP BY ALL ORDER BY ALL").fetchall()
            )
            if rules:
                with run.step("merge"):
                    register_staged(connection, [], [], {})
                    merge(connection, run.config, [], run.run.run_id)
                run.commit([], run.build(folder), rejects="revalidated")
            if dry_run:
                raise DryRunError
    except DryRunError:
        pass
    else:
        run.result.slices += bool(rules)
        if rules:
            with run.step("tell"):
                run.finish("done")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Revalidated(
        run_id=run.run.run_id if rules and not dry_run else None,
        judged=judged,
        moved=sum(rules.values()),
        rules=rules,
        dry_run=dry_run,
        seconds=time.monotonic() - started,
    )


def _find_breakers(run: StoreRun) -> int:
    """Fill ``breakers`` with the stored rows that break a rule; return how many were judged."""
    connection, source = run.connection, of_contents("store")
    decoder = make_decoder(source, run.config.validation)
    validator = make_validator(source, run.config)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE breakers(stored_row BIGINT, step VARCHAR, reason VARCHAR, "
        "rule VARCHAR, field VARCHAR, value VARCHAR, message VARCHAR)"
    )
    count, last = connection.execute("SELECT count(*), max(rowid) FROM touchpoints").fetchall()[0]
    contents = canonical_json_sql("t", stage="stage_given")
    judged = 0
    for first in range(0, (last or 0) + 1, BATCH_RECORDS):
        table = connection.sql(
            f"""
            SELECT
                t.rowid AS "offset", broker_timestamp, NULL::BLOB AS record_key, headers[:0] AS headers,
                encode({contents}) AS "value", 0 AS "size"
            FROM touchpoints AS t
            WHERE t.rowid BETWEEN {first} AND {first + BATCH_RECORDS - 1}
            ORDER BY t.rowid
            """
        ).to_arrow_table()
        batch = SourceBatch(PlannedRange(0, source.name, "touchpoints", 0, 0, 0), raw_batch(table))
        rejected = validator.validate(decoder.decode(batch)).rejected
        if rejected.num_rows:
            connection.register("breaking", rejected)
            connection.execute(
                "INSERT INTO breakers "
                "SELECT source_offset, step, reason, rule, field, value, message FROM breaking"
            )
        judged += table.num_rows
        run.observer.progress(judged, count)
    return judged
