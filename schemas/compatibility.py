"""Whether data written with one Avro schema can be read with another, and if not, where and why.

The rules are those of the Avro specification's schema resolution, with three decisions where it leaves room:

* In the reader's union, a branch of the very same type (and full name) goes before the first one that the
  value could be promoted to, as in Avro's Java: else the order of a union would change values.
* A logical type that only one side states holds for both. Two different ones do not match, nor do decimals
  of another precision or scale: the same bytes would mean other values.
* A reader's field takes the writer's field of its name; an alias counts only where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

PROMOTIONS = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
"""What a reader may read a type as, beside the type itself."""

_NAMED = ("record", "error", "enum", "fixed")
_COMPLEX = (*_NAMED, "array", "map")

_CLOCKS = ("timestamp-millis", "timestamp-micros", "timestamp-nanos")

LOGICAL_TYPES = {
    "int": ("date", "time-millis"),
    "long": ("time-micros", *_CLOCKS, *(f"local-{name}" for name in _CLOCKS)),
    "bytes": ("decimal",),
    "fixed": ("decimal", "uuid", "duration"),
    "string": ("uuid",),
}
"""The logical types that the specification knows for each type; any other is to be ignored."""


ABSENT = "absent"
"""What stands for the writer's type of a field that the data do not have."""


class Schema(Protocol):
    """A schema as fastavro parses it, and its named types by full name."""

    @property
    def parsed(self) -> Any:
        """The schema."""
        ...

    @property
    def named(self) -> Mapping[str, Any]:
        """Its records, enums and fixed, by full name."""
        ...


@dataclass(frozen=True)
class Incompatibility:
    """One reason why data cannot be read.

    Attributes:
        path: where, from the record's name on: ``Touchpoint.value``, ``Touchpoint.items[].price``; the values
            of a map stand under ``{}``.
        writer: the type that the data have there; ``ABSENT`` where they have no such field.
        reader: the type that they are to be read as.
        reason: which rule is broken.
        remedy: what would make the two compatible.
    """

    path: str
    writer: str
    reader: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        written = "not written" if self.writer == ABSENT else f"written as {self.writer}"
        return f"{self.path}: {written}, read as {self.reader}: {self.reason}; {self.remedy}"


def incompatibilities(writer: Schema, reader: Schema) -> list[Incompatibility]:
    """Find every reason why some data of the writer's schema cannot be read with the reader's.

    Args:
        writer: the schema that the data are written with.
        reader: the schema that they are to be read with.

    Returns:
        The reasons in the order of the reader's fields; none if all data can be read.
    """
    check = _Check(writer.named, reader.named)
    check.pair(writer.parsed, reader.parsed, root_name(reader))
    return list(dict.fromkeys(check.found))


