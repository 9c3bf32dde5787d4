"""Reference inputs: of several records of one key and ``valid_from``, the one read from furthest behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reference.model import COORDINATES, REFERENCE_FIELDS, REFERENCE_KEYS, Row


def winners(name: str, records: list[Row]) -> list[Row]:
    """Return one row per key and ``valid_from``, whatever the order in which records came.

    It is the one with the greatest topic (by code point), then partition, then offset: of daily dumps the
    later file by name, in one file the later row.
    """
    best: dict[tuple[Any, ...], Row] = {}
    for record in records:
        key = (*(record[column] for column in REFERENCE_KEYS[name]), record.get("valid_from"))
        if key not in best or place(record) > place(best[key]):
            best[key] = record
    rows = [
        {column: record.get(column) for column in (*REFERENCE_FIELDS[name], *COORDINATES)}
        for record in best.values()
    ]
    for row in rows:
        row["attributes"] = row["attributes"] or []
    return rows


def place(record: Row) -> tuple[str, int, int]:
    """Return where a record was read, as it is compared."""
    return (record["source_topic"], record["source_partition"], record["source_offset"])


def newest(rows: list[Row], key: str) -> dict[str, Row]:
    """Return the row of each key with the latest ``valid_from``; one without is the earliest."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["valid_from"] or datetime.min):
        found[row[key]] = row
    return found
