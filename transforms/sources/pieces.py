"""A file's lines or CSV records, piece by piece: memory is bounded by a few batches, whatever the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS
from parcours.transforms.sources.records import Framing, Places, gather, split_records
from parcours.transforms.sources.streams import Stream

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """Some records, one behind the other.

    ``sizes`` are bytes before any cut. Reading can go on behind record i at ``byte[i]``, where ``back[i]`` of
    the records up to i come again; with all of them at ``end``. ``rows`` has the records with their types
    where the format has types and its values are no bytes of the file.
    """

    values: pa.LargeBinaryArray
    sizes: Places
    byte: Places
    back: Places
    end: int
    rows: pa.RecordBatch | None = None


@dataclass
class Reading:
    """What a reader of pieces says once it is through: what a person should know, and what waits.

    ``held`` counts the bytes of a last record that is not known to be whole; it begins at the last piece's
    end.
    """

    warnings: list[str] = field(default_factory=list)
    held: int = 0


def read_lines(
    stream: Stream, framing: Framing, byte: int, *, hold: bool, reading: Reading
) -> Iterator[Piece]:
    """Read records that end at line ends, from ``byte`` on, to the end of the stream.

    Args:
        stream: the content, at its beginning.
        framing: what separates records.
        byte: where in the content to begin: at a record's start.
        hold: more may come, so that a last record without its line end waits.
        reading: receives warnings and what waits.
    """
    stream.skip(byte)
    text = b"" if byte else stream.read(len(BOM))
    if text == BOM:
        byte, text = len(BOM), b""
    while True:
        wanted = max(BATCH_BYTES - len(text), len(text))
        read = stream.read(wanted)
        ended = len(read) < wanted
        text += read
        # The last line of damaged content lost its end: it would look like a record of its own.
        last = ended and not hold and not stream.damage
        found = split_records(text, framing, last=last)
        count, consumed = len(found), found.consumed
        if not consumed and len(text) > framing.max_bytes and not last:
            piece, text = _overlong(stream, text, framing.max_bytes, byte, hold=hold)
            if piece is None:
                break
            yield piece
            byte = piece.end
            continue
        if count > BATCH_RECORDS and not ended and len(text) - found.after[count - 1] < BATCH_BYTES // 2:
            # The rest of the last batch joins what is read next, so that batches are full.
            whole = count - count % BATCH_RECORDS
            if found.after[count - 1] - found.after[whole - 1] < BATCH_BYTES // 2:
                count, consumed = whole, int(found.after[whole - 1])
        starts, sizes = found.starts[:count], (found.stops - found.starts)[:count]
        values = gather(text, starts, starts + np.minimum(sizes, framing.max_bytes))
        yield Piece(values, sizes, byte + found.after[:count], np.zeros(count, np.int64), end=byte + consumed)
        byte, text = byte + consumed, text[consumed:]
        if ended:
            break
    reading.held = len(text) if hold else 0
    if stream.damage:
        reading.warnings.append(
            stream.damage + (f"; its last {len(text):,} bytes are not a whole record" if text else "")
        )


def _overlong(
    stream: Stream, text: bytes, limit: int, byte: int, *, hold: bool
) -> tuple[Piece | None, bytes]:
    """Read on to the end of a line that is over the limit, keeping its beginning only.

    Returns:
        The record, or nothing if its end is not there; and the text behind it.
    """
    value, size, before = text[:limit], len(text), text[-1:]
    while True:
        read = stream.read(1 << 20)
        if not read:
            if hold or stream.damage:
                return None, value
            return _single(value, size, byte + size), b""
        end = read.find(b"\n")
        if end >= 0:
            size += end
            carriage = (read[end - 1 : end] or before) == b"\r"
            return _single(value, size - carriage, byte + size + 1), read[end + 1 :]
        size, before = size + len(read), read[-1:]


def _single(value: bytes, size: int, end: int) -> Piece:
    return Piece(
        pa.array([value], pa.large_binary()), np.array([size]), np.array([end]), np.zeros(1, np.int64), end
    )


def read_header(stream: Stream, framing: Framing, *, last: bool) -> tuple[bytes, int] | None:
    """Read a CSV file's first record.

    Returns:
        The header, and where the records begin; nothing where the content has no record yet.
    """
    text, wanted = b"", 64 * 1024
    while True:
        read = stream.read(wanted)
        ended = len(read) < wanted
        text += read
        bom = len(BOM) if text.startswith(BOM) else 0
        found = split_records(text[bom:], framing, last=ended and last)
        if len(found):
            start, stop = int(found.starts[0]), int(found.stops[0])
            return text[bom + start : bom + stop][: framing.max_bytes], bom + int(found.after[0])
        if ended:
            return None
        if len(text) > framing.max_bytes:
            piece, _ = _overlong(stream, text[bom:], framing.max_bytes, bom, hold=not last)
            return (piece.values[0].as_py(), piece.end) if piece else None
        wanted = len(text)
