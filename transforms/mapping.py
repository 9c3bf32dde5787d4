"""From a source's own fields to ours: the configured mapping as one SQL query over a decoded part.

The query is a chain of subqueries, each over the one before: what the source gave for each path (``found``), our
fields as texts and lists (``given``), amounts and times read (``read``), and the fields of the contract in their
types (``mapped``), before any look-up. The relation ``part`` has ``row``, ``broker_timestamp``, ``generated_id``,
and either ``document`` and ``written`` or the source's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
from parcours.schemas.config import MapEntry, Source
from parcours.schemas.touchpoint import FIELDS
from parcours.transforms.shapes import Documents, Path, Shape, Value, find, literal, pointer_to

IDS = (
    "event_id",
    "customer_id",
    "anonymous_id",
    "contract_id",
    "quote_id",
    "claim_id",
    "referral_id",
    "case_id",
)
"""The fields that ``ignored_ids`` and the longest length are about."""

TYPED = ("occurred_at", "value", "cost", "score", "consent", "attributes")
TEXTS = tuple(name for name in FIELDS.names if name not in TYPED)

AMOUNTS = ("value", "cost")

_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True)
class Envelope:
    """Where records stand inside what carries them.

    ``records`` are the prefixes a record may have, first choice first; ``around`` are further prefixes that a
    configured path may use; ``defaults`` are paths of the envelope that fill our fields where nothing else does;
    where ``operations`` is given, a record that is absent, or whose operation is ``d``, is a tombstone.
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


@dataclass(frozen=True)
class Mapped:
    """The mapping of one kind of part.

    ``sql`` selects from ``part`` the fields of the contract under their names, before any look-up, and beside them
    ``row``, ``broker_timestamp``, ``tombstone``, ``inexact``, for each text ``<field>_nested``, for each other field
    ``<field>_given`` (as the source gave it), for each number ``<field>_digits``, and ``occurred_at_uncounted``.
    ``empty`` names the columns that are null or false in every row.
    """

    sql: str
    empty: frozenset[str]


@dataclass
class _Chain:
    """A query made of subqueries, each over the one before; and the columns known to be empty."""

    sql: str
    empty: set[str] = field(default_factory=set)

    def then(self, columns: Mapping[str, str], *, keep: str = "*") -> None:
        listed = [keep, *(f'{expression} AS "{column}"' for column, expression in columns.items())]
        self.sql = f"(SELECT {', '.join(filter(None, listed))} FROM {self.sql})"  # noqa: S608 - identifiers quoted


def entry_of(source: Source, field_name: str) -> MapEntry:
    """Return how a field is mapped; a field that the mapping does not name is read under its own name."""
    return source.map.get(field_name) or MapEntry(paths=(field_name,))


def consumed_names(source: Source) -> frozenset[str]:
    """Return the names in a record that the mapping reads: these are not unknown."""
    paths = [path for field_name in FIELDS.names for path in entry_of(source, field_name).paths]
    return frozenset(paths) | frozenset(path.split(".")[0] for path in paths)


