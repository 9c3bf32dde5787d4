"""Which quarantined records a command is about, and what the quarantine holds: by kind, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import duckdb

from parcours.kpis.conditions import check_expression, columns_of
from parcours.pipelines.mistakes import nearest
from parcours.pipelines.rows import Row, rows_of
from parcours.schemas.touchpoint import REASONS

Status = Literal["open", "replayed", "discarded"]
STATUSES: tuple[Status, ...] = ("open", "replayed", "discarded")

LEAST_OF_ID = 6
"""Characters by which an id may be named, where one record alone has them."""

_NAMED = 8
"""How many of the known words, or of the ids that begin alike, a message names."""


class SelectionError(Exception):
    """What was asked for names a record, a word or a column that is not there."""


@dataclass(frozen=True)
class Selection:
    """Some of the quarantined records: those that fit all of it, and of each list one entry.

    Attributes:
        reason: codes, as ``wrong_type``.
        rule: names of rules, as ``value.number``.
        source: names of sources.
        field: our fields that broke the rule.
        id: ids, or the first characters of one.
        where: condition in SQL over the columns of ``quarantine``.
        status: open, replayed, discarded; null: all.
    """

    reason: Sequence[str] = ()
    rule: Sequence[str] = ()
    source: Sequence[str] = ()
    field: Sequence[str] = ()
    id: Sequence[str] = ()
    where: str | None = None
    status: Status | None = None

    @property
    def chooses(self) -> bool:
        """Whether it chooses among the records of its status."""
        return any(getattr(self, each.name) for each in fields(self) if each.name != "status")


def select_into(connection: duckdb.DuckDBPyConnection, selection: Selection) -> int:
    """Fill the temporary table ``selected(quarantine_id)``; return how many records it names.

    Raises:
        SelectionError: a word, an id or a column is unknown, or ``where`` fails on the data.
    """
    conditions: list[str] = []
    values: dict[str, object] = {}
    for name in ("reason", "rule", "source", "field"):
        words = getattr(selection, name)
        if words:
            _check_words(connection, name, words)
            conditions.append(f"list_contains(${name}, {name})")
            values[name] = list(words)
    if selection.id:
        conditions.append("list_contains($id, quarantine_id)")
        values["id"] = [full_id(connection, each) for each in selection.id]
    if selection.status is not None:
        conditions.append("status = $status")
        values["status"] = selection.status
    if selection.where is not None:
        _check_where(connection, selection.where)
        conditions.append(f"({selection.where})")
    chosen = " AND ".join(conditions) or "TRUE"
    connection.execute("CREATE OR REPLACE TEMP TABLE selected (quarantine_id VARCHAR)")
    try:
        connection.execute(
            f"INSERT INTO selected SELECT quarantine_id FROM quarantine WHERE {chosen}", values
        )
    except duckdb.Error as error:
        raise SelectionError(
            f"--where fails on the data: {str(error).splitlines()[0]}; TRY_CAST gives null where CAST fails"
        ) from error
    return count_selected(connection)


def select_open(connection: duckdb.DuckDBPyConnection, selection: Selection) -> dict[str, int]:
    """Fill ``selected`` with the open records of a selection.

    Returns:
        How many records of the selection are closed, by status.

    Raises:
        SelectionError: as of ``select_into``.
    """
    select_into(connection, selection)
    closed = connection.execute(
        "SELECT status, count(*) FROM quarantine SEMI JOIN selected USING (quarantine_id)"
        " WHERE status <> 'open' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    connection.execute(
        "DELETE FROM selected WHERE quarantine_id NOT IN"
        " (SELECT quarantine_id FROM quarantine WHERE status = 'open')"
    )
    return dict(closed)


def selected_ids(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the ids that are selected."""
    rows = connection.execute("SELECT quarantine_id FROM selected ORDER BY ALL").fetchall()
    return [str(row[0]) for row in rows]


