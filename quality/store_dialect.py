"""How SQLAlchemy, and with it Great Expectations, reads a store: the dialect ``parcours://?store=PATH``.

Importing this module registers the dialect; it loads SQLAlchemy and duckdb-engine.
"""

from __future__ import annotations

import atexit
import sys
from collections import deque
from contextvars import ContextVar
from typing import Any

import duckdb
import duckdb_engine
from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGExecutionContext_psycopg2
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.pool import Pool, StaticPool

FAILING = "/* failing rows */"
"""What a query of failing rows begins with: they are counted, never read."""

MOST_ROWS = 1_000
"""Rows of a result that are kept: what is asked for are numbers and names of columns."""

held: ContextVar[duckdb.DuckDBPyConnection | None] = ContextVar("held", default=None)
"""The connection to use where this process holds the store: DuckDB opens no file twice."""


class _Cursor(duckdb_engine.CursorWrapper):
    """A cursor that names types in words: Great Expectations keeps results, and DuckDB's types with them."""

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        """What the last result's columns are."""
        columns = super().__getattr__("description")
        return columns and [(name, str(kind), *rest) for name, kind, *rest in columns]


class _Connection(duckdb_engine.ConnectionWrapper):
    """A connection that knows what was counted: after one failed query, all are asked for again.

    ``counts`` has the number of failing rows by query, or why the query failed.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, lent: bool) -> None:
        super().__init__(connection)
        self._connection = connection
        self._lent = lent
        self.counts: dict[str, int | duckdb.Error] = {}

    def cursor(self) -> _Cursor:
        """Return what queries are executed on."""
        return _Cursor(self._connection, self)

    def close(self) -> None:
        """Close it, unless whoever lent it does."""
        if not self._lent:
            super().close()


class _ExecutionContext(PGExecutionContext_psycopg2):
    """Reads each result at once: Great Expectations reads it after giving the connection back."""

    def post_exec(self) -> None:
        if self.cursor.description is not None:
            rows = deque(self.cursor.fetchmany(MOST_ROWS))
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(self.cursor, initial_buffer=rows)


class StoreDialect(duckdb_engine.Dialect):
    """DuckDB on the connection that is held or, where none is, on the store's file, to read only."""

    execution_ctx_cls = _ExecutionContext
    supports_statement_cache = False  # asked of each class itself, as duckdb-engine answers it

    def create_connect_args(self, url: URL) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take the store's path from the address."""
        return (), {"store": url.query["store"]}

    def connect(self, *_: Any, store: str) -> Any:
        """Lend the connection that is held, or open the store's file to read."""
        connection = held.get()
        if connection is not None:
            return _Connection(connection, lent=True)
        return _Connection(duckdb.connect(store, read_only=True), lent=False)

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute a query, but count failing rows once and never read them."""
        if statement.startswith(FAILING):
            statement = f"FROM ({statement}) LIMIT 0"
        elif FAILING in statement:
            statement = f"SELECT {self._counted(cursor, statement)}"
        cursor.execute(statement, parameters)

    def _counted(self, cursor: Any, statement: str) -> int:
        counts = cursor.connection.counts
        if statement not in counts:
            try:
                cursor.execute(statement)
                counts[statement] = int(cursor.fetchone()[0])
            except duckdb.Error as error:
                counts[statement] = error
        if isinstance(counts[statement], duckdb.Error):
            raise counts[statement]
        return int(counts[statement])

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        """Use one connection for all: temporary tables are its own."""
        return StaticPool


registry.register("parcours", __name__, "StoreDialect")


@atexit.register
def _let_go() -> None:
    """Give DuckDB's classes back at the very end: DuckDB 2 complains on stderr of those that are kept.

    SQLAlchemy keeps what duckdb-engine taught it, and Great Expectations keeps SQLAlchemy.
    """
    names = [name for name in sys.modules if name.partition(".")[0] == "duckdb_engine"]
    for module in [sys.modules[name] for name in (*names, __name__)]:
        vars(module).clear()
