"""Avro container files: framing gives the blocks, skipping with the writer schema the records in them.

A damaged block spoils neither the blocks around it nor the records before the damage.
"""

from __future__ import annotations

import bz2
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
import snappy
import zstandard
from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS, SourceUnavailableError
from parcours.transforms.sources.pieces import Piece, Reading
from parcours.transforms.sources.records import gather
from parcours.transforms.sources.streams import Stream

MAX_BLOCK = 64 * 1024 * 1024
"""Bytes of the largest block that is believed; writers make blocks of 16 KB to a few MB."""

_SYNC = 16
_PREFIX = 20
"""The record count and the byte count before a block: two varints of at most ten bytes."""
_READ = 1024 * 1024
_UNPACKED = 8
"""How many times as large as on disk compressed blocks may well be."""
_NEVER = bytes(_SYNC) + b"Obj"
_MAGIC = b"Obj\x01"


def _unsnap(data: bytes) -> bytes:
    content: bytes = snappy.decompress(data[:-4])
    if zlib.crc32(content) != int.from_bytes(data[-4:], "big"):
        raise ValueError("its checksum differs")
    return content


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": lambda data: zlib.decompress(data, -zlib.MAX_WBITS),
    "snappy": _unsnap,
    "zstandard": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "bzip2": bz2.decompress,
}


@dataclass(frozen=True)
class Container:
    """What an Avro container says before its first block."""

    schema: str
    codec: str
    sync: bytes
    length: int


@dataclass(frozen=True)
class _Block:
    """One block, or what stands in its place: then ``problem`` says why, and ``data`` is cut to a limit."""

    byte: int
    end: int
    count: int
    data: bytes
    size: int
    problem: str | None = None


class _Window:
    """The part of a stream that is looked at, and where it stands in the content."""

    def __init__(self, stream: Stream, byte: int) -> None:
        stream.skip(byte)
        self._stream, self.byte, self.data = stream, byte, b""

    def have(self, count: int) -> bool:
        """Make ``count`` bytes available if there are as many."""
        while len(self.data) < count:
            read = self._stream.read(max(count - len(self.data), _READ))
            if not read:
                return False
            self.data += read
        return True

    def drop(self, count: int) -> None:
        self.data = self.data[count:]
        self.byte += count