def map_part(
    source: Source, shape: Shape, attributes: Sequence[Path] | None, ignored_ids: Sequence[str]
) -> Mapped:
    """Make the query that maps one kind of part.

    Args:
        source: the source's mapping and how it writes values.
        shape: where a path leads in the part.
        attributes: the paths of unknown fields that are kept, each under its last name; null: of documents, all
            fields that the mapping does not read, whatever their number.
        ignored_ids: texts that are no id.
    """
    envelope = ENVELOPES[source.envelope]
    fields = {name: _Field(source, shape, envelope, name) for name in FIELDS.names}
    pairs = _unknown_pairs(source, shape, envelope, attributes)
    tombstone = _tombstone(shape, envelope)

    given: dict[str, str] = {"tombstone": tombstone or "FALSE"}
    chain = _Chain("", set() if tombstone else {"tombstone"})
    for name, read in fields.items():
        column = name if name in TEXTS else f"{name}_given"
        given[column] = read.given
        if not read.values:
            chain.empty |= {name, column, f"{name}_digits"}
        if name in TEXTS:
            nested = read.chosen("nested")
            given[f"{name}_nested"] = nested or "FALSE"
            chain.empty |= set() if nested else {f"{name}_nested"}
        if name in (*AMOUNTS, "score") and source.decimal_mark == ",":
            given[f"{name}_number"] = read.chosen("number") or "FALSE"
    given["attributes_unknown"] = pairs or _NO_PAIRS
    chain.sql = shape.relation
    chain.then(given, keep="row, broker_timestamp")

    ignored = {name: _without_ignored(name, ignored_ids) for name in IDS if name not in chain.empty}
    replaced = ", ".join(f"{sql} AS {name}" for name, sql in ignored.items())
    first: dict[str, str] = {}
    for name in (*AMOUNTS, "score"):
        first[f"{name}_plain"] = _plain(source, fields[name], name)
    first |= _read_time(source, fields["occurred_at"])
    chain.then(first, keep=f"* REPLACE ({replaced})" if replaced else "*")

    second = {f"{name}_digits": _digits(source, fields[name], name) for name in (*AMOUNTS, "score")}
    second["attributes_pairs"] = _given_pairs(fields["attributes"])
    if source.time_zone != "UTC":
        second["before"] = _offset(source, "-")
        second["after"] = _offset(source, "+")
    chain.then(second)

    third = {name: _amount(fields[name], name) for name in AMOUNTS}
    third["score"] = _score(fields["score"])
    third["occurred_at"] = _instant(source)
    third["consent"] = _consent(source, fields["consent"])
    third["attributes"] = _attributes(fields["attributes"], bool(pairs))
    third["inexact"] = _inexact(shape, chain.empty)
    chain.then(third)
    return Mapped(chain.sql, frozenset(chain.empty))


class _Field:
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
        self._nulls = (*source.nulls, *entry.nulls)
        self._lookup = entry.lookup if name in ("occurred_at", *AMOUNTS, "score") else {}
        own_type = len(self.values) == 1 and not self._nulls and _read_as_typed(name, self.values[0].type)
        self.type = self.values[0].type if own_type else pa.string()
        """The type of ``given``: the source's own where it needs no reading."""

    @property
    def given(self) -> str:
        """The first value that is there."""
        if self.type != pa.string():
            return self.values[0].typed
        texts = [self._text(value) for value in self.values]
        return (
            f"coalesce({', '.join(texts)})" if len(texts) > 1 else "".join(texts) or "CAST(NULL AS VARCHAR)"
        )

    def _text(self, value: Value) -> str:
        text = f"filled({value.text})" if value.type == pa.string() else value.text
        return with_lookup(without_nulls(text, self._nulls), self._lookup)

    def chosen(self, trait: Literal["nested", "number"]) -> str | None:
        """Return a trait of the first value that is there; null where it is false in every row."""
        traits = [getattr(value, trait) for value in self.values]
        if not any(traits):
            return None
        if len(traits) == 1:
            return str(traits[0])
        cases = zip(self.values, traits, strict=True)
        return (
            "CASE "
            + " ".join(f"WHEN {self._text(v)} IS NOT NULL THEN {t or 'FALSE'}" for v, t in cases)
            + " END"
        )


def _read_as_typed(name: str, kind: pa.DataType) -> bool:
    """Whether values of this type need no reading of their text."""
    if name == "occurred_at":
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    if name in (*AMOUNTS, "score"):
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


def _without_ignored(name: str, ignored_ids: Sequence[str]) -> str:
    words = {word.lower() for word in ignored_ids}
    if not words:
        return name
    # a letter may have up to three times the bytes of its lower-case form; the length is known without reading
    longest = 3 * max(len(word.encode()) for word in words)
    listed = ", ".join(map(literal, sorted(words)))
    return f"CASE WHEN strlen({name}) <= {longest} AND lower({name}) IN ({listed}) THEN NULL ELSE {name} END"


