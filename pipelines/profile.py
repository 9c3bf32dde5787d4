"""What a relation's columns hold: nulls, different values, range, most frequent values; and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import duckdb

from parcours.schemas.references import REFERENCES

DEFAULT = (
    "touchpoints",
    "profiles",
    "visits",
    "journeys",
    "stage_visits",
    "contracts",
    "quotes",
    "claims",
    "cases",
    *(reference.relation for reference in REFERENCES.values()),
)
"""What is profiled where no relation is named, if it has rows or had some."""

TOP = 10
"""Most frequent values that are kept of a column."""

LEAST_SHARE = 0.001
"""What a value must make up to be kept as frequent: below, the order of amounts and ordinals is chance."""

EXACT = 1_500
"""Up to about so many different values are counted: an estimate is off by a tenth, and takes two for one."""


@dataclass(frozen=True)
class ColumnProfile:
    """What one column held.

    Attributes:
        name: the column.
        type: its type, in SQL.
        nulls: rows in which it is null; for a list, null or empty.
        distinct: different values, null not counted; for a list, different elements. An estimate where there
            are many.
        least: the smallest value, as text; null for ids, lists, and texts of which hardly one comes twice.
        greatest: the greatest value, likewise.
        top: the most frequent values with the rows that have them, the most frequent first.
    """

    name: str
    type: str
    nulls: int
    distinct: int
    least: str | None
    greatest: str | None
    top: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Profile:
    """What a relation held at an instant (UTC): its rows, and its columns in their order."""

    relation: str
    at: datetime
    rows: int
    columns: tuple[ColumnProfile, ...]


@dataclass(frozen=True)
class Change:
    """How a column differs from before: ``null_share`` is a difference of shares, each from 0 to 1."""

    null_share: float
    distinct: int
    least_before: str | None
    greatest_before: str | None
    new_top: tuple[str, ...]
    gone_top: tuple[str, ...]


def relations_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the tables and views of a store."""
    rows = connection.execute(
        "SELECT DISTINCT table_name FROM duckdb_columns() "
        "WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal ORDER BY ALL"
    ).fetchall()
    return [name for (name,) in rows]


def profile(connection: duckdb.DuckDBPyConnection, relation: str, at: datetime) -> Profile:
    """Look at every column of a table or view but those of bytes: one aggregate over all, then top values.

    Args:
        connection: the store.
        relation: a name of ``relations_of``.
        at: now, UTC.
    """
    columns = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
        "AND schema_name = 'main' AND table_name = ? AND NOT contains(data_type, 'BLOB') "
        "ORDER BY column_index",
        [relation],
    ).fetchall()
    source = _quoted(relation)
    views = "SELECT 1 FROM duckdb_views() WHERE database_name = current_database() AND view_name = ?"
    if connection.execute(views, [relation]).fetchone():  # computed once, not once a column
        connection.execute(f"CREATE OR REPLACE TEMP TABLE profiled AS FROM {source}")
        source = "temp.profiled"
    asked = ["count(*)", *(_figures(name, type_) for name, type_ in columns)]
    figures = connection.execute(f"SELECT {', '.join(asked)} FROM {source}").fetchone()
    assert figures is not None  # noqa: S101  an aggregate gives one row
    rows = figures[0]
    profiles = [
        _column(connection, source, name, type_, _Seen(rows, *figures[4 * place + 1 : 4 * place + 5]))
        for place, (name, type_) in enumerate(columns)
    ]
    if source == "temp.profiled":
        connection.execute("DROP TABLE temp.profiled")
    return Profile(relation, at, rows, tuple(profiles))


class _Seen(NamedTuple):
    """What one pass over the relation says of a column; ``distinct`` is an estimate, and 0 for lists."""

    rows: int
    nulls: int
    distinct: int
    least: str | None
    greatest: str | None


def _figures(name: str, type_: str) -> str:
    """Return the SQL of what ``_Seen`` holds of a column beside the rows."""
    column = _quoted(name)
    if _is_list(type_):
        return f"count(*) FILTER (WHERE coalesce(len({column}), 0) = 0), 0, NULL, NULL"
    distinct = f"count(*) - count({column}), approx_count_distinct({column})"
    if _is_nested(type_) or _is_id(name, type_):
        return f"{distinct}, NULL, NULL"
    orders = f" FILTER (WHERE NOT isnan({column}))" if type_ in ("DOUBLE", "FLOAT") else ""
    return f"{distinct}, min({column}){orders}::VARCHAR, max({column}){orders}::VARCHAR"


