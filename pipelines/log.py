"""The structured log: one JSON object a line on stderr.

Standard library alone: what is logged is what observers are told, by one thread or two, so a logging library
would bring its configuration and save none of these lines.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from parcours.pipelines.observe import PlainObserver, SilentObserver

LEVELS = {"warning": "warning", "error": "error", "run_failed": "error"}
"""The level of an event, where it is not ``info``."""


class JsonLog:
    """Writes events; secrets are masked in every text, whatever field it stands in.

    Args:
        mask: hides secrets.
        file: where to; stderr as it is now, as it is another while workers are kept silent.
    """

    def __init__(self, mask: Callable[[str], str], file: TextIO | None = None) -> None:
        self._mask = mask
        self._file = file or sys.stderr
        self._lock = threading.Lock()
        self.run_id: str | None = None

    def line(self, event: str, fields: Mapping[str, Any]) -> str:
        """Return an event as its line: at, level, event, run_id where a run is known, then its fields."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = LEVELS.get(event, "info")
        run = {} if self.run_id is None else {"run_id": self.run_id}
        told = {"at": at, "level": level, "event": event, **run, **fields}
        return json.dumps(self._masked(told), ensure_ascii=False) + "\n"

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write an event."""
        text = self.line(event, fields)
        with self._lock:  # progress comes from another thread
            self._file.write(text)
            self._file.flush()

    def _masked(self, value: Any) -> Any:
        """Mask before it is JSON, where a quote in a secret would be written otherwise."""
        if isinstance(value, str):
            return self._mask(value)
        if isinstance(value, Mapping):
            return {str(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        if isinstance(value, datetime):  # UTC without a zone, as in the store
            return f"{value.isoformat(timespec='milliseconds')}Z"
        return value


class JsonObserver(SilentObserver):
    """Logs warnings, committed slices, what else is told, and progress at most every ten seconds."""

    def __init__(self, log: JsonLog) -> None:
        self._log = log
        self._step = ""
        self._said_at = time.monotonic()

    def begin(self, step: str) -> None:
        """Remember the step, for progress."""
        self._step = step

    def progress(self, done: int, total: int | None) -> None:
        """Log it now and then."""
        if time.monotonic() - self._said_at >= PlainObserver.EVERY_SECONDS:
            self._said_at = time.monotonic()
            self._log.write("progress", {"step": self._step, "done": done, "total": total})

    def warn(self, text: str) -> None:
        """Log a warning."""
        self._log.write("warning", {"message": text})

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Log a committed slice: counts in all and by source, and seconds by step."""
        by_source: dict[str, dict[str, int]] = {}
        for balance in summary.get("balances", ()):
            counts = by_source.setdefault(balance["source"], {})
            for name, value in balance.items():
                if name not in ("source", "topic"):
                    counts[name] = counts.get(name, 0) + value
        told = {name: value for name, value in summary.items() if name not in ("balances", "files")}
        self._log.write("slice_committed", {**told, "sources": by_source})

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Log what happened; of a check, the rules that are broken."""
        if event == "run_started":
            self._log.run_id = fields["run_id"]
        plain = {name: value for name, value in fields.items() if name != "findings"}
        if "findings" in fields:
            broken = [finding for finding in fields["findings"] if not finding["passed"]]
            plain |= {"rules": len(fields["findings"]), "broken": broken}
        self._log.write(event, plain)
