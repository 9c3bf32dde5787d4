"""The slice loop: plan, ingest, merge, build, commit, and again while there is something to read.

A slice is a set of offset ranges. The offsets in the store are the truth about what was read: they are
committed in one transaction with what was loaded, so a crash anywhere leaves the store as it was and the next
run does the slice again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from parcours.kpis.stage_conversion import create_statements
from parcours.pipelines import commit
from parcours.pipelines.build_journeys import build_journeys
from parcours.pipelines.commit import Counts, RunInfo
from parcours.pipelines.observe import Observer
from parcours.pipelines.status import write_status
from parcours.pipelines.store import Store
from parcours.schemas.config import Config
from parcours.schemas.references import REFERENCES
from parcours.transforms.elements import PlannedRange
from parcours.transforms.journeys import JourneyRules
from parcours.transforms.merge import (
    collect_history,
    merge,
    merge_everything,
    register_staged,
    register_taxonomy,
)
from parcours.transforms.shapes import literal
from parcours.transforms.sources.contract import LogStoppedError, RangeSource, SourceUnavailableError
from parcours.transforms.sources.open import open_source
from parcours.transforms.stage import Manifest, Progress

RUNNER = "FnApiRunner"

ATTEMPTS = 3
"""How often a slice is tried before the run fails: a broker restart or a lost worker is over by then."""

BYTES_PER_RECORD = 2_000
"""Disk that a record takes at most while its slice is staged, merged and committed; measured at about 900."""


class RulesChangedError(Exception):
    """The store was built with other rules."""


class SliceFailedError(Exception):
    """A slice failed several times."""


@dataclass
class RunResult:
    """What a run did."""

    run_id: str
    status: str = "done"
    slices: int = 0
    read: int = 0
    loaded: int = 0
    duplicate: int = 0
    quarantined: int = 0
    suppressed: int = 0
    demoted: int = 0
    seconds: float = 0.0
    nothing_to_do: bool = False
    warnings: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    quarantine: dict[str, int] = field(default_factory=dict)

    def add(self, counts: Counts) -> None:
        """Add one slice's counts."""
        for name, value in zip(
            ("read", "loaded", "duplicate", "quarantined", "suppressed", "demoted"),
            counts.as_tuple(),
            strict=True,
        ):
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class _SlicePlan:
    ranges: tuple[PlannedRange, ...]
    ends: dict[tuple[str, str, int], int]
    more: bool
    waiting: tuple[str, ...]


