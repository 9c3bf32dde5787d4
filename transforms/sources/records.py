"""Where records begin and end in text: whole blocks at a time, without touching what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Places = NDArray[np.int64]

QUOTED_LINES = 1000
"""A quoted value that runs over more lines than this was never meant to be open."""

_NEWLINE = b"\n"
_LINE_FEED, _RETURN = b"\n\r"
_WHITE = b" \t\r"


@dataclass(frozen=True)
class Framing:
    """What separates records.

    ``quote`` is one byte, or empty where a newline always ends a record. A quote opens only at the start of a
    value, that is of a record or after a ``delimiter``. ``max_bytes``: longer records are cut to this, and a
    quoted value that would make a record longer is not one. ``blank_is_white``: a line of blanks alone is no
    record either.
    """

    quote: bytes
    delimiter: bytes
    max_bytes: int
    blank_is_white: bool


@dataclass(frozen=True)
class Records:
    """Records found in a text: ``text[starts[i]:stops[i]]``, without their line ends.

    ``after[i]`` is where the text goes on after record i and its line end. ``consumed`` is where what was
    understood ends: the records and the blank lines around them.
    """

    starts: Places
    stops: Places
    after: Places
    consumed: int

    def __len__(self) -> int:
        return len(self.starts)


def split_records(text: bytes, framing: Framing, *, last: bool) -> Records:
    """Find the records in a text that begins at a record's start.

    Args:
        text: the text; its end may cut a record in two.
        framing: what separates records.
        last: nothing follows, so that what has no line end yet is a record too.
    """
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == _LINE_FEED)
    if last and len(text) and not text.endswith(_NEWLINE):
        ends = np.append(ends, len(text))
    if framing.quote and framing.quote in text:
        ends = _outside_quotes(text, data, ends, framing, last=last)
    if not len(ends):
        return Records(ends, ends, ends, 0)
    after = np.minimum(ends + 1, len(text))
    starts = np.concatenate([[0], after[:-1]])
    stops = ends - ((ends > starts) & (data[ends - 1] == _RETURN))
    blank = stops == starts
    if framing.blank_is_white:
        blank |= _white(text, data, starts, stops)
    consumed = int(after[-1])
    if blank.any():
        starts, stops, after = starts[~blank], stops[~blank], after[~blank]
    return Records(starts, stops, after, consumed)


def _white(text: bytes, data: NDArray[np.uint8], starts: Places, stops: Places) -> NDArray[np.bool_]:
    """Tell which lines are blanks alone; only those that begin and end with one are looked at."""
    white = np.zeros(256, np.bool_)
    white[list(_WHITE)] = True
    found = (stops > starts) & white[data[np.minimum(starts, len(data) - 1)]] & white[data[stops - 1]]
    for line in np.flatnonzero(found).tolist():
        found[line] = not text[starts[line] : stops[line]].strip(_WHITE)
    return found


def _outside_quotes(
    text: bytes, data: NDArray[np.uint8], ends: Places, framing: Framing, *, last: bool
) -> Places:
    """Keep the line ends that end a record.

    A line with an even number of quotes leaves things as they were, so only odd lines are looked at one by
    one: from one that truly opens a quoted value to the next odd one is a single record. Where there is no
    next one, or it is too far, the quote stands alone and its line is a (bad) record of its own.
    """
    quotes = np.flatnonzero(data == framing.quote[0])
    counts = np.diff(np.searchsorted(quotes, ends), prepend=0)
    odd = np.flatnonzero(counts & 1).tolist()
    keep = np.ones(len(ends), np.bool_)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = 0
    while place < len(odd):
        first = odd[place]
        start = int(starts[first])
        place += 1
        if not _opens(text[start : ends[first]], framing):
            continue
        if place < len(odd):
            close = odd[place]
            if close - first < QUOTED_LINES and ends[close] - start <= framing.max_bytes:
                keep[first:close] = False
                place += 1
        elif not last and len(ends) - first < QUOTED_LINES and len(text) - start <= framing.max_bytes:
            return ends[:first][keep[:first]]  # its end may stand in what was not read yet
    return ends[keep]


def _opens(line: bytes, framing: Framing) -> bool:
    """Tell whether a line's last value begins with a quote that the line does not close."""
    start = 0
    while True:
        if line.startswith(framing.quote, start):
            start = line.find(framing.quote, start + 1)
            while line.startswith(framing.quote * 2, start):
                start = line.find(framing.quote, start + 2)
            if start < 0:
                return True
        start = line.find(framing.delimiter, start) + 1
        if not start:
            return False


def gather(text: bytes, starts: Places, stops: Places) -> pa.LargeBinaryArray:
    """Copy ``text[starts[i]:stops[i]]`` into one column.

    The pieces are in order and apart: they and the gaps between them tile the text, and every second tile is
    kept.
    """
    count = len(starts)
    edges = np.zeros(2 * count + 1, np.int64)
    edges[0:-1:2], edges[1::2] = starts, stops
    edges[-1] = stops[-1] if count else 0
    tiles = pa.Array.from_buffers(
        pa.large_binary(), 2 * count, [None, pa.py_buffer(edges), pa.py_buffer(text)]
    )
    return tiles.filter(pa.array(np.arange(2 * count) % 2 == 0))