def count_selected(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many records are selected."""
    count: int = connection.execute("SELECT count(*) FROM selected").fetchall()[0][0]
    return count


def full_id(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """Return the id that begins with a text.

    Raises:
        SelectionError: none does, or several.
    """
    if len(text) < LEAST_OF_ID:
        raise SelectionError(f'"{text}" is too short for an id: give {LEAST_OF_ID} characters at least')
    found = [
        str(row[0])
        for row in connection.execute(
            "SELECT quarantine_id FROM quarantine WHERE starts_with(quarantine_id, $text)"
            " ORDER BY quarantine_id <> $text, quarantine_id LIMIT $most",
            {"text": text, "most": _NAMED + 1},
        ).fetchall()
    ]
    if not found:
        raise SelectionError(
            f'no record in quarantine has an id that begins with "{text}": parcours quarantine list shows the'
            " ids; --where \"source_topic = 'FILE' AND source_offset = 12\" finds a record by its place"
        )
    if len(found) > 1 and found[0] != text:
        raise SelectionError(f'several ids begin with "{text}": {_some(found)}')
    return found[0]


def _check_words(connection: duckdb.DuckDBPyConnection, name: str, words: Iterable[str]) -> None:
    rows = connection.execute(f"SELECT DISTINCT {name} FROM quarantine WHERE {name} IS NOT NULL ORDER BY ALL")
    known = [str(row[0]) for row in rows.fetchall()]
    for word in words:
        if word in known or (name == "reason" and word in REASONS):
            continue
        near = nearest(word, known)
        hint = f'did you mean "{near}"? ' if near else ""
        listed = f"it has: {_some(known)}" if known else "it is empty"
        raise SelectionError(f'no record in quarantine has {name} "{word}"; {hint}{listed}')


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:_NAMED]) + (" …" if len(words) > _NAMED else "")


def _check_where(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    columns = columns_of(connection, "quarantine")
    for mistake in check_expression(text, columns, "column of quarantine"):
        near = nearest(mistake.unknown, columns) if mistake.unknown else None
        hint = f'; did you mean "{near}"?' if near else ""
        listed = f" (columns: {', '.join(columns)})" if mistake.unknown and not near else ""
        raise SelectionError(f"--where: {mistake.problem}{hint}{listed}")
    row = connection.execute(f"DESCRIBE SELECT ({text}) FROM quarantine").fetchall()[0]
    if row[1] != "BOOLEAN":
        raise SelectionError(f"--where: it is a {row[1]}, not true or false: compare it")


_SUMMARY = """
SELECT
    source, reason, rule, field,
    count(*) FILTER (status = 'open') AS open,
    count(*) FILTER (status = 'replayed') AS replayed,
    count(*) FILTER (status = 'discarded') AS discarded,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    coalesce(min(value) FILTER (status = 'open'), min(value)) AS example
FROM quarantine
SEMI JOIN selected USING (quarantine_id)
GROUP BY ALL
ORDER BY open DESC, source, reason, rule, field
"""


def summary(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return what is selected, by source, reason, rule and field, the most open ones first."""
    return rows_of(connection, _SUMMARY)


_LISTED = """
SELECT
    quarantine_id, source, source_topic, source_partition, source_offset, broker_timestamp, step, reason,
    rule, field, value, message, run_id, first_at, last_at, attempts, status, closed_by_run, form,
    fixes, octet_length(raw) AS bytes
FROM quarantine
SEMI JOIN selected USING (quarantine_id)
ORDER BY source, source_topic, source_partition, source_offset, quarantine_id
LIMIT $most
"""


def listed(connection: duckdb.DuckDBPyConnection, most: int) -> list[Row]:
    """Return the first of the selected records by their place: all but their bytes, key and headers."""
    return rows_of(connection, _LISTED, {"most": most})


@dataclass(frozen=True)
class Kept:
    """All that is kept of one record.

    Attributes:
        record: its row of ``quarantine``.
        attempts: each time that it was rejected, the first one first.
        fixes: what was decided about it, in their order.
    """

    record: Row
    attempts: Sequence[Row]
    fixes: Sequence[Row]


def kept(connection: duckdb.DuckDBPyConnection, quarantine_id: str) -> Kept:
    """Return all that is kept of one record, by its whole id."""
    values = {"id": quarantine_id}
    (record,) = rows_of(connection, "FROM quarantine WHERE quarantine_id = $id", values)
    return Kept(
        record,
        rows_of(
            connection,
            "SELECT * EXCLUDE (quarantine_id) FROM quarantine_attempts WHERE quarantine_id = $id"
            " ORDER BY attempt",
            values,
        ),
        rows_of(
            connection,
            "SELECT f.* FROM fixes AS f, (SELECT fixes FROM quarantine WHERE quarantine_id = $id) AS q"
            " WHERE list_contains(q.fixes, f.fix_id) ORDER BY list_position(q.fixes, f.fix_id)",
            values,
        ),
    )
