"""The leaves of a compiled writer schema: each reads its part of all records of a chunk at once.

``read`` takes positions and stops (int64, one a record) and gives a column and the positions after it. A
column holds numpy arrays and becomes an Arrow array once it is known which records are good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = NDArray[Any]

PAD = 16
"""Bytes before and after a chunk's records: no read, a varint's or two words', reaches further."""

_FAR = np.int64(1) << 48

_NULL, _BOOL, _STRING, _BINARY = pa.null(), pa.bool_(), pa.string(), pa.binary()


@dataclass
class Chunk:
    """The bytes of some records between two pads, also as a little-endian word at every byte position.

    ``broken_text`` collects the positions of texts that are not UTF-8, found as columns become Arrow arrays.
    """

    data: NDArray[np.uint8]
    broken_text: list[Ints] = field(default_factory=list)

    @cached_property
    def words(self) -> NDArray[np.uint64]:
        """The eight bytes from each position on, overlapping."""
        return np.ndarray((len(self.data) - 7,), "<u8", self.data, strides=(1,))


class Column(Protocol):
    """What a node read from every record."""

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep; None keeps all."""
        ...


class Node(Protocol):
    """One type of a writer schema. ``width`` is the fewest bytes that a value takes."""

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of the column."""
        ...

    @property
    def width(self) -> int:
        """The fewest bytes that a value takes."""
        ...

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read one value of every record."""
        ...


_HIGH_BITS = np.uint64(0x8080808080808080)
_ONE = np.uint64(1)
# Each step joins neighbouring groups of 7, 14 and 28 bits.
_JOINS = (
    (np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00), np.uint64(1)),
    (np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000), np.uint64(2)),
    (np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000), np.uint64(4)),
)


def read_varint(chunk: Chunk, position: Ints, stop: Ints) -> tuple[Numbers, Ints]:
    """Read an unsigned varint of every record: uint8 where one byte is enough for all, else uint64."""
    head = chunk.data.take(position)
    longer = np.flatnonzero(head >= 0x80)
    if not len(longer):
        return head, np.minimum(position + 1, stop)
    if len(longer) == len(head):
        raw, size = _long_varint(chunk, position)
    else:
        raw, size = head.astype(np.uint64), np.ones(len(head), np.int64)
        raw[longer], size[longer] = _long_varint(chunk, position[longer])
    return raw, np.minimum(position + size, stop)


def _long_varint(chunk: Chunk, position: Ints) -> tuple[NDArray[np.uint64], Ints]:
    """Read varints of any length from one word each; the few beyond eight bytes take two bytes more."""
    word = chunk.words[position]
    last = ~word & _HIGH_BITS
    last &= ~last + _ONE  # the top bit of the last byte; 0 if that is not among these eight
    # The product's highest byte is the place of that bit's byte, from 1.
    size = (((last >> np.uint64(7)) * np.uint64(0x0102030405060708)) >> np.uint64(56)).astype(np.int64)
    raw = word & (last - _ONE) & ~_HIGH_BITS
    for low, high, shift in _JOINS:
        raw = (raw & low) | ((raw & high) >> shift)
    longest = np.flatnonzero(last == 0)
    if len(longest):
        ninth = chunk.data[position[longest] + 8].astype(np.uint64)
        tenth = chunk.data[position[longest] + 9].astype(np.uint64)
        more = ninth >> np.uint64(7)
        top = (more & tenth) << np.uint64(63)
        raw[longest] |= (ninth & np.uint64(0x7F)) << np.uint64(56) | top
        size[longest] = np.where(more == 0, 9, np.where(tenth <= 1, 10, _FAR))
    return raw, size


def signed(raw: Numbers) -> Ints:
    """Undo zigzag."""
    return (raw >> 1).astype(np.int64) ^ -(raw & 1).astype(np.int64)


@dataclass(frozen=True)
class Plain:
    """A column of fixed-width values whose numpy array is the Arrow buffer."""

    values: Numbers
    type: pa.DataType
    finish: Callable[[pa.Array], pa.Array] | None = None

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        values = self.values if keep is None else self.values[keep]
        if values.dtype == np.bool_:
            return pa.array(values)
        array = pa.Array.from_buffers(
            self.type, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
        )
        return array if self.finish is None else self.finish(array)


@dataclass(frozen=True)
class Nothing:
    """A column of nulls."""

    count: int
    type: pa.DataType

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        return pa.nulls(self.count if keep is None else int(keep.sum()), self.type)


@dataclass(frozen=True)
class Null:
    """``null``."""

    type: pa.DataType = _NULL
    width: int = 0

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read nothing."""
        return Nothing(len(position), self.type), position


@dataclass(frozen=True)
class Boolean:
    """``boolean``: one byte, 0 or 1."""

    type: pa.DataType = _BOOL
    width: int = 1

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read one byte of every record."""
        value = chunk.data.take(position)
        after = np.minimum(position + 1, stop)
        return Plain(value == 1, self.type), np.where(value <= 1, after, stop)


@dataclass(frozen=True)
class Float:
    """``float`` and ``double``, little-endian."""

    type: pa.DataType
    width: int

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read four or eight bytes of every record."""
        word = chunk.words[position]
        values = word.astype(np.uint32) if self.width == 4 else word
        return Plain(values, self.type), np.minimum(position + self.width, stop)


