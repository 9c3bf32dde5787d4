"""Avro container files: the header, and the blocks behind it, however damaged some of them are."""

from __future__ import annotations

import bz2
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import fastavro
import snappy
import zstandard

from parcours.transforms.sources.contract import SourceUnavailableError
from parcours.transforms.sources.streams import Stream

MAX_BLOCK = 64 * 1024 * 1024
"""Bytes of the largest block that is believed; writers make blocks of 16 KB to a few MB."""

_SYNC = 16
_PREFIX = 20
"""The record count and the byte count before a block: two varints of at most ten bytes."""
_READ = 1024 * 1024
NEVER = bytes(_SYNC) + b"Obj"
MAGIC = b"Obj\x01"


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
class Block:
    """One block, or what stands in its place: then ``problem`` says why, and ``data`` is cut to a limit."""

    byte: int
    end: int
    count: int
    data: bytes
    size: int
    problem: str | None = None


class Window:
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
        """Go ``count`` bytes forward."""
        self.data = self.data[count:]
        self.byte += count


def read_container(stream: Stream) -> Container | None:
    """Read the header; nothing where the content is no Avro container.

    Raises:
        SourceUnavailableError: its codec is not supported.
    """
    window, wanted = Window(stream, 0), 64 * 1024
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
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin as a container")
    meta: dict[bytes, bytes] = {}
    place = len(MAGIC)
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


def read_blocks(stream: Stream, container: Container, byte: int, limit: int) -> Iterator[Block]:
    """Yield one block after the other from the block at ``byte`` on."""
    window = Window(stream, byte)
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
            yield to_next_sync(window, container.sync, limit, str(error))
            continue
        packed = window.data[place : place + size]
        window.drop(place + size + _SYNC)
        try:
            data = unpack(packed)
        except Exception as error:  # five libraries, each with errors of its own
            problem = f"it cannot be unpacked with {container.codec}: {error}"
            yield Block(start, window.byte, 1, packed[:limit], size, problem)
            continue
        yield Block(start, window.byte, count, data, len(data))


def to_next_sync(window: Window, sync: bytes, limit: int, problem: str) -> Block:
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
    return Block(start, window.byte, 1, value, size, problem)


def estimate_records(
    container: Container, stream: Stream, byte: int, left: int, margin: float
) -> tuple[int, int, bool]:
    """Guess from the first block how much there is from the block at ``byte`` on.

    Args:
        container: the header.
        stream: the content, at its beginning.
        byte: where a block begins; 0 is the first one.
        left: bytes of blocks from there on.
        margin: by how much the guess is to be on the large side.

    Returns:
        The records, their bytes, and whether these are bounds, not guesses.
    """
    found = read_blocks(stream, container, container.length, _READ)
    first = next(found, None)
    if first is None or first.problem:
        return max(left, 1), max(left, 1), False
    if byte <= container.length and next(found, None) is None:
        return first.count + 1, max(first.size, 1), True
    shares = max(left, 1) / (first.end - first.byte) * margin
    return int(shares * first.count) + 1, int(shares * first.size) + 1, False
