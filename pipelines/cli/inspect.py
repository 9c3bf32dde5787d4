"""``parcours inspect``: what a source holds and what would become of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, file_options, file_source, read
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import parcours_command
from parcours.pipelines.mistakes import ConfigError, Mistake, nearest

if TYPE_CHECKING:
    from parcours.pipelines.config import LoadedConfig
    from parcours.pipelines.inspection import Inspection
    from parcours.schemas.config import Source


@parcours_command(
    "inspect",
    examples="""
parcours inspect demo
parcours inspect shop.csv --format csv --delimiter ';' --map customer_id=user_id --map event_id=@hash
parcours inspect crm -n 50 --config base.toml --config prod.toml
""",
)
@click.argument("source")
@click.option(
    "-n", "records", type=click.IntRange(1), default=1_000, show_default=True, help="Records to look at."
)
@config_options
@file_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def command(
    session: Session,
    /,
    *,
    source: str,
    records: int,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show what SOURCE holds and would become; writes nothing.

    SOURCE is a name from the config, or a file described by --format and --map. Shows raw records beside
    what they become, rejects by reason, unknown event types and channels, and the config block to paste.
    """
    session.json = as_json
    flagged = file_source(source, flags) if any(flags.values()) else None
    if flagged is not None and not config_files and Path("parcours.toml").exists():
        config_files = ("parcours.toml",)  # for its taxonomy
    loaded = read(session, config_files, database, source=flagged)
    chosen = _choose(loaded, flagged["name"] if flagged else source)

    from parcours.pipelines.inspection import config_block, inspect_source  # noqa: PLC0415, loads DuckDB

    try:
        found = inspect_source(chosen, loaded.config, records)
    except ValueError as error:  # a schema or a header that cannot be used
        text = session.secrets.mask(str(error))
        raise ConfigError([Mistake("source", f'"{chosen.name}"', text)]) from error
    block = session.secrets.mask(config_block(found))
    if as_json:
        click.echo(_json(found, block))
    else:
        _print(session, found, block)


def _choose(loaded: LoadedConfig, name: str) -> Source:
    by_name = {item.name: item for item in loaded.config.source}
    if name in by_name:
        return by_name[name]
    if Path(name).is_dir():
        raise click.UsageError(f'"{name}" is a folder: name its files, as "{name}/*.csv", and their --format')
    if Path(name).exists():
        raise click.UsageError(f'"{name}" is a file: say its --format; formats are never guessed')
    near = nearest(name, by_name)
    hint = f'did you mean "{near}"?' if near else f"sources: {', '.join(by_name) or 'none'}"
    raise click.UsageError(f'there is neither a source nor a file "{name}"; {hint}')


def _json(found: Inspection, block: str) -> str:
    from json import dumps  # noqa: PLC0415

    from parcours.pipelines.cli.query import as_json  # noqa: PLC0415

    return dumps(
        {
            "source": found.source.name,
            "read": found.read,
            "valid": found.valid,
            "samples": [
                {"place": place, "raw": raw, "became": as_json(became)}
                for place, raw, became in found.samples
            ],
            "rejects": {
                reason: {"count": count, "example": as_json(example)}
                for reason, (count, example) in found.rejects.items()
            },
            "unmapped_event_types": dict(found.events.most_common()),
            "unmapped_channels": dict(found.channels.most_common()),
            "fields": dict(found.fields),
            "warnings": found.warnings,
            "config": block,
        },
        ensure_ascii=False,
    )


def _print(session: Session, found: Inspection, block: str) -> None:
    for warning in found.warnings:
        session.say(f"warning: {warning}")
    click.echo(
        f"{found.source.name}: read {found.read:,}, valid {found.valid:,},"
        f" rejected {found.read - found.valid:,}"
    )
    print_table(
        ("record", "raw", "becomes"),
        [
            (place, raw, "\n".join(f"{name}: {value}" for name, value in became.items()))
            for place, raw, became in found.samples
        ],
        title="First records",
        folded=True,
    )
    if found.rejects:
        print_table(
            ("reason", "records", "rule", "message", "where"),
            [
                (reason, count, first["rule"], first["message"],
                 f"{first['source_topic']} [{first['source_partition']}] {first['source_offset']}")
                for reason, (count, first) in sorted(found.rejects.items(), key=lambda item: -item[1][0])
            ],
            title="Rejected, with one example each",
            folded=True,
        )  # fmt: skip
    for title, words in (
        ("Event types without a stage", found.events),
        ("Channels without a medium", found.channels),
    ):
        if words:
            print_table(("word", "records"), words.most_common(), title=title)
    click.echo("# to paste into parcours.toml:")
    click.echo(block, nl=False)
