"""The slice loop: plan, ingest, merge, build, commit, and again while there is something to read.

A slice is a set of offset ranges. The offsets in the store are the truth about what was read: they are
committed in one transaction with what was loaded, so a crash anywhere leaves the store as it was and the next
run does the slice again.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from parcours.pipelines import commit
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import RUNNER, StoreRun
from parcours.schemas.config import Config
from parcours.schemas.references import REFERENCES
from parcours.transforms.elements import PlannedRange
from parcours.transforms.failures import told_failure
from parcours.transforms.merge import (
    merge,
    register_staged,
)
from parcours.transforms.sources.contract import LogStoppedError, RangeSource, SourceUnavailableError
from parcours.transforms.sources.open import open_source
from parcours.transforms.stage import Progress

ATTEMPTS = 3
"""How often a slice is tried before the run fails: a broker restart or a lost worker is over by then."""

BYTES_PER_RECORD = 2_000
"""Disk that a record takes at most while its slice is staged, merged and committed; measured at about 900."""


class SliceFailedError(Exception):
    """A slice failed several times."""


@dataclass(frozen=True)
class _SlicePlan:
    ranges: tuple[PlannedRange, ...]
    ends: dict[tuple[str, str, int], int]
    more: bool
    waiting: tuple[str, ...]


class SliceLoop(StoreRun):
    """A run that reads sources, slice by slice."""

    def __init__(
        self,
        store: Store,
        config: Config,
        command: str,
        observer: Observer,
        *,
        runner: str = RUNNER,
        runner_options: Sequence[str] = (),
    ) -> None:
        super().__init__(store, config, command, observer, runner=runner, runner_options=runner_options)
        self._sources: dict[str, RangeSource] = {}
        self._turn = 0

    def plan(self) -> _SlicePlan:
        """Ask every source what there is to read, in turn first, within the slice's limits."""
        records, bytes_ = self.config.store.slice_records, self.config.store.slice_bytes
        ranges: list[PlannedRange] = []
        waiting: list[str] = []
        more = False
        lag: dict[tuple[str, str, int], int] = {}
        names = [source.name for source in self.config.source]
        order = [*names[self._turn % len(names) :], *names[: self._turn % len(names)]] if names else []
        self._turn += 1
        by_name = {source.name: source for source in self.config.source}
        for name in order:
            if name not in self._sources:
                self._sources[name] = open_source(by_name[name], self.config.validation)
            committed = commit.read_offsets(self.connection, name)
            left = records - sum(planned.end - planned.start for planned in ranges)
            if left <= 0 or bytes_ <= 0:
                more = True
                lag |= self._lag(name, {key: at.next_offset for key, at in committed.items()})
                continue
            plan = self._sources[name].plan(committed, first_id=len(ranges), records=left, bytes_=bytes_)
            bytes_ -= plan.bytes_
            ranges.extend(plan.ranges)
            waiting.extend(plan.waiting)
            more = more or plan.more
            self._ends.update({(name, *key): end for key, end in plan.ends.items()})
            starts = {(planned.topic, planned.partition): planned.start for planned in reversed(plan.ranges)}
            lag |= self._lag(name, starts | {key: at.next_offset for key, at in committed.items()})
        self.observer.planned(lag)
        return _SlicePlan(tuple(ranges), dict(self._ends), more, tuple(waiting))

    def _lag(self, source: str, starts: Mapping[tuple[str, int], int]) -> dict[tuple[str, str, int], int]:
        """Return how many records a source has behind where reading stands, where its ends are known."""
        return {
            place: max(0, end - starts.get(place[1:], end))
            for place, end in self._ends.items()
            if place[0] == source
        }

    def slice(self) -> _SlicePlan | None:
        """Do one slice; return what was planned and done, or None where there was nothing to read.

        Raises:
            SliceFailedError: it failed several times; the store is as it was.
            LogStoppedError: a log is not the one that was read before, at the plan or while reading.
            SourceUnavailableError: a source cannot be read, several times where a worker found it so.
            RegistryUnavailableError: a registry did not answer several times.
        """
        for attempt in range(1, ATTEMPTS + 1):
            began = time.monotonic()
            self.seconds.clear()
            with self.step("plan"):
                plan = self.plan()
            self.result.waiting = list(plan.waiting)
            if not plan.ranges:
                return None
            rows = sum(planned.end - planned.start for planned in plan.ranges)
            self.store.require_space(min(rows * BYTES_PER_RECORD, 3 * self.config.store.slice_bytes))
            folder = self.new_attempt()
            try:
                self._attempt(plan, folder, began)
            except (LogStoppedError, SourceUnavailableError, commit.CommitRefusedError):
                raise
            except Exception as error:
                told = told_failure(folder)
                if isinstance(told, LogStoppedError) or (told and attempt == ATTEMPTS):
                    raise told from error
                if attempt == ATTEMPTS:
                    raise SliceFailedError(
                        f"a slice failed {ATTEMPTS} times and was not committed: {_last_line(error)}"
                    ) from error
                self.observer.warn(f"the slice failed and is tried again: {_last_line(error)}")
                time.sleep(attempt)
            else:
                return plan
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                Progress.forget(str(folder))
        return None

    def _attempt(self, plan: _SlicePlan, folder: Path, began: float) -> None:
        with self.step("ingest"), self._watched(folder, plan):
            from parcours.pipelines.ingest_touchpoints import ingest_touchpoints  # noqa: PLC0415  Beam loads slowly

            manifests = ingest_touchpoints(
                plan.ranges, self.config, folder, runner=self._runner, runner_options=self._runner_options
            )
        for manifest in manifests:
            for warning in manifest.warnings:
                self.warn(warning)
        with self.transaction():
            with self.step("merge"):
                valid = {name: list[Path]() for name in ("touchpoints", *REFERENCES)}
                for manifest in manifests:
                    loads = next(s.loads for s in self.config.source if s.name == manifest.source)
                    valid[loads] += [folder / name for name in manifest.touchpoints]
                rejected = [folder / name for manifest in manifests for name in manifest.rejected]
                register_staged(self.connection, valid.pop("touchpoints"), rejected, valid)
                merge(self.connection, self.config, manifests, self.run.run_id)
            built = self.build(folder)
            contexts = {name for manifest in manifests for name in manifest.contexts}
            commit.keep_contexts(self.connection, (folder / name for name in sorted(contexts)))
            counts, change = self.commit(manifests, built)
        with self.step("tell"):
            if counts.quarantined * 2 > counts.read:
                self.warn(
                    f"{counts.quarantined:,} of {counts.read:,} records of this slice were rejected: are "
                    "format and mapping right? parcours quarantine summary shows why; after a change, "
                    "parcours quarantine replay --all tries them again"
                )
            self.result.add(counts)
            self.result.slices += 1
            if change is not None:
                self.result.identity_changes.append(change)
            self.tell()
        people = {} if change is None else {"people": str(change)}
        self.observer.slice_done(
            {
                **counts.__dict__,
                "slices": self.result.slices,
                **people,
                "seconds": round(time.monotonic() - began, 3),
                "steps": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
                "balances": _balances(self.connection),
                "files": built,
            }
        )
        self.observer.look(self.connection)

    @contextmanager
    def _watched(self, folder: Path, plan: _SlicePlan) -> Iterator[None]:
        """Report progress while the workers of this process stage rows."""
        total = sum(planned.end - planned.start for planned in plan.ranges)
        known = all((p.source, p.topic, p.partition) in plan.ends for p in plan.ranges)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                self.observer.progress(Progress.total(str(folder)), total if known else None)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            self.observer.progress(Progress.total(str(folder)), total if known else None)

    def close(self) -> None:
        """Give back the sources."""
        for source in self._sources.values():
            source.close()
        super().close()


def _balances(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the counts of the slice that was committed last, by source and topic."""
    cursor = connection.execute(
        "SELECT source, topic, sum(read)::BIGINT AS read, sum(loaded)::BIGINT AS loaded,"
        " sum(duplicate)::BIGINT AS duplicate, sum(quarantined)::BIGINT AS quarantined,"
        " 0 AS suppressed, sum(demoted)::BIGINT AS demoted FROM balances GROUP BY ALL ORDER BY ALL"
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _last_line(error: BaseException) -> str:
    """Return the line that says what went wrong: a worker's text ends with it, DuckDB's begins with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
