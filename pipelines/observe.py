"""How a run tells people what it does: a bar on a terminal, lines in a log, nothing where a program reads.

All of it goes to stderr; results are the commands' own and go to stdout. Metrics and lineage are told by the
same calls (``pipelines.metrics``, ``pipelines.lineage``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

if TYPE_CHECKING:
    import duckdb

    from parcours.pipelines.log import JsonLog


class Observer(Protocol):
    """What the slice loop reports to. ``progress`` may be called from another thread."""

    def begin(self, step: str) -> None:
        """A step begins."""

    def end(self, step: str) -> None:
        """The step that began last with this name ends."""

    def progress(self, done: int, total: int | None) -> None:
        """So many records of the current step are done, of so many; null where the total is not known."""

    def warn(self, text: str) -> None:
        """Something a person should know, that stops nothing."""

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """A slice is committed; ``summary`` has its counts.

        Beside the counts: ``slices``, the slice's number in its run; ``people``, what changed hands, where
        something did; ``seconds``, and ``steps``, seconds by step; ``balances``, counts by source and topic;
        ``files``, the Parquet files of what was built, by relation, which are gone afterwards.
        """

    def planned(self, lag: Mapping[tuple[str, str, int], int]) -> None:
        """The sources were asked for their ends: so many records are still to be read.

        By (source, topic, partition), where the end is known: of topics, and of files that were read to it.
        """

    def look(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The store was opened, or committed to: it may be asked now, in the run's thread, and only now."""

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Something happened that a log keeps; ``fields`` are plain values without personal data.

        ``run_started``: run_id, command. ``run_ended``: run_id, status, seconds and the run's counts.
        ``run_failed``: run_id, error (the kind), message. ``check``: run_id, state (open or held), since
        (UTC, without a zone) and ``findings``, each with rule, relation, column (or null), severity,
        passed, failed, observed and expected. ``published``: run_id, path, relations.
        """


class SilentObserver:
    """Says nothing; also the base of those that say something, so that each states only what it adds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def begin(self, step: str) -> None:
        """Do nothing."""

    def end(self, step: str) -> None:
        """Do nothing."""

    def progress(self, done: int, total: int | None) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Do nothing."""

    def planned(self, lag: Mapping[tuple[str, str, int], int]) -> None:
        """Do nothing."""

    def look(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Do nothing."""

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Do nothing."""


class Observers(SilentObserver):
    """Passes all that it is told to several observers, in their order; whoever made them opens them."""

    def __init__(self, *observers: SilentObserver) -> None:
        self._observers = observers

    def begin(self, step: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.begin(step)

    def end(self, step: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.end(step)

    def progress(self, done: int, total: int | None) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.progress(done, total)

    def warn(self, text: str) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.warn(text)

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.slice_done(summary)

    def planned(self, lag: Mapping[tuple[str, str, int], int]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.planned(lag)

    def look(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.look(connection)

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.told(event, fields)


class PlainObserver(SilentObserver):
    """Timestamped lines for logs: warnings, committed slices, and progress at most every ten seconds."""

    EVERY_SECONDS = 10.0

    def __init__(self, mask: Callable[[str], str], file: TextIO | None = None) -> None:
        self._mask = mask
        self._file = file or sys.stderr
        self._step = ""
        self._said_at = time.monotonic()

    def begin(self, step: str) -> None:
        """Remember the step, for progress lines."""
        self._step = step

    def progress(self, done: int, total: int | None) -> None:
        """Write a line now and then."""
        if time.monotonic() - self._said_at >= self.EVERY_SECONDS:
            self._said_at = time.monotonic()
            self._say(f"{self._step}: {done:,}" + (f" of {total:,}" if total else "") + " records")

    def warn(self, text: str) -> None:
        """Write a warning."""
        self._say(f"warning: {text}")

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Write a committed slice's counts."""
        self._say(slice_text(summary))

    def _say(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        print(f"{now} {self._mask(text)}", file=self._file, flush=True)


class RichObserver(SilentObserver):
    """A progress bar for a person who watches; lines above it for warnings and slices."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        from rich.console import Console  # noqa: PLC0415, keeps --help quick
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._mask = mask
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),  # this one: stderr is another while workers are kept silent
            transient=True,
        )
        self._task = self._progress.add_task("start", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, step: str) -> None:
        """Show the step's name."""
        self._progress.update(self._task, description=step)

    def progress(self, done: int, total: int | None) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, total=total)

    def warn(self, text: str) -> None:
        """Write a warning above the bar."""
        self._say(f"warning: {text}")

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Write the slice's counts above the bar, and empty it."""
        self._say(slice_text(summary))
        self._progress.reset(self._task, total=None)

    def _say(self, text: str) -> None:
        self._progress.console.print(self._mask(text), markup=False, highlight=False, soft_wrap=True)


COUNTS = ("read", "loaded", "duplicate", "quarantined", "suppressed", "demoted")
"""What became of a slice's records, in the ledger's order."""


def slice_text(summary: Mapping[str, Any]) -> str:
    """Write a slice's counts as one line; counts of nothing are left out, but for ``read``.

    ``people`` says what merges and aliases moved.
    """
    counts = {name: summary[name] for name in COUNTS if name in summary}
    shown = ", ".join(f"{key} {value:,}" for key, value in counts.items() if value or key == "read")
    shown += f"; {summary['people']}" if "people" in summary else ""
    number = summary.get("slices")
    return f"slice {number} committed: {shown}" if number else f"slice committed: {shown}"


def observer_for(mask: Callable[[str], str], *, quiet: bool, log: JsonLog | None = None) -> SilentObserver:
    """Return the observer that fits: a bar on a terminal, lines elsewhere, nothing when a program reads.

    Args:
        mask: hides secrets.
        quiet: a program reads the result, and nobody asked for a log.
        log: the structured log, where one was asked for.
    """
    if log is not None:
        from parcours.pipelines.log import JsonObserver  # noqa: PLC0415, log builds on this module

        return JsonObserver(log)
    if quiet:
        return SilentObserver()
    return RichObserver(mask) if sys.stderr.isatty() else PlainObserver(mask)
