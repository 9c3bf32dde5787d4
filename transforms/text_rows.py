"""Rows of bytes to rows of text: the encoding is checked row by row, at the speed of the whole batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from parcours.transforms.raw_rows import RawRows, Rejects

BOM = b"\xef\xbb\xbf"

# With one broken row in a hundred, most blocks of this size are sound.
_TRIED_TOGETHER = 16


def decode_text(rows: RawRows, encoding: str, rejects: Rejects) -> tuple[RawRows, pa.LargeStringArray]:
    """Turn bytes into text; rows that are not in the encoding are refused with reason ``encoding``.

    A UTF-8 byte order mark at the start of a record is dropped.

    Args:
        rows: what to decode.
        encoding: ``utf-8``, or a single-byte encoding that Python knows.
        rejects: receives the rows that cannot be decoded.

    Returns:
        The rows that could be decoded, and their texts.
    """
    if encoding == "utf-8":
        rows = _without_bom(rows)
        values = rows.gather()
        try:
            return rows, values.cast(pa.large_string())
        except pa.ArrowInvalid:
            bad = _invalid_utf8(rows)
    else:
        values = rows.gather()
        widths, defined = _single_byte_table(encoding)
        bad = _any_in_row(~defined[rows.data], rows)
    rejects.add_all(
        rows,
        np.flatnonzero(bad),
        "encoding",
        f"encoding.{encoding}",
        f"holds bytes that are not {encoding}; if the source is written in another encoding, set it: "
        "utf-8, cp1252 or iso-8859-15",
    )
    rows = rows.select(~bad)
    values = rows.gather()
    return rows, values.cast(pa.large_string()) if encoding == "utf-8" else _transcode(
        values, encoding, widths
    )


def _without_bom(rows: RawRows) -> RawRows:
    marked = rows.stop - rows.start >= len(BOM)
    for place, byte in enumerate(BOM):
        marked[marked] = rows.data[rows.start[marked] + place] == byte
    return RawRows(rows.row, rows.data, rows.start + len(BOM) * marked, rows.stop) if marked.any() else rows


def _any_in_row(hit: NDArray[np.bool_], rows: RawRows) -> NDArray[np.bool_]:
    before = np.concatenate([[0], np.cumsum(hit)])
    return np.asarray(before[rows.stop] > before[rows.start])


def _invalid_utf8(rows: RawRows) -> NDArray[np.bool_]:
    """Find the rows that are not UTF-8: one by one only where a few neighbours together fail.

    A stretch of bytes that is UTF-8 is so in all its rows, unless an edge of a row cuts a character.
    """
    edges = np.minimum([rows.start, rows.stop], len(rows.data) - 1)
    cut = (rows.data[edges] & 0xC0 == 0x80).any(axis=0)
    bad = np.zeros(len(rows), np.bool_)
    for first in range(0, len(rows), _TRIED_TOGETHER):
        block = range(first, min(first + _TRIED_TOGETHER, len(rows)))
        stretch = rows.data[rows.start[first] : rows.stop[block[-1]]].tobytes()
        if cut[block].any() or not _is_utf8(stretch):
            bad[block] = [not _is_utf8(rows.value(index)) for index in block]
    return bad


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _single_byte_table(encoding: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each of the 256 bytes: how many bytes it has in UTF-8, and whether the encoding defines it."""
    texts = [bytes([byte]).decode(encoding, "ignore") for byte in range(256)]
    return np.array([len(text.encode()) for text in texts]), np.array([text != "" for text in texts])


def _transcode(values: pa.LargeBinaryArray, encoding: str, widths: NDArray[np.int64]) -> pa.LargeStringArray:
    """Rewrite as UTF-8 with one call of the codec over all rows; the new edges follow from the widths."""
    if not len(values):
        return pa.array([], pa.large_string())
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    content = (
        np.frombuffer(data, np.uint8)[edges[0] : edges[-1]] if data is not None else np.zeros(0, np.uint8)
    )
    moved = np.concatenate([[0], np.cumsum(widths[content])])[edges - edges[0]]
    text = content.tobytes().decode(encoding).encode()
    return pa.LargeStringArray.from_buffers(len(values), pa.py_buffer(moved), pa.py_buffer(text))
