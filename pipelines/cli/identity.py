"""``parcours identity``: what ties the ids of a person, and decisions about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.query import as_json as plain_value
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.render import show as shown
from parcours.pipelines.cli.root import Command, SuggestingGroup, parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.decisions import Decided, Kind
    from parcours.pipelines.identity import Found
    from parcours.pipelines.rows import Row

command = SuggestingGroup("identity", help="Show who is who, and decide about it.")

MOST = 100
"""Devices that the list of shared ones shows; --json has all."""


@parcours_command(
    "show",
    examples="""
parcours identity show C-1024
parcours identity show anon:d-77
parcours identity show d-77 --json | jq '.devices[].links[].event_id'
""",
)
@click.argument("person")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, with each link.")
@click.pass_obj
def show(
    session: Session, *, person: str, config_files: tuple[str, ...], database: str | None, as_json: bool
) -> None:
    """Show what ties a person's ids: which event or alias, since when.

    PERSON is any customer id of the person, the id of a device, cookie or call line, or anon: and that id.
    Where it names both a customer and a device, both are shown. A pair that is linked several times takes one
    line; --json has each link. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.identity import IdentityError, find  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB

    options = loaded.config.store
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store:
        try:
            found = find(store.connection, person)
        except IdentityError as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(plain_value(asdict(found)), ensure_ascii=False))
    else:
        _print(found)


def _print(found: Found) -> None:
    for person in found.persons:
        click.echo(f"person {shown(person.profile_id)}: {_counted(person.touchpoints, 'touchpoint')}")
        click.echo(f"customer ids: {', '.join(map(shown, person.customer_ids))}")
        click.echo(f"devices: {', '.join(map(shown, person.devices)) or 'none'}")
        _print_links(person.links)
    for device in found.devices:
        owners = ", ".join(f"{shown(row['profile_id'])} ({row['touchpoints']:,})" for row in device.owners)
        alone = sum(row["touchpoints"] for row in device.owners)
        click.echo(
            f"device {shown(device.anonymous_id)}: linked with {_counted(len(device.persons), 'person')};"
            f" {_counted(alone, 'touchpoint')} without a customer id{f', of {owners}' if owners else ''}"
        )
        _print_links(device.links)


def _print_links(links: Sequence[Row]) -> None:
    """Write one line per pair, with the first link."""
    pairs: dict[tuple[Any, ...], list[Row]] = {}
    names = ("kind", "anonymous_id", "other_customer_id", "customer_id", "status", "decision", "decided_at")
    for link in links:
        pairs.setdefault(tuple(link[name] for name in names), []).append(link)
    if not pairs:
        click.echo("no link")
        return
    print_table(
        ("kind", "id", "is", "since", "by event", "times", "status", "decision", "decided at"),
        [
            (kind, device or other, customer, _time(rows[0]["linked_at"]), rows[0]["event_id"], len(rows),
             status, decision, _time(decided_at))
            for (kind, device, other, customer, status, decision, decided_at), rows in pairs.items()
        ],
    )  # fmt: skip


def _time(value: Any) -> str | None:
    return None if value is None else str(value)[:19]


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _deciding(kind: Kind, help_: str, examples: str) -> Command:
    """Make one of the two commands that decide about a pair."""

    @parcours_command(kind, examples=examples)
    @click.argument("id_", metavar="ID")
    @click.argument("customer_id", metavar="CUSTOMER_ID")
    @click.option("--dry-run", is_flag=True, help="Say what it would change, and write nothing.")
    @config_options
    @click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
    @click.pass_obj
    def decide_pair(
        session: Session,
        *,
        id_: str,
        customer_id: str,
        dry_run: bool,
        config_files: tuple[str, ...],
        database: str | None,
        as_json: bool,
    ) -> None:
        session.json = as_json
        loaded = read(session, config_files, database, with_sources=False)

        from parcours.pipelines.decisions import decide  # noqa: PLC0415, loads DuckDB
        from parcours.pipelines.identity import IdentityError  # noqa: PLC0415
        from parcours.pipelines.observe import observer_for  # noqa: PLC0415

        with observer_for(session.secrets.mask, quiet=as_json) as observer:
            try:
                decided = decide(loaded.config, kind, id_, customer_id, dry_run=dry_run, observer=observer)
            except IdentityError as error:
                raise click.ClickException(str(error)) from error
        if as_json:
            click.echo(json.dumps(plain_value(asdict(decided)), ensure_ascii=False))
        else:
            _tell(decided)

    decide_pair.help = help_
    return decide_pair


