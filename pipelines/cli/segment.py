"""``parcours segment``: who is in each segment of the config, and who came and went."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.instants import AS_OF, local, read_instant
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.query import as_json as plain_value
from parcours.pipelines.cli.render import print_table, show
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command
from parcours.pipelines.mistakes import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parcours.schemas.config import Config

command = SuggestingGroup("segment", help="Show who is in the segments of the config, and who came and went.")

_as_of = click.option("--as-of", metavar="TIME", help=AS_OF)
_json = click.option("--json", "as_json", is_flag=True, help="Write one JSON object, times in UTC.")


@parcours_command("list", examples="parcours segment list\nparcours segment list --as-of 2025-12-31 --json")
@_as_of
@_json
@config_options
@click.pass_obj
def list_(
    session: Session, *, as_of: str | None, as_json: bool, config_files: tuple[str, ...], database: str | None
) -> None:
    """List the segments, with how many persons are in each.

    Segments are read from the config as it stands; the relations segment_members_now and so on follow it with
    the next run. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    config = read(session, config_files, database, with_sources=False).config
    zone = ZoneInfo(config.kpi.time_zone)

    from parcours.pipelines.segments import default_instant, open_with_segments  # noqa: PLC0415, loads DuckDB

    with open_with_segments(config) as connection:
        until = read_instant(as_of, zone) if as_of else default_instant(connection)
        counts = dict(
            connection.execute(
                "SELECT segment, count(*) FROM segment_members_at(?::TIMESTAMP) GROUP BY segment", [until]
            ).fetchall()
        )
    rows = [
        {
            "segment": name,
            "over": each.over,
            "persons": counts.get(name, 0),
            "where": each.where,
            "label": None if each.label is None else each.label.model_dump(),
            "description": each.description,
        }
        for name, each in config.segment.items()
    ]
    if as_json:
        _write_json({"as_of": until, "segments": rows})
    elif rows:
        names = ["segment", "over", "persons", "where"]
        print_table(names, [[row[name] for name in names] for row in rows])
        click.echo(f"as of {local(until, zone) or 'no touchpoint'}")
    else:
        click.echo("the config has no [segment.NAME] yet")


