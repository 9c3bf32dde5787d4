"""``parcours profile``: what each column holds, and what changed since it was last looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.query import opened
from parcours.pipelines.cli.render import print_table, show
from parcours.pipelines.cli.root import parcours_command
from parcours.pipelines.mistakes import nearest

if TYPE_CHECKING:
    import duckdb

    from parcours.pipelines.profile import Change, ColumnProfile, Profile
    from parcours.schemas.config import Config

SHOWN = 3
"""Most frequent values that the table shows; JSON has all that are kept."""

LONGEST = 28
"""Characters of a value that the table shows; JSON has all."""

_NUMBERS = ("BIGINT", "INTEGER", "HUGEINT", "UBIGINT", "DOUBLE", "FLOAT", "DECIMAL", "SMALLINT", "TINYINT")


@parcours_command(
    "profile",
    examples="""
parcours profile
parcours profile touchpoints journeys
parcours profile touchpoints --no-save --json | jq '.relations[].columns[] | select(.null_share > 0.5)'
""",
)
@click.argument("relations", nargs=-1, metavar="[RELATION]...")
@config_options
@click.option("--no-save", is_flag=True, help="Only look: the store keeps nothing of it.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def command(
    session: Session,
    *,
    relations: tuple[str, ...],
    config_files: tuple[str, ...],
    database: str | None,
    no_save: bool,
    as_json: bool,
) -> None:
    """Show what columns hold, and what changed since the last time.

    For each column: the share of nulls, how many different values, the range, the most frequent values with
    their rows. Of ids only nulls and number are shown, of bytes nothing. Without RELATION, all that are
    filled from touchpoints and reference inputs. Each profile is kept in column_profiles, and the next one
    says what changed since; that needs the store for itself. With --no-save, the published copy is looked at
    while a run holds the store.

    JSON: profiled_at, and for each of relations its rows, before (when it was last profiled, its rows then,
    and columns that are gone; or null) and columns: column, type, nulls, null_share, distinct, least,
    greatest, top (value, rows), change (null_share and distinct as differences, least_before,
    greatest_before, new_top, gone_top; or null).
    """
    session.json = as_json
    config = read(session, config_files, database, only_store=True).config

    from parcours.pipelines import profile as profiles  # noqa: PLC0415, loads DuckDB

    now = datetime.now(UTC).replace(tzinfo=None)
    with opened(session, config) if no_save else _to_write(config) as connection:
        known = profiles.relations_of(connection)
        for name in relations:
            if name not in known:
                near = nearest(name, known)
                hint = f'did you mean "{near}"?' if near else "docs/tables.md lists them"
                raise click.UsageError(f'there is no relation "{name}" in the store; {hint}')
        found = []
        for name in dict.fromkeys(relations) or profiles.DEFAULT:
            before = profiles.last_kept(connection, name)
            profile = profiles.profile(connection, name, now)
            if relations or profile.rows or before:
                found.append((before, profile))
        if not no_save:
            connection.execute("BEGIN")
            profiles.keep(connection, [profile for _, profile in found])
            connection.execute("COMMIT")
    told = [
        (before, profile, profiles.changes(before, profile) if before else {}) for before, profile in found
    ]
    if as_json:
        shown = [_as_json(*each) for each in told]
        click.echo(json.dumps({"profiled_at": now.isoformat(), "relations": shown}, ensure_ascii=False))
        return
    for each in told:
        _print(*each)
    if not told:
        session.say("the store holds nothing yet; parcours run loads it")


@contextmanager
def _to_write(config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the store, which must be there, alone."""
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB

    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}" yet; parcours run makes it')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        yield store.connection


def _as_json(before: Profile | None, now: Profile, changes: dict[str, Change]) -> dict[str, Any]:
    return {
        "relation": now.relation,
        "rows": now.rows,
        "before": before
        and {
            "profiled_at": before.at.isoformat(),
            "rows": before.rows,
            "gone_columns": _gone(before, now),
        },
        "columns": [
            {
                "column": column.name,
                "type": column.type,
                "nulls": column.nulls,
                "null_share": column.nulls / now.rows if now.rows else None,
                "distinct": column.distinct,
                "least": column.least,
                "greatest": column.greatest,
                "top": [{"value": value, "rows": rows} for value, rows in column.top],
                "change": changes[column.name].__dict__ if column.name in changes else None,
            }
            for column in now.columns
        ],
    }


def _gone(before: Profile, now: Profile) -> list[str]:
    names = {column.name for column in now.columns}
    return [column.name for column in before.columns if column.name not in names]


def _print(before: Profile | None, now: Profile, changes: dict[str, Change]) -> None:
    title = f"{now.relation}: {_count(now.rows, 'row')}"
    if before:
        title += f", {now.rows - before.rows:+,} since {before.at:%Y-%m-%d %H:%M} UTC"
        gone = _gone(before, now)
        title += f"; columns gone: {', '.join(gone)}" if gone else ""
    names = ["column", "null", "distinct", "values", *(["since then"] if before else [])]
    rows = []
    for column in now.columns:
        row = [column.name, _percent(column.nulls, now.rows), column.distinct, _values(column)]
        if before:
            change = changes.get(column.name)
            row.append("a new column" if change is None else _change(column, change))
        rows.append(row)
    if now.rows or before:
        print_table(names, rows, title=title)
    else:
        click.echo(f"\n{title}")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _percent(part: int, whole: int) -> str | None:
    """Write a share; what is not quite none or all does not look like it."""
    if not whole:
        return None
    share = 100 * part / whole
    if part and share < 0.1:
        return "<0.1%"
    return ">99.9%" if part < whole and share >= 99.95 else f"{share:.1f}%"


def _values(column: ColumnProfile) -> str:
    """Write the range where it says more than the values themselves, then the most frequent of these."""
    top = ", ".join(f"{_shown(value, column)} ({rows:,})" for value, rows in column.top[:SHOWN])
    more = ", …" if len(column.top) > SHOWN else ""
    if column.least is None or (column.type in ("BOOLEAN", "VARCHAR") and top):
        return top + more
    least, greatest = (_shown(value, column) for value in (column.least, column.greatest))
    if least == greatest:
        return top or least
    return f"{least} to {greatest}; {top}{more}" if top else f"{least} to {greatest}"


def _change(column: ColumnProfile, change: Change) -> str:
    told = []
    points = 100 * change.null_share
    if abs(points) >= 0.05:
        told.append(f"null {points:+.1f} points")
    if change.distinct:
        told.append(f"distinct {change.distinct:+,}")
    for word, value, now in (
        ("from", change.least_before, column.least),
        ("to", change.greatest_before, column.greatest),
    ):
        if value is not None and now is not None and value != now:
            told.append(f"{word} {_shown(value, column)} before")
    for word, values in (("new", change.new_top), ("gone", change.gone_top)):
        if values:
            more = ", …" if len(values) > SHOWN else ""
            told.append(f"{word}: {', '.join(_shown(value, column) for value in values[:SHOWN])}{more}")
    return "; ".join(told)


def _shown(value: str | None, column: ColumnProfile) -> str:
    """Write a value for a narrow column: thousands apart but in years, times to the minute."""
    if value is None:
        return ""
    type_ = "" if column.name.endswith("year") else column.type
    if type_.startswith(_NUMBERS) and not type_.endswith("]") and value not in ("nan", "inf", "-inf"):
        number = Decimal(value)
        return show(int(number)) if number == number.to_integral_value() else show(float(number))
    if type_.startswith("TIMESTAMP"):
        return value[:16]
    text = value if value.strip() else f'"{value}"'
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
