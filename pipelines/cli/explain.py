"""``parcours explain``: a person's story in the terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.funnel import ask
from parcours.pipelines.cli.instants import AS_OF, local, read_instant
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.query import as_json as plain_value
from parcours.pipelines.cli.render import print_table, show
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.rows import Row
    from parcours.pipelines.store import Store
    from parcours.pipelines.story import Story

NEWEST = 50
"""Touchpoints of a journey that are shown unless all are asked for."""

LINE = 110
"""Width of a line of text in a pipe or file."""

WIDE = 110
"""From this width on, a terminal has room for the ids of events."""


@parcours_command(
    "explain",
    examples="""
parcours explain C-1024
parcours explain anon:d-77 --as-of 2026-03-31
parcours explain C-1024 --funnel product_viewed,quote_created,contract_signed --window 30d
parcours explain C-1024 --json | jq '.journeys[].ended'
""",
)
@click.argument("person")
@click.option("--as-of", metavar="TIME", help=AS_OF)
@click.option(
    "--funnel",
    metavar="A,B,C",
    help="Also show how far the person gets through these steps, and by which touchpoints: parcours funnel.",
)
@click.option("--window", metavar="TIME", help="How long an attempt of --funnel goes on, as 14d.")
@click.option("--all", "everything", is_flag=True, help=f"Not only the newest {NEWEST} of each journey.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object: all of it, times in UTC.")
@config_options
@click.pass_obj
def command(
    session: Session,
    *,
    person: str,
    as_of: str | None,
    funnel: str | None,
    window: str | None,
    everything: bool,
    as_json: bool,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """Tell a person's story: links, rung, contracts and journeys.

    PERSON is a customer id, the id of a device, or anon: and that id. Says why each link holds, why the
    person stands on its rung of the ladder and not on the next, why each journey began and ended, and where
    each touchpoint's stage comes from. Times are in the zone of [kpi]. While a run holds the store, it exits
    with 4.
    """
    session.json = as_json
    if window is not None and funnel is None:
        raise click.UsageError("--window goes with --funnel: it says how long an attempt goes on")
    config = read(session, config_files, database, with_sources=False).config
    zone = ZoneInfo(config.kpi.time_zone)

    from parcours.pipelines.people import PersonError, find_person  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.story import tell_story  # noqa: PLC0415, loads DuckDB

    with Store(config.store.path, memory_limit=config.store.memory_limit, read_only=True) as store:
        try:
            profile = find_person(store.connection, person)
        except PersonError as error:
            raise click.ClickException(str(error)) from error
        until = read_instant(as_of, zone) if as_of else store.connection.execute(_DEFAULT).fetchall()[0][0]
        newest = None if everything or as_json else NEWEST
        kept = store.meta("ladder")  # the rung is by it, until a run makes the views anew
        ladder = json.loads(kept) if kept else config.ladder
        story = tell_story(store.connection, profile, until, ladder, newest=newest)
        tried = _funnel(store, profile, until, funnel, window) if story and funnel is not None else None
    if story is None:
        raise click.ClickException(
            f'"{profile}" has no touchpoint until {local(until, zone) or "the last run"}'
        )
    if as_json:
        whole = {**asdict(story), **({} if tried is None else {"funnel": tried})}
        click.echo(json.dumps(plain_value(whole), ensure_ascii=False))
        return
    _print(story, zone)
    if tried is not None:
        _print_funnel(tried, zone)


_DEFAULT = "SELECT default_as_of()"


def _funnel(store: Store, profile: str, until: datetime, steps: str, window: str | None) -> Row:
    """Return how far a person gets through steps: the options, the reach, and the matched touchpoints."""
    from parcours.pipelines.rows import rows_of  # noqa: PLC0415, loads DuckDB
    from parcours.schemas.literal import literal  # noqa: PLC0415

    found = ask(
        store,
        steps,
        option="--funnel",
        window=window,
        where=f"profile_id = {literal(profile)}",
        as_of=until,
        people=True,
    )
    best = found.people.to_pylist() if found.people is not None else []
    matched = [event for attempt in best for event in attempt["event_ids"]]
    rows = rows_of(
        store.connection,
        "SELECT occurred_at, event_type, channel, stage, event_id FROM touchpoints WHERE event_id IN "
        "(SELECT unnest($events::VARCHAR[]))",
        {"events": matched},
    )
    return {
        "options": found.options,
        "reached": len(matched),
        "matches": sorted(rows, key=lambda row: matched.index(row["event_id"])),
    }


def _print_funnel(tried: Row, zone: ZoneInfo) -> None:
    """Write the steps of a funnel, with the touchpoint that served each of those reached."""
    steps, window = tried["options"]["steps"], tried["options"]["window"]
    click.echo()
    _say(
        f"Funnel: {tried['reached']} of {len(steps)} steps, within {window or 'any time'} of the first"
        if tried["reached"]
        else f"Funnel: not begun: no touchpoint is {steps[0]}"
    )
    rows = [
        [step, local(row["occurred_at"], zone), row["event_type"], row["channel"], row["event_id"]]
        for step, row in zip(steps, tried["matches"], strict=False)
    ]
    missing = [[step, None, None, None, None] for step in steps[len(rows) :]]
    print_table(["step", "when", "event", "channel", "event_id"], rows + missing)


def _touchpoints(row: Row) -> str:
    return f"{row['touchpoints']:,} touchpoint{'' if row['touchpoints'] == 1 else 's'}"


def _day(instant: datetime, zone: ZoneInfo) -> str:
    return (local(instant, zone) or "")[:10]


def _say(text: str, indent: str = "") -> None:
    """Write a line, folded at the terminal's edge."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else LINE
    click.echo(
        textwrap.fill(
            show(text),
            max(60, width),
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    )


def _print(story: Story, zone: ZoneInfo) -> None:
    person = story.person
    _say(
        f"{person['profile_id']} ({'' if person['identified'] else 'not '}identified), rung {story.rung}: "
        f"{_touchpoints(person)} from {_day(person['first_at'], zone)} to "
        f"{_day(person['last_at'], zone)}"
    )
    _say(f"as of {local(story.as_of, zone)}; times in {zone.key}")
    others = [name for name in person["customer_ids"] if name != person["profile_id"]]
    if others:
        _say(f"also known as {', '.join(others)}")
    devices = {row["anonymous_id"]: number for number, row in enumerate(story.devices, 1)}
    _list("Devices", (_device(row, devices) for row in story.devices))
    _list("Links", (_link(row, zone) for row in story.links))
    _list(f"Rung: {story.rung}, the highest whose condition holds", (_rung(row) for row in story.ladder))
    _list("Contracts", (_contract(row, zone) for row in story.contracts))
    for number, journey in enumerate(story.journeys, 1):
        _print_journey(journey, f"Journey {number} of {len(story.journeys)}", devices, zone)
    if story.outside:
        click.echo("\nIn no journey: touchpoints without the key that journeys are cut by")
        _print_steps(story.outside, devices, zone)


def _list(title: str, lines: Iterable[str]) -> None:
    """Write a heading and its lines, or nothing where there are none."""
    for number, line in enumerate(lines):
        if not number:
            click.echo(f"\n{title}")
        _say(line, "  ")


def _device(row: Row, devices: Mapping[str, int]) -> str:
    name = row["anonymous_id"]
    without = f"{row['anonymous']:,} without customer id"
    return f"{devices[name]}. {name}: {_touchpoints(row)}, {without}"


def _link(row: Row, zone: ZoneInfo) -> str:
    since = f"since {local(row['linked_at'], zone)}" if row["linked_at"] else "since ever"
    by = f", by event {row['event_id']}" if row["event_id"] else ""
    more = f" and {row['times'] - 1:,} more" if row["times"] > 1 else ""
    name = row["anonymous_id"] or row["other_customer_id"]
    return f"{row['kind']} {name} -> {row['customer_id']}: {row['status']} {since}{by}{more}"


def _rung(row: Row) -> str:
    facts = ", ".join(f"{name} {_fact(value)}" for name, value in row["facts"].items())
    return f"{row['rung']}: {'holds' if row['holds'] else 'does not hold'}: {row['condition']} ({facts})"


def _fact(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
    return show(value)


def _contract(row: Row, zone: ZoneInfo) -> str:
    began, ended = local(row["began_at"], zone), local(row["ended_at"], zone)
    parts = [
        f"in force since {began}" if row["in_force"] else f"ended {ended}" if ended else "not yet in force",
        f"signed by event {row['signed_by']}" if row["signed_by"] else None,
        f"terminated by event {row['terminated_by']}" if row["terminated_by"] else None,
        f"initiator {row['initiator']}" if row["initiator"] else None,
        f"reason {row['reason']}" if row["reason"] else None,
        f"due {_day(row['due_at'], zone)}" if row["due_at"] else None,
        f"{row['annual_premium']:,.2f} {row['currency']} a year"
        if row["annual_premium"] is not None
        else None,
    ]
    name = ", ".join(filter(None, (row["contract_id"], row["product"])))
    return f"{name}: {', '.join(filter(None, parts))}"


def _print_journey(journey: Row, title: str, devices: Mapping[str, int], zone: ZoneInfo) -> None:
    from parcours.pipelines.story import reached  # noqa: PLC0415, loads DuckDB

    key = "" if journey["unit"] == "profile" else f", {journey['unit']} {journey['unit_key'] or '(none)'}"
    click.echo()
    _say(
        f"{title}{key}: {_day(journey['started_at'], zone)} to {_day(journey['last_at'], zone)}, "
        f"{_touchpoints(journey)}"
    )
    _say(f"began: {_began(journey['began'], zone)}", "  ")
    _say(f"ended: {_ended(journey['ended'], zone)}", "  ")
    entered = ", ".join(f"{stage} {_day(at, zone)}" for stage, at in reached(journey))
    _say(f"stages entered: {entered or 'none'}", "  ")
    if journey["skipped_stages"]:
        _say(f"skipped: {', '.join(journey['skipped_stages'])}", "  ")
    if journey["returns"]:
        _say(f"returns: {_returns(journey['stages'], zone)}", "  ")
    if journey["left_out"]:
        _say(
            f"touchpoints: the newest {len(journey['steps'])}; --all shows {journey['left_out']:,} more", "  "
        )
    _print_steps(journey["steps"], devices, zone)


def _began(began: Row, zone: ZoneInfo) -> str:
    match began["reason"]:
        case "first":
            return "with the first touchpoint"
        case "end":
            return f"after {began['event_type']} ended the one before, on {local(began['at'], zone)}"
    return f"after {began['days']:,} days without a touchpoint, since {local(began['at'], zone)}"


def _ended(ended: Row, zone: ZoneInfo) -> str:
    at = local(ended["at"], zone)
    match ended["reason"]:
        case "end":
            return f"by {ended['event_type']}, on {at}"
        case "gap":
            return f"with the silence after its last touchpoint, on {at}"
    return "not yet" + (f": closes on {at} if nothing comes" if at else "; only an event can end it")


def _returns(stages: Iterable[Row], zone: ZoneInfo) -> str:
    found = [stay for stay in stages if stay["is_return"]]
    last = found[-1]
    kinds = Counter(stay["return_kind"] or "other" for stay in found)
    counted = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    return f"{counted}; the last to {last['stage']} on {_day(last['entered_at'], zone)}"


def _print_steps(steps: Sequence[Row], devices: Mapping[str, int], zone: ZoneInfo) -> None:
    """Write touchpoints as a table; what a narrow terminal has no room for is left out."""
    names = ["when", "event", "channel", "stage", "visit", "device", "event_id"]
    rows = list(_columns(steps, devices, zone))
    if not any(step["by_device"] for step in steps):
        names, rows = _without(5, names, rows)
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < WIDE:
        names, rows = _without(len(names) - 1, names, rows)
    print_table(names, rows)
    if any(step["stage_by"] == "record" for step in steps):
        click.echo("* the record gives the stage; where there is no star, the taxonomy does")


def _without(index: int, names: list[str], rows: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    return names[:index] + names[index + 1 :], [row[:index] + row[index + 1 :] for row in rows]


def _columns(steps: Iterable[Row], devices: Mapping[str, int], zone: ZoneInfo) -> Iterator[list[Any]]:
    """Give the cells of each touchpoint; visits are numbered from 1, devices as they were listed."""
    visits: dict[str, int] = {}
    for step in steps:
        yield [
            local(step["occurred_at"], zone),
            step["event_type"],
            step["channel"],
            f"{step['stage']}*" if step["stage_by"] == "record" else step["stage"],
            step["visit_id"] and visits.setdefault(step["visit_id"], len(visits) + 1),
            step["by_device"] and devices[step["by_device"]],
            step["event_id"],
        ]