@dataclass(frozen=True)
class Integer:
    """``int`` and ``long``, and the logical types over them.

    ``low`` and ``high`` are the values that the Avro type allows, both included. ``scale`` and ``divide``
    take a time's unit to the column's; a time beyond what microseconds can say stands at their end.
    """

    type: pa.DataType
    low: int = -(2**63)
    high: int = 2**63 - 1
    scale: int = 1
    divide: int = 1
    width: int = 1

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read a zigzag varint of every record."""
        raw, after = read_varint(chunk, position, stop)
        values = signed(raw)
        if self.low > -(2**63):
            after = np.where((values >= self.low) & (values <= self.high), after, stop)
        if self.scale > 1:
            furthest = (2**63 - 1) // self.scale
            values = np.clip(values, -furthest, furthest) * self.scale
        if self.divide > 1:
            values //= self.divide
        if self.type.bit_width == 32:
            values = values.astype(np.int32)
        return Plain(values, self.type), after


@dataclass(frozen=True)
class Enum:
    """``enum``, as the symbol's text."""

    symbols: tuple[str, ...]
    type: pa.DataType = _STRING
    width: int = 1

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read an index of every record."""
        raw, after = read_varint(chunk, position, stop)
        known = (raw & 1 == 0) & (raw < 2 * len(self.symbols))
        index = Plain((raw >> 1).astype(np.int32), pa.int32(), pa.array(self.symbols, pa.string()).take)
        return index, np.where(known, after, stop)


@dataclass(frozen=True)
class Stretch:
    """A column of texts or bytes: where each begins and ends in the chunk."""

    chunk: Chunk
    begin: Ints
    end: Ints
    type: pa.DataType

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        begin, end = (self.begin, self.end) if keep is None else (self.begin[keep], self.end[keep])
        if not len(begin):
            return pa.array([], self.type)
        # Every other element is the gap before the next value: Arrow's own compiled code gathers them.
        edges = np.empty(2 * len(begin), np.int32)
        edges[0::2], edges[1::2] = begin, end
        both = pa.Array.from_buffers(
            pa.binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(self.chunk.data)]
        )
        array = both.take(pa.array(np.arange(0, len(edges), 2, dtype=np.int32)))
        return array if self.type == pa.binary() else self._text(array, begin)

    def _text(self, array: pa.Array, begin: Ints) -> pa.Array:
        _, offsets, content = array.buffers()
        content = content or pa.py_buffer(b"")
        if not content.size or np.frombuffer(content, np.uint8).max() < 0x80:
            return pa.StringArray.from_buffers(len(array), offsets, content)
        try:
            return array.cast(pa.string())
        except pa.ArrowInvalid:
            broken = [not _is_utf8(value) for value in array.to_pylist()]
            self.chunk.broken_text.append(begin[np.array(broken)])
            return pa.nulls(len(array), pa.string())


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class Bytes:
    """``string`` and ``bytes``: a length, then so many bytes."""

    type: pa.DataType
    width: int = 1

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read a length and a stretch of every record."""
        begin, end = read_stretch(chunk, position, stop)
        return Stretch(chunk, begin, end, self.type), end


def read_stretch(chunk: Chunk, position: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Read a length of every record, and tell where its bytes begin and end: at ``stop`` if it is bad."""
    raw, begin = read_varint(chunk, position, stop)
    if raw.dtype == np.uint8:
        length = (raw >> 1).astype(np.int64)
    else:
        length = np.minimum(raw >> np.uint64(1), np.uint64(_FAR)).astype(np.int64)
    end = np.minimum(begin + length, stop)
    negative = raw & 1 != 0
    return begin, np.where(negative, stop, end) if negative.any() else end


@dataclass(frozen=True)
class Fixed:
    """``fixed``: always so many bytes."""

    width: int
    type: pa.DataType = _BINARY

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read a stretch of every record."""
        end = np.minimum(position + self.width, stop)
        return Stretch(chunk, position, end, self.type), end


DECIMAL_BYTES = 64
"""Longest decimal that is looked at: 16 bytes hold any that fits, the others can only repeat the sign."""


@dataclass(frozen=True)
class DecimalBytes:
    """``decimal`` over ``bytes`` or ``fixed``: a big-endian number in two's complement."""

    type: pa.DataType
    size: int | None

    @property
    def width(self) -> int:
        """One byte of length, or the fixed size."""
        return 1 if self.size is None else self.size

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read a number of every record; one with more digits than the schema allows breaks its record."""
        if self.size is None:
            begin, end = read_stretch(chunk, position, stop)
        else:
            begin, end = position, np.minimum(position + self.size, stop)
        length = end - begin
        low = _big_endian(chunk, end - 8, length)
        high = np.where(length > 8, _big_endian(chunk, end - 16, np.maximum(length - 8, 1)), low >> 63)
        fine = (length <= DECIMAL_BYTES) & self._fits(high, low.view(np.uint64))
        for place in range(16, int(np.minimum(length, DECIMAL_BYTES).max(initial=0))):
            longer = np.flatnonzero(length > place)
            fine[longer] &= chunk.data[end[longer] - 1 - place] == (high[longer] >> 63).astype(np.uint8)
        return Plain(np.column_stack([low, high]), self.type), np.where(fine, end, stop)

    def _fits(self, high: Ints, low: NDArray[np.uint64]) -> Mask:
        bound = 10**self.type.precision
        below = _less(high, low, bound)
        return below & ~_less(high, low, 1 - bound)


def _big_endian(chunk: Chunk, position: Ints, length: Ints) -> Ints:
    """Read each word's last ``length`` bytes, at most 8, as a signed big-endian number."""
    word = chunk.words[position].byteswap().view(np.int64)
    shift = 8 * np.clip(8 - length, 0, 7)
    return np.where(length > 0, word << shift >> shift, 0)


def _less(high: Ints, low: NDArray[np.uint64], bound: int) -> Mask:
    top, rest = bound >> 64, np.uint64(bound & (2**64 - 1))
    return np.asarray((high < top) | ((high == top) & (low < rest)))