def read_container(stream: Stream) -> Container | None:
    """Read the header; nothing where the content is no Avro container.

    Raises:
        SourceUnavailableError: its codec is not supported.
    """
    window, wanted = _Window(stream, 0), 64 * 1024
    while True:
        whole = not window.have(wanted)
        try:
            meta, place = _metadata(window.data)
            break
        except IndexError:
            if whole or wanted > MAX_BLOCK:
                return None
            wanted *= 2
        except ValueError:
            return None
    codec = meta.get(b"avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _CODECS:
        raise SourceUnavailableError(
            f'{stream.path} has the Avro codec "{codec}"; write it with one of {", ".join(_CODECS)}'
        )
    try:
        schema = meta[b"avro.schema"].decode()
        fastavro.parse_schema(json.loads(schema), _force=True)
    except Exception:  # no schema, no text, no JSON, or none that Avro allows
        return None
    return Container(schema, codec, window.data[place : place + _SYNC], place + _SYNC)


def _metadata(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """Read the map before the first sync marker, and where it ends.

    Raises:
        IndexError: the data ends before the marker does.
        ValueError: this is no container.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("it does not begin as a container")
    meta: dict[bytes, bytes] = {}
    place = len(_MAGIC)
    while True:
        count, place = _varint(data, place)
        if count < 0:
            _, place = _varint(data, place)
        for _ in range(abs(count)):
            key, place = _bytes(data, place)
            meta[key], place = _bytes(data, place)
        if not count:
            _ = data[place + _SYNC - 1]
            return meta, place


def _bytes(data: bytes, place: int) -> tuple[bytes, int]:
    size, place = _varint(data, place)
    if size < 0:
        raise ValueError("a length is negative")
    _ = data[place + size - 1]
    return data[place : place + size], place + size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), place
        shift += 7
        if shift > 63:
            raise ValueError("its length is no number")


def _prefix(data: bytes) -> tuple[int, int, int]:
    """Read a block's record count, its byte count, and where its data begins.

    Raises:
        ValueError: they cannot be those of a block.
    """
    try:
        count, place = _varint(data, 0)
        size, place = _varint(data, place)
    except IndexError:
        raise ValueError("it is cut off") from None
    if count < 0 or not 0 <= size <= MAX_BLOCK:
        raise ValueError(f"it claims {count:,} records in {size:,} bytes")
    return count, size, place


def _blocks(stream: Stream, container: Container, byte: int, limit: int) -> Iterator[_Block]:
    """Yield one block after the other from the block at ``byte`` on."""
    window = _Window(stream, byte)
    unpack = _CODECS[container.codec]
    while window.have(1):
        window.have(_PREFIX)
        start = window.byte
        try:
            count, size, place = _prefix(window.data)
            if not window.have(place + size + _SYNC):
                raise ValueError("it is cut off")
            if window.data[place + size : place + size + _SYNC] != container.sync:
                raise ValueError("its sync marker is not where its length says")
        except ValueError as error:
            yield _to_next_sync(window, container.sync, limit, str(error))
            continue
        packed = window.data[place : place + size]
        window.drop(place + size + _SYNC)
        try:
            data = unpack(packed)
        except Exception as error:  # five libraries, each with errors of its own
            problem = f"it cannot be unpacked with {container.codec}: {error}"
            yield _Block(start, window.byte, 1, packed[:limit], size, problem)
            continue
        yield _Block(start, window.byte, count, data, len(data))


def _to_next_sync(window: _Window, sync: bytes, limit: int, problem: str) -> _Block:
    """Take everything up to behind the next sync marker, or to the end, as one piece."""
    start, value = window.byte, b""
    while (found := window.data.find(sync)) < 0:
        passed = max(len(window.data) - _SYNC + 1, 0)
        value = (value + window.data[:passed])[:limit]
        window.drop(passed)
        if not window.have(len(window.data) + 1):
            found = len(window.data)
            break
    value = (value + window.data[:found])[:limit]
    size = window.byte + found - start
    window.drop(min(found + _SYNC, len(window.data)))
    return _Block(start, window.byte, 1, value, size, problem)


class _Delimiter:
    """Finds where each datum in a block ends.

    fastavro reads with a reader schema that has none of the fields, so its compiled code skips them; the
    place in the block after each record is its end. Nothing is checked on the way: ends that do not add up
    are the caller's to see.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        schema = json.loads(container.schema)
        self._reader_schema = None
        if isinstance(schema, dict) and schema.get("type") == "record":
            name = {key: schema[key] for key in ("name", "namespace") if key in schema}
            self._reader_schema = {"type": "record", "fields": [], **name}
        header = io.BytesIO()
        meta = {"avro.schema": container.schema.encode(), "avro.codec": b"null"}
        header.write(_MAGIC + _long(len(meta)))
        for key, value in meta.items():
            header.write(_long(len(key)) + key.encode() + _long(len(value)) + value)
        header.write(b"\0" + container.sync)
        self._header = header.getvalue()

    def ends(self, data: bytes, count: int) -> tuple[list[int], str | None]:
        """Return the ends of at most ``count`` data, and what stopped the search before that."""
        framed = b"".join((self._header, _long(count), _long(len(data)), data, self._container.sync))
        block: Any = next(fastavro.block_reader(io.BytesIO(framed), reader_schema=self._reader_schema))
        tell = block.bytes_.tell
        ends: list[int] = []
        before, problem = 0, None
        try:
            for _ in block:
                ends.append(tell())
        except Exception as error:  # compiled code raises whatever it stumbles over
            problem = f"{type(error).__name__} {error}".strip()
        for index, end in enumerate(ends):
            if not before <= end <= len(data):
                return ends[:index], "a length leads out of the block"
            before = end
        return ends, problem


def _long(value: int) -> bytes:
    value <<= 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def read_avro(
    container: Container | None, stream: Stream, byte: int, limit: int, reading: Reading
) -> Iterator[Piece]:
    """Read an Avro container from the block at ``byte`` on.

    What is damaged is one record with its bytes, which no writer schema consumes exactly, and a warning.

    Args:
        container: the header; without one, all of the content is one damaged record.
        stream: the content, at its beginning.
        byte: where a block begins; 0 is the first one.
        limit: longer records are cut to this many bytes.
        reading: receives warnings.
    """
    if container is None:
        whole = _to_next_sync(_Window(stream, byte), _NEVER, limit, "is no Avro container")
        if whole.size:
            reading.warnings.append("is no Avro container")
            yield _piece([whole], whole.data, [len(whole.data)], limit)
        return
    delimiter = _Delimiter(container)
    group: list[_Block] = []
    for block in _blocks(stream, container, max(byte, container.length), limit):
        full = (
            sum(held.size for held in group) >= BATCH_BYTES
            or sum(held.count for held in group) >= BATCH_RECORDS
        )
        if group and (block.problem or full):
            yield from _delimited(group, delimiter, limit, reading)
            group = []
        if block.problem:
            reading.warnings.append(f"has a damaged block at byte {block.byte:,}: {block.problem}")
            yield _piece([block], block.data, [len(block.data)], limit)
        else:
            group.append(block)
    if group:
        yield from _delimited(group, delimiter, limit, reading)
    if stream.damage:
        reading.warnings.append(stream.damage)


def _delimited(blocks: list[_Block], delimiter: _Delimiter, limit: int, reading: Reading) -> Iterator[Piece]:
    """Cut blocks into records: all together, and one by one where that does not add up."""
    data = blocks[0].data if len(blocks) == 1 else b"".join(block.data for block in blocks)
    counts = np.array([block.count for block in blocks])
    ends, problem = delimiter.ends(data, int(counts.sum()))
    if problem is None:
        found = np.array([0, *ends])[np.cumsum(counts)]
        if np.array_equal(found, np.cumsum([block.size for block in blocks])):
            yield _piece(blocks, data, ends, limit)
            return
    if len(blocks) > 1:
        for block in blocks:
            yield from _delimited([block], delimiter, limit, reading)
        return
    rest = len(data) - (ends[-1] if ends else 0)
    problem = problem or "its records end before it does"
    reading.warnings.append(
        f"has a damaged block at byte {blocks[0].byte:,}: {len(ends):,} of {blocks[0].count:,} records could "
        f"be told apart, {rest:,} bytes could not ({problem})"
    )
    yield _piece(blocks, data, [*ends, len(data)] if rest else ends, limit)


def _piece(blocks: list[_Block], data: bytes, ends: list[int], limit: int) -> Piece:
    """Make records of what lies between the ends: all of one block, or as many as the blocks claim."""
    stops = np.array(ends, np.int64)
    starts = np.concatenate([[0], stops[:-1]]) if ends else stops
    sizes = stops - starts
    if blocks[0].problem:
        sizes[0] = blocks[0].size
    counts = [block.count for block in blocks] if len(blocks) > 1 else [len(ends)]
    return Piece(
        gather(data, starts, np.minimum(stops, starts + limit)),
        sizes,
        np.repeat(np.array([block.byte for block in blocks]), counts),
        np.concatenate([np.arange(1, count + 1) for count in counts]),
        blocks[-1].end,
    )


def estimate_records(container: Container, stream: Stream, left: int, margin: float) -> tuple[int, int, bool]:
    """Guess from the first block how many records and bytes of records ``left`` bytes of blocks hold.

    Returns:
        The records, their bytes, and whether these are bounds.
    """
    stream.skip(container.length)
    try:
        count, size, place = _prefix(stream.read(_PREFIX))
    except ValueError:
        return left, left, False
    block = place + size + _SYNC
    if container.codec == "null" and block == left:
        return count + 1, left, True
    unpacked = left if container.codec == "null" else left * _UNPACKED
    return int(left / block * count * margin) + 1, unpacked, False