def _column(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, type_: str, seen: _Seen
) -> ColumnProfile:
    """Count a column's values where they are few or come again; leave out what would show single rows."""
    values = seen.rows - seen.nulls
    distinct, least, greatest = min(seen.distinct, values), seen.least, seen.greatest
    top: list[tuple[str, int]] = []
    again = not (_is_id(name, type_) or _is_nested(type_) or type_.startswith("TIMESTAMP"))
    if _is_list(type_) or distinct <= EXACT or (again and 2 * distinct <= values):
        top, distinct = _most_frequent(connection, source, name, type_)
    rare = distinct > TOP and 2 * distinct > values
    if rare or not again:
        top = []
    if rare and type_ == "VARCHAR":
        least = greatest = None
    frequent = tuple((value, n) for value, n in top if n >= LEAST_SHARE * values)
    return ColumnProfile(name, type_, seen.nulls, distinct, least, greatest, frequent)


def _most_frequent(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, type_: str
) -> tuple[list[tuple[str, int]], int]:
    """Return a column's most frequent values with their rows, and how many different ones there are."""
    value = _quoted(name)
    if _is_list(type_):
        # of attributes, the names: the values of one are not those of another
        value = f"unnest(list_distinct({value}))"
        value = f'({value})."key"' if type_.startswith('STRUCT("key"') else value
    found = connection.execute(
        f"WITH counted AS MATERIALIZED (SELECT v, count(*) AS n FROM (SELECT {value} AS v FROM {source}) "
        "WHERE v IS NOT NULL GROUP BY v) "
        f"SELECT v::VARCHAR, n, (SELECT count(*) FROM counted) FROM counted ORDER BY n DESC, v LIMIT {TOP}"
    ).fetchall()
    return [(text, n) for text, n, _ in found], found[0][2] if found else 0


def _is_list(type_: str) -> bool:
    return type_.endswith("]")


def _is_nested(type_: str) -> bool:
    return type_.startswith(("STRUCT", "MAP", "UNION")) and not _is_list(type_)


def _is_id(name: str, type_: str) -> bool:
    """Whether a column names single rows or persons: how many are told, not which."""
    return name.endswith("_key") or (type_ == "VARCHAR" and (name == "id" or name.endswith("_id")))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def last_kept(connection: duckdb.DuckDBPyConnection, relation: str) -> Profile | None:
    """Return the newest profile of a relation that the store keeps."""
    found = connection.execute(
        """
        SELECT column_name, data_type, nulls, distinct_values, least, greatest, top, profiled_at, "rows"
        FROM column_profiles
        WHERE relation = $relation
            AND profiled_at = (SELECT max(profiled_at) FROM column_profiles WHERE relation = $relation)
        """,
        {"relation": relation},
    ).fetchall()
    if not found:
        return None
    columns = [
        ColumnProfile(
            name, type_, nulls, distinct, least, greatest, tuple((v["value"], v["rows"]) for v in top)
        )
        for name, type_, nulls, distinct, least, greatest, top, _, _ in found
    ]
    *_, at, rows = found[0]
    return Profile(relation, at, rows, tuple(columns))


def keep(connection: duckdb.DuckDBPyConnection, profiles: Sequence[Profile]) -> None:
    """Write profiles into the store, inside the caller's transaction."""
    rows = [
        (
            *(found.at, found.relation, column.name, column.type, found.rows, column.nulls, column.distinct),
            *(column.least, column.greatest, [{"value": value, "rows": n} for value, n in column.top]),
        )
        for found in profiles
        for column in found.columns
    ]
    if rows:
        connection.executemany(
            'INSERT INTO column_profiles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?::STRUCT("value" VARCHAR, '
            '"rows" BIGINT)[])',
            rows,
        )


def changes(before: Profile, now: Profile) -> dict[str, Change]:
    """Return how each column that was there before differs from then."""
    known = {column.name: column for column in before.columns}
    found = {}
    for column in now.columns:
        old = known.get(column.name)
        if old is None:
            continue
        values, old_values = ([value for value, _ in each.top] for each in (column, old))
        found[column.name] = Change(
            null_share=_share(column.nulls, now.rows) - _share(old.nulls, before.rows),
            distinct=column.distinct - old.distinct,
            least_before=old.least,
            greatest_before=old.greatest,
            new_top=tuple(value for value in values if value not in old_values),
            gone_top=tuple(value for value in old_values if value not in values),
        )
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
