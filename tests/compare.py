"""Compares the product's relations with the reference's tables, up to the names of hashed ids.

``normalise`` reads a DuckDB store into the reference's form, ``assert_same`` says where two such forms first
differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import isclose
from typing import Any

import duckdb

from reference import (
    COORDINATES,
    STAGES,
    Options,
    Tables,
    cases_at,
    claims_at,
    contract_premiums_at,
    contracts_at,
    journeys_at,
    ladder_moves,
    profiles_at,
    quotes_at,
)

Row = dict[str, Any]

KEYS: dict[str, tuple[str, ...]] = {
    "conflicts": ("event_id",),
    "ref_customers": ("customer_id", "valid_from"),
    "ref_contracts": ("contract_id", "valid_from"),
    "ref_aliases": ("id_type", "id", "valid_from"),
    "identity_links": (
        *("kind", "anonymous_id", "other_customer_id", "customer_id", "event_id", "linked_at", "copy"),
    ),
    "people": ("customer_id",),
    "touchpoints": ("event_id",),
    "contracts": ("contract_id",),
    "quotes": ("quote_id",),
    "claims": ("claim_id",),
    "cases": ("case_id",),
    "profiles": ("profile_id",),
    "visits": ("visit_id",),
    "journeys": ("journey_id",),
    "journey_steps": ("journey_id", "position"),
    "stage_visits": ("journey_id", "position"),
    "journey_amounts": ("journey_id", "kind", "currency"),
}
"""What names a row of each relation; in the order of cause and effect, so that the first difference is the
nearest to its cause."""

MATTERS_AT = (
    ("contracts_at", ("contract_id",), contracts_at),
    ("contract_premiums_at", ("contract_id", "from_at"), contract_premiums_at),
    ("quotes_at", ("quote_id",), quotes_at),
    ("claims_at", ("claim_id",), claims_at),
    ("cases_at", ("case_id",), cases_at),
)
"""Contracts and what else has a business key at an instant: relation, what names a row, the reference's."""

ELSEWHERE = {"people": "internal.people"}
"""Where the product keeps what it does not show."""

NOT_COMPARED = {"touchpoints": set(COORDINATES)}
"""Columns that say which copy was read: outside the promise that the store is a function of its events."""


def normalise(
    connection: duckdb.DuckDBPyConnection, relations: Iterable[str] = tuple(KEYS), *, prefix: str = ""
) -> Tables:
    """Read the product's relations into the reference's form.

    A journey_id becomes ``(unit, unit_key, event_id of the first step)``, a visit_id the event_id of the
    visit's first touchpoint. An id that leads nowhere stays, marked, so that it differs from all others. Of
    ``ended_by`` only whether an event ended the journey is compared, whatever names that event. Conflicts are
    the quarantine's rows with reason ``conflicting_duplicate``, whose ``value`` is the event_id.

    Args:
        connection: an open store.
        relations: those to read; the others stay empty. Journeys need ``journeys`` and ``journey_steps``.
        prefix: what stands before each relation's name, such as a schema and a point.
    """
    tables = Tables()
    wanted = set(relations)
    for name in wanted - {"conflicts"}:
        setattr(tables, name, rows_of(connection, f"FROM {prefix}{ELSEWHERE.get(name, name)}"))
    if "conflicts" in wanted:
        reason = "reason = 'conflicting_duplicate'"
        query = f"SELECT value AS event_id, raw AS contents FROM {prefix}quarantine WHERE {reason}"
        tables.conflicts = rows_of(connection, query)

    first_of_visit: dict[Any, str] = {}
    for row in sorted(tables.touchpoints, key=_place):
        if row["visit_id"] is not None:
            first_of_visit.setdefault(row["visit_id"], row["event_id"])
    first_step = {row["journey_id"]: row["event_id"] for row in tables.journey_steps if row["position"] == 1}
    names = {
        row["journey_id"]: (row["unit"], row["unit_key"], first_step.get(row["journey_id"], "no first step"))
        for row in tables.journeys
    }
    for rows in (tables.touchpoints, tables.visits, tables.journey_steps):
        for row in rows:
            if row["visit_id"] is not None:
                row["visit_id"] = first_of_visit.get(row["visit_id"], ("no such visit", row["visit_id"]))
    for rows in (tables.journeys, tables.journey_steps, tables.stage_visits, tables.journey_amounts):
        for row in rows:
            row["journey_id"] = names.get(row["journey_id"], ("no such journey", row["journey_id"]))
    for row in tables.journeys:
        ended_by = row.pop("ended_by")
        row["ended_by_event"] = None if ended_by == "gap" else ended_by
    return tables


def rows_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Return a query's rows as dictionaries."""
    result = connection.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def assert_same(expected: Tables, actual: Tables, relations: Iterable[str] = tuple(KEYS)) -> None:
    """Raise at the first difference: relation, key, column, expected, actual.

    Every column of the reference is compared; the product may have more.

    Raises:
        AssertionError: they differ.
    """
    wanted = set(relations)
    for name, key in KEYS.items():
        if name not in wanted:
            continue
        pair = [_comparable(name, getattr(tables, name)) for tables in (expected, actual)]
        assert_same_rows(name, key, *pair)


