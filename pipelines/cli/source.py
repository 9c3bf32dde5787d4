"""``parcours source``: what is remembered of a source's log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from parcours.pipelines.cli.exits import DONE, Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command

if TYPE_CHECKING:
    from parcours.schemas.config import Config
    from parcours.transforms.sources.contract import Position

command = SuggestingGroup("source", help="Decide about a source's log.")


@parcours_command(
    "reset",
    examples="""
parcours source reset crm
parcours source reset crm --topic crm.events --yes
""",
)
@click.argument("source")
@click.option("--topic", help="Only this topic or file.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object; needs --yes.")
@click.pass_obj
def reset(
    session: Session,
    /,
    *,
    source: str,
    topic: str | None,
    yes: bool,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
) -> None:
    """Forget where SOURCE was read to: its log is another one than before.

    For another cluster, a topic that was made again, a log that was cut. The next run begins by the source's
    start. What is loaded stays, and records that come again are recognised by their event_id. To read the
    same log again, use parcours rewind.
    """
    session.json = as_json
    if as_json and not yes:
        raise click.UsageError("--json is for programs, which cannot be asked: add --yes")
    loaded = read(session, config_files, database)

    from parcours.pipelines import runs  # noqa: PLC0415, loads DuckDB and pyarrow

    forgotten: list[dict[str, object]] = []

    def confirm(positions: Mapping[tuple[str, int], Position]) -> None:
        ids = ("cluster_id", "topic_id")
        for (name, partition), at in sorted(positions.items()):
            noted = {key: at.resume[key] for key in ids if at.resume.get(key)}
            forgotten.append({"topic": name, "partition": partition, "next_offset": at.next_offset, **noted})
        if as_json:
            return
        found = [key for key in ids if any(key in row for row in forgotten)]
        columns = ["topic", "partition", "next_offset", *found]
        print_table(
            columns, [[row.get(key) for key in columns] for row in forgotten], title="To be forgotten"
        )
        click.echo(f"What is loaded stays. {_next(loaded.config, source)}")
        if not yes:
            click.confirm("Forget these offsets?", abort=True, err=True)

    try:
        run_id = runs.reset(loaded.config, source, topic=topic, confirm=confirm)
    except ValueError as error:  # what was typed does not fit the store
        raise click.UsageError(session.secrets.mask(str(error))) from error
    if as_json:
        told = {"source": source, "run_id": run_id, "forgotten": forgotten, "exit_code": DONE}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo("forgotten")


def _next(config: Config, source: str) -> str:
    """Say where the next run begins."""
    found = next((item for item in config.source if item.name == source), None)
    if found is None:
        return f'The config has no source "{source}": nothing of it is read until it has.'
    if found.start is None:
        return "The next run reads the files from their beginning."
    return (
        f'The next run begins by start = "{found.start}"; with latest, what the log holds now is not read.'
        if found.start == "latest"
        else f'The next run begins by start = "{found.start}".'
    )


command.add_command(reset)