class _Check:
    def __init__(self, writer_names: Mapping[str, Any], reader_names: Mapping[str, Any]) -> None:
        self.found: list[Incompatibility] = []
        self._writer, self._reader = writer_names, reader_names
        self._seen: set[tuple[str, str]] = set()

    def pair(self, written: Any, wanted: Any, path: str) -> None:
        writer, reader = resolved(written, self._writer), resolved(wanted, self._reader)
        if isinstance(writer, list):
            for branch in writer:
                self.pair(branch, reader, path)
            return
        branch = choose(writer, reader, self._reader)
        problem = no_branch(writer, reader, path) if branch is None else judge(writer, branch, path)
        if problem or branch is None:
            self.found += [problem] if problem else []
        elif writer["type"] == "enum":
            lost = lost_symbols(writer, branch)
            self.found += [unknown_symbols(writer, branch, path, lost)] if lost else []
        elif writer["type"] == "array":
            self.pair(writer["items"], branch["items"], f"{path}[]")
        elif writer["type"] == "map":
            self.pair(writer["values"], branch["values"], f"{path}{{}}")
        elif writer["type"] in ("record", "error"):
            names = (writer["name"], branch["name"])
            if names not in self._seen:  # a recursive type holds if its first level does
                self._seen.add(names)
                self._fields(writer, branch, path)

    def _fields(self, writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> None:
        for wanted, written in counterparts(writer, reader):
            place = f"{path}.{wanted['name']}"
            if written is not None:
                self.pair(written["type"], wanted["type"], place)
            elif "default" not in wanted:
                self.found.append(no_default(wanted, place, self._reader))


def resolved(schema: Any, named: Mapping[str, Any]) -> Any:
    """Give a type as a dict with its ``type``, names followed; a union as the list of its branches."""
    while not isinstance(schema, list):
        kind = schema["type"] if isinstance(schema, dict) else schema
        defined = (
            isinstance(schema, dict) and isinstance(kind, str) and kind in _COMPLEX
        )  # an enum may be called "enum"
        if isinstance(kind, str) and (defined or kind not in named):
            return schema if isinstance(schema, dict) else {"type": schema}
        schema = named[kind] if isinstance(kind, str) else kind
    return schema


def root_name(schema: Schema) -> str:
    """Give what a schema's paths begin with: the unqualified name of its record, or its type."""
    whole = resolved(schema.parsed, schema.named)
    return "union" if isinstance(whole, list) else _unqualified(whole.get("name", whole["type"]))


def choose(writer: Mapping[str, Any], reader: Any, named: Mapping[str, Any]) -> dict[str, Any] | None:
    """Choose the type that a value is read as: the reader's own, or a branch of its union.

    Args:
        writer: the type of the value, resolved; no union.
        reader: the reader's type, resolved.
        named: the reader's named types.

    Returns:
        The type, resolved; None where no branch takes the value.
    """
    if not isinstance(reader, list):
        found: dict[str, Any] = reader
        return found
    branches = [resolved(branch, named) for branch in reader]
    for takes in (_same_type, _same_unqualified, _promotes):
        for branch in branches:
            if takes(writer, branch):
                return dict(branch)
    return None


def _same_type(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    same = writer["type"] == reader["type"]
    return same and (writer["type"] not in _NAMED or writer["name"] == reader["name"])


def _same_unqualified(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    return writer["type"] == reader["type"] in _NAMED and _names_match(writer, reader)


def _promotes(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    return reader["type"] in PROMOTIONS.get(writer["type"], ())


def _names_match(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    name, own = str(writer["name"]), str(reader["name"])
    space = own.rpartition(".")[0]
    aliases = {alias if "." in alias or not space else f"{space}.{alias}" for alias in _aliases(reader)}
    return _unqualified(name) == _unqualified(own) or name in aliases or name in _aliases(reader)


def _aliases(item: Mapping[str, Any]) -> Sequence[str]:
    return item.get("aliases") or ()


def _unqualified(name: str) -> str:
    return name.rpartition(".")[2]


def counterparts(
    writer: Mapping[str, Any], reader: Mapping[str, Any]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Pair each field of a reader's record with the writer's field that fills it, or None."""
    free = {item["name"]: item for item in writer["fields"]}
    # by name first: an alias may be the name of another of the reader's fields
    found = {item["name"]: free.pop(item["name"], None) for item in reader["fields"]}
    for item in reader["fields"]:
        for alias in _aliases(item):
            if found[item["name"]] is None:
                found[item["name"]] = free.pop(alias, None)
    return [(item, found[item["name"]]) for item in reader["fields"]]


def lost_symbols(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> list[str]:
    """Give the writer's symbols that the reader's enum neither has nor has a default for."""
    if reader.get("default") is not None:
        return []
    return [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]


def judge(writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> Incompatibility | None:
    """Say why a type cannot be read as another, looking at neither parts nor symbols; None where it can.

    Args:
        writer: the type of the data, resolved; no union.
        reader: the type that they are to be read as, resolved; no union.
        path: where this is.
    """
    kind, logical, wanted = writer["type"], _logical(writer), _logical(reader)
    fault = None
    if kind == "null" and reader["type"] != "null":
        fault = ("the data may be null", f"read a union of null and {show(reader)}")
    elif kind != reader["type"] and not _promotes(writer, reader):
        ways = PROMOTIONS.get(kind)
        others = f" or what it may be read as ({', '.join(ways)})" if ways else ""
        fault = (
            "the types do not match",
            f"keep {show(writer)}{others}, read a union of both, or give the new field a name of its own",
        )
    elif kind in _NAMED and not _names_match(writer, reader):
        fault = ("the names do not match", f'give {reader["name"]} the alias "{writer["name"]}"')
    elif kind == "fixed" and writer["size"] != reader["size"]:
        fault = ("the sizes differ", f"keep {writer['size']} bytes, or give the new field a name of its own")
    elif logical and wanted and logical != wanted:
        fault = (
            "precision and scale differ" if logical[0] == wanted[0] else "the same bytes mean another value",
            "keep the logical type as it was written, or give the new field a name of its own",
        )
    return Incompatibility(path, show(writer), show(reader), *fault) if fault else None


def _logical(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    name = schema.get("logicalType")
    if name not in LOGICAL_TYPES.get(schema["type"], ()):
        return ()
    return (name, schema["precision"], schema.get("scale", 0)) if name == "decimal" else (name,)


def no_branch(writer: Mapping[str, Any], reader: Sequence[Any], path: str) -> Incompatibility:
    """Say that no branch of the reader's union takes a type."""
    remedy = f"add {show(writer)} to the union"
    return Incompatibility(path, show(writer), show(reader), "no branch of the union takes it", remedy)


def no_default(item: Mapping[str, Any], path: str, named: Mapping[str, Any]) -> Incompatibility:
    """Say that a reader's field has neither a counterpart nor a default."""
    return Incompatibility(
        path,
        ABSENT,
        show(resolved(item["type"], named)),
        "the data have no such field, and it has no default",
        f'give "{item["name"]}" a default, or its former name as an alias',
    )


def unknown_symbols(
    writer: Mapping[str, Any], reader: Mapping[str, Any], path: str, lost: Sequence[str]
) -> Incompatibility:
    """Say that a reader's enum lacks symbols."""
    listed = ", ".join(lost)
    reason = f"the reader has no symbol {listed}, and no default"
    return Incompatibility(
        path, show(writer), show(reader), reason, f"add {listed} to the reader's enum, or give it a default"
    )


def show(schema: Any) -> str:
    """Write a type in a few words: ``int``, ``null or string``, ``decimal(8, 2)``, ``record a.Shop``."""
    if isinstance(schema, list):
        return " or ".join(map(show, schema)) or "an empty union"
    if isinstance(schema, str):
        return schema
    kind = schema["type"]
    if not isinstance(kind, str):
        return show(kind)
    logical = _logical(schema)
    if kind == "array":
        text = f"array of {show(schema['items'])}"
    elif kind == "map":
        text = f"map of {show(schema['values'])}"
    elif kind == "fixed":
        text = f"fixed {schema['name']} of {schema['size']} bytes"
    else:
        text = f"{kind} {schema['name']}" if kind in _NAMED else kind
    if logical:
        text += f" ({f'decimal({logical[1]}, {logical[2]})' if logical[0] == 'decimal' else logical[0]})"
    return text