@parcours_command(
    "show",
    examples="""
parcours segment show professionals
parcours segment show professionals --as-of 2025-12-31 --json | jq -r '.members[].profile_id'
""",
)
@click.argument("name")
@_as_of
@_json
@config_options
@click.pass_obj
def show_(
    session: Session,
    *,
    name: str,
    as_of: str | None,
    as_json: bool,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """List the persons of one segment, and the rows that bring each of them there.

    While a run holds the store, it exits with 4.
    """
    session.json = as_json
    config = read(session, config_files, database, with_sources=False).config
    segment = config.segment[_known(name, config)]
    zone = ZoneInfo(config.kpi.time_zone)

    from parcours.pipelines.segments import default_instant, open_with_segments  # noqa: PLC0415, loads DuckDB

    with open_with_segments(config) as connection:
        until = read_instant(as_of, zone) if as_of else default_instant(connection)
        rows = connection.execute(
            "SELECT profile_id, matter FROM segment_members_at(?::TIMESTAMP) WHERE segment = ?"
            " ORDER BY profile_id",
            [until, name],
        ).fetchall()
    if as_json:
        members = [{"profile_id": profile_id, "matter": matter} for profile_id, matter in rows]
        _write_json({"segment": name, "over": segment.over, "as_of": until, "members": members})
        return
    print_table(
        ["profile_id", segment.over], [[profile_id, ", ".join(matter)] for profile_id, matter in rows]
    )
    click.echo(f"{_persons(len(rows))} in {show(name)} as of {local(until, zone) or 'no touchpoint'}")


@parcours_command(
    "moves",
    examples="parcours segment moves professionals --from 2025-01-01 --to 2026-01-01",
)
@click.argument("name")
@click.option(
    "--from", "from_", metavar="TIME", required=True, help="The earlier instant, as --as-of of show."
)
@click.option(
    "--to", metavar="TIME", help="The later one. Default: the newest touchpoint at the last run's start."
)
@_json
@config_options
@click.pass_obj
def moves(
    session: Session,
    *,
    name: str,
    from_: str,
    to: str | None,
    as_json: bool,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """Show who entered or left a segment between two instants, and how many stayed.

    While a run holds the store, it exits with 4.
    """
    session.json = as_json
    config = read(session, config_files, database, with_sources=False).config
    _known(name, config)
    zone = ZoneInfo(config.kpi.time_zone)

    from parcours.pipelines.segments import default_instant, open_with_segments  # noqa: PLC0415, loads DuckDB

    since = read_instant(from_, zone, "--from")
    with open_with_segments(config) as connection:
        until = read_instant(to, zone, "--to") if to else default_instant(connection)
        rows = connection.execute(
            "SELECT profile_id, move FROM segment_moves(?::TIMESTAMP, ?::TIMESTAMP) WHERE segment = ?"
            " ORDER BY move, profile_id",
            [since, until, name],
        ).fetchall()
    if as_json:
        entries = [{"profile_id": profile_id, "move": move} for profile_id, move in rows]
        _write_json({"segment": name, "from": since, "to": until, "moves": entries})
        return
    print_table(["profile_id", "move"], [row for row in rows if row[1] != "stayed"])
    counts = Counter(move for _, move in rows)
    said = ", ".join(f"{counts[move]:,} {move}" for move in ("entered", "left", "stayed"))
    click.echo(f"{said}: {local(since, zone)} to {local(until, zone) or 'no touchpoint'}")


@parcours_command(
    "history",
    examples="parcours segment history professionals\nparcours segment history professionals --json",
)
@click.argument("name")
@_as_of
@_json
@config_options
@click.pass_obj
def history(
    session: Session,
    *,
    name: str,
    as_of: str | None,
    as_json: bool,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """List each stay of each person in a segment, as the ends of months show them.

    entered_on is the last day of the first month at whose end the person was in it, left_on that of the first
    at whose end no longer; a dash: still in it. It asks for each month there is. While a run holds the
    store, it exits with 4.
    """
    session.json = as_json
    config = read(session, config_files, database, with_sources=False).config
    _known(name, config)
    zone = ZoneInfo(config.kpi.time_zone)

    from parcours.pipelines.segments import default_instant, open_with_segments  # noqa: PLC0415, loads DuckDB

    # of this segment alone: each month computes the rows that its segments judge
    alone = config.model_copy(update={"segment": {name: config.segment[name]}})
    with open_with_segments(alone) as connection:
        until = read_instant(as_of, zone) if as_of else default_instant(connection)
        rows = connection.execute(
            "SELECT profile_id, entered_on, left_on FROM segment_history_at(?::TIMESTAMP)"
            " ORDER BY profile_id, entered_on",
            [until],
        ).fetchall()
    names = ["profile_id", "entered_on", "left_on"]
    if as_json:
        stays = [dict(zip(names, row, strict=True)) for row in rows]
        _write_json({"segment": name, "as_of": until, "stays": stays})
        return
    print_table(names, rows)
    people = len({row[0] for row in rows})
    click.echo(f"{len(rows):,} stays of {_persons(people)} until {local(until, zone) or 'no touchpoint'}")


def _known(name: str, config: Config) -> str:
    if name not in config.segment:
        raise click.UsageError(no_such("segment", name, config.segment))
    return name


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that there is none of a name, and which there are."""
    names = [*known]
    near = nearest(name, names)
    hint = f'did you mean "{near}"? ' if near else ""
    listed = f"there are: {', '.join(names)}" if names else f"the config has no [{kind}.NAME]"
    return f'there is no {kind} "{name}"; {hint}{listed}'


def _persons(count: int) -> str:
    return f"{count:,} person{'' if count == 1 else 's'}"


def _write_json(entry: dict[str, object]) -> None:
    click.echo(json.dumps(plain_value(entry), ensure_ascii=False))


for _each in (list_, show_, moves, history):
    command.add_command(_each)
