"""Queries over Arrow tables, planned once: planning a wide query costs as much as 20,000 of its rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import duckdb
import pyarrow as pa


@dataclass
class _Feed:
    """What a prepared query reads: DuckDB asks for its stream at every run, so the table may be exchanged."""

    table: pa.Table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()


class PreparedQueries:
    """Prepared queries of one connection, each over a relation ``part``; the least used are forgotten."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, most: int = 32) -> None:
        self._connection = connection
        self._most = most
        self._made = 0
        self._feeds: OrderedDict[Hashable, tuple[str, _Feed]] = OrderedDict()

    def run(self, key: Hashable, make: Callable[[], str], table: pa.Table) -> pa.Table:
        """Run a query over a table.

        Args:
            key: what the query depends on, beside the table's schema.
            make: returns the query; called if it was not prepared yet.
            table: the rows of ``part``.
        """
        whole_key = (key, table.schema)
        if whole_key in self._feeds:
            self._feeds.move_to_end(whole_key)
            name, feed = self._feeds[whole_key]
            feed.table = table
        else:
            name, feed = self._prepare(make(), table)
            self._feeds[whole_key] = (name, feed)
            if len(self._feeds) > self._most:
                self._forget(self._feeds.popitem(last=False)[1][0])
        rows = self._connection.sql(f"EXECUTE {name}").to_arrow_table()
        feed.table = table.schema.empty_table()
        return rows

    def _prepare(self, query: str, table: pa.Table) -> tuple[str, _Feed]:
        self._made += 1
        name, feed = f"query_{self._made}", _Feed(table)
        self._connection.register(f"feed_{name}", feed)
        part = f"WITH part AS NOT MATERIALIZED (FROM feed_{name})"
        self._connection.execute(f"PREPARE {name} AS {part} {query}").fetchall()
        return name, feed

    def _forget(self, name: str) -> None:
        self._connection.execute(f"DEALLOCATE {name}").fetchall()
        self._connection.unregister(f"feed_{name}")
