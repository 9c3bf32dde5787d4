"""Tables for people."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

NO_EDGE = 10_000
"""A pipe or file has no edge at which to fold lines."""

FOLDED_WIDTH = 140
"""Width of a table of long texts in a pipe or file."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What steers a terminal, but for tab and newline; records may hold it."""


def print_table(
    names: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, folded: bool = False
) -> None:
    """Write a table to stdout; numbers stand right, nulls are dimmed dashes.

    Args:
        names: the column names.
        rows: the values.
        title: what the table shows.
        folded: whether long texts may take several lines, with a rule between rows.
    """
    from rich import box  # noqa: PLC0415, keeps --help quick
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    rows = [list(row) for row in rows]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_lines=folded,
        show_edge=False,
        pad_edge=False,
    )
    for index, name in enumerate(names):
        numeric = any(_is_number(row[index]) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold", no_wrap=False)
    for row in rows:
        table.add_row(*(Text("–", "dim") if value is None else Text(show(value)) for value in row))
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else FOLDED_WIDTH if folded else NO_EDGE
    console = Console(width=max(60, width))
    if title:  # not the table's own: that is folded to the table's width
        console.print(Text(f"\n{title}", "bold"))
    console.print(table)


def show(value: Any) -> str:
    """Write one value as people read it: thousands apart, at most four decimals where they say anything."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{round(value, 4):,}" if abs(value) >= 0.001 else f"{value:.3g}"
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], str(value))


def _is_number(value: Any) -> bool:
    return hasattr(value, "as_integer_ratio")
