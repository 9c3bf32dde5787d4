"""The contract that every kind of source keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from parcours.transforms.elements import PlannedRange, RangeEnd, SourceBatch

BATCH_RECORDS = 50_000
"""Most records in one batch: a query's fixed cost vanishes, and memory stays flat."""

BATCH_BYTES = 16 * 1024 * 1024
"""Most bytes of values in one batch."""


class SourceUnavailableError(Exception):
    """The source cannot be read at all: no such broker, topic, folder or file. Nothing was read."""


class LogStoppedError(Exception):
    """The log is not the one that was read before, or lost what was not yet read. A person decides."""


@dataclass(frozen=True)
class Position:
    """What is committed for one topic-partition: the next offset, and the source kind's own note."""

    next_offset: int
    resume: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What to read next: the ranges, in reading order, and what a person should know.

    ``ends`` gives the end of each topic-partition at planning, for lag. ``more`` says that the limits cut
    the plan short: there is something to read after this slice. ``waiting`` says what is held back, and why.
    ``bytes_`` is about how many bytes the ranges have.
    """

    ranges: tuple[PlannedRange, ...]
    ends: Mapping[tuple[str, int], int]
    more: bool = False
    waiting: tuple[str, ...] = ()
    bytes_: int = 0


class RangeSource(Protocol):
    """One configured source, opened."""

    def plan(
        self, committed: Mapping[tuple[str, int], Position], *, first_id: int, records: int, bytes_: int
    ) -> Plan:
        """Cut what lies between the committed positions and the log's ends into ranges.

        Args:
            committed: per (topic, partition), what is committed.
            first_id: the id of the first range; the next ones count up.
            records: at most this many records in all ranges together.
            bytes_: at most about this many bytes in all ranges together.

        Raises:
            SourceUnavailableError: it cannot be read.
            LogStoppedError: it is not the log that was read before.
        """
        ...

    def read(self, planned: PlannedRange) -> Iterator[SourceBatch | RangeEnd]:
        """Read one range: batches in offset order, then exactly one ``RangeEnd``."""
        ...

    def rewound(
        self, committed: Mapping[tuple[str, int], Position], to: str
    ) -> dict[tuple[str, int], Position]:
        """Return earlier positions to read from again.

        Args:
            committed: the positions to set back, by (topic, partition).
            to: ``earliest``, an offset, or a time in ISO 8601 (topics only).

        Raises:
            ValueError: ``to`` is neither, or lies after what was read.
        """
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