def _plain(source: Source, read: _Field, name: str) -> str:
    if name == "score":
        return (
            f"CASE WHEN isfinite(score_given) THEN score_given END"
            if read.type != pa.string()
            else "CAST(NULL AS DOUBLE)"
        )
    if read.type != pa.string():
        return f"plain_double({name}_given)"
    if source.decimal_mark == ".":
        return f"plain_amount({name}_given, '.')"
    return f"plain_amount({name}_given, CASE WHEN {name}_number THEN '.' ELSE ',' END)"


def _digits(source: Source, read: _Field, name: str) -> str:
    if read.type != pa.string():
        return f"CASE WHEN {name}_plain IS NULL AND isfinite({name}_given) THEN CAST({name}_given AS VARCHAR) END"
    mark = "'.'" if source.decimal_mark == "." else f"CASE WHEN {name}_number THEN '.' ELSE ',' END"
    return f"CASE WHEN {name}_plain IS NULL THEN written_number({name}_given, {mark}) END"


def _amount(read: _Field, name: str) -> str:
    return (
        f"coalesce({name}_plain, CASE WHEN {name}_digits IS NOT NULL THEN rounded_amount({name}_digits) END)"
    )


def _score(read: _Field) -> str:
    text = "CASE WHEN isfinite(TRY_CAST(score_digits AS DOUBLE)) THEN TRY_CAST(score_digits AS DOUBLE) END"
    return f"coalesce(score_plain, {text})"


def _read_time(source: Source, read: _Field) -> dict[str, str]:
    """Read a time as an instant, or as what the clocks of the source's zone showed."""
    given, instant, local = "occurred_at_given", "CAST(NULL AS TIMESTAMP)", "CAST(NULL AS TIMESTAMP)"
    uncounted = "FALSE"
    if pa.types.is_timestamp(read.type):
        instant = f"CAST({given} AS TIMESTAMP)"
    elif pa.types.is_date(read.type):
        local = f"CAST({given} AS TIMESTAMP)"
    elif read.values:
        counted = f"is_count({given})"
        if source.date_format is not None:
            parsed = f"CAST(try_strptime({given}, {literal(source.date_format)}) AS TIMESTAMP)"
            zoned = "%z" in source.date_format or "%Z" in source.date_format
            instant, local = (parsed, local) if zoned else (instant, parsed)
        else:
            instant, local = f"iso_instant({given})", f"iso_local({given})"
            uncounted = "FALSE" if source.time_unit else counted
        if source.time_unit:
            count = f"counted_instant({given}, {_UNITS[source.time_unit]})"
            instant = f"CASE WHEN {counted} THEN {count} ELSE {instant} END"
            local = f"CASE WHEN NOT {counted} THEN {local} END"
    return {"occurred_at_instant": instant, "occurred_at_local": local, "occurred_at_uncounted": uncounted}


def _offset(source: Source, sign: str) -> str:
    day = f"(occurred_at_local {sign} INTERVAL 1 DAY)"
    return f"clock({day}, {literal(source.time_zone)}) - {day}"


def _instant(source: Source) -> str:
    if source.time_zone == "UTC":
        return "coalesce(occurred_at_instant, occurred_at_local)"
    zone = literal(source.time_zone)
    return f'coalesce(occurred_at_instant, TRY(placed(occurred_at_local, {zone}, "before", "after")))'


def _consent(source: Source, read: _Field) -> str:
    """The words of consent, blank ones left out; null where what was given is not a list of texts."""
    if not read.values:
        return _NO_WORDS
    words = "consent_given" if read.type != pa.string() else "word_list(consent_given)"
    lookup = entry_of(source, "consent").lookup
    if lookup:
        words = f"list_transform({words}, lambda word: {with_lookup('word', lookup)})"
    words = f"list_filter({words}, lambda word: filled(word) IS NOT NULL)"
    return f"CASE WHEN consent_given IS NULL THEN {_NO_WORDS} ELSE {words} END"


