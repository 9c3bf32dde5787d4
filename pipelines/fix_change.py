"""What a person asks a fix to change, as keys of a source that count instead of the config's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from parcours.pipelines.expression_checks import expression_mistakes
from parcours.pipelines.mistakes import nearest
from parcours.schemas.config import Config, MapEntry, Source
from parcours.schemas.references import fields_of
from parcours.transforms.decode import make_decoder
from parcours.transforms.given import ENVELOPES
from parcours.transforms.validate import make_validator

_FILES = ("writer_schema", "reader_schema", "schemas")

_AVRO = ("avro", "avro-confluent", "avro-single-object", "avro-file")

_FORMATS = {
    "encoding": ("json", "csv"),
    "delimiter": ("csv",),
    "quote": ("csv",),
    "writer_schema": ("avro", "avro-single-object"),
    "reader_schema": _AVRO,
    "schemas": ("avro-confluent", "avro-single-object"),
}
"""Keys that some formats alone have: of others they would change nothing."""


class FixError(Exception):
    """What was asked for cannot be a fix."""


@dataclass(frozen=True)
class Asked:
    """What a person asks a fix to change.

    Attributes:
        keys: keys of the source that are replaced, as ``decimal_mark``; files and folders as typed.
        nulls: texts that mean null, beside the source's.
        map: by field, a new mapping entry, as a config writes it.
        defaults: by field, what counts where the paths give nothing.
        lookups: by field, the source's word = ours, beside those of the entry.
        sql: by field, the expression that makes it.
        edited: the bytes that count instead of the record's.
    """

    keys: Mapping[str, Any] = field(default_factory=dict)
    nulls: Sequence[str] = ()
    map: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    lookups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sql: Mapping[str, str] = field(default_factory=dict)
    edited: bytes | None = None

    @property
    def fields(self) -> list[str]:
        """The fields whose mapping changes."""
        return [*dict.fromkeys([*self.map, *self.defaults, *self.lookups, *self.sql])]

    @property
    def changes(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.keys or self.nulls or self.fields or self.edited is not None)


def change_of(asked: Asked, source: Source) -> dict[str, Any]:
    """Return the keys that count instead of a source's, entries of its mapping whole.

    Args:
        asked: what is to change.
        source: the source as it is read until now, earlier fixes included.

    Raises:
        FixError: a field is unknown, or an expression or an entry is wrong.
    """
    problems = [*_problems(asked, source)]
    if problems:
        raise FixError("\n".join(problems))
    change: dict[str, Any] = {
        key: str(Path(value).resolve()) if key in _FILES and "://" not in value else value
        for key, value in asked.keys.items()
    }
    if asked.nulls:
        change["nulls"] = [*dict.fromkeys([*source.nulls, *asked.nulls])]
    if asked.fields:
        change["map"] = {name: _entry(asked, source, name) for name in asked.fields}
    return change


def _entry(asked: Asked, source: Source, name: str) -> dict[str, Any]:
    given = asked.map[name] if name in asked.map else _current(source, name)
    try:
        entry = MapEntry.model_validate(given).model_dump(mode="json", exclude_defaults=True)
    except ValidationError as error:
        raise FixError(f"--map {name}: {first_problem(error)}") from error
    if name in asked.defaults:
        entry["constant"] = asked.defaults[name]
    if name in asked.lookups:
        entry["lookup"] = {**entry.get("lookup", {}), **asked.lookups[name]}
    if name in asked.sql:
        entry["sql"] = asked.sql[name]
    return entry


def _current(source: Source, name: str) -> Any:
    """Return how a field is mapped until now, also where the mapping does not name it."""
    if name in source.map:
        return source.map[name]
    default = ENVELOPES[source.envelope].defaults.get(name)
    return {"paths": [name, *([".".join(default)] if default else [])]}


def _problems(asked: Asked, source: Source) -> Iterator[str]:
    known = fields_of(source.loads).names
    for name in asked.fields:
        if name not in known:
            near = nearest(name, known)
            hint = f'did you mean "{near}"?' if near else f"fields: {', '.join(known)}"
            yield f'"{name}" is no field of {source.loads}; {hint}'
    for key in asked.keys:
        if source.format not in _FORMATS.get(key, (source.format,)):
            yield f'{key} changes nothing in format "{source.format}", that of source "{source.name}"'
    for name, text in asked.sql.items():
        for mistake in expression_mistakes(text, source.loads):
            near = nearest(mistake.unknown, mistake.allowed) if mistake.unknown else None
            hint = f'; did you mean "{near}"?' if near else ""
            yield f"--set {name}: {mistake.problem}{hint}"


def check_source(source: Source, config: Config) -> None:
    """Open what reads a source, as a replay does: its schemas, zone and date format are found wrong here.

    Raises:
        FixError: they cannot be used.
    """
    try:
        make_decoder(source, config.validation)
        make_validator(source, config)
    except ValueError as error:
        raise FixError(str(error)) from error


def first_problem(error: ValidationError) -> str:
    """Say what pydantic found first."""
    found = error.errors(include_url=False)[0]
    place = " > ".join(map(str, found["loc"]))
    text = str(found["msg"]).removeprefix("Value error, ")
    return f"{place}: {text}" if place else text
