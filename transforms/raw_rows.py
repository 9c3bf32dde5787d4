"""The raw rows of a batch as every decoder sees them, and the notes on those that it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parcours.transforms.elements import REJECT_NOTE

SHOWN_CHARACTERS = 200
"""Most characters of a refused value that a note repeats; the quarantine keeps the bytes themselves."""


@dataclass(frozen=True)
class RawRows:
    """Some rows of a batch: where each value begins and ends in the batch's one buffer. Nothing is copied.

    ``row`` (int32) is each row's place in the batch; ``start`` and ``stop`` (int64) index ``data`` (uint8).
    """

    row: NDArray[np.int32]
    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def of(cls, values: pa.LargeBinaryArray) -> RawRows:
        """View the whole of a ``value`` column; a null is an empty stretch."""
        _, offsets, data = values.buffers()
        edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
        content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        return cls(np.arange(len(values), dtype=np.int32), content, edges[:-1], edges[1:])

    def __len__(self) -> int:
        return len(self.row)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> RawRows:
        """Keep some rows, by mask or by index."""
        return RawRows(self.row[which], self.data, self.start[which], self.stop[which])

    def skip(self, count: int) -> RawRows:
        """Leave out the first ``count`` bytes of every value."""
        return RawRows(self.row, self.data, self.start + count, self.stop)

    def gather(self) -> pa.LargeBinaryArray:
        """Give the values as one Arrow array: a view where they stand side by side, else a copy."""
        if not len(self):
            return pa.array([], pa.large_binary())
        content = pa.py_buffer(self.data)
        if np.array_equal(self.start[1:], self.stop[:-1]):
            edges = np.append(self.start, self.stop[-1])
            return pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), len(self), [None, pa.py_buffer(edges), content]
            )
        # Every other element is the gap before the next value.
        edges = np.column_stack([self.start, self.stop]).ravel()
        both = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(edges) - 1, [None, pa.py_buffer(edges), content]
        )
        return both.take(pa.array(np.arange(0, len(edges), 2)))

    def value(self, index: int) -> bytes:
        """Copy one value."""
        return self.data[self.start[index] : self.stop[index]].tobytes()


def shown(value: bytes | str | int | None, limit: int = SHOWN_CHARACTERS) -> str | None:
    """Make a value readable and short: bytes as text with escapes, at most ``limit`` characters."""
    if value is None:
        return None
    text = value[: limit + 1].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def columns_beside_row(names: Iterable[str]) -> list[str]:
    """Name a decoded table's columns: ``row``, then the source's own.

    A source's own column of that name, in any case, gets an underscore: ``row_``.
    """
    given = ["row", *names]
    taken = {name.lower() for name in given}
    for place, name in enumerate(given[1:], 1):
        if name.lower() == "row":
            while name.lower() in taken:
                name += "_"  # noqa: PLW2901 - the loop's name is the one that grows
            given[place] = name
    return given


@dataclass
class Rejects:
    """Collects why rows are refused. Only refused rows cost a Python object."""

    notes: list[tuple[int, str, str, str, str | None, str | None, str]] = field(default_factory=list)

    def add(
        self,
        row: int,
        reason: str,
        rule: str,
        value: bytes | str | int | None,
        message: str,
        *,
        name: str | None = None,
    ) -> None:
        """Note one row.

        Args:
            row: its place in the batch.
            reason: one of ``schemas.touchpoint.REASONS``.
            rule: the rule's short, stable name.
            value: what broke the rule.
            message: what the rule allows; the rule's name and the value are put before it.
            name: the field, where there is one.
        """
        seen = "" if value is None else f"{shown(value, 60)!r} "
        self.notes.append((int(row), "decode", reason, rule, name, shown(value), f"{rule}: {seen}{message}"))

    def add_all(self, rows: RawRows, which: Iterable[int], reason: str, rule: str, message: str) -> None:
        """Note several rows alike, each with its own bytes as the value."""
        for index in which:
            head = rows.data[
                rows.start[index] : min(rows.stop[index], rows.start[index] + 4 * SHOWN_CHARACTERS)
            ]
            self.add(int(rows.row[index]), reason, rule, head.tobytes(), message)

    def table(self) -> pa.Table:
        """All notes, ordered by row."""
        columns = list(zip(*sorted(self.notes, key=itemgetter(0)), strict=True)) or [()] * len(REJECT_NOTE)
        return pa.table(
            [pa.array(column, item.type) for column, item in zip(columns, REJECT_NOTE, strict=True)],
            schema=REJECT_NOTE,
        )
