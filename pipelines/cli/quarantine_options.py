"""What the commands of the quarantine share: which records they are about, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parcours.pipelines.cli.query import as_json as plain_value
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.render import show as shown

if TYPE_CHECKING:
    from parcours.pipelines.config import LoadedConfig
    from parcours.pipelines.quarantine import Selection
    from parcours.pipelines.store import Store

F = TypeVar("F", bound=Callable[..., Any])

SHORT = 12
"""Characters of an id that are shown."""

_CUT = 40
"""Characters of a value in a table."""

_STATUSES = ("open", "replayed", "discarded", "all")

_WHY = {
    "open": "closed before",
    "cut": "without all their bytes: raise [validation] max_record_bytes, then parcours rewind",
    "conflict": "losers of a conflict, about which nothing was decided",
}
"""Why records are not tried."""

_KEYS = ("reason", "rule", "source", "field", "id")


def selection_options(*, status: str | None) -> Callable[[F], F]:
    """Add the options that choose records.

    Args:
        status: what ``--status`` is by default; null leaves the option out, for commands on open records.
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
        if status is not None:
            options.append(
                click.option(
                    "--status", type=click.Choice(_STATUSES), default=status, show_default=True,
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
def opened(loaded: LoadedConfig) -> Iterator[Store]:
    """Open the store to read."""
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB

    options = loaded.config.store
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store, as_mistakes():
        yield store


@contextmanager
def as_mistakes() -> Iterator[None]:
    """Turn what cannot be chosen, be a fix or be used into a message: a schema, a file's header."""
    from parcours.pipelines.fix_change import FixError  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.quarantine import SelectionError  # noqa: PLC0415

    try:
        yield
    except (SelectionError, FixError) as error:
        raise click.UsageError(str(error)) from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def required_selection(chosen: Mapping[str, Any], *, everything: bool) -> Selection:
    """Turn the options into a selection of open records, where they choose some or say that it is all.

    Raises:
        click.UsageError: neither is said, or both.
    """
    # of those that are named by id, it is told which are closed
    selection = selected({**chosen, "status": "all" if chosen["id"] else "open"})
    if selection.chooses == everything:
        raise click.UsageError(
            "--all and a selection exclude each other"
            if everything
            else "say which records: --reason, --rule, --source, --field, --id or --where, or --all"
        )
    return selection


def not_tried_text(skipped: Mapping[str, int]) -> Iterator[str]:
    """Say how many records a replay does not try, and why."""
    for why, count in skipped.items():
        yield f"skipped: {counted(count)} {_WHY[why]}"


def skipped_text(skipped: Mapping[str, int]) -> Iterator[str]:
    """Say how many named records are not open any more."""
    for status, count in skipped.items():
        yield f"skipped: {counted(count)} {'is' if count == 1 else 'are'} {status}"


def counted(count: int) -> str:
    """Write how many records."""
    return f"{count:,} record{'' if count == 1 else 's'}"


def reasons(counts: Mapping[str, int]) -> str:
    """Write how many by reason."""
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.items())


def cut(value: str | None) -> str | None:
    """Cut a value for a table."""
    return value if value is None or len(value) <= _CUT else value[: _CUT - 1] + "…"


def place(record: Mapping[str, Any]) -> str:
    """Write where a record stands."""
    return f"{record['source_topic']} [{record['source_partition']}] {record['source_offset']}"


def print_samples(samples: Sequence[Mapping[str, Any]]) -> None:
    """Write what would become of some records, a line a field."""
    lines: list[Sequence[Any]] = []
    for sample in samples:
        # as texts: one column has values of all kinds
        rows = [(name, *map(_text, values)) for name, values in sample["fields"].items()]
        if sample["rule"] is not None:
            rows = [(name, before, f"rejected: {sample['message']}") for name, before, _ in rows]
        first = place(sample)
        for row in rows or [("", None, None)]:
            lines.append((first, *row))
            first = ""
    print_table(("record", "field", "before", "after"), lines, title="Before and after")


def _text(value: Any) -> str | None:
    return None if value in (None, []) else shown(value)


def write_json(entry: Any) -> None:
    """Write one JSON value to stdout."""
    click.echo(json.dumps(plain_value(entry), ensure_ascii=False))
