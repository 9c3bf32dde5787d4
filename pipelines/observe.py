"""How a run tells people what it does: a bar on a terminal, lines in a log, nothing where a program reads.

All of it goes to stderr; results are the commands' own and go to stdout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self, TextIO


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
        """A slice is committed; ``summary`` has its counts."""


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


def slice_text(summary: Mapping[str, Any]) -> str:
    """Write a slice's counts as one line; counts of nothing are left out, but for ``read``.

    ``people`` says what merges and aliases moved.
    """
    counts = {key: value for key, value in summary.items() if key != "slices" and isinstance(value, int)}
    shown = ", ".join(f"{key} {value:,}" for key, value in counts.items() if value or key == "read")
    shown += f"; {summary['people']}" if "people" in summary else ""
    number = summary.get("slices")
    return f"slice {number} committed: {shown}" if number else f"slice committed: {shown}"


def observer_for(mask: Callable[[str], str], *, quiet: bool) -> PlainObserver | RichObserver | SilentObserver:
    """Return the observer that fits: a bar on a terminal, lines elsewhere, nothing when a program reads."""
    if quiet:
        return SilentObserver()
    return RichObserver(mask) if sys.stderr.isatty() else PlainObserver(mask)
