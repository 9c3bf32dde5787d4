"""``parcours rewind``: read a source again from an earlier place."""

from __future__ import annotations

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.root import parcours_command


@parcours_command(
    "rewind",
    examples="""
parcours rewind crm --to 2026-03-01T00:00:00Z
parcours rewind crm --to 1200000 --topic crm.events --partition 3
parcours rewind demo --to earliest
""",
)
@click.argument("source")
@click.option(
    "--to", required=True, metavar="TIME|OFFSET|earliest", help="Where the next run begins to read."
)
@click.option("--topic", help="Only this topic or file.")
@click.option("--partition", type=int, help="Only this partition.")
@config_options
@click.pass_obj
def command(
    session: Session,
    /,
    *,
    source: str,
    to: str,
    topic: str | None,
    partition: int | None,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """Let the next run read SOURCE from an earlier place.

    It is safe: what was loaded before is recognised by its id and counted as a duplicate.
    """
    loaded = read(session, config_files, database)

    from parcours.pipelines import runs  # noqa: PLC0415, loads DuckDB and pyarrow

    try:
        positions = runs.rewind(loaded.config, source, to, topic=topic, partition=partition)
    except ValueError as error:  # what was typed does not fit the store
        raise click.UsageError(session.secrets.mask(str(error))) from error
    for (name, number), offset in sorted(positions.items()):
        click.echo(f"{name} [{number}]: the next run reads from offset {offset:,}")
