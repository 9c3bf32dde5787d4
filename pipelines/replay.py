"""Replay: quarantined records are tried again, and what passes is loaded, all in one transaction.

A replay is a run whose balance stands by the records' own topic-partitions; it has no offsets, and leaves the
committed ones alone.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb

from parcours.pipelines import judging
from parcours.pipelines.judging import Judged, UnknownSourceError
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import DryRunError, StoreRun
from parcours.schemas.config import Config
from parcours.schemas.literal import literal
from parcours.schemas.references import REFERENCES
from parcours.schemas.touchpoint import REJECTED
from parcours.transforms.merge import merge, register_staged
from parcours.transforms.stage import Manifest, StagedBatch, stage_batch

__all__ = ["Judged", "Replayed", "UnknownSourceError", "judge", "replay"]

Select = Callable[[duckdb.DuckDBPyConnection], object]
"""Fills the temporary table ``selected(quarantine_id)``."""


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes:
        run_id: the replay's own id; null where nothing was written.
        tried: records that were decoded and validated.
        loaded: of these, what became touchpoints or rows of a reference input.
        duplicate: of these, what was loaded already.
        quarantined: of these, what was rejected again, or lost a conflict.
        demoted: stored rows that gave way.
        reasons: of what was rejected again, how many by reason.
        skipped: selected records that were not tried, by why; see ``judging.choose``.
        open: records that are still open in the quarantine afterwards.
        dry_run: nothing was written.
        seconds: how long it took.
    """

    run_id: str | None
    tried: int
    loaded: int
    duplicate: int
    quarantined: int
    suppressed: int
    demoted: int
    reasons: Mapping[str, int]
    skipped: Mapping[str, int]
    open: int
    dry_run: bool
    seconds: float


def select_open(connection: duckdb.DuckDBPyConnection) -> None:
    """Select every open record."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE selected AS SELECT quarantine_id FROM quarantine WHERE status = 'open'"
    )


def judge(connection: duckdb.DuckDBPyConnection, config: Config) -> Iterator[Judged]:
    """Decode and validate the selected records with the fixes that they have, and write nothing.

    Expects ``selected(quarantine_id)``. What is not tried is in the temporary table
    ``not_tried(quarantine_id, why)`` then.

    Raises:
        UnknownSourceError: the config lacks a source of theirs.
        ValueError: a fix, a header or a schema cannot be used.
        RegistryUnavailableError: the registry did not answer.
    """
    judging.choose(connection, config)
    yield from judging.judged(connection, config)


def replay(
    config: Config, select: Select = select_open, *, dry_run: bool = False, observer: Observer
) -> Replayed:
    """Try quarantined records again, and load what passes.

    Records that are no longer open are left alone, so that doing it twice does nothing twice.

    Args:
        config: names the store, and has its rules and sources.
        select: chooses the records; default: all that are open.
        dry_run: work out what would become of them, and write nothing.
        observer: is told of the steps.

    Raises:
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
        RulesChangedError: the store was built with other rules.
        UnknownSourceError: the config lacks a source of theirs; nothing was done.
        ValueError: a fix, a header or a schema cannot be used; nothing was done.
        RegistryUnavailableError: the registry did not answer; nothing was done.
        CommitRefusedError: a check failed; nothing was done.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": nothing is in quarantine')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        run = StoreRun(store, config, "replay", observer)
        with nullcontext() if dry_run else run.announced():
            try:
                run.prepare()
                return _replay(run, select, dry_run=dry_run)
            finally:
                run.close()


def _replay(run: StoreRun, select: Select, *, dry_run: bool) -> Replayed:
    started = time.monotonic()
    connection, folder = run.connection, run.new_attempt()
    try:
        with run.transaction():
            with run.step("select"):
                select(connection)
                skipped = judging.choose(connection, run.config)
                tried = judging.count_tried(connection)
            if tried:
                with run.step("ingest"):
                    manifests = _stage(run, folder, tried)
                with run.step("merge"):
                    _register(run, folder, manifests)
                    merge(connection, run.config, manifests, run.run.run_id)
                counts, _ = run.commit(manifests, run.build(folder), rejects="replayed")
                run.result.add(counts)
            left = connection.execute("SELECT count(*) FROM quarantine WHERE status = 'open'").fetchall()
            reasons = _reasons(connection) if tried else {}
            if dry_run:
                raise DryRunError
    except DryRunError:
        pass
    else:
        run.result.slices += bool(tried)
        if tried:
            with run.step("tell"):
                run.finish("done")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = run.result
    return Replayed(
        run_id=run.run.run_id if tried and not dry_run else None,
        tried=tried,
        loaded=result.loaded,
        duplicate=result.duplicate,
        quarantined=result.quarantined,
        suppressed=result.suppressed,
        demoted=result.demoted,
        reasons=reasons,
        skipped=skipped,
        open=left[0][0],
        dry_run=dry_run,
        seconds=time.monotonic() - started,
    )


def _reasons(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = connection.execute(
        "SELECT reason, count(*) FROM (SELECT reason FROM refused UNION ALL "
        "SELECT 'conflicting_duplicate' FROM fates WHERE fate = 'conflict') GROUP BY ALL ORDER BY ALL"
    )
    return dict(found.fetchall())


def _stage(run: StoreRun, folder: Path, tried: int) -> list[Manifest]:
    """Decode, validate and stage batch by batch."""
    manifests, done = [], 0
    for judged in judging.judged(run.connection, run.config):
        staged = stage_batch(judged.batch, folder)
        manifests.append(_manifest(judged, staged))
        done += len(judged.ids)
        run.observer.progress(done, tried)
    return manifests


def _manifest(judged: Judged, staged: StagedBatch) -> Manifest:
    place = judged.batch.range
    return Manifest(
        range_id=place.id,
        source=place.source,
        topic=place.topic,
        partition=place.partition,
        start=0,
        next_offset=0,
        read=staged.valid + staged.invalid,
        valid=staged.valid,
        invalid=staged.invalid,
        gap=0,
        gap_reason=None,
        resume={},
        warnings=[],
        touchpoints=[staged.touchpoints] if staged.touchpoints else [],
        rejected=[staged.rejected] if staged.rejected else [],
        replays=judged.form,
        forgotten_by=judged.forgotten_by,
    )


def _register(run: StoreRun, folder: Path, manifests: list[Manifest]) -> None:
    """Name the staged files as a slice's; what is rejected again stands apart, as nothing was read anew."""
    loads = {source.name: source.loads for source in run.config.source}
    valid: dict[str, list[Path]] = {name: [] for name in ("touchpoints", *REFERENCES)}
    for manifest in manifests:
        own = "touchpoints" if manifest.replays == "contents" else loads[manifest.source]
        valid[own] += [folder / name for name in manifest.touchpoints]
    register_staged(run.connection, valid.pop("touchpoints"), [], valid)
    rejected = [literal(str(folder / name)) for manifest in manifests for name in manifest.rejected]
    again = f"read_parquet([{', '.join(rejected)}])"
    if not rejected:
        run.connection.register("none_refused", REJECTED.empty_table())
        again = "(SELECT *, NULL::BIGINT AS rid FROM none_refused)"
    run.connection.execute(f"CREATE OR REPLACE TEMP VIEW refused_again AS FROM {again}")
