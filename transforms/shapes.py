"""Where a path leads in one part: SQL for its value, whether the part is JSON documents or typed columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from parcours.schemas.literal import literal

Path = tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """What stands at one path.

    ``text`` is its VARCHAR expression and ``typed`` the same value in the type ``type``. ``nested`` is true
    where it is an object or a list; ``number`` where the format itself says that it is a number, so that no
    decimal mark of a country can be in it. Both are expressions, or null where they are false in every row.
    """

    text: str
    typed: str
    type: pa.DataType
    nested: str | None = None
    number: str | None = None


class Shape(Protocol):
    """One kind of part."""

    @property
    def relation(self) -> str:
        """What the values' expressions refer to. Complete once every value was asked for."""
        ...

    def names(self, prefix: Path) -> Iterable[str]:
        """Return the names of the fields under a prefix, in any row."""
        ...

    def at(self, path: Path) -> Value | None:
        """Return the value at exactly this path; null where no row has it."""
        ...


def find(shape: Shape, path: str, prefixes: Iterable[Path]) -> list[Value]:
    """Return the values that a configured path may mean, first choice first.

    A path means the field of just that name first, dots and all, then the nested one.
    """
    parts = tuple(path.split("."))
    readings = [(path,), parts] if len(parts) > 1 else [parts]
    found = [shape.at(prefix + reading) for prefix in prefixes for reading in readings]
    return [value for value in found if value is not None]


@dataclass
class Documents:
    """JSON documents: all paths are read in one pass, by their place in one list.

    Args:
        keys: for each prefix that records may stand under, the names found under it in any row.
        rewritten: numbers are read from ``written``, the document with every number as it was written.
    """

    keys: Mapping[Path, frozenset[str]]
    rewritten: bool = False
    _pointers: dict[str, int] = field(default_factory=dict)

    def names(self, prefix: Path) -> Iterable[str]:
        """Return the names of the fields under a prefix, in any row."""
        return self.keys.get(prefix, ())

    def at(self, path: Path) -> Value | None:
        """Return the value at exactly this path; null where no row has it."""
        known = [prefix for prefix in self.keys if path[: len(prefix)] == prefix and len(path) > len(prefix)]
        if not any(path[len(prefix)] in self.keys[prefix] for prefix in known):
            return None
        pointer = literal(pointer_to(path))
        place = self._pointers.setdefault(pointer, len(self._pointers) + 1)
        text = f"found[{place}]"
        kind = f"json_type(document, {pointer})"
        # the first character tells nearly all texts from lists and objects
        bracket = f"{text} >= '[' AND {text} < chr(92) OR {text} >= '{{' AND {text} < '|'"
        # CASE, because AND computes both sides for every row
        nested = f"CASE WHEN {bracket} THEN {kind} IN ('OBJECT', 'ARRAY') ELSE FALSE END"
        if self.rewritten:
            # what is inside a list or an object is no number of ours: it stays as it is
            text = f"CASE WHEN {nested} THEN {text} ELSE exact[{place}] END"
        number = f"({kind} NOT IN ('VARCHAR', 'OBJECT', 'ARRAY'))"
        return Value(text, text, pa.string(), nested, number)

    @property
    def relation(self) -> str:
        """The part, with the text at every path asked for in the list ``found``."""
        listed = "[" + ", ".join(self._pointers) + "]"
        if not self._pointers:
            return "part"
        exact = f", json_extract_string(written, {listed}) AS exact" if self.rewritten else ""
        found = f"json_extract_string(document, {listed}) AS found"
        return f"(SELECT *, {found}{exact} FROM part)"


def pointer_to(path: Path) -> str:
    """Return the JSON pointer of a path."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


@dataclass
class Columns:
    """Typed columns; nested paths go through structs and maps.

    In the part the columns are called c0, c1 …, because DuckDB takes names that differ in case for one.
    """

    schema: pa.Schema
    relation: str = "part"

    def at(self, path: Path) -> Value | None:
        """Return the value at exactly this path; null where there is no such column."""
        if path[0] not in self.schema.names:
            return None
        index = self.schema.names.index(path[0])
        sql, kind = f"part.c{index}", self.schema.field(index).type
        for part in path[1:]:
            step = _step(sql, kind, part)
            if step is None:
                return None
            sql, kind = step
        return _typed_value(sql, kind)

    def names(self, prefix: Path) -> Iterable[str]:
        """Return the names of the fields under a prefix."""
        if not prefix:
            return list(self.schema.names)
        value = self.at(prefix)
        if value is None or not pa.types.is_struct(value.type):
            return []
        return [value.type.field(place).name for place in range(value.type.num_fields)]


def _step(sql: str, kind: pa.DataType, part: str) -> tuple[str, pa.DataType] | None:
    if pa.types.is_struct(kind) and kind.get_field_index(part) >= 0:
        return f"struct_extract({sql}, {literal(part)})", kind.field(part).type
    if pa.types.is_map(kind):
        return f"map_extract({sql}, {literal(part)})[1]", kind.item_type
    return None


def _typed_value(sql: str, kind: pa.DataType) -> Value:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        sql = f"CAST({sql} AS VARCHAR)"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Value(sql, sql, pa.string())
    if pa.types.is_nested(kind):
        return Value(f"CAST(to_json({sql}) AS VARCHAR)", sql, kind, nested=f"({sql} IS NOT NULL)")
    if pa.types.is_null(kind):
        return Value("CAST(NULL AS VARCHAR)", "CAST(NULL AS VARCHAR)", pa.string())
    text, number = f"CAST({sql} AS VARCHAR)", None
    if pa.types.is_timestamp(kind):
        # stored times are UTC: as a text, ISO 8601, that has to be said
        text = f"(replace({text}, ' ', 'T') || '+00:00')"
    elif pa.types.is_binary(kind):
        text = f"base64({sql})"  # as documents have it
    elif not pa.types.is_date(kind):
        number = f"({sql} IS NOT NULL)"
    return Value(text, sql, kind, number=number)
