"""Cuts what is to be read of several logs into ranges: arithmetic on offsets, without a broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parcours.transforms.elements import PlannedRange

RANGE_OFFSETS = 250_000
"""Most offsets in one range: a slice of the default size then gives several workers something to do."""


@dataclass(frozen=True)
class Log:
    """One partition as planned: what is to be read lies from ``start`` to ``end``.

    ``begin`` is the first offset that the log still has, ``first`` says that the partition was never read.
    """

    topic: str
    partition: int
    start: int
    begin: int
    end: int
    resume: Mapping[str, Any]
    first: bool

    @property
    def readable_from(self) -> int:
        """The first offset that can be read."""
        return max(self.start, self.begin)

    @property
    def pending(self) -> int:
        """How many offsets are to be read."""
        return self.end - self.readable_from


def cut(
    logs: Sequence[Log],
    *,
    source: str,
    first_id: int,
    records: int,
    bytes_: int,
    record_bytes: Mapping[str, float],
) -> tuple[tuple[PlannedRange, ...], bool]:
    """Cut logs into ranges within the limits, each log getting a fair share.

    A log that was never read gets a range even if it is empty, and so does one that lost what was to be
    read: both are facts to commit. What was lost is part of the range, whose ``resume`` then has
    ``log_start``.

    Args:
        logs: what there is to read.
        source: the source's name.
        first_id: the id of the first range.
        records: at most this many offsets that the logs still have.
        bytes_: at most about this many bytes.
        record_bytes: the mean size of a record, per topic; topics without one are not limited by bytes.

    Returns:
        The ranges, in offset order within each log, and whether something is left.
    """
    shares = fair_shares([log.pending for log in logs], records)
    expected = sum(share * record_bytes.get(log.topic, 0) for log, share in zip(logs, shares, strict=True))
    if expected > bytes_:
        shares = [min(share, max(1, int(share * bytes_ / expected))) for share in shares]
    ranges: list[PlannedRange] = []
    for log, share in zip(logs, shares, strict=True):
        pieces = -(-share // RANGE_OFFSETS)
        cuts = [log.readable_from + share * i // pieces for i in range(1, pieces + 1)]
        lost = log.readable_from > log.start
        if not cuts and (log.first or lost):
            cuts = [log.readable_from]
        start = log.start
        for end in cuts:
            resume = {**log.resume, "log_start": log.begin} if start < log.begin else log.resume
            ranges.append(
                PlannedRange(first_id + len(ranges), source, log.topic, log.partition, start, end, resume)
            )
            start = end
    return tuple(ranges), any(share < log.pending for log, share in zip(logs, shares, strict=True))


def fair_shares(wanted: Sequence[int], limit: int) -> list[int]:
    """Divide a limit so that small wants are met whole and large ones get equal parts of the rest.

    >>> fair_shares([10, 100, 100], 90)
    [10, 40, 40]
    """
    shares = [0] * len(wanted)
    left = limit
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for done, i in enumerate(order):
        shares[i] = min(wanted[i], left // (len(order) - done))
        left -= shares[i]
    return shares
