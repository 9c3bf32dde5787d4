"""Rows of a query as dictionaries, for what is shown to people or written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

Row = dict[str, Any]


def rows_of(
    connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, Any] | None = None
) -> list[Row]:
    """Return a query's rows; of the values, those that it names are given to it."""
    named = {name: value for name, value in (values or {}).items() if f"${name}" in query}
    cursor = connection.execute(query, named)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
