"""The published copy: a DuckDB file under its own name, and a link to the newest one that BI tools open.

The store itself cannot be opened while a run holds it. The copy is written under another name, renamed when
it is whole, and only then the link moves: a crash leaves the old copy in place, and what is half done is
swept by the next one. A reader that has an old copy open keeps it, even where its file was removed.
"""

from __future__ import annotations

import glob
import shutil
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from parcours.schemas import relations
from parcours.schemas.literal import literal

OLDEST_READER = "v1.2.0"
"""Storage version that DuckDB 2 is asked to write, so that drivers from 1.2 on read it."""

READ_BY_VIEWS = ("people",)
"""Tables of the schema ``internal`` that views read; the others stay out of the copy."""

_UNFINISHED = ".new"

_TAKEN = f"{'[0-9]' * 8}T{'[0-9]' * 12}"
"""The pattern of the time in a copy's name: whatever else begins like the link is not ours to remove."""


class PublishError(Exception):
    """The copy cannot be written where it should be."""


@dataclass(frozen=True)
class Copy:
    """A copy that was published.

    Attributes:
        file: its file, which the link points to.
        published_at: when it was taken, UTC: it holds what was committed until then.
        size: its bytes.
        touchpoints: touchpoints in it.
        newest_at: the newest ``occurred_at`` in it, UTC; null where it has none.
        relations: its tables.
    """

    file: Path
    published_at: datetime
    size: int
    touchpoints: int
    newest_at: datetime | None
    relations: tuple[str, ...]


def publish(
    connection: duckdb.DuckDBPyConnection, link: Path, *, run_id: str, now: datetime, keep: int
) -> Copy:
    """Copy the connection's store, and move the link to the copy.

    Args:
        connection: the store's; what it has committed is copied.
        link: the link that readers open; copies stand beside it.
        run_id: the check that allowed it; the copy's own row in ``publications`` has it.
        now: the time, UTC.
        keep: how many copies stay, this one among them.

    Raises:
        PublishError: there is a file in the place of the link, or too little disk is free.
        duckdb.Error: the copy could not be written.
    """
    if link.exists() and not link.is_symlink():
        raise PublishError(
            f'"{link}" is a file and not the link to a copy: move it away, or name another [publish] path'
        )
    link.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _beside(link, f"{_UNFINISHED}*"):
        leftover.unlink(missing_ok=True)
    _require_space(connection, link.parent)
    file = link.with_name(f"{link.stem}-{now:%Y%m%dT%H%M%S%f}{link.suffix}")
    unfinished = file.with_name(f"{file.name}{_UNFINISHED}")
    touchpoints, newest_at, copied = _write(connection, unfinished, file.name, run_id, now)
    # a tool that opens it to write would keep all others out
    unfinished.chmod(unfinished.stat().st_mode & ~0o222)
    unfinished.rename(file)
    moved = link.with_name(f"{link.name}{_UNFINISHED}")
    moved.unlink(missing_ok=True)
    moved.symlink_to(file.name)
    moved.replace(link)
    # not by its place among them: a clock may have been set back
    others = [copy for copy in _beside(link) if copy != file]
    for old in others[: max(0, len(others) + 1 - keep)]:
        old.unlink(missing_ok=True)
    return Copy(file, now, file.stat().st_size, touchpoints, newest_at, copied)


def _beside(link: Path, end: str = "") -> list[Path]:
    """Return the link's copies, the oldest first; with an end, what is left of unfinished ones."""
    pattern = f"{glob.escape(link.stem)}-{_TAKEN}{glob.escape(link.suffix)}{end}"
    return sorted(link.parent.glob(pattern))


def _require_space(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    row = connection.execute(
        "SELECT block_size * used_blocks FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchone()
    needed, free = int(row[0]) if row else 0, shutil.disk_usage(folder).free
    if free < needed:
        raise PublishError(
            f'"{folder}" has {free / 1e6:,.0f} MB free and a copy needs about {needed / 1e6:,.0f} MB: free '
            "some, keep fewer copies with [publish] keep, or name another [publish] path"
        )


def _write(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str, run_id: str, now: datetime
) -> tuple[int, datetime | None, tuple[str, ...]]:
    """Write a whole copy into a new file; return its touchpoints, the newest time among them, its tables."""
    store, copy = _quoted(_one(connection, "SELECT current_database()")), f"copy_{uuid.uuid4().hex}"
    version = "" if duckdb.__version__.startswith("1.") else f" (STORAGE_VERSION '{OLDEST_READER}')"
    connection.execute(f"ATTACH {literal(str(file))} AS {copy}{version}")
    try:
        connection.execute("BEGIN")
        try:
            copied = _fill(connection, store, copy)
            touchpoints, newest_at = connection.execute(
                f"SELECT count(*), max(occurred_at) FROM {copy}.touchpoints"
            ).fetchall()[0]
            connection.execute(
                f"INSERT INTO {copy}.publications VALUES (?, ?, ?, ?, ?)",
                [now, run_id, name, touchpoints, newest_at],
            )
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        connection.execute(f"CHECKPOINT {copy}")
    finally:
        connection.execute(f"DETACH {copy}")
    return touchpoints, newest_at, copied


def _fill(connection: duckdb.DuckDBPyConnection, store: str, copy: str) -> tuple[str, ...]:
    """Make all relations with their comments, views and macros, copy what tables hold, and name these."""
    connection.execute(f"COPY FROM DATABASE {store} TO {copy} (SCHEMA)")
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?", [copy]
    ).fetchall()
    for schema, table in tables:
        place = f"{_quoted(schema)}.{_quoted(table)}"
        if schema in relations.INTERNAL and table not in READ_BY_VIEWS:
            connection.execute(f"DROP TABLE {copy}.{place}")
        else:
            connection.execute(f"INSERT INTO {copy}.{place} FROM {store}.{place}")
    return tuple(table for schema, table in tables if schema not in relations.INTERNAL)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    return str(connection.execute(query).fetchall()[0][0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
