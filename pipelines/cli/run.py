"""``parcours run``: load what there is to read."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli import exits
from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.observing import observers
from parcours.pipelines.cli.options import (
    config_options,
    file_options,
    file_source,
    log_option,
    metrics_options,
    read,
)
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.log import JsonLog
    from parcours.pipelines.store_run import RunResult

DEFAULT_RUNNER = "FnApiRunner"

_SHOW_CURSOR = b"\x1b[?25h"
"""Progress bars hide it."""

_COUNTS = ("loaded", "duplicate", "quarantined", "suppressed")


@contextmanager
def stop_on_signal(log: JsonLog | None = None) -> Iterator[threading.Event]:
    """Let the first SIGINT or SIGTERM end the work cleanly, and the next one end the process at once.

    At once means without unwinding: a pipeline's threads cannot be ended, and would write tracebacks over
    files that are gone. What was not committed is done again by the next run, as after any crash.
    """
    stop = threading.Event()

    def on_signal(_: int, __: FrameType | None) -> None:
        # not print: a signal may arrive in the middle of another write to the same buffer
        def say(before: bytes, text: str, event: str, **fields: int) -> None:
            plain = before + f"{text}\n".encode()
            os.write(2, plain if log is None else log.line(event, {"message": text, **fields}).encode())

        if stop.is_set():
            cursor = _SHOW_CURSOR if os.isatty(2) else b""
            say(cursor, "interrupted", "error", exit_code=exits.INTERRUPTED)
            os._exit(exits.INTERRUPTED)
        stop.set()
        say(b"\n", "stopping after this slice; interrupt again to stop at once", "stopping")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # an interrupted command is about to end with its own exit code: no later signal may change that
            signal.signal(number, signal.SIG_IGN if stop.is_set() else handler)


@contextmanager
def silent_workers(session: Session) -> Iterator[None]:
    """Keep the tracebacks that Beam's workers print, beside raising them, for ``--debug``."""
    if session.debug:
        yield
        return
    with Path(os.devnull).open("w") as nothing, redirect_stderr(nothing):
        yield


def store_options(config_files: Sequence[str], database: str | None) -> str:
    """Return the options that name the same store to another command, each after a blank."""
    named = [("--config", name) for name in config_files] if database is None else [("--database", database)]
    return "".join(f" {option} {shlex.quote(value)}" for option, value in named)


def exit_code(result: RunResult) -> int:
    """Return the exit code that says how a run ended."""
    return {"interrupted": exits.INTERRUPTED, "held": exits.NOT_PUBLISHED}.get(result.status, exits.DONE)


def report(session: Session, result: RunResult, *, store: str = "", exit_nothing: bool = False) -> int:
    """Write what a run or rebuild did to stdout, and return its exit code.

    Args:
        session: where to, and how.
        result: what it did.
        store: the options that name its store, for the command that is proposed.
        exit_nothing: whether a run that had nothing to do has a code of its own.
    """
    from dataclasses import asdict  # noqa: PLC0415
    from json import dumps  # noqa: PLC0415

    from parcours.pipelines.identity_changes import told  # noqa: PLC0415, loads DuckDB

    code = exit_code(result)
    if code == exits.DONE and result.nothing_to_do and exit_nothing:
        code = exits.NOTHING_TO_DO
    if session.json:
        click.echo(dumps({**asdict(result), "exit_code": code}, ensure_ascii=False, default=str))
        return code
    for text in result.waiting:
        session.say(f"waiting: {text}")
    if result.moves is not None:
        click.echo(f"moved {result.moves}")
    if result.nothing_to_do:
        click.echo("nothing to do: everything there is was read before")
    else:
        parts = " + ".join(f"{name} {getattr(result, name):,}" for name in _COUNTS)
        demoted = f"; demoted {result.demoted:,}" if result.demoted else ""
        done = "done" if result.status == "held" else result.status  # the load is; publishing is told below
        click.echo(f"{done}: read {result.read:,} = {parts}{demoted}, in {result.seconds:.1f} s")
    for text in told(result.identity_changes):
        click.echo(text)
    if result.quarantine:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in result.quarantine.items())
        click.echo(f"in quarantine: {reasons}")
        session.say(f"why: parcours quarantine summary{store}")
    report_gate(session, result, store)
    return code


