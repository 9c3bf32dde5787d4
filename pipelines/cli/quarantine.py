"""``parcours quarantine``: what was rejected, counted and listed; its other commands stand beside."""

from __future__ import annotations

from shlex import quote
from typing import Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.quarantine_fix import fix
from parcours.pipelines.cli.quarantine_options import (
    SHORT,
    cut,
    opened,
    place,
    selected,
    selection_options,
    write_json,
)
from parcours.pipelines.cli.quarantine_replay import discard, replay, revalidate
from parcours.pipelines.cli.quarantine_show import show
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command
from parcours.pipelines.cli.run import store_options

command = SuggestingGroup("quarantine", help="Look at what was rejected, put it right, and replay it.")


@parcours_command(
    "summary",
    examples="""
parcours quarantine summary
parcours quarantine summary --source shop --json | jq '.[0].example'
""",
)
@selection_options(status="all")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array.")
@click.pass_obj
def summary(
    session: Session,
    /,
    *,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Count what was rejected, by source, reason, rule and field.

    Without options: all of it, whatever became of it. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.quarantine import STATUSES, select_into  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.quarantine import summary as summarise  # noqa: PLC0415

    with opened(loaded) as store:
        select_into(store.connection, selected(chosen))
        rows = summarise(store.connection)
    if as_json:
        write_json(rows)
        return
    if not rows:
        click.echo("nothing is in quarantine")
        return
    print_table(
        ("source", "reason", "rule", "open", "replayed", "discarded", "example"),
        [
            (*(row[name] for name in ("source", "reason", "rule", *STATUSES)), cut(row["example"]))
            for row in rows
        ],
    )
    told = ", ".join(f"{sum(row[name] for row in rows):,} {name}" for name in STATUSES)
    click.echo(told)
    first = rows[0]
    if first["open"]:
        chosen_by = f"--source {quote(first['source'])} --reason {first['reason']}"
        session.say(f"which: parcours quarantine list{store_options(config_files, database)} {chosen_by}")


@parcours_command(
    "list",
    examples="""
parcours quarantine list
parcours quarantine list --reason wrong_type --field value --limit 100
parcours quarantine list --where "first_at > TIMESTAMP '2026-01-31' AND attempts > 1" --json
""",
)
@selection_options(status="open")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many records."
)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array, values and messages whole.")
@click.pass_obj
def list_(
    session: Session,
    /,
    *,
    limit: int,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """List rejected records with their rule, the value that broke it, and their place.

    What they hold is shown one by one, with parcours quarantine show. While a run holds the store, it exits
    with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.quarantine import listed, select_into  # noqa: PLC0415, loads DuckDB

    with opened(loaded) as store:
        count = select_into(store.connection, selected(chosen))
        rows = listed(store.connection, limit)
    if as_json:
        write_json(rows)
        return
    if not rows:
        click.echo("no such record is in quarantine")
        return
    print_table(
        ("id", "rule", "value", "source", "place", "status"),
        [
            (row["quarantine_id"][:SHORT], row["rule"] or row["reason"], cut(row["value"]), row["source"],
             place(row), row["status"])
            for row in rows
        ],
    )  # fmt: skip
    more = f"; --limit {count} lists all" if count > len(rows) else ""
    click.echo(f"{len(rows):,} of {count:,}{more}")
    options = store_options(config_files, database)
    session.say(f"one of them: parcours quarantine show{options} {rows[0]['quarantine_id'][:SHORT]}")


for _each in (summary, list_, show, fix, replay, revalidate, discard):
    command.add_command(_each)
