"""One writer at a time: a lock beside the store that names its owner.

DuckDB locks its file too, but loses that lock when any code of the process opens and closes the file. The
lock here is ``flock`` on ``<store>.lock``: the kernel gives it back when its owner dies, so a lock file left
by a killed process, or by the same pid in another container, stops nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

READER_SECONDS = 2.0
"""How long to wait for a holder that names nobody: it only reads, as status and query do for a moment."""


class StoreHeldError(Exception):
    """Another process holds the store."""

    def __init__(self, store: Path, owner: dict[str, Any] | None) -> None:
        self.store = store
        self.owner = owner
        who = (
            f"process {owner['pid']} on {owner['host']} since {owner['started_at']}"
            if owner
            else "another process that reads it, or has it open in DuckDB"
        )
        super().__init__(
            f'the store "{store}" is held by {who}; wait until it ends, stop it, or look at parcours status'
        )


def lock_path(store: Path) -> Path:
    """Return where the store's lock file is."""
    return store.with_name(store.name + ".lock")


class StoreLock:
    """Holds the store: alone to write, together with other readers to read."""

    def __init__(self, store: Path, *, shared: bool = False) -> None:
        self._shared = shared
        path = lock_path(store)
        self._file = path.open("a+", encoding="utf-8")
        try:
            self._lock(store, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        except StoreHeldError:
            self._file.close()
            raise
        if not shared:
            self._write(
                {
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
                }
            )

    def _lock(self, store: Path, kind: int) -> None:
        deadline = time.monotonic() + READER_SECONDS
        while True:
            try:
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = read_owner(store)
                if owner or time.monotonic() > deadline:
                    raise StoreHeldError(store, owner) from None
                time.sleep(0.05)
            else:
                return

    def _write(self, owner: dict[str, Any] | None) -> None:
        self._file.seek(0)
        self._file.truncate()
        if owner:
            json.dump(owner, self._file)
        self._file.flush()

    def release(self) -> None:
        """Give the lock back; the owner's name goes first, so that no reader sees a stale one."""
        if not self._file.closed:
            if not self._shared:
                self._write(None)
            self._file.close()


def read_owner(store: Path) -> dict[str, Any] | None:
    """Return host, pid and started_at of the process that holds the store now, or None where nobody does."""
    path = lock_path(store)
    if not path.exists():
        return None
    with path.open("r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                owner: dict[str, Any] = json.load(file)
            except ValueError:
                return None
            return owner
    return None