def rules_of(config: Config) -> str:
    """Return the text of the rules that stored tables depend on."""
    rules = config.model_dump(mode="json", include={"taxonomy", "journey", "identity"})
    return json.dumps(rules, sort_keys=True, ensure_ascii=False)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class SliceLoop:
    """One run over an open store."""

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
        self.store = store
        self.config = config
        self.observer = observer
        self._runner = runner
        self._runner_options = tuple(runner_options)
        self._rules = rules_of(config)
        started = _now()
        self.run = RunInfo(
            run_id=f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
            command=command,
            started_at=started,
            fingerprint=_fingerprint(self._rules),
        )
        self.result = RunResult(self.run.run_id)
        self._sources: dict[str, RangeSource] = {}
        self._turn = 0
        self._ends: dict[tuple[str, str, int], int] = {}
        # a configured folder may be shared, with other stores or with anything: ours is below it
        self.staging = (
            Path(config.store.staging, f"{store.path.name}-{_fingerprint(str(store.path.resolve()))[:12]}")
            if config.store.staging
            else Path(f"{store.path}.staging")
        )

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The store's connection."""
        return self.store.connection

    def prepare(self, *, apply_rules: bool = False) -> None:
        """Sweep what a killed run left, and hold the rules against the store's.

        Raises:
            RulesChangedError: the store was built with other rules.
        """
        shutil.rmtree(self.staging, ignore_errors=True)
        kept = self.store.meta("rules")
        if kept is not None and not self.connection.execute("FROM touchpoints LIMIT 1").fetchone():
            kept = None  # nothing was loaded by them
        if kept is not None and kept != self._rules and not apply_rules:
            changed = [
                part for part, value in json.loads(self._rules).items() if value != json.loads(kept).get(part)
            ]
            raise RulesChangedError(
                f'the rules in [{"], [".join(changed)}] are not those that "{self.store.path}" was '
                "built with: take the change back, or apply it to everything with parcours rebuild"
            )
        register_taxonomy(self.connection, self.config.taxonomy)
        kpi = self.config.kpi.model_dump_json()
        with self.transaction():
            self.connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")
            if kept is None:
                self.store.set_meta("rules", self._rules)
            if self.store.meta("kpi") != kpi:
                for statement in create_statements(self.config.kpi):
                    self.connection.execute(statement)
                self.store.set_meta("kpi", kpi)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on leaving, roll back on any error."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell the observer of a step's begin and end."""
        self.observer.begin(name)
        yield
        self.observer.end(name)

    def plan(self) -> _SlicePlan:
        """Ask every source what there is to read, in turn first, within the slice's limits."""
        records, bytes_ = self.config.store.slice_records, self.config.store.slice_bytes
        ranges: list[PlannedRange] = []
        waiting: list[str] = []
        more = False
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
                continue
            plan = self._sources[name].plan(committed, first_id=len(ranges), records=left, bytes_=bytes_)
            bytes_ -= plan.bytes_
            ranges.extend(plan.ranges)
            waiting.extend(plan.waiting)
            more = more or plan.more
            self._ends.update({(name, *key): end for key, end in plan.ends.items()})
        return _SlicePlan(tuple(ranges), dict(self._ends), more, tuple(waiting))

    def slice(self) -> _SlicePlan | None:
        """Do one slice; return what was planned and done, or None where there was nothing to read.

        Raises:
            SliceFailedError: it failed several times; the store is as it was.
        """
        for attempt in range(1, ATTEMPTS + 1):
            with self.step("plan"):
                plan = self.plan()
            self.result.waiting = list(plan.waiting)
            if not plan.ranges:
                return None
            rows = sum(planned.end - planned.start for planned in plan.ranges)
            self.store.require_space(min(rows * BYTES_PER_RECORD, 3 * self.config.store.slice_bytes))
            folder = self.staging / f"attempt-{uuid.uuid4().hex}"
            folder.mkdir(parents=True)
            try:
                self._attempt(plan, folder)
            except (LogStoppedError, SourceUnavailableError, commit.CommitRefusedError):
                raise
            except Exception as error:
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

    def _attempt(self, plan: _SlicePlan, folder: Path) -> None:
        with self.step("ingest"), self._watched(folder, plan):
            from parcours.pipelines.ingest_touchpoints import ingest_touchpoints  # noqa: PLC0415  Beam loads slowly

            manifests = ingest_touchpoints(
                plan.ranges, self.config, folder, runner=self._runner, runner_options=self._runner_options
            )
        for manifest in manifests:
            for warning in manifest.warnings:
                self._warn(warning)
        with self.transaction():
            with self.step("merge"):
                valid = {name: list[Path]() for name in ("touchpoints", *REFERENCES)}
                for manifest in manifests:
                    loads = next(s.loads for s in self.config.source if s.name == manifest.source)
                    valid[loads] += [folder / name for name in manifest.touchpoints]
                rejected = [folder / name for manifest in manifests for name in manifest.rejected]
                register_staged(self.connection, valid.pop("touchpoints"), rejected, valid)
                merge(self.connection, self.config, manifests, self.run.run_id)
            built = self._build(folder)
            counts = self._commit(manifests, built)
        with self.step("tell"):
            if counts.quarantined * 2 > counts.read:
                self._warn(
                    f"{counts.quarantined:,} of {counts.read:,} records of this slice were rejected: are "
                    "format and mapping right? parcours inspect shows why; after a change, parcours rewind "
                    "lets them be read again"
                )
            self.result.add(counts)
            self.result.slices += 1
            self._tell()
        self.observer.slice_done({**counts.__dict__, "slices": self.result.slices})

    def _tell(self) -> None:
        """Write the status file; where that cannot be, the load stands all the same."""
        try:
            write_status(self.store, self._ends)
        except OSError as error:
            self._warn(f"the status file could not be written: {error.strerror}: {error.filename}")

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

    def _build(self, folder: Path) -> dict[str, list[Path]]:
        with self.step("build"):
            rows = collect_history(self.connection)
            history = folder / "history"
            self.connection.execute(
                "COPY (SELECT h.*, b.bucket FROM history AS h JOIN buckets AS b USING (profile_id)) TO "
                f"{literal(str(history))} "
                "(FORMAT parquet, COMPRESSION lz4_raw, PARTITION_BY (bucket), WRITE_PARTITION_COLUMNS false)"
            )
            buckets = sorted(history.iterdir()) if history.exists() else []
            rules = JourneyRules.of(self.config.journey)
            return build_journeys(
                buckets, rows, rules, folder, runner=self._runner, runner_options=self._runner_options
            )

    def rebuild(self) -> None:
        """Build every profile anew by the rules in force, in one commit."""
        folder = self.staging / f"attempt-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        now = _now()
        with self.transaction():
            with self.step("merge"):
                merge_everything(self.connection, self.config)
            built = self._build(folder)
            with self.step("commit"):
                commit.register_built(self.connection, built)
                commit.balance(self.connection, [])
                commit.check(self.connection, self.run, now)
                commit.write_everything(
                    self.connection, self.run, now, self.config.identity.max_customers_per_device
                )
                commit.record_run(self.connection, self.run, now, "running")
                # with the tables, not before: a rebuild that dies leaves both as they were
                self.store.set_meta("rules", self._rules)
        self.result.slices += 1

    def _commit(self, manifests: Sequence[Manifest], built: dict[str, list[Path]]) -> Counts:
        now = _now()
        with self.step("check"):
            commit.register_built(self.connection, built)
            commit.balance(self.connection, manifests)
            commit.check(self.connection, self.run, now)
        with self.step("write"):
            commit.write_tables(self.connection, self.run, now, self.config.identity.max_customers_per_device)
        with self.step("ledger"):
            return commit.write_ledger(self.connection, self.run, now, manifests)

    def _warn(self, text: str) -> None:
        self.result.warnings.append(text)
        self.observer.warn(text)

    def finish(self, status: str) -> None:
        """Close the run in the ledger."""
        self.result.status = status
        if self.result.slices:
            with self.transaction():
                commit.record_run(self.connection, self.run, _now(), status)
            self.result.quarantine = dict(
                self.connection.execute(
                    "SELECT reason, count(*) FROM quarantine WHERE status = 'open' GROUP BY ALL ORDER BY ALL"
                ).fetchall()
            )
        self.result.nothing_to_do = not self.result.slices
        self._tell()

    def close(self) -> None:
        """Give back the sources."""
        for source in self._sources.values():
            source.close()
        shutil.rmtree(self.staging, ignore_errors=True)


def _last_line(error: BaseException) -> str:
    """Return the line that says what went wrong: a worker's text ends with it, DuckDB's begins with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
