"""A file's content as one stream of bytes, however it was compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import zstandard

_PIECE = 64 * 1024
"""Compressed bytes unpacked at a time: small, because zlib may make a thousand times as many of them."""

_UNPACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


def codec_of(head: bytes) -> str:
    """Tell ``plain``, ``gzip`` or ``zstd`` from a file's first four bytes."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    skippable = head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
    return "zstd" if skippable or head.startswith(b"\x28\xb5\x2f\xfd") else "plain"


class Stream:
    """The first ``size`` bytes of a file, unpacked.

    ``damage`` says, once the content has ended, why it ended before its time; it is null where it did not.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._file: IO[bytes] = path.open("rb")
        self._size = self._left = size
        self.codec = codec_of(self._file.read(4))
        self._file.seek(0)
        self.damage: str | None = None
        self._pieces = self._unpack(_UNPACKERS[self.codec]) if self.codec != "plain" else iter(())
        self._unread = b""
        self._unpacked = 0

    @property
    def ratio(self) -> float:
        """Bytes of content for one byte of the file, as far as it was read; 1 for plain files."""
        packed = self._size - self._left
        return self._unpacked / packed if self.codec != "plain" and packed else 1.0

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _take(self, count: int) -> bytes:
        taken = self._file.read(min(count, self._left))
        self._left -= len(taken)
        return taken

    def _unpack(self, make: Callable[[], Any]) -> Iterator[bytes]:
        """Unpack member after member: both formats may be written one behind the other."""
        member, begun = make(), False
        while packed := self._take(_PIECE):
            while packed:
                try:
                    yield member.decompress(packed)
                except (zlib.error, zstandard.ZstdError) as error:
                    self.damage = f"is damaged {self._file.tell():,} bytes into it or shortly before: {error}"
                    return
                begun, packed = True, member.unused_data
                if member.eof:
                    # gzip files may be padded with zeros
                    member, begun, packed = make(), False, packed.lstrip(b"\0")
        if begun:
            self.damage = "is cut off"

    def read(self, count: int) -> bytes:
        """Read ``count`` bytes; fewer at the end alone."""
        if self.codec == "plain":
            return self._take(count)
        pieces, have = [self._unread], len(self._unread)
        while have < count and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            have += len(piece)
            self._unpacked += len(piece)
        joined = b"".join(pieces)
        self._unread = joined[count:]
        return joined[:count]

    def skip(self, count: int) -> None:
        """Go ``count`` bytes forward: by seeking where that is possible, else by reading."""
        if self.codec == "plain":
            self._file.seek(count, 1)
            self._left -= count
            return
        while count and (passed := len(self.read(min(count, 1 << 20)))):
            count -= passed
