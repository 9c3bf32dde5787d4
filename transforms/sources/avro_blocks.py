"""Avro container files: where each record begins and ends in the blocks.

A damaged block spoils neither the blocks around it nor the records before the damage.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import numpy as np

from parcours.transforms.sources.avro_container import (
    MAGIC,
    NEVER,
    Block,
    Container,
    Window,
    read_blocks,
    to_next_sync,
)
from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS
from parcours.transforms.sources.pieces import Piece, Reading
from parcours.transforms.sources.records import gather
from parcours.transforms.sources.streams import Stream


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
        header.write(MAGIC + _long(len(meta)))
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
        whole = to_next_sync(Window(stream, byte), NEVER, limit, "is no Avro container")
        if whole.size:
            reading.warnings.append("is no Avro container")
            yield _piece([whole], whole.data, [len(whole.data)], limit)
        return
    delimiter = _Delimiter(container)
    group: list[Block] = []
    for block in read_blocks(stream, container, max(byte, container.length), limit):
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


def _delimited(blocks: list[Block], delimiter: _Delimiter, limit: int, reading: Reading) -> Iterator[Piece]:
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


def _piece(blocks: list[Block], data: bytes, ends: list[int], limit: int) -> Piece:
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