_WORDS = {"unlink": ("unlinked", "from"), "relink": ("linked again", "with")}


def _tell(decided: Decided) -> None:
    word, joint = _WORDS[decided.kind]
    done = f"{shown(decided.id)} {{}} {word} {joint} {shown(decided.customer_id)}"
    if not decided.changes:
        click.echo(f"nothing changed: {done.format('was')} before")
        return
    links = _counted(decided.links, "link")
    if decided.dry_run:
        click.echo(f"nothing is written; {done.format('would be')}: {links}")
    else:
        click.echo(f"{done.format('is')}: {links}")
    if decided.change is None:
        click.echo("no touchpoint changed hands")
        return
    change = str(decided.change)
    click.echo(change.replace(" became ", " would become ") if decided.dry_run else change)
    changed = [
        each
        for each in decided.change.stage_conversions
        if each.is_changed and each.converted_before + each.converted_after
    ]
    if changed:
        print_table(
            ("from", "to", "before", "after"),
            [
                (each.from_stage, each.to_stage, f"{each.converted_before:,} of {each.entered_before:,}",
                 f"{each.converted_after:,} of {each.entered_after:,}")
                for each in changed
            ],
            title="Their journeys that went on to a later stage, to date",
        )  # fmt: skip


unlink = _deciding(
    "unlink",
    """Hold ID and CUSTOMER_ID apart, whatever links them.

    ID is a device, cookie or call line, or another customer id. The decision is kept: it holds for links that
    come later and for rebuilds, until parcours identity relink takes it back. What it moves is built anew at
    once. While a run holds the store, it exits with 4.
    """,
    """
parcours identity unlink d-77 C-1024
parcours identity unlink C-99 C-1024 --dry-run
""",
)

relink = _deciding(
    "relink",
    """Take back that ID and CUSTOMER_ID were unlinked.

    What linked them before, and since, links them again. What it moves is built anew at once. While a run
    holds the store, it exits with 4.
    """,
    """
parcours identity relink d-77 C-1024
parcours identity relink d-77 C-1024 --dry-run --json
""",
)


@parcours_command(
    "shared",
    examples="""
parcours identity shared
parcours identity shared --json | jq '.[] | select(.status == "over_limit")'
""",
)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array, with all devices and persons.")
@click.pass_obj
def shared(session: Session, *, config_files: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """List devices that met several persons.

    Those over [identity] max_customers_per_device come first: they are left unlinked. The touchpoints of the
    others go to the person of the nearest link in time. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.identity import shared as find_shared  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB

    options = loaded.config.store
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store:
        devices = find_shared(store.connection)
    if as_json:
        click.echo(json.dumps(plain_value(devices), ensure_ascii=False))
        return
    if not devices:
        click.echo("no device met several persons")
        return
    columns = ("anonymous_id", "status", "persons", "links", "unlinked", "touchpoints")
    print_table(
        ("device", "status", "persons", "links", "unlinked", "touchpoints alone", "who"),
        [[*(row[name] for name in columns), _some(row["profiles"])] for row in devices[:MOST]],
    )
    if len(devices) > MOST:
        session.say(f"there are {len(devices):,} such devices: --json writes all")


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(shown(name) for name in listed[:most]) + more


for _each in (show, unlink, relink, shared):
    command.add_command(_each)
