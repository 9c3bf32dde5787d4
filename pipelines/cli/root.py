"""The command ``parcours`` itself: finds, loads and suggests its commands."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import click

from parcours.pipelines.cli.exits import EXIT_CODES, Session
from parcours.pipelines.mistakes import nearest

COMMANDS = {
    "init": "init",
    "simulate": "simulate",
    "inspect": "inspect",
    "config": "config",
    "run": "run",
    "status": "status",
    "quarantine": "quarantine",
    "query": "query",
    "profile": "profile",
    "explain": "explain",
    "kpi": "kpi",
    "funnel": "funnel",
    "segment": "segment",
    "audience": "audience",
    "check": "check",
    "publish": "publish",
    "taxonomy": "taxonomy",
    "identity": "identity",
    "rebuild": "rebuild",
    "rewind": "rewind",
    "source": "source",
    "schema": "schema",
}
"""Command to module of this package; each module calls its own ``command``. In the order of first use."""


def _set_debug(context: click.Context, _: click.Parameter, on: bool) -> None:
    if on:
        context.ensure_object(Session).debug = True


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )


class Command(click.Command):
    """A command that takes ``--debug`` after its name too, and keeps its examples as they are written."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(_debug_option())
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; log lines, Beam's tracebacks among them, are for ``--debug``."""
        if ctx.ensure_object(Session).debug:
            return super().invoke(ctx)
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            return super().invoke(ctx)
        finally:
            logging.disable(before)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"  {line}\n" if line else "\n")


class SuggestingGroup(click.Group):
    """A group that names the nearest command where there is none of the name given."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were added: that of their use."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with a suggestion."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = nearest(name, self.list_commands(ctx))
            hint = f'did you mean "{near}"?' if near else f"commands: {', '.join(self.list_commands(ctx))}"
            ctx.fail(f'there is no command "{name}"; {hint}')
        return super().resolve_command(ctx, args)


class Root(SuggestingGroup):
    """Loads each command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"parcours.pipelines.cli.{COMMANDS[cmd_name]}")
        found: click.Command = module.command
        return found

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def _show_version(context: click.Context, _: click.Parameter, on: bool) -> None:
    if on:
        from importlib.metadata import version  # noqa: PLC0415, half of --help's time otherwise

        click.echo(f"parcours {version('parcours')}")
        context.exit()


def _root() -> None:
    """Turn customer touchpoints from Kafka or files into journey tables in DuckDB.

    Begin with: parcours init, parcours inspect SOURCE, parcours run. Every command has --help.
    """


root = Root(
    "parcours",
    callback=_root,
    help=_root.__doc__,
    params=[
        _debug_option(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version.",
        ),
    ],
    no_args_is_help=True,
)


def parcours_command(name: str, *, examples: str) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command of parcours; its docstring is its help text."""

    def declare(function: Callable[..., Any]) -> Command:
        made: Command = click.command(name, cls=Command, examples=examples)(function)
        return made

    return declare
