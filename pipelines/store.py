"""The store: one DuckDB file, its format version, and how it is opened and closed.

Never open, copy or hash a live store file with Python: closing it drops DuckDB's own lock.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from parcours.pipelines.lock import StoreHeldError, StoreLock
from parcours.schemas import relations

FORMAT_VERSION = 4

OLDEST_READER = "v1.2.0"
"""Storage version that DuckDB 2 is asked to write, so that 1.5 opens the same file."""

WAL_LIMIT = "1GB"
"""With DuckDB's default of 16 MB, commits stall for seconds every few slices while it rewrites row groups."""


IDLE_WAL_BYTES = 64_000_000
"""A log longer than this is written into the store when there is nothing else to do."""


class StoreVersionError(Exception):
    """The file is not a store that this version of parcours reads."""


class DiskSpaceError(Exception):
    """Too little disk is free for the next slice."""


class Store:
    """An open store, alone to write or shared to read.

    Raises:
        StoreHeldError: another process holds it.
        StoreVersionError: its format is older or newer, or it is no store.
        FileNotFoundError: it is to be read and does not exist.
    """

    def __init__(self, path: str | Path, *, memory_limit: str = "600MB", read_only: bool = False) -> None:
        self.path = Path(path)
        if read_only and not self.path.exists():
            raise FileNotFoundError(f'there is no store at "{self.path}" yet; parcours run makes it')
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = StoreLock(self.path, shared=read_only)
        try:
            if not read_only and not self.path.exists():
                self._create()
            self.connection = self._connect(memory_limit, read_only)
            self._check_version()
        except BaseException:
            self._lock.release()
            raise

    def _create(self) -> None:
        """Make an empty store under another name, then rename it: a crash leaves no half of one."""
        log = self.path.with_name(f"{self.path.name}.wal")
        if log.exists():
            # DuckDB would replay it into the new store: half of the old one, with all offsets read
            raise StoreVersionError(
                f'"{log}" has the last commits of a store that is no longer there: put '
                f'"{self.path.name}" back beside it, or remove it too to begin anew'
            )
        new = self.path.with_name(f"{self.path.name}.new")
        for leftover in (new, new.with_name(f"{new.name}.wal")):
            leftover.unlink(missing_ok=True)
        settings: dict[str, str | bool | int | float | list[str]] = {}
        if not duckdb.__version__.startswith("1."):
            settings["storage_compatibility_version"] = OLDEST_READER
        with duckdb.connect(str(new), config=settings) as connection:
            connection.execute("BEGIN")
            for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
                connection.execute(relations.statement(name))
            connection.execute(
                "INSERT INTO internal.meta VALUES ('format_version', ?)", [str(FORMAT_VERSION)]
            )
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")
        new.rename(self.path)

    def _connect(self, memory_limit: str, read_only: bool) -> duckdb.DuckDBPyConnection:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": f"{self.path}.tmp",
            "checkpoint_threshold": WAL_LIMIT,
            "preserve_insertion_order": "false",
        }
        try:
            connection = duckdb.connect(str(self.path), read_only=read_only, config=settings)
        except duckdb.CatalogException as error:
            raise self._data_file() from error
        except duckdb.IOException as error:
            if "set lock" in str(error):
                raise StoreHeldError(self.path, None) from error
            raise StoreVersionError(
                f'"{self.path}" is not a store that DuckDB {duckdb.__version__} opens: '
                f"{str(error).splitlines()[0]}"
            ) from error
        where = connection.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchall()
        if where == [(None,)]:
            connection.close()
            raise self._data_file()
        return connection

    def _data_file(self) -> StoreVersionError:
        """Refuse a CSV, JSON or Parquet file: DuckDB opens it in memory, where what is loaded is lost."""
        return StoreVersionError(
            f'"{self.path}" is not a store but a file of data: name another file in [store] path'
        )

    def _check_version(self) -> None:
        try:
            names = {
                row[0]
                for row in self.connection.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
                ).fetchall()
            }
            version = self.meta("format_version") if "meta" in names else None
            if version is None:
                raise StoreVersionError(
                    f'"{self.path}" is a DuckDB file but no parcours store: name another file in [store] path'
                )
            if int(version) != FORMAT_VERSION:
                newer = int(version) > FORMAT_VERSION
                raise StoreVersionError(
                    f'"{self.path}" has store format {version}, this parcours reads format {FORMAT_VERSION}: '
                    + (
                        "upgrade parcours"
                        if newer
                        else "load the sources into a new store, or open it with the parcours that made it"
                    )
                )
        except BaseException:
            self.connection.close()
            raise

    def meta(self, key: str) -> str | None:
        """Return one of the store's own notes."""
        rows = self.connection.execute("SELECT value FROM internal.meta WHERE key = ?", [key]).fetchall()
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Replace one of the store's own notes, inside the caller's transaction."""
        self.connection.execute("DELETE FROM internal.meta WHERE key = ?", [key])
        self.connection.execute("INSERT INTO internal.meta VALUES (?, ?)", [key, value])

    def checkpoint(self) -> None:
        """Write a long log into the store's file: what a crash would have to replay stays short."""
        log = self.path.with_name(f"{self.path.name}.wal")
        if log.exists() and log.stat().st_size > IDLE_WAL_BYTES:
            self.connection.execute("CHECKPOINT")

    def require_space(self, needed: int) -> None:
        """Stop before a slice that would fill the disk.

        Raises:
            DiskSpaceError: fewer than ``needed`` bytes are free.
        """
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            raise DiskSpaceError(
                f'"{self.path.parent}" has {free / 1e6:,.0f} MB free and the next slice needs about '
                f"{needed / 1e6:,.0f} MB: free some, or lower [store] slice_records"
            )

    def close(self) -> None:
        """Write everything into the one file, and give the store back."""
        try:
            self.connection.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
