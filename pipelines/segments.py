"""Segments as the config at hand says them, in a store whose own macros may be older."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb

from parcours.kpis import segments
from parcours.pipelines.store import Store
from parcours.schemas.config import Config

_MADE = "CREATE OR REPLACE MACRO"


@contextmanager
def open_with_segments(config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the store to read, with the facts, segments and cells of this config in place of the store's.

    Raises:
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds it.
    """
    with Store(config.store.path, memory_limit=config.store.memory_limit, read_only=True) as store:
        make_temporary(store.connection, config)
        yield store.connection


def make_temporary(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Make the facts, segments and cells of a config for one connection, in place of the store's."""
    for statement in segments.create_statements(config):
        if _MADE in statement:
            connection.execute(statement.replace(_MADE, "CREATE OR REPLACE TEMP MACRO", 1))


def default_instant(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """Return the instant that is spoken of unless another is named; null in a store without touchpoints."""
    found: datetime | None = connection.execute("SELECT default_as_of()").fetchall()[0][0]
    return found