def assert_same_at(
    expected: Tables,
    connection: duckdb.DuckDBPyConnection,
    as_of: datetime,
    options: Options,
    before: datetime | None = None,
) -> None:
    """Raise at the first difference between what the reference and the product say of one instant.

    With another instant ``before``, moves on the ladder are compared too.

    Raises:
        AssertionError: they differ.
    """
    instant = f"(TIMESTAMP '{as_of}')"
    for name, key, twin in MATTERS_AT:
        assert_same_rows(name, key, twin(expected, as_of), rows_of(connection, f"FROM {name}{instant}"))
    profiles = rows_of(connection, f"FROM profiles_at{instant}")
    assert_same_rows("profiles_at", ("profile_id",), profiles_at(expected, as_of, options), profiles)
    if before is not None:
        moves = rows_of(connection, f"FROM ladder_moves(TIMESTAMP '{before}', TIMESTAMP '{as_of}')")
        wanted = ladder_moves(expected, before, as_of, options)
        assert_same_rows("ladder_moves", ("profile_id",), wanted, moves)
    journeys = rows_of(
        connection,
        f"SELECT j.*, s.event_id AS first FROM journeys_at{instant} AS j "
        "LEFT JOIN journey_steps AS s ON s.journey_id = j.journey_id AND s.position = 1",
    )
    for row in journeys:
        row["journey_id"] = (row["unit"], row["unit_key"], row["first"])
        row["ended_by_event"] = row["ended_by"]
    wanted = _comparable("journeys_at", journeys_at(expected, as_of, options))
    assert_same_rows("journeys_at", ("journey_id",), wanted, _comparable("journeys_at", journeys))


def assert_same_rows(name: str, key: Sequence[str], expected: list[Row], actual: list[Row]) -> None:
    """Raise at the first difference between two lists of rows, in whatever order they stand.

    Args:
        name: what to call the rows in the message.
        key: the columns that name a row.
        expected: every column of these rows is compared.
        actual: may have more columns.

    Raises:
        AssertionError: they differ, or a key stands twice.
    """
    wanted, found = _by_key(name, key, expected, "expected"), _by_key(name, key, actual, "actual")
    sizes = f"{len(wanted)} rows expected, {len(found)} found"
    for place in sorted(wanted.keys() | found.keys(), key=repr):
        label = f"{name}[{', '.join(map(repr, place))}]"
        if place not in found:
            raise AssertionError(f"{label} is missing ({sizes})\n  expected: {wanted[place]}")
        if place not in wanted:
            raise AssertionError(f"{label} should not be there ({sizes})\n  actual: {found[place]}")
        for column, value in wanted[place].items():
            if column not in found[place]:
                raise AssertionError(f"{name} has no column {column}; it has {', '.join(found[place])}")
            if not _same(value, found[place][column]):
                raise AssertionError(
                    f"{label}.{column}\n  expected: {value!r}\n  actual:   {found[place][column]!r}\n"
                    f"  expected row: {wanted[place]}\n  actual row:   {found[place]}"
                )


def _comparable(name: str, rows: list[Row]) -> list[Row]:
    """Return copies of the rows without what the promise leaves open."""
    if name == "conflicts":
        losers = Counter(row["event_id"] for row in rows)
        return [{"event_id": event_id, "losing contents": n} for event_id, n in losers.items()]
    copies = [{k: v for k, v in row.items() if k not in NOT_COMPARED.get(name, ())} for row in rows]
    if name == "identity_links":  # an alias since ever and one since 2000 are two rows that say the same
        counted: Counter[tuple[Any, ...]] = Counter()
        for row in copies:
            place = tuple(row[column] for column in KEYS[name] if column != "copy")
            counted[place] += 1
            row["copy"] = counted[place]
    for row in copies:
        if row.get("roles") is not None:
            row["roles"] = sorted(row["roles"])
        if row.get("attributes") is not None:
            row["attributes"] = sorted(row["attributes"], key=repr)
        if "ended_by_event" in row:
            row["ended by an event"] = row.pop("ended_by_event") is not None
    return copies


def _by_key(name: str, key: Sequence[str], rows: list[Row], side: str) -> dict[tuple[Any, ...], Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        place = tuple(_hashable(row[column]) for column in key)
        if place in found:
            raise AssertionError(f"{name}: two {side} rows with one key {place}\n  {found[place]}\n  {row}")
        found[place] = row
    return found


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _place(row: Row) -> tuple[Any, ...]:
    rank = 0 if row["stage"] is None else STAGES.index(row["stage"]) + 1
    return (row["occurred_at"], rank, row["event_id"])


def _same(expected: Any, actual: Any) -> bool:
    """Say whether two values are equal; floats up to rounding."""
    if isinstance(expected, float) and isinstance(actual, float | int):
        return isclose(expected, actual, rel_tol=1e-9, abs_tol=1e-9)
    return bool(expected == actual)
