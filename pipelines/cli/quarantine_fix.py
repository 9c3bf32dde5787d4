"""``parcours quarantine fix``: how rejected records are to be read, previewed on the rows that it changes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, mapping, read
from parcours.pipelines.cli.quarantine_options import (
    SHORT,
    as_mistakes,
    counted,
    not_tried_text,
    print_samples,
    reasons,
    required_selection,
    selection_options,
    skipped_text,
    write_json,
)
from parcours.pipelines.cli.quarantine_replay import print_replayed, run_replay
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.fix_change import Asked
    from parcours.pipelines.fixing import Fixed
    from parcours.pipelines.preview import Preview

_KEYS = {
    "decimal_mark": ("CHAR", "Decimal mark: . or ,"),
    "date_format": ("PATTERN", "strptime pattern, as %d/%m/%Y %H:%M."),
    "time_unit": ("UNIT", "Unit of times given as numbers: s, ms or us."),
    "time_zone": ("ZONE", "Zone of times without an offset, as Europe/Paris."),
    "encoding": ("NAME", "utf-8, cp1252 or iso-8859-15."),
    "delimiter": ("CHAR", "Delimiter of a CSV."),
    "quote": ("CHAR", 'Quote character of a CSV; "" for none.'),
    "envelope": ("NAME", "cloudevents or debezium."),
    "writer_schema": ("FILE", "The .avsc file that the records were written with."),
    "reader_schema": ("FILE", "The .avsc file that Avro records are resolved to."),
    "schemas": ("FOLDER", "A folder of ID.avsc, or the registry's URL."),
}
"""Keys of a source that a fix may replace."""


def _fix_options(function: Any) -> Any:
    options = [
        click.option(
            "--map", "maps", multiple=True, metavar="FIELD=PATH",
            help="Read the field from there, as in run --map; FIELD==TEXT is a constant. Repeatable.",
        ),
        click.option(
            "--default", "defaults", multiple=True, metavar="FIELD=VALUE",
            help="What counts where its paths give nothing. Repeatable.",
        ),
        click.option(
            "--lookup", "lookups", multiple=True, metavar="FIELD:THEIRS=OURS",
            help="Replace a word of the source by ours. Repeatable.",
        ),
        click.option(
            "--set", "expressions", multiple=True, metavar="FIELD=SQL",
            help="Make the field's text by an expression over the fields' texts as given. Repeatable.",
        ),
        click.option(
            "--null", "nulls", multiple=True, metavar="TEXT", help="A text that means null. Repeatable."
        ),
        *(click.option(f"--{key.replace('_', '-')}", key, metavar=metavar, help=text)
          for key, (metavar, text) in _KEYS.items()),
        click.option("--edit", metavar="FILE", help="The record's new bytes, or - for stdin; with one --id."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@parcours_command(
    "fix",
    examples="""
parcours quarantine fix --rule value.number --set "value=replace(value, ' €', '')" --dry-run
parcours quarantine fix --source crm --rule stage.known --lookup 'stage:SAV=service' --replay
parcours quarantine fix --reason encoding --encoding cp1252
parcours quarantine fix --reason missing_field --field channel --default channel=agency
parcours quarantine show 3f2a9c01 --raw > record.json   # change it, then:
parcours quarantine fix --id 3f2a9c01 --edit record.json --dry-run
""",
)
@selection_options(status=None)
@click.option("--all", "everything", is_flag=True, help="All open records.")
@_fix_options
@click.option("--note", metavar="TEXT", help="Why, to be kept with it.")
@click.option("--dry-run", is_flag=True, help="Show before and after, and write nothing.")
@click.option("--replay", "and_replay", is_flag=True, help="Replay these records at once.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def fix(
    session: Session,
    /,
    *,
    everything: bool,
    note: str | None,
    dry_run: bool,
    and_replay: bool,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Say how rejected records are to be read when they are replayed.

    What is said here counts for the chosen records instead of what the config says of their source, after
    what earlier fixes said. Nothing is loaded before parcours quarantine replay, or --replay. The decision is
    kept, with its time and the note. --dry-run shows what would become of the records. While a run holds the
    store, it exits with 4.
    """
    session.json = as_json
    if dry_run and and_replay:
        raise click.UsageError("--dry-run writes nothing and --replay loads: choose one")
    selection = required_selection(given, everything=everything)
    asked = _asked(given)
    if asked.edited is not None and len(selection.id) != 1:
        raise click.UsageError("--edit changes one record: name it with one --id")
    if not asked.changes:
        raise click.UsageError(
            "nothing is changed: say how the records are to be read, as --set, --map, --lookup, --null or"
            " --encoding, or --edit one; what the config says already needs no fix, only"
            " parcours quarantine replay"
        )
    loaded = read(session, config_files, database)

    from parcours.pipelines.fixing import fix as write_fix  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.observe import observer_for  # noqa: PLC0415

    with observer_for(session.secrets.mask, quiet=as_json) as observer, as_mistakes():
        done = write_fix(loaded.config, selection, asked, note=note, dry_run=dry_run, observer=observer)
    replayed = run_replay(session, loaded, selection, dry_run=False) if and_replay and done.ids else None
    if as_json:
        write_json({**done.as_dict(), "replayed": None if replayed is None else asdict(replayed)})
        return
    _print(session, done, replays=and_replay)
    if replayed is not None:
        print_replayed(session, replayed)


def _asked(given: Mapping[str, Any]) -> Asked:
    """Turn the options into what is asked for."""
    from parcours.pipelines.fix_change import Asked  # noqa: PLC0415, loads pydantic

    lookups: dict[str, dict[str, str]] = {}
    for text in given["lookups"]:
        name, colon, words = text.partition(":")
        theirs, equals, ours = words.rpartition("=")
        if not (name and colon and theirs and equals and ours):
            raise click.BadParameter(
                f'"{text}" is not FIELD:THEIRS=OURS, as stage:SAV=service', param_hint="--lookup"
            )
        lookups.setdefault(name, {})[theirs] = ours
    return Asked(
        keys={key: given[key] for key in _KEYS if given[key] is not None},
        nulls=given["nulls"],
        map=mapping(given["maps"]),
        defaults=dict(_pair(text, "--default", "currency=EUR") for text in given["defaults"]),
        lookups=lookups,
        sql=dict(_pair(text, "--set", "value=replace(value, '€', '')") for text in given["expressions"]),
        edited=None if given["edit"] is None else _bytes(given["edit"]),
    )


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise click.BadParameter(f'"{text}" is not FIELD=…, as {example}', param_hint=option)
    return name, value


def _bytes(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise click.BadParameter(f'"{name}" cannot be read: {error.strerror}', param_hint="--edit") from error


def _print(session: Session, done: Fixed, *, replays: bool) -> None:
    for text in skipped_text(done.skipped):
        session.say(text)
    if not done.ids:
        click.echo("nothing to do: no such record is open")
        return
    if done.preview is None:
        click.echo(f"{counted(len(done.ids))} fixed: {', '.join(each[:SHORT] for each in done.fix_ids)}")
        if not replays:
            session.say("they are loaded by: parcours quarantine replay, with the same selection")
        return
    for text in not_tried_text(done.preview.skipped):
        session.say(text)
    _print_preview(done.preview)
    click.echo("nothing is written")


def _print_preview(preview: Preview) -> None:
    print_samples(preview.samples)
    failing = f"; {counted(sum(preview.failing.values()))} would still fail: {reasons(preview.failing)}"
    click.echo(
        f"{counted(preview.passing)} of {preview.records:,} would pass{failing if preview.failing else ''}"
    )
