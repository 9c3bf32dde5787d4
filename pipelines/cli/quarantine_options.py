"""Options that say which quarantined records a command is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from parcours.pipelines.quarantine import Selection

F = TypeVar("F", bound=Callable[..., Any])

SHORT = 12
"""Characters of an id that are shown."""

_STATUSES = ("open", "replayed", "discarded", "all")

_KEYS = ("reason", "rule", "source", "field", "id")


def selection_options(*, status: str | None) -> Callable[[F], F]:
    """Add the options that choose records.

    Args:
        status: what ``--status`` is by default; null: all. ``"only open"`` leaves the option out.
    """

    def add(function: F) -> F:
        options = [
            click.option("--source", multiple=True, metavar="NAME", help="Of this source. Repeatable."),
            click.option("--reason", multiple=True, metavar="CODE", help="As wrong_type. Repeatable."),
            click.option("--rule", multiple=True, metavar="NAME", help="As value.number. Repeatable."),
            click.option("--field", multiple=True, metavar="FIELD", help="Field that broke it. Repeatable."),
            click.option(
                "--id", multiple=True, metavar="ID", help="An id, or how it begins. Repeatable."
            ),
            click.option(
                "--where", metavar="SQL", help="A condition over the columns of quarantine, as attempts > 1."
            ),
        ]  # fmt: skip
        if status != "only open":
            options.append(
                click.option(
                    "--status", type=click.Choice(_STATUSES), default=status or "all", show_default=True,
                    help="What became of them.",
                )
            )  # fmt: skip
        for option in reversed(options):
            function = option(function)
        return function

    return add


def selected(chosen: Mapping[str, Any]) -> Selection:
    """Turn the options into a selection."""
    from parcours.pipelines.quarantine import Selection  # noqa: PLC0415, loads DuckDB

    status = chosen.get("status", "open")
    lists = {key: chosen[key] for key in _KEYS}
    return Selection(**lists, where=chosen["where"], status=None if status == "all" else status)


@contextmanager
def as_mistakes() -> Iterator[None]:
    """Turn a selection that cannot be made into an error of the command line."""
    from parcours.pipelines.quarantine import SelectionError  # noqa: PLC0415, loads DuckDB

    try:
        yield
    except SelectionError as error:
        raise click.UsageError(str(error)) from error