def report_gate(session: Session, result: RunResult, store: str) -> None:
    """Write what the check at a run's end decided, and the copy that was made."""
    from parcours.pipelines.cli.gate import state_text  # noqa: PLC0415

    if result.gate is not None and result.gate.state == "held":
        click.echo(state_text(result.gate))
        session.say(f"what to do: parcours check{store}")
    elif result.rules_warned:
        told = "1 rule warns" if result.rules_warned == 1 else f"{result.rules_warned} rules warn"
        session.say(f"{told}: parcours check{store}")
    if result.published is not None:
        click.echo(f"published {result.published}")


@parcours_command(
    "run",
    examples="""
parcours run
parcours run --follow
parcours run --apply-rules
parcours run --config base.toml --config prod.toml --json
parcours run --source 'shop/*.csv' --format csv --delimiter ';' --database shop.duckdb \\
    --map event_id=@hash --map occurred_at=time --map customer_id=user_id \\
    --map event_type=action --map channel==web
""",
)
@config_options
@click.option("--source", metavar="FILE", help="Read this file or glob, described by the options below.")
@file_options
@click.option(
    "--apply-rules",
    is_flag=True,
    help="Apply changed rules to all that was loaded before, in one commit, then load.",
)
@click.option("--follow", is_flag=True, help="Go on, slice after slice, until interrupted.")
@metrics_options
@click.option("--runner", default=DEFAULT_RUNNER, show_default=True, help="The Beam runner.")
@click.option("--exit-nothing", is_flag=True, help="Exit with 10 where there was nothing to do.")
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object at the end, and no progress.")
@click.pass_obj
def command(
    session: Session,
    /,
    *,
    config_files: tuple[str, ...],
    database: str | None,
    source: str | None,
    apply_rules: bool,
    follow: bool,
    metrics_port: int | None,
    metrics_address: str,
    runner: str,
    exit_nothing: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Load what there is to read into journey tables.

    What was read once is not read again; the journeys that new records touch are built anew. Without a
    config, --source and --format describe one file or glob.

    Where [taxonomy], [journey] or [identity] are not what the store was built with, it loads nothing, says
    what changed and how many touchpoints and journeys that would move, and exits with 3. Take the change
    back, or apply it with --apply-rules.
    """
    session.json = as_json
    if metrics_port is not None and not follow:
        raise click.UsageError(
            "--metrics-port is for --follow: a run that ends has its numbers in its result, in parcours"
            " status and in --log-format json"
        )
    if source is None and any(flags.values()):
        raise click.UsageError(
            "options such as --format and --map describe the file of --source, which is missing"
        )
    flagged = file_source(source, flags) if source is not None else None
    loaded = read(session, config_files, database, source=flagged, check_files=True)
    if not loaded.config.source:
        raise click.UsageError(
            "there is nothing to read: write a config with parcours init,"
            " or name a file with --source and --format"
        )

    from parcours.pipelines import runs  # noqa: PLC0415, loads DuckDB and pyarrow

    metrics = None if metrics_port is None else (metrics_port, metrics_address)
    with (
        observers(session, loaded.config, quiet=as_json, metrics=metrics) as observer,
        stop_on_signal(session.log) as stop,
    ):
        for warning in loaded.warnings:
            observer.warn(warning)
        with silent_workers(session):
            result = runs.run(
                loaded.config,
                follow=follow,
                apply_rules=apply_rules,
                runner=runner,
                observer=observer,
                stop=stop,
            )
    store = store_options(config_files, database)
    return report(session, result, store=store, exit_nothing=exit_nothing)
