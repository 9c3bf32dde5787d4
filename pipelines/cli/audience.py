"""``parcours audience``: whom to contact and why, and how many are left out for which cause."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.instants import AS_OF, local, read_instant
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.query import as_json as plain_value
from parcours.pipelines.cli.render import print_table, show
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command
from parcours.pipelines.cli.segment import no_such

if TYPE_CHECKING:
    from parcours.kpis.audiences import Language, Listed


class AudienceGroup(SuggestingGroup):
    """``parcours audience NAME`` is short for ``parcours audience show NAME``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take what is no command for the name of an audience."""
        named = self.get_command(ctx, args[0]) is None and not args[0].startswith("-")
        return super().resolve_command(ctx, ["show", *args] if named else args)


command = AudienceGroup("audience", help="List whom to contact and why. NAME alone shows that audience.")

_language = click.option(
    "--lang", "language", type=click.Choice(("en", "fr")), default="en", show_default=True, help="Language."
)


@parcours_command("list", examples="parcours audience list\nparcours audience list --lang fr")
@_language
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array.")
@config_options
@click.pass_obj
def list_(
    session: Session,
    *,
    language: Language,
    as_json: bool,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """List the audiences: the ready-made ones and those of the config."""
    session.json = as_json
    config = read(session, config_files, database, with_sources=False).config

    from parcours.kpis.audiences import audiences, judged  # noqa: PLC0415, loads DuckDB

    rows = []
    for name, each in audiences(config).items():
        over, where = judged(each, config.segment)
        rows.append(
            {
                "audience": name,
                "label": None if each.label is None else getattr(each.label, language),
                "over": over,
                "where": where,
                "purpose": each.purpose,
                "not_contacted_days": each.not_contacted_days,
                "ready_made": name not in config.audience,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
    else:
        names = ["audience", "label", "purpose", "not_contacted_days"]
        print_table(names, [[row[name] for name in names] for row in rows])


@parcours_command(
    "show",
    examples="""
