"""``parcours query``: SQL on the store, read-only."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.gate import age
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    import duckdb

    from parcours.schemas.config import Config

TABLE_ROWS = 1_000
"""Rows that a table shows; csv and json write all."""


@parcours_command(
    "query",
    examples="""
parcours query "SELECT * FROM kpi_stage_conversion WHERE grain = 'year'"
parcours query "SELECT channel, count(*) AS n FROM touchpoints GROUP BY ALL ORDER BY n DESC"
parcours query "FROM journeys" --format csv > journeys.csv
parcours query - < funnel.sql
""",
)
@click.argument("sql")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help=f"table shows the first {TABLE_ROWS:,} rows; csv and json write all.",
)
@config_options
@click.pass_obj
def command(
    session: Session, sql: str, format_: str, config_files: tuple[str, ...], database: str | None
) -> None:
    """Run SQL on the store. Changes nothing in it.

    SQL may be - to read it from standard input. A table shows numbers to four decimals; csv and json in full.
    While a run holds the store, the published copy is asked, and its age is said; where there is none, it
    exits with 4 and names the holder.
    """
    session.json = format_ == "json"
    if sql == "-":
        sql = sys.stdin.read()
    loaded = read(session, config_files, database, only_store=True)

    import duckdb  # noqa: PLC0415, slow to load

    with opened(session, loaded.config) as connection:
        try:
            result = connection.execute(sql)
            if result is None:  # an empty text, or nothing but a comment
                raise click.UsageError(
                    'the SQL holds no statement; write one, as in "FROM journeys LIMIT 10"'
                )
            names = [column[0] for column in result.description or ()]
            _WRITERS[format_](session, names, result)
        except duckdb.Error as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def opened(session: Session, config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the store to read or, where it is held, the published copy."""
    import duckdb  # noqa: PLC0415, slow to load

    from parcours.pipelines.lock import StoreHeldError  # noqa: PLC0415
    from parcours.pipelines.publication import link_of, newest_copy  # noqa: PLC0415
    from parcours.pipelines.store import Store  # noqa: PLC0415

    try:
        store = Store(config.store.path, memory_limit=config.store.memory_limit, read_only=True)
    except StoreHeldError:
        copy = newest_copy(config)
        if copy is None:
            raise
    else:
        with store:
            yield store.connection
        return
    session.say(f"another process holds the store: this is the copy published {age(copy.published_at)}")
    settings: dict[str, str | bool | int | float | list[str]] = {"memory_limit": config.store.memory_limit}
    with duckdb.connect(str(link_of(config)), read_only=True, config=settings) as connection:
        yield connection


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(10_000):
        yield from rows


def _write_table(session: Session, names: Sequence[str], result: duckdb.DuckDBPyConnection) -> None:
    rows = result.fetchmany(TABLE_ROWS + 1)
    print_table(names, rows[:TABLE_ROWS])
    if len(rows) > TABLE_ROWS:
        session.say(f"there are more rows than these {TABLE_ROWS:,}: --format csv or json writes all")


def _write_csv(_: Session, names: Sequence[str], result: duckdb.DuckDBPyConnection) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_flat(value) for value in row] for row in _rows(result))


def _write_json(_: Session, names: Sequence[str], result: duckdb.DuckDBPyConnection) -> None:
    """Write one array, a row a line, so that a long result needs no memory and is still one document."""
    before = "[\n"
    for row in _rows(result):
        entry = {name: as_json(value) for name, value in zip(names, row, strict=True)}
        sys.stdout.write(before + json.dumps(entry, ensure_ascii=False))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


_WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}


def as_json(value: Any) -> Any:  # noqa: PLR0911, one line a type
    """Return a value of DuckDB as JSON has it: times in ISO 8601, NaN and infinity as null, bytes as hex."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case dict():
            return {str(key): as_json(inner) for key, inner in value.items()}
        case list() | tuple():
            return [as_json(inner) for inner in value]
        case None | bool() | int() | str():
            return value
    return str(value)


def _flat(value: Any) -> Any:
    return (
        json.dumps(as_json(value), ensure_ascii=False)
        if isinstance(value, list | dict | tuple | bytes)
        else value
    )
