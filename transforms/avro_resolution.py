"""Avro data written with one schema read as another, value by value, by the specification's resolution.

A pair of schemas is compiled once into nested functions. What cannot be read fails where it is met: a record
that never takes the branch or symbol at fault is good. fastavro reads the bytes; its own resolution says
neither where a record fails nor between which types, and hands out defaults as JSON writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
from fastavro.io.binary_decoder import BinaryDecoder

from parcours.schemas import compatibility as rules
from parcours.schemas.compatibility import Incompatibility, resolved
from parcours.transforms.avro_logical import meaning
from parcours.transforms.avro_schemas import WriterSchema

Read = Callable[[Any], Any]
"""Reads one value from fastavro's decoder, which has no types."""


class _Decoder(BinaryDecoder):
    """fastavro's decoder, but for numbers longer than any that Avro writes: those are corrupt."""

    def read_long(self) -> int:
        value = shift = 0
        while shift < 70:
            read: bytes = self.fo.read(1)
            if not read:
                raise EOFError("the record ends inside a number")
            value |= (read[0] & 0x7F) << shift
            shift += 7
            if read[0] < 0x80 and value < 1 << 64:
                return (value >> 1) ^ -(value & 1)
            if read[0] < 0x80:
                break
        raise ValueError("a number has more than 64 bits")


_open: Callable[[BytesIO], Any] = _Decoder


class ResolutionError(Exception):
    """A record has what the reader's schema cannot take."""

    def __init__(self, problem: Incompatibility) -> None:
        super().__init__(str(problem))
        self.problem = problem


def compile_reader(writer: WriterSchema, reader: WriterSchema) -> Callable[[BytesIO], Any]:
    """Compile a function that reads one datum of the writer's schema as one of the reader's.

    It raises ``ResolutionError`` where the two do not match, and what fastavro's decoder and logical types
    raise on broken bytes.
    """
    read = _Pairs(writer.named, reader.named).pair(writer.parsed, reader.parsed, rules.root_name(reader))
    return lambda stream: read(_open(stream))


