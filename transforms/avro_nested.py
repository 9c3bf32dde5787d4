"""The branches of a compiled writer schema: unions with null, arrays and maps, records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from parcours.transforms.avro_nodes import Chunk, Column, Ints, Mask, Node, Nothing, read_varint, signed


@dataclass(frozen=True)
class Sparse:
    """A column with nulls: the values of some records, and which ones those are."""

    filled: Mask
    inner: Column

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        filled = self.filled if keep is None else self.filled[keep]
        return _spread(self.inner.build(None if keep is None else keep[self.filled]), filled)


def _spread(array: pa.Array, filled: Mask) -> pa.Array:
    """Put nulls between the values of an array that has none."""
    before = np.zeros(len(filled) + 1, np.int32)
    np.cumsum(filled, out=before[1:])
    type_ = array.type
    if not (pa.types.is_string(type_) or pa.types.is_binary(type_) or pa.types.is_list(type_)):
        return array.take(pa.array(before[:-1], mask=~filled))
    # A null is an empty stretch: the values stay where they are.
    children = [array.values] if pa.types.is_list(type_) else []
    buffers = array.buffers()
    if len(array):
        edges = np.frombuffer(buffers[1], np.int32)[array.offset : array.offset + len(array) + 1][before]
    else:
        edges = before
    valid = pa.py_buffer(np.packbits(filled, bitorder="little"))
    parts = [valid, pa.py_buffer(edges), *([] if children else [buffers[2]])]
    return pa.Array.from_buffers(type_, len(filled), parts, children=children)


@dataclass(frozen=True)
class Optional:
    """A union of null and at most one other type. ``null`` and ``value`` are their branches, or -1."""

    inner: Node
    null: int
    value: int
    width: int = 1

    @property
    def type(self) -> pa.DataType:
        """The type of the branch that is not null."""
        return self.inner.type

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Read a branch of every record, and a value of those that have one."""
        raw, after = read_varint(chunk, position, stop)
        # A branch is written as its double. No branch is written as 1.
        filled = raw == (2 * self.value if self.value >= 0 else 1)
        unknown = ~filled & (raw != (2 * self.null if self.null >= 0 else 1)) | (raw & 1 != 0)
        if unknown.any():
            after = np.where(unknown, stop, after)
            filled &= ~unknown
        where = np.flatnonzero(filled)
        if not len(where):
            return Nothing(len(position), self.type), after
        if len(where) == len(position):
            return self.inner.read(chunk, after, stop)
        column, after[where] = self.inner.read(chunk, after[where], stop[where])
        return Sparse(filled, column), after


@dataclass(frozen=True)
class Lists:
    """A column of lists: how many items each record has, and the items in order."""

    lengths: Ints
    items: Column
    type: pa.DataType

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        lengths = self.lengths if keep is None else self.lengths[keep]
        items = self.items.build(None if keep is None else np.repeat(keep, self.lengths))
        edges = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=edges[1:])
        return pa.Array.from_buffers(self.type, len(lengths), [None, pa.py_buffer(edges)], children=[items])


@dataclass(frozen=True)
class Array:
    """``array``, and ``map`` as an array of entries: blocks of items, ended by an empty block.

    Items take at least one byte, so that what is left of a record bounds its count.
    """

    item: Node
    width: int = 1

    @property
    def type(self) -> pa.DataType:
        """A list of the items' type."""
        return pa.list_(self.item.type)

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Column, Ints]:
        """Find where items begin, a round for the n-th item of every record, then read all at once."""
        position = position.copy()
        lengths = np.zeros(len(position), np.int64)
        begins: list[Ints] = []
        column: Column | None = None
        opened = np.arange(len(position))
        while len(opened):
            count, after = self._block(chunk, position[opened], stop[opened])
            position[opened] = after
            full = np.flatnonzero(count)
            todo, left = opened[full], count[full]
            opened = todo
            while len(todo):
                begins.append(position[todo])
                lengths[todo] += 1
                column, position[todo] = self.item.read(chunk, position[todo], stop[todo])
                left = left - 1
                more = np.flatnonzero((left > 0) & (position[todo] < stop[todo]))
                todo, left = todo[more], left[more]
            opened = opened[position[opened] < stop[opened]]
        if column is None:
            return Nothings(len(position), self.type), position
        if len(begins) > 1:
            # Records stand in order in the chunk, and items in their records: sorting joins the rounds.
            column, _ = self.item.read(chunk, np.sort(np.concatenate(begins)), np.repeat(stop, lengths))
        return Lists(lengths, column, self.type), position

    def _block(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Ints, Ints]:
        """Read a block's item count of every record: 0, at ``stop``, where the record cannot hold so many."""
        raw, after = read_varint(chunk, position, stop)
        count = signed(raw)
        sized = np.flatnonzero(count < 0)
        if len(sized):
            _, after[sized] = read_varint(chunk, after[sized], stop[sized])
            count[sized] = -count[sized]
        fits = (count >= 0) & (after < stop) & (count <= (stop - 1 - after) // self.item.width)
        return np.where(fits, count, 0), np.where(fits, after, stop)


@dataclass(frozen=True)
class Nothings:
    """A column of empty lists."""

    count: int
    type: pa.DataType

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        count = self.count if keep is None else int(keep.sum())
        edges = pa.py_buffer(np.zeros(count + 1, np.int32))
        return pa.Array.from_buffers(
            self.type, count, [None, edges], children=[pa.array([], self.type.value_type)]
        )


@dataclass(frozen=True)
class Structs:
    """A column of records: their fields' columns."""

    columns: tuple[Column, ...]
    type: pa.DataType

    def arrays(self, keep: Mask | None) -> list[pa.Array]:
        """Make the Arrow arrays of the fields."""
        return [column.build(keep) for column in self.columns]

    def build(self, keep: Mask | None) -> pa.Array:
        """Make the Arrow array of the records to keep."""
        return pa.StructArray.from_arrays(self.arrays(keep), fields=list(self.type))


@dataclass(frozen=True)
class Record:
    """``record``: its fields, one after the other."""

    names: tuple[str, ...]
    fields: tuple[Node, ...]

    @property
    def types(self) -> list[pa.DataType]:
        """The fields' Arrow types."""
        return [node.type for node in self.fields]

    @property
    def type(self) -> pa.DataType:
        """A struct of the fields."""
        return pa.struct(list(zip(self.names, self.types, strict=True)))

    @property
    def width(self) -> int:
        """The sum of the fields' widths."""
        return sum(node.width for node in self.fields)

    def read(self, chunk: Chunk, position: Ints, stop: Ints) -> tuple[Structs, Ints]:
        """Read every field of every record."""
        columns = []
        for node in self.fields:
            column, position = node.read(chunk, position, stop)
            columns.append(column)
        return Structs(tuple(columns), self.type), position
