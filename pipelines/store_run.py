"""One run over an open store: its line in the ledger, its transactions, the build, and what it tells.

What a slice, a rebuild and a decision of a person have in common.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from parcours.pipelines import checks, commit
from parcours.pipelines.build_journeys import build_journeys
from parcours.pipelines.checks import GateState
from parcours.pipelines.commit import Counts, RunInfo
from parcours.pipelines.dead_letters import Outbox, enqueue
from parcours.pipelines.derived import make_derived
from parcours.pipelines.identity_changes import IdentityChange, record_change
from parcours.pipelines.moves import Moves, count_moves
from parcours.pipelines.observe import COUNTS, Observer
from parcours.pipelines.publication import is_published, publish_copy
from parcours.pipelines.rules import Change, RulesChangedError, difference, fingerprint, rules_of
from parcours.pipelines.status import write_status
from parcours.pipelines.store import DiskSpaceError, Store
from parcours.schemas.config import Config
from parcours.schemas.literal import literal
from parcours.transforms.avro_schemas import RegistryUnavailableError
from parcours.transforms.build import build_bucket, read_built
from parcours.transforms.journeys import JourneyRules
from parcours.transforms.merge import collect_history, merge_everything, register_taxonomy
from parcours.transforms.sources.contract import LogStoppedError, SourceUnavailableError
from parcours.transforms.stage import Manifest

RUNNER = "FnApiRunner"

PLAIN_ERRORS = (
    DiskSpaceError,
    LogStoppedError,
    RegistryUnavailableError,
    RulesChangedError,
    SourceUnavailableError,
)
"""Errors whose message quotes no record: these alone are told to observers in their own words."""


@dataclass
class RunResult:
    """What a run did.

    ``rule_changes`` and ``moves`` say what it applied to all that is stored, and are empty where it did not;
    ``identity_changes`` what merges, aliases and decisions moved from one person to another, slice by slice.
    ``gate`` says whether the store may be published, where the run asked, ``rules_warned`` how many rules its
    check found broken that hold nothing; ``published`` names the copy that it made.
    """

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
    rule_changes: tuple[Change, ...] = ()
    moves: Moves | None = None
    identity_changes: list[IdentityChange] = field(default_factory=list)
    gate: GateState | None = None
    rules_warned: int = 0
    published: str | None = None

    def add(self, counts: Counts) -> None:
        """Add one slice's counts."""
        for name, value in zip(COUNTS, counts.as_tuple(), strict=True):
            setattr(self, name, getattr(self, name) + value)

    def plain(self) -> dict[str, Any]:
        """Return what is counted, for a log: nothing that quotes a record or names a person."""
        names = ("run_id", "status", "slices", *COUNTS, "nothing_to_do", "quarantine")
        return {name: getattr(self, name) for name in names} | {"seconds": round(self.seconds, 3)}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class DryRunError(Exception):
    """Ends a transaction that is not to be committed."""