class _Pairs:
    """Compiles pairs of types. ``skip``: the values are only passed over, so logical types do not count."""

    def __init__(self, writer: Mapping[str, Any], reader: Mapping[str, Any], *, skip: bool = False) -> None:
        self._writer, self._reader, self._skip = writer, reader, skip
        self._records: dict[tuple[str, str], Read] = {}

    def pair(self, written: Any, wanted: Any, path: str) -> Read:
        writer, reader = resolved(written, self._writer), resolved(wanted, self._reader)
        if isinstance(writer, list):
            own = (
                written is wanted
            )  # each branch is read as itself, also one that another branch could be read as
            return _union([self.pair(branch, branch if own else reader, path) for branch in writer])
        branch = rules.choose(writer, reader, self._reader)
        if branch is None:
            return _failing(rules.no_branch(writer, reader, path))
        problem = rules.judge(writer, branch, path)
        return self._type(writer, branch, path) if problem is None else _failing(problem)

    def _type(self, writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> Read:
        match writer["type"]:
            case "record" | "error":
                return self._record(writer, reader, path)
            case "enum":
                return _enum(writer, reader, path)
            case "array":
                return _array(self.pair(writer["items"], reader["items"], f"{path}[]"))
            case "map":
                return _map(self.pair(writer["values"], reader["values"], f"{path}{{}}"))
        plain = _promoted(_leaf(writer), writer["type"], reader["type"])
        return plain if self._skip else _with_meaning(plain, reader, writer)

    def _record(self, writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> Read:
        names = (writer["name"], reader["name"])
        if names in self._records:
            # looked up at reading: inside a recursive type it is not compiled yet
            return lambda decoder: self._records[names](decoder)  # noqa: PLW0108
        self._records[names] = BinaryDecoder.read_null  # its place, until it is compiled
        skipping = _Pairs(self._writer, self._writer, skip=True)
        reads: dict[str, tuple[str, Read]] = {}
        defaults = {}
        for wanted, written in rules.counterparts(writer, reader):
            name, place = wanted["name"], f"{path}.{wanted['name']}"
            if written is not None:
                reads[written["name"]] = (name, self.pair(written["type"], wanted["type"], place))
            elif "default" in wanted:
                defaults[name] = default_value(wanted["type"], wanted["default"], self._reader)
            else:
                self._records[names] = _failing(rules.no_default(wanted, place, self._reader))
                return self._records[names]
        steps = [
            reads.get(item["name"]) or (None, skipping.pair(item["type"], item["type"], path))
            for item in writer["fields"]
        ]

        def read_record(decoder: Any) -> dict[str, Any]:
            found = dict(defaults)
            for name, read in steps:
                value = read(decoder)
                if name is not None:
                    found[name] = value
            return found

        self._records[names] = read_record
        return read_record


def _failing(problem: Incompatibility) -> Read:
    def fail(decoder: Any) -> Any:
        raise ResolutionError(problem)

    return fail


def _union(branches: list[Read]) -> Read:
    def read(decoder: Any) -> Any:
        return branches[_index(decoder, len(branches), "branch")](decoder)

    return read


def _index(decoder: Any, count: int, what: str) -> int:
    index: int = decoder.read_long()
    if not 0 <= index < count:
        raise IndexError(f"there is no {what} {index}, only {count} of them")
    return index


def _enum(writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> Read:
    default = reader.get("default")
    symbols = [symbol if symbol in reader["symbols"] else default for symbol in writer["symbols"]]

    def read(decoder: Any) -> Any:
        index = _index(decoder, len(symbols), "symbol")
        if symbols[index] is None:
            lost = [writer["symbols"][index]]
            raise ResolutionError(rules.unknown_symbols(writer, reader, path, lost))
        return symbols[index]

    return read


def _array(item: Read) -> Read:
    def read(decoder: Any) -> list[Any]:
        decoder.read_array_start()
        return [item(decoder) for _ in decoder.iter_array()]

    return read


def _map(value: Read) -> Read:
    def read(decoder: Any) -> dict[str, Any]:
        decoder.read_map_start()
        return {decoder.read_utf8(): value(decoder) for _ in decoder.iter_map()}

    return read


def _boolean(decoder: Any) -> bool:
    value: int = decoder.read_fixed(1)[0]
    if value > 1:
        raise ValueError(f"{value} is no boolean")
    return value == 1


def _int(decoder: Any) -> int:
    value: int = decoder.read_long()
    if not -(2**31) <= value < 2**31:
        raise ValueError(f"{value} is no int")
    return value


_LEAVES: dict[str, Read] = {
    "null": BinaryDecoder.read_null,
    "boolean": _boolean,
    "int": _int,
    "long": _Decoder.read_long,
    "float": BinaryDecoder.read_float,
    "double": BinaryDecoder.read_double,
    "bytes": BinaryDecoder.read_bytes,
    "string": BinaryDecoder.read_utf8,
}


def _leaf(schema: Mapping[str, Any]) -> Read:
    if schema["type"] == "fixed":
        size = schema["size"]
        return lambda decoder: decoder.read_fixed(size)
    return _LEAVES[schema["type"]]


def _promoted(read: Read, kind: str, wanted: str) -> Read:
    if wanted == "float":
        # the shortest number that is this float, as columns write it: 0.1, not 0.10000000149011612
        return lambda decoder: float(str(np.float32(read(decoder))))
    if wanted == "double":
        return lambda decoder: float(read(decoder))
    if kind == "string" and wanted == "bytes":
        return lambda decoder: read(decoder).encode()
    if kind == "bytes" and wanted == "string":
        return lambda decoder: read(decoder).decode()
    return read


def _with_meaning(read: Read, *sides: Mapping[str, Any]) -> Read:
    """Apply the first side's logical type, else the next one's."""
    convert = next(filter(None, map(meaning, sides)), None)
    return read if convert is None else lambda decoder: convert(read(decoder))


def default_value(schema: Any, value: Any, named: Mapping[str, Any]) -> Any:
    """Turn a field's default, as JSON has it, into what reading gives.

    Args:
        schema: the field's type.
        value: the default; of a union, one of any branch.
        named: the schema's named types.
    """
    type_ = resolved(schema, named)
    if isinstance(type_, list):
        branches = [resolved(branch, named) for branch in type_]
        type_ = next((branch for branch in branches if _fits(branch["type"], value)), branches[0])
    match type_["type"]:
        case "record" | "error":
            return {
                item["name"]: default_value(item["type"], value.get(item["name"], item.get("default")), named)
                for item in type_["fields"]
            }
        case "array":
            return [default_value(type_["items"], item, named) for item in value]
        case "map":
            return {key: default_value(type_["values"], item, named) for key, item in value.items()}
        case "bytes" | "fixed":
            value = value.encode("latin-1")  # each character stands for the byte of its number
        case "float" | "double":
            value = float(value)
    convert = meaning(type_)
    return value if convert is None else convert(value)


_JSON_KINDS: dict[type, tuple[str, ...]] = {
    type(None): ("null",),
    bool: ("boolean",),
    str: ("string", "bytes", "fixed", "enum"),
    int: ("int", "long", "float", "double"),
    float: ("float", "double"),
    list: ("array",),
    dict: ("map", "record", "error"),
}


def _fits(kind: str, value: Any) -> bool:
    return kind in _JSON_KINDS.get(type(value), ())