parcours audience due_within_60_days
parcours audience due_within_60_days --lang fr --format csv --out due.csv
parcours audience complaint_near_deadline --as-of 2026-03-31 --json | jq .left_out
""",
)
@click.argument("name")
@click.option("--as-of", metavar="TIME", help=AS_OF)
@_language
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help="csv with --lang fr is as Excel in French opens it.",
)
@click.option("--out", metavar="PATH", help="Write to this file instead of standard output.")
@config_options
@click.pass_obj
def show_(
    session: Session,
    *,
    name: str,
    as_of: str | None,
    language: Language,
    as_json: bool,
    format_: str,
    out: str | None,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    """Show the persons of an audience, each with the reason, and how many are left out.

    Left out, each person for the first cause that holds: without consent to the audience's purpose (by the
    newest touchpoint that records any consent), opted out, and contacted (role touch) in the days that the
    audience names. Who opted out is left out of audiences for a purpose only. While a run holds the store, it
    exits with 4.
    """
    format_ = "json" if as_json else format_
    session.json = format_ == "json"
    if out is not None:
        _check_out(out, format_)
    config = read(session, config_files, database, with_sources=False).config
    zone = ZoneInfo(config.kpi.time_zone)

    from parcours.kpis.audiences import CAUSES, Listed, audiences, list_people  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.segments import default_instant, open_with_segments  # noqa: PLC0415, loads DuckDB

    known = audiences(config)
    if name not in known:
        raise click.UsageError(no_such("audience", name, known))
    with open_with_segments(config) as connection:
        until = read_instant(as_of, zone) if as_of else default_instant(connection)
        if until is None:
            found = Listed([], dict.fromkeys(CAUSES, 0))
        else:
            found = list_people(connection, config, name, until, language)
    if format_ == "json":
        _write_json(
            {
                "audience": name,
                "as_of": until,
                "purpose": known[name].purpose,
                "people": [asdict(person) for person in found.people],
                "left_out": found.left_out,
            },
            out,
        )
    elif format_ == "csv":
        with _opened(out) as file:
            _write_csv(found, file, language)
    else:
        print_table(
            ["profile_id", "customer_ids", "reason"],
            [[each.profile_id, ", ".join(each.customer_ids), each.reason] for each in found.people],
        )
    if out is not None:
        session.say(f"wrote {len(found.people):,} rows to {out}")
    left_out = ", ".join(f"{count:,} {_CAUSES[cause]}" for cause, count in found.left_out.items())
    session.say(
        f"{len(found.people):,} in {show(name)} as of {local(until, zone) or 'no touchpoint'}; "
        f"left out: {left_out}"
    )


_CAUSES = {"consent": "without consent", "suppressed": "opted out", "contacted": "contacted lately"}


def _check_out(out: str, format_: str) -> None:
    """Refuse, before anything is computed, a file that could not be written.

    Raises:
        UsageError: a table is asked for, or there is no such folder.
    """
    if format_ == "table":
        raise click.UsageError("a table is for the terminal: --out goes with --format csv or json")
    folder = Path(out).parent
    if not folder.is_dir():
        raise click.UsageError(f"--out: there is no folder {folder}")
    if Path(out).is_dir():
        raise click.UsageError(f"--out: {out} is a folder: name a file in it")


def _opened(out: str | None) -> Any:
    return nullcontext(sys.stdout) if out is None else Path(out).open("w", encoding="utf-8", newline="")


def _write_json(entry: dict[str, Any], out: str | None) -> None:
    text = json.dumps(plain_value(entry), ensure_ascii=False)
    if out is None:
        click.echo(text)
    else:
        Path(out).write_text(f"{text}\n", "utf-8")


_HEADINGS = {
    "en": ("profile_id", "customer_ids", "reason"),
    "fr": ("personne", "identifiants_client", "motif"),
}


def _write_csv(found: Listed, file: IO[str], language: Language) -> None:
    """Write a row a person, as spreadsheets of the language open it.

    A text that a spreadsheet would take for a formula has an apostrophe before it, ids too.
    """
    from parcours.pipelines.figure_files import disarmed  # noqa: PLC0415, loads pyarrow

    if language == "fr":
        file.write("\ufeff")  # Excel takes a CSV without it for one in the machine's old code page
    writer = csv.writer(file, delimiter=";" if language == "fr" else ",", lineterminator="\r\n")
    writer.writerow(_HEADINGS[language])
    for each in found.people:
        cells = (each.profile_id, " | ".join(each.customer_ids), each.reason)
        writer.writerow([disarmed(cell) for cell in cells])


def _decide(
    kind: Literal["opt_out", "opt_in"],
    session: Session,
    person: str,
    config_files: tuple[str, ...],
    database: str | None,
) -> None:
    config = read(session, config_files, database, with_sources=False).config

    from parcours.pipelines.opting import decide_opting  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.people import PersonError  # noqa: PLC0415, loads DuckDB

    try:
        done = decide_opting(config, kind, person)
    except PersonError as error:
        raise click.ClickException(str(error)) from error
    before = "" if done.changes else "already "
    what = "opted out" if kind == "opt_out" else "not opted out"
    click.echo(f"{show(done.profile_id)} is {before}{what}")


@parcours_command("opt-out", examples="parcours audience opt-out C-1024")
@click.argument("person")
@config_options
@click.pass_obj
def opt_out(session: Session, *, person: str, config_files: tuple[str, ...], database: str | None) -> None:
    """Record that a person wants no marketing: left out of every audience for a purpose, from now on.

    PERSON is a customer id, the id of a device, or anon: and that id. The decision is kept with its instant
    in decisions, follows the person when ids are merged, and holds until opt-in.
    """
    _decide("opt_out", session, person, config_files, database)


@parcours_command("opt-in", examples="parcours audience opt-in C-1024")
@click.argument("person")
@config_options
@click.pass_obj
def opt_in(session: Session, *, person: str, config_files: tuple[str, ...], database: str | None) -> None:
    """Take an opt-out back. Consent is asked for as before."""
    _decide("opt_in", session, person, config_files, database)


for _each in (list_, show_, opt_out, opt_in):
    command.add_command(_each)