class StoreRun:
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
        self.run = RunInfo.begun(command, fingerprint(self._rules))
        self.result = RunResult(self.run.run_id)
        self.outbox = Outbox(store.connection, config.dead_letters, self.warn)
        self._ends: dict[tuple[str, str, int], int] = {}
        self.seconds: dict[str, float] = {}
        """Seconds by step, since the slice began."""
        # a configured folder may be shared, with other stores or with anything: ours is below it
        self.staging = (
            Path(config.store.staging, f"{store.path.name}-{fingerprint(str(store.path.resolve()))[:12]}")
            if config.store.staging
            else Path(f"{store.path}.staging")
        )

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The store's connection."""
        return self.store.connection

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Tell the observer that the run begins, and how it ends."""
        run_id, began = self.result.run_id, time.monotonic()
        self.observer.told("run_started", {"run_id": run_id, "command": self.run.command})
        try:
            yield
        except BaseException as error:
            said = str(error) if isinstance(error, PLAIN_ERRORS) else "the run's own output says more"
            failed = {"run_id": run_id, "error": type(error).__name__, "message": said}
            self.observer.told("run_failed", failed)
            raise
        self.result.seconds = time.monotonic() - began
        self.observer.told("run_ended", self.result.plain())

    def prepare(self, stop: threading.Event | None = None, *, apply_rules: bool = False) -> None:
        """Sweep what a killed run left, and hold the rules against the store's.

        Args:
            stop: ends the count of what changed rules would move, which may take a while.
            apply_rules: whether the caller applies changed rules, with ``rebuild``; ``rule_changes`` of the
                result has them.

        Raises:
            RulesChangedError: the store was built with other rules.
        """
        shutil.rmtree(self.staging, ignore_errors=True)
        kept = self.store.meta("rules")
        # aliases make links without any touchpoint
        built = "SELECT 1 FROM touchpoints UNION ALL SELECT 1 FROM identity_links LIMIT 1"
        if kept is not None and not self.connection.execute(built).fetchone():
            kept = None  # nothing was loaded by them
        register_taxonomy(self.connection, self.config.taxonomy)
        if kept is not None and kept != self._rules:
            self.result.rule_changes = difference(kept, self._rules)
            if not apply_rules:
                moves = self._would_move(stop or threading.Event())
                raise RulesChangedError(str(self.store.path), self.result.rule_changes, moves)
        with self.transaction():
            self.connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")
            if kept is None:
                self.store.set_meta("rules", self._rules)
            make_derived(self.store, self.config)
        self.outbox.send()

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
        """Tell the observer of a step's begin and end, and keep how long it took."""
        self.observer.begin(name)
        began = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
        self.observer.end(name)

    def tell(self) -> None:
        """Send what was rejected and write the status file; where either cannot be, the load stands."""
        self.outbox.send()
        try:
            write_status(self.store, self._ends)
        except OSError as error:
            self.warn(f"the status file could not be written: {error.strerror}: {error.filename}")

    def build(self, folder: Path) -> dict[str, list[Path]]:
        """Build what was touched; return the files of each relation, all of them in ``folder``."""
        with self.step("build"):
            buckets, rows = self._collect(folder)
            return build_journeys(
                buckets,
                rows,
                self._journey_rules,
                folder,
                runner=self._runner,
                runner_options=self._runner_options,
            )

    @property
    def _journey_rules(self) -> JourneyRules:
        return JourneyRules.of(self.config.journey)

    def _collect(self, folder: Path) -> tuple[list[Path], int]:
        """Write the history of what was touched; return its buckets and how many touchpoints they have."""
        rows = collect_history(self.connection)
        history = folder / "history"
        self.connection.execute(
            "COPY (SELECT h.*, b.bucket FROM history AS h JOIN buckets AS b USING (profile_id)) TO "
            f"{literal(str(history))} "
            "(FORMAT parquet, COMPRESSION lz4_raw, PARTITION_BY (bucket), WRITE_PARTITION_COLUMNS false)"
        )
        return sorted(history.iterdir()) if history.exists() else [], rows

    def _would_move(self, stop: threading.Event) -> Moves | None:
        """Count what a rebuild would move, and leave the store as it is; null where ``stop`` was set before.

        Buckets are built one after the other, by all threads: a pipeline's workers cannot be stopped.
        """
        self.observer.warn("the rules changed: counting what that would move; Ctrl-C skips the count")
        folder = self.new_attempt()
        ended = threading.Event()

        def interrupt() -> None:
            while not ended.wait(0.05):
                if stop.is_set():
                    self.connection.interrupt()

        watcher = threading.Thread(target=interrupt, daemon=True)
        self.connection.execute("BEGIN")
        watcher.start()
        try:
            with self.step("merge"):
                merge_everything(self.connection, self.config)
            with self.step("build"):
                buckets, rows = self._collect(folder)
                for done, bucket in enumerate(buckets):
                    if stop.is_set():
                        return None
                    self.observer.progress(rows * done // len(buckets), rows)
                    build_bucket(bucket, folder, self._journey_rules, threads=os.cpu_count() or 1)
            with self.step("compare"):
                commit.register_built(self.connection, read_built(folder, buckets))
                return count_moves(self.connection)
        except duckdb.InterruptException:
            return None
        finally:
            ended.set()
            watcher.join()
            self.connection.execute("ROLLBACK")

    def new_attempt(self) -> Path:
        """Make an empty folder for staged files, and return it."""
        folder = self.staging / f"attempt-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def rebuild(self) -> None:
        """Build every profile anew by the rules in force, in one commit."""
        folder = self.new_attempt()
        now = _now()
        with self.transaction():
            with self.step("merge"):
                merge_everything(self.connection, self.config)
            built = self.build(folder)
            with self.step("commit"):
                commit.register_built(self.connection, built)
                self.result.moves = count_moves(self.connection)
                commit.balance(self.connection, [])
                commit.check(self.connection, self.run, now)
                commit.write_everything(
                    self.connection, self.run, now, self.config.identity.max_customers_per_device
                )
                commit.record_run(self.connection, self.run, now, "running")
                # with the tables, not before: a rebuild that dies leaves both as they were
                self.store.set_meta("rules", self._rules)
        self.result.slices += 1

    def commit(
        self, manifests: Sequence[Manifest], built: dict[str, list[Path]], *, rejects: str = "rejected"
    ) -> tuple[Counts, IdentityChange | None]:
        """Check and write what was merged and built, inside the caller's transaction.

        Args:
            manifests: what was read.
            built: the built files of each relation.
            rejects: as in ``commit.write_tables``.

        Returns:
            What became of the records, and what changed hands by a merge, an alias or a decision.

        Raises:
            CommitRefusedError: a check failed.
        """
        now = _now()
        with self.step("check"):
            commit.register_built(self.connection, built)
            commit.balance(self.connection, manifests)
            commit.check(self.connection, self.run, now)
        with self.step("write"):
            change = record_change(self.connection, self.run, now)
            commit.write_tables(
                self.connection,
                self.run,
                now,
                self.config.identity.max_customers_per_device,
                rejects=rejects,
            )
            if self.config.dead_letters:
                enqueue(self.connection, self.run, now)
        with self.step("ledger"):
            return commit.write_ledger(self.connection, self.run, now, manifests), change

    def check(self) -> None:
        """Hold the store against its rules where that is due; publish it where that is wanted and allowed.

        Whatever goes wrong here is a warning: what was loaded stands.
        """
        try:
            if checks.is_due(self.store, self.config):
                found = checks.check(
                    self.store, self.config, self.run.run_id, observer=self.observer, warn=self.warn
                )
                self.result.gate = found.gate
                self.result.rules_warned = sum(each.rule.severity == "warn" for each in found.broken)
            else:
                self.result.gate = checks.newest_gate(self.connection)
            self._publish()
        except Exception as error:  # of any kind, a full disk among them
            self.warn(f"the store could not be checked or published: {type(error).__name__}: {error}")
        self.tell()

    def check_at_end(self) -> None:
        """Check, and let the result say where publication is held though all was loaded."""
        self.check()
        if self.result.status == "done" and (self.result.gate is None or self.result.gate.state == "held"):
            self.result.status = "held"

    def _publish(self) -> None:
        gate, wanted = self.result.gate, self.config.publish.after_check
        if wanted and gate and gate.state == "open" and not is_published(self.store, self.config):
            self.result.published = publish_copy(self.store, self.config, gate, self.observer).file.name

    def warn(self, text: str) -> None:
        """Tell a person of something that stops nothing."""
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
        self.tell()

    def close(self) -> None:
        """Sweep what was staged, and give connections back."""
        self.outbox.close()
        shutil.rmtree(self.staging, ignore_errors=True)
