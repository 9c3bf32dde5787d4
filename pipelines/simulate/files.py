"""Records to files: lines, plain or compressed, and Avro containers."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
import pyarrow as pa
import zstandard

from parcours.pipelines.simulate.avro_records import varint
from parcours.pipelines.simulate.fields import mix
from parcours.pipelines.simulate.rows import Rows
from parcours.pipelines.simulate.text_records import CSV_HEADER
from parcours.schemas.touchpoint import avro_schema

BLOCK_RECORDS = 5_000
"""Records in one container block: about half a megabyte before compression."""


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


LINE_SUFFIXES = {None: "", "gzip": ".gz", "zstd": ".zst"}
AVRO_CODECS: dict[str | None, tuple[str, Callable[[bytes], bytes]]] = {
    None: ("deflate", _deflate),
    "deflate": ("deflate", _deflate),
    "zstandard": ("zstandard", lambda data: zstandard.ZstdCompressor(level=3).compress(data)),
    "null": ("null", bytes),
}


class OneFile(Protocol):
    """One file being written."""

    def write(self, values: pa.Array) -> None:
        """Add records."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class Lines:
    """A text file, one record a line."""

    def __init__(self, file: BinaryIO, header: bytes, compression: str | None) -> None:
        self._raw = file
        if compression == "gzip":
            # No name and no time in the header: equal arguments give equal bytes.
            self._file = cast(BinaryIO, gzip.GzipFile("", "wb", 6, file, mtime=0))
        elif compression == "zstd":
            self._file = cast(BinaryIO, zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False))
        else:
            self._file = file
        self._file.write(header)

    def write(self, values: pa.Array) -> None:
        """See ``OneFile``."""
        ended = pa.compute.binary_join_element_wise(values, b"\n", b"")
        self._file.write(memoryview(joined(ended)))

    def close(self) -> None:
        """See ``OneFile``."""
        if self._file is not self._raw:
            self._file.close()


class Container:
    """An Avro object container file."""

    def __init__(self, file: BinaryIO, sync: bytes, compression: str | None) -> None:
        self._file, self._sync = file, sync
        codec, self._compress = AVRO_CODECS[compression]
        meta = {"avro.schema": json.dumps(avro_schema()).encode(), "avro.codec": codec.encode()}
        pairs = [varint(len(item)) + item for name, value in meta.items() for item in (name.encode(), value)]
        file.write(b"Obj\x01" + varint(len(meta)) + b"".join(pairs) + b"\x00" + sync)

    def write(self, values: pa.Array) -> None:
        """See ``OneFile``."""
        for start in range(0, len(values), BLOCK_RECORDS):
            block = values.slice(start, BLOCK_RECORDS)
            data = self._compress(bytes(joined(block)))
            self._file.write(varint(len(block)) + varint(len(data)) + data + self._sync)

    def close(self) -> None:
        """See ``OneFile``."""


class FileSink:
    """Cuts the stream of records into files of equal size, in the order of arrival.

    A file carries ``.part`` until it is whole: a reader that watches the folder waits for it.
    """

    def __init__(
        self, out: Path, format_: str, records: int, *, files: int, compression: str | None, seed: int
    ) -> None:
        self._out, self._format, self._compression, self._seed = out, format_, compression, seed
        self._ends = [records * (number + 1) // files for number in range(files)]
        self._written = 0
        self._parts: dict[str, int] = {}
        self._open()

    @property
    def parts(self) -> dict[str, int]:
        """Records per file name."""
        return dict(self._parts)

    def write(self, rows: Rows, values: pa.Array) -> None:
        """Add records; ``rows`` is not needed here, but a topic wants its keys."""
        while len(values):
            room = self._ends[len(self._parts) - 1] - self._written
            part = values.slice(0, room)
            self._file.write(part)
            self._written += len(part)
            self._parts[self._name] += len(part)
            values = values.slice(len(part))
            if len(part) == room and len(self._parts) < len(self._ends):
                self._finish()
                self._open()

    def close(self) -> None:
        """Finish the last file."""
        self._finish()

    def abandon(self) -> None:
        """Close the file at hand and leave it unfinished, under its ``.part``."""
        with suppress(OSError):
            self._raw.close()

    def _open(self) -> None:
        suffix = {"json": ".ndjson", "csv": ".csv", "avro-file": ".avro"}[self._format]
        suffix += "" if self._format == "avro-file" else LINE_SUFFIXES[self._compression]
        number = len(self._parts)
        self._name = f"touchpoints-{number:04d}{suffix}"
        self._parts[self._name] = 0
        self._raw = (self._out / f"{self._name}.part").open("wb", buffering=io.DEFAULT_BUFFER_SIZE)
        if self._format == "avro-file":
            sync = mix(np.array([2 * number, 2 * number + 1]), self._seed).tobytes()
            self._file: OneFile = Container(self._raw, sync, self._compression)
        else:
            self._file = Lines(self._raw, CSV_HEADER if self._format == "csv" else b"", self._compression)

    def _finish(self) -> None:
        self._file.close()
        self._raw.close()
        (self._out / f"{self._name}.part").rename(self._out / self._name)


def joined(values: pa.Array) -> Any:
    """Return the bytes of all values, one after the other, without copying them."""
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int32)[[values.offset, values.offset + len(values)]]
    return data.slice(int(edges[0]), int(edges[1] - edges[0])) if data is not None else b""