def _given_pairs(read: _Field) -> str:
    """The pairs that were given; null where there are none, or where what was given cannot be read."""
    if not read.values:
        return f"CAST(NULL AS {_PAIRS})"
    if read.type == pa.string():
        return "pair_list(attributes_given)"
    return "list_transform(attributes_given, lambda pair: {'key': pair.key, 'value': pair.value})"


def _attributes(read: _Field, unknown: bool) -> str:
    """All pairs, sorted by key, those without a value left out; null where what was given are no pairs."""
    if not read.values:
        return _KEPT_PAIRS.format("attributes_unknown")
    pairs = "coalesce(attributes_pairs, [])"
    pairs = _KEPT_PAIRS.format(f"list_concat({pairs}, attributes_unknown)" if unknown else pairs)
    unreadable = (
        "attributes_pairs IS NULL OR len(list_filter(attributes_pairs, lambda pair: pair.key IS NULL)) > 0"
    )
    return f"CASE WHEN attributes_given IS NOT NULL AND ({unreadable}) THEN NULL ELSE list_sort({pairs}) END"


def _unknown_pairs(
    source: Source, shape: Shape, envelope: Envelope, paths: Sequence[Path] | None
) -> str | None:
    """The unknown fields as pairs, sorted by name; null where there are none."""
    if paths is None:
        known = ", ".join(map(literal, sorted(consumed_names(source))))
        lists = [
            f"list_transform(list_filter(coalesce(json_keys(document, {pointer}), []), "
            f"lambda key: key NOT IN ({known})), lambda key: {{'key': key, 'value': json_extract_string("
            f"document, {pointer} || json_step(key))}})"
            for pointer in (literal(pointer_to(prefix)) for prefix in envelope.records)
        ]
        return f"list_sort(list_concat({', '.join([_NO_PAIRS, *lists])}))"
    pairs = []
    for path in sorted(paths, key=lambda path: path[-1]):
        value = shape.at(path)
        if value is not None:
            text = without_nulls(value.text, source.nulls)
            pairs.append(f"{{'key': {literal(path[-1])}, 'value': {text}}}")
    return f"[{', '.join(pairs)}]" if pairs else None


def _tombstone(shape: Shape, envelope: Envelope) -> str | None:
    if not envelope.operations:
        return None
    records = [value.nested for path in envelope.records if (value := shape.at(path)) and value.nested]
    operations = [value.text for path in envelope.operations if (value := shape.at(path))]
    absent = " AND ".join(f"NOT coalesce({present}, FALSE)" for present in records) or "TRUE"
    deleted = f"coalesce({', '.join([*operations, 'NULL'])}) = 'd'"
    return f"({absent} OR coalesce({deleted}, FALSE))"


def _inexact(shape: Shape, empty: set[str]) -> str:
    """Rows that must be read again from the text of their numbers: their doubles may hide what was written."""
    if not isinstance(shape, Documents) or shape.rewritten:
        return "FALSE"
    amounts = [f"inexact_amount({name}_given, {name}_digits)" for name in AMOUNTS if name not in empty]
    texts = [f"inexact_text({name})" for name in TEXTS if name not in empty]
    cases = " ".join(f"WHEN {condition} THEN TRUE" for condition in (*amounts, *texts))
    return f"CASE {cases} ELSE FALSE END" if cases else "FALSE"


_NO_WORDS = "CAST([] AS VARCHAR[])"
_PAIRS = "STRUCT(key VARCHAR, value VARCHAR)[]"
_NO_PAIRS = f"CAST([] AS {_PAIRS})"
_KEPT_PAIRS = "list_filter({}, lambda pair: filled(pair.value) IS NOT NULL)"
