"""``parcours quarantine replay`` and ``discard``: what empties the quarantine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.observing import observers
from parcours.pipelines.cli.options import config_options, log_option, read
from parcours.pipelines.cli.quarantine_options import (
    as_mistakes,
    counted,
    not_tried_text,
    reasons,
    required_selection,
    selection_options,
    skipped_text,
    write_json,
)
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.config import LoadedConfig
    from parcours.pipelines.quarantine import Selection
    from parcours.pipelines.replay import Replayed


@parcours_command(
    "replay",
    examples="""
parcours quarantine replay --all
parcours quarantine replay --rule value.number --source crm --dry-run
parcours quarantine replay --id 3f2a9c01 --json | jq .loaded
""",
)
@selection_options(status=None)
@click.option("--all", "everything", is_flag=True, help="All open records.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them, and write nothing.")
@config_options
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def replay(
    session: Session,
    /,
    *,
    everything: bool,
    dry_run: bool,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Try rejected records again, and load what passes.

    They are decoded and validated by the config as it stands and by their fixes. What passes is loaded once,
    whatever was loaded meanwhile, and is marked replayed; what fails stays open. All of it is one
    transaction: to do it again, or after a crash, does nothing twice. While a run holds the store, it exits
    with 4.
    """
    session.json = as_json
    selection = required_selection(given, everything=everything)
    told = run_replay(session, read(session, config_files, database), selection, dry_run=dry_run)
    if as_json:
        write_json(asdict(told))
    else:
        print_replayed(session, told)


def run_replay(session: Session, loaded: LoadedConfig, selection: Selection, *, dry_run: bool) -> Replayed:
    """Replay the open records of a selection."""
    from parcours.pipelines.quarantine import select_into  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.replay import replay as try_again  # noqa: PLC0415

    with observers(session, loaded.config, quiet=session.json) as observer, as_mistakes():
        return try_again(
            loaded.config,
            lambda connection: select_into(connection, selection),
            dry_run=dry_run,
            observer=observer,
        )


def print_replayed(session: Session, told: Replayed) -> None:
    """Write what became of the records, and what comes next."""
    for text in not_tried_text(told.skipped):
        session.say(text)
    if not told.tried:
        click.echo("nothing to do: no such record is open")
        return
    parts = " + ".join(
        f"{name} {getattr(told, name):,}" for name in ("loaded", "duplicate", "quarantined", "suppressed")
    )
    demoted = f"; demoted {told.demoted:,}" if told.demoted else ""
    verb = "would be replayed" if told.dry_run else "replayed"
    click.echo(f"{verb}: tried {told.tried:,} = {parts}{demoted}, in {told.seconds:.1f} s")
    if told.reasons:
        click.echo(f"rejected again: {reasons(told.reasons)}")
    if told.dry_run:
        click.echo("nothing is written")
    else:
        click.echo(
            f"{counted(told.open)} still open" + (": parcours quarantine summary" if told.open else "")
        )


@parcours_command(
    "discard",
    examples="""
parcours quarantine discard --reason tombstone --note 'deletions of the test account'
parcours quarantine discard --where "first_at < TIMESTAMP '2025-01-01'" --dry-run
""",
)
@selection_options(status=None)
@click.option("--all", "everything", is_flag=True, help="All open records.")
@click.option("--note", metavar="TEXT", help="Why, to be kept with it.")
@click.option("--dry-run", is_flag=True, help="Say how many, and write nothing.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def discard(
    session: Session,
    /,
    *,
    everything: bool,
    note: str | None,
    dry_run: bool,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Give rejected records up: they are closed, and no replay tries them.

    What is kept of them stays, and so does the decision, with its time and the note: a record that is read
    again with the same bytes stays closed. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    selection = required_selection(given, everything=everything)
    loaded = read(session, config_files, database, with_sources=False)

    from parcours.pipelines.discarding import discard as give_up  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.observe import observer_for  # noqa: PLC0415

    with observer_for(session.secrets.mask, quiet=as_json) as observer, as_mistakes():
        told = give_up(loaded.config, selection, note=note, dry_run=dry_run, observer=observer)
    if as_json:
        write_json(asdict(told))
        return
    for text in skipped_text(told.skipped):
        session.say(text)
    if not told.records:
        click.echo("nothing to do: no such record is open")
    elif dry_run:
        click.echo(f"{counted(told.records)} would be discarded; nothing is written")
    else:
        click.echo(f"{counted(told.records)} discarded")


@parcours_command(
    "revalidate",
    examples="""
parcours quarantine revalidate --dry-run
parcours quarantine revalidate --json | jq .rules
""",
)
@click.option("--dry-run", is_flag=True, help="Say what would move, and write nothing.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def revalidate(
    session: Session, *, dry_run: bool, config_files: tuple[str, ...], database: str | None, as_json: bool
) -> None:
    """Hold what is loaded against the rules in force, and move what breaks one to the quarantine.

    For a rule that came, or a limit that became narrower, since. Persons and journeys are built anew, in one
    transaction. Rows of reference inputs are left alone. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, with_sources=False)

    from parcours.pipelines.observe import observer_for  # noqa: PLC0415
    from parcours.pipelines.revalidate import revalidate as hold_against  # noqa: PLC0415, loads DuckDB

    with observer_for(session.secrets.mask, quiet=as_json) as observer:
        told = hold_against(loaded.config, dry_run=dry_run, observer=observer)
    if as_json:
        write_json(asdict(told))
        return
    verb = "would move" if dry_run else "moved"
    moved = f"{verb} {told.moved:,} to the quarantine" if told.moved else "all keep the rules"
    click.echo(f"{told.judged:,} touchpoints judged, {moved}, in {told.seconds:.1f} s")
    if told.rules:
        click.echo(f"rules: {reasons(told.rules)}")
