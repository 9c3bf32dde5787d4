"""What a source gives for one of our fields: the paths, constants and defaults of the mapping, as SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import pyarrow as pa

from parcours.schemas.config import MapEntry, Source
from parcours.schemas.literal import literal
from parcours.schemas.references import fields_of
from parcours.transforms.shapes import Path, Shape, Value, find


@dataclass(frozen=True)
class Layout:
    """The fields that records are mapped to, by how their values are read.

    ``days`` are dates, ``amounts`` decimals, ``doubles`` and ``wholes`` other numbers; ``ids`` are the texts
    that name something. ``consent`` and ``attributes`` are read in their own ways.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    instants: tuple[str, ...]
    days: tuple[str, ...]
    amounts: tuple[str, ...]
    doubles: tuple[str, ...]
    wholes: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The texts in which some words mean that there is none."""
        return tuple(name for name in self.texts if name == "id" or name.endswith("_id"))

    @property
    def times(self) -> tuple[str, ...]:
        """What is read as a time."""
        return (*self.instants, *self.days)

    @property
    def numbers(self) -> tuple[str, ...]:
        """What is read as a number."""
        return (*self.amounts, *self.doubles, *self.wholes)


@cache
def _layout(loads: str) -> Layout:
    fields = fields_of(loads)

    def of(is_kind: Callable[[pa.DataType], bool]) -> tuple[str, ...]:
        return tuple(field.name for field in fields if is_kind(field.type))

    kinds = (
        pa.types.is_string,
        pa.types.is_timestamp,
        pa.types.is_date,
        pa.types.is_decimal,
        pa.types.is_float64,
        pa.types.is_int64,
    )
    return Layout(tuple(fields.names), *map(of, kinds))


def layout_of(source: Source) -> Layout:
    """Return the fields that a source's records are mapped to."""
    return _layout(source.loads)


@dataclass(frozen=True)
class Envelope:
    """Where records stand inside what carries them.

    ``records`` are the prefixes a record may have, first choice first; ``around`` are further prefixes that a
    configured path may use; ``defaults`` are paths of the envelope that fill our fields where nothing else
    does; where ``operations`` is given, a record that is absent, or whose operation is ``d``, is a tombstone.
    """

    records: tuple[Path, ...] = ((),)
    around: tuple[Path, ...] = ()
    defaults: Mapping[str, Path] = field(default_factory=dict)
    operations: tuple[Path, ...] = ()

    @property
    def prefixes(self) -> tuple[Path, ...]:
        """Every prefix under which fields are looked for."""
        return tuple(dict.fromkeys(((), *self.records, *self.around)))


ENVELOPES = {
    None: Envelope(),
    "cloudevents": Envelope(
        records=(("data",),),
        around=((),),
        defaults={"event_id": ("id",), "occurred_at": ("time",), "event_type": ("type",)},
    ),
    "debezium": Envelope(records=(("payload", "after"), ("after",)), operations=(("payload", "op"), ("op",))),
}


_NO_TEXT = "CAST(NULL AS VARCHAR)"


def entry_of(source: Source, name: str) -> MapEntry:
    """Return how a field is mapped; a field that the mapping does not name is read under its own name."""
    return source.map.get(name) or MapEntry(paths=(name,))


def consumed_names(source: Source) -> frozenset[str]:
    """Return the names in a record that the mapping reads: these are not unknown."""
    paths = [path for name in layout_of(source).names for path in entry_of(source, name).paths]
    return frozenset(paths) | frozenset(path.split(".")[0] for path in paths)


class Given:
    """What the source gives for one field: its values, first choice first."""

    def __init__(self, source: Source, shape: Shape, envelope: Envelope, name: str) -> None:
        entry = entry_of(source, name)
        mapped = name in source.map
        prefixes = (*envelope.records, *envelope.around) if mapped else envelope.records
        self.values = [value for path in entry.paths for value in find(shape, path, prefixes)]
        if entry.generate == "row":
            self.values = [Value("generated_id", "generated_id", pa.string())]
        if entry.constant is not None:
            text = literal(entry.constant)
            self.values.append(Value(text, text, pa.string()))
        default = None if mapped else envelope.defaults.get(name)
        if default and (value := shape.at(default)):
            self.values.append(value)
        self.expression = entry.sql
        """What makes the field's text of those that are given; null: the given one is it."""
        if self.expression is not None and not self.values:
            self.values.append(Value(_NO_TEXT, _NO_TEXT, pa.string()))
        self._nulls = (*source.nulls, *entry.nulls)
        layout = layout_of(source)
        self.lookup = entry.lookup if name in (*layout.times, *layout.numbers) else {}
        """The words that are replaced before the text is read; those of texts are replaced later."""
        own_type = (
            len(self.values) == 1
            and not self._nulls
            and self.expression is None
            and _read_as_typed(layout, name, self.values[0].type)
        )
        self.type = self.values[0].type if own_type else pa.string()
        """The type of ``sql``: the source's own where it needs no reading, else a text."""

    @property
    def is_text(self) -> bool:
        """Whether the value is given as a text that is still to be read."""
        return bool(self.type == pa.string())

    @property
    def sql(self) -> str:
        """The first value that is there; where an expression makes the field's text, before that is done."""
        if not self.is_text:
            return self.values[0].typed
        return self.text if self.expression is not None else self._first(self.lookup)

    @property
    def text(self) -> str:
        """The first value that is there, as a text before any look-up."""
        return self._first({})

    def _first(self, lookup: Mapping[str, str]) -> str:
        texts = [with_lookup(self._text(value), lookup) for value in self.values]
        return f"coalesce({', '.join(texts)})" if len(texts) > 1 else "".join(texts) or _NO_TEXT

    def _text(self, value: Value) -> str:
        text = f"filled({value.text})" if value.type == pa.string() else value.text
        return without_nulls(text, self._nulls)

    def chosen(self, trait: Literal["nested", "number"]) -> str | None:
        """Return a trait of the first value that is there; null where it is false in every row."""
        traits = [getattr(value, trait) for value in self.values]
        if not any(traits) or (trait == "nested" and self.expression is not None):
            return None  # what an expression makes is a text
        if len(traits) == 1:
            return str(traits[0])
        cases = zip(self.values, traits, strict=True)
        return (
            "CASE "
            + " ".join(f"WHEN {self._text(v)} IS NOT NULL THEN {t or 'FALSE'}" for v, t in cases)
            + " END"
        )


def _read_as_typed(layout: Layout, name: str, kind: pa.DataType) -> bool:
    """Whether values of this type need no reading of their text."""
    if name in layout.times:
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    if name in layout.numbers:
        return bool(pa.types.is_float64(kind))
    if name == "consent":
        return bool(_is_list(kind) and _is_text(kind.value_type))
    return name == "attributes" and bool(
        _is_list(kind)
        and pa.types.is_struct(kind.value_type)
        and {"key", "value"} <= {child.name for child in kind.value_type if _is_text(child.type)}
    )


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def without_nulls(text: str, nulls: Sequence[str]) -> str:
    """Return the SQL of a text, null where it is one of some texts."""
    return (
        f"CASE WHEN {text} IN ({', '.join(map(literal, nulls))}) THEN NULL ELSE {text} END" if nulls else text
    )


def with_lookup(text: str, lookup: Mapping[str, str]) -> str:
    """Return the SQL of a text, replaced where it is a word of a look-up."""
    cases = " ".join(f"WHEN {literal(word)} THEN {literal(ours)}" for word, ours in lookup.items())
    return f"CASE {text} {cases} ELSE {text} END" if lookup else text
