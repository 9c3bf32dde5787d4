"""``parcours funnel``: how far people, journeys or visits get through steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.instants import AS_OF, read_instant
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    from parcours.kpis.funnel import FunnelResult
    from parcours.pipelines.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def _matching(function: F) -> F:
    """Add the options that say what a chain of matches is."""
    for option in (
        click.option(
            "--step-window",
            metavar="TIME",
            help="How long after the step before it a step may come: one time for all, or a list with one for"
            " each step after the first, empty where there is no limit.",
        ),
        click.option("--hold", metavar="COLUMN", help="A column that stays equal through an attempt."),
        click.option(
            "--exclude",
            multiple=True,
            metavar="STEP",
            help="Leave out who has this between the matched steps. Repeatable.",
        ),
        click.option(
            "--entry",
            default="best",
            show_default=True,
            metavar="WORD",
            help="Which attempt counts: best, latest, first, or every one.",
        ),
        click.option(
            "--ties",
            default="allow",
            show_default=True,
            metavar="WORD",
            help="allow or forbid steps at one instant.",
        ),
        click.option(
            "--order",
            default="ordered",
            show_default=True,
            metavar="WORD",
            help="ordered, strict (nothing stands between) or any.",
        ),
        click.option(
            "--window",
            metavar="TIME",
            help="How long after its first touchpoint an attempt goes on: 14d, 30min. Default: no end.",
        ),
    ):
        function = option(function)
    return function


@parcours_command(
    "funnel",
    examples="""
parcours funnel --steps product_viewed,quote_created,contract_signed --window 30d
parcours funnel --steps awareness,consideration,purchase --count journeys --breakdown channel
parcours funnel --steps "channel = 'site' AND product = 'auto',role:quote_created" --json --people
""",
)
@click.option(
    "--steps",
    required=True,
    metavar="A,B,C",
    help="Event types, roles, stages (type:, role: or stage: before a name says which), or conditions over"
    " columns of touchpoints. Commas within quotes or parentheses divide nothing.",
)
@_matching
@click.option(
    "--count",
    default="profiles",
    show_default=True,
    metavar="WORD",
    help="profiles, journeys or visits: an attempt lies in one.",
)
@click.option("--breakdown", metavar="COLUMN", help="Cut by the values of a column of touchpoints.")
@click.option(
    "--breakdown-at",
    default="first",
    show_default=True,
    metavar="STEP",
    help="Where the value is taken: first, last or one of the steps.",
)
@click.option("--where", metavar="SQL", help="Only touchpoints that fulfil this condition.")
@click.option("--segment", metavar="NAME", help="Only persons in this segment.")
@click.option("--as-of", metavar="TIME", help=AS_OF)
@click.option("--people", is_flag=True, help="List who got how far, with the matched events.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object: options, steps and people.")
@config_options
@click.pass_obj
def command(
    session: Session,
    /,
    *,
    steps: str,
    people: bool,
    as_json: bool,
    config_files: tuple[str, ...],
    database: str | None,
    **options: Any,
) -> None:
    """Count who gets through steps, and how long it takes.

    docs/funnel.md says what each option means, case by case. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    config = read(session, config_files, database, with_sources=False).config
    if options["as_of"]:
        options["as_of"] = read_instant(options["as_of"], ZoneInfo(config.kpi.time_zone))

    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB

    with Store(config.store.path, memory_limit=config.store.memory_limit, read_only=True) as store:
        found = ask(store, steps, people=people, **options)
    if as_json:
        whole = {"options": found.options, "steps": found.steps.to_pylist()}
        if found.people is not None:
            whole["people"] = found.people.to_pylist()
        click.echo(json.dumps(whole, ensure_ascii=False))
    else:
        _print(session, found)


def ask(
    store: Store, steps: str, *, option: str = "--steps", step_window: str | None = None, **options: Any
) -> FunnelResult:
    """Compute a funnel from options as they are written on the command line.

    Args:
        store: an open one.
        steps: the list of steps.
        option: the option that it was given by.
        step_window: one time, or a list of them.
        options: the others, as ``parcours.kpis.funnel`` takes them.

    Raises:
        click.UsageError: one of them is wrong.
    """
    from parcours.kpis.funnel import FunnelError, funnel  # noqa: PLC0415, loads DuckDB
    from parcours.kpis.funnel.steps import split  # noqa: PLC0415

    names = split(steps)
    if not all(names):
        raise click.UsageError(
            f"a funnel needs steps, each with a name: write {option} quote_created,purchase"
        )
    spans = (
        [span or None for span in split(step_window)] if step_window and "," in step_window else step_window
    )
    try:
        return funnel(store.connection, steps=names, step_window=spans, **options)
    except FunnelError as error:
        raise click.UsageError(str(error)) from error


_COLUMNS = {
    "breakdown": "breakdown",
    "step": "step",
    "reached": "reached",
    "rate_from_first": "of the first",
    "rate_from_previous": "of the one before",
    "dropped": "dropped",
    "median_seconds": "median time",
    "p90_seconds": "90 % within",
    "median_seconds_from_first": "median from first",
}


def _print(session: Session, found: FunnelResult) -> None:
    names = [name for name in _COLUMNS if name in found.steps.column_names]
    counted = f"{'attempts' if found.options['entry'] == 'every' else found.options['count']}, "
    print_table(
        [_COLUMNS[name] for name in names],
        [[_shown(name, row[name]) for name in names] for row in found.steps.to_pylist()],
        title=f"{counted}as of {found.options['as_of']} UTC",
    )
    rows = {row.get("breakdown"): row for row in found.steps.to_pylist()}.values()
    excluded = sum(row["excluded"] for row in rows)
    if found.options["exclude"]:
        session.say(f"left out by --exclude: {excluded:,}")
    if not all(row["mature"] for row in rows):
        session.say(
            "to date: there is no window, so that any attempt may still get further"
            if found.options["window"] is None
            else "not mature: the windows of some attempts are not over, and they may still get further"
        )
    if found.people is not None:
        people = found.people.to_pylist()
        print_table(
            found.people.column_names,
            [[*list(row.values())[:-1], ", ".join(row["event_ids"])] for row in people],
        )


def _shown(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if name.startswith("rate"):
        return f"{value:.1%}"
    return _span(value) if name.endswith("first") or "seconds" in name else value


def _span(seconds: float) -> str:
    """Write a time in its two largest units."""
    for size, unit, next_size, next_unit in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = int(seconds % size // next_size)
            return f"{int(seconds // size):,} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{seconds:.3g} s"
