"""From a source's own fields to ours: the configured mapping as one SQL query over a decoded part.

The query is a chain of subqueries, each over the one before: the text at each path, our fields as they were
given, and the readings of times, numbers and lists step by step, so that a costly step is computed only for
rows that need it. The relation ``part`` has ``row``, ``broker_timestamp``, where event ids are generated
``generated_id``, and either ``document`` or the source's columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from parcours.schemas.config import Source
from parcours.schemas.literal import literal
from parcours.transforms import readings
from parcours.transforms.given import (
    ENVELOPES,
    Envelope,
    Given,
    Layout,
    consumed_names,
    layout_of,
    with_lookup,
    without_nulls,
)
from parcours.transforms.shapes import Documents, Path, Shape, pointer_to


@dataclass(frozen=True)
class Mapped:
    """The mapping of one kind of part.

    ``sql`` selects from ``part`` the fields of the contract under their names, before any look-up, and beside
    them ``row``, ``broker_timestamp``, ``tombstone``, ``inexact``, for each text ``<field>_nested``, for each
    other field ``<field>_given`` (as the source gave it), for each number ``<field>_digits``, for each time
    ``<field>_uncounted``, and for each field that an expression makes ``<field>_failed``. ``empty`` names the
    columns that are null or false in every row.
    """

    sql: str
    empty: frozenset[str]


@dataclass
class _Chain:
    """A query made of subqueries, each over the one before; and the columns known to be empty."""

    sql: str
    empty: set[str] = field(default_factory=set)

    def then(self, columns: Mapping[str, str], *, keep: str = "*") -> None:
        listed = ", ".join([keep, *(f'{sql} AS "{name}"' for name, sql in columns.items())])
        self.sql = f"(SELECT {listed} FROM {self.sql})"

    def condition(self, name: str, sql: str | None) -> dict[str, str]:
        """Return a column that is true or false; note it where it is never true."""
        self.empty |= set() if sql else {name}
        return {name: sql or "FALSE"}


def map_part(
    source: Source, shape: Shape, attributes: Sequence[Path] | None, ignored_ids: Sequence[str]
) -> Mapped:
    """Make the query that maps one kind of part.

    Args:
        source: the source's mapping and how it writes values.
        shape: where a path leads in the part.
        attributes: the paths of unknown fields that are kept, each under its last name; null: of documents,
            all fields that the mapping does not read, whatever their number.
        ignored_ids: texts that are no id.
    """
    envelope = ENVELOPES[source.envelope]
    layout = layout_of(source)
    fields = {name: Given(source, shape, envelope, name) for name in layout.names}
    unknown = _unknown_pairs(source, shape, envelope, attributes)
    tombstone = _tombstone(shape, envelope)
    # every path was asked for: now the shape knows what to extract
    chain = _Chain(shape.relation)
    chain.then(
        _given_columns(source, fields, chain)
        | chain.condition("tombstone", tombstone)
        | {"attributes_unknown": unknown or readings.NO_PAIRS},
        keep="row, broker_timestamp",
    )
    _make_texts(source, fields, chain)
    ids = [
        f"{readings.without_ignored(name, ignored_ids)} AS {name}"
        for name in layout.ids
        if name not in chain.empty
    ]
    chain.then(
        {f"{name}_plain": readings.plain_number(source, fields[name], name) for name in layout.numbers}
        | {f"{name}_instant": readings.given_instant(source, fields[name], name) for name in layout.times},
        keep=f"* REPLACE ({', '.join(ids)})" if ids else "*",
    )
    chain.then(
        {f"{name}_digits": readings.digits(source, fields[name], name) for name in layout.numbers}
        | {f"{name}_local": readings.given_local(source, fields[name], name) for name in layout.times}
        | {"attributes_pairs": readings.given_pairs(fields["attributes"])}
    )
    if source.time_zone != "UTC":
        chain.then(
            {f"{name}_before": readings.clock_offset(source, name, "-") for name in layout.instants}
            | {f"{name}_after": readings.clock_offset(source, name, "+") for name in layout.instants}
        )
    columns = {name: readings.amount(name) for name in layout.amounts}
    columns |= {name: readings.double(name) for name in layout.doubles}
    columns |= {name: readings.whole(name) for name in layout.wholes}
    columns |= {name: readings.instant(source, name) for name in layout.instants}
    columns |= {name: readings.day(source, name) for name in layout.days}
    if "consent" in fields:
        columns["consent"] = readings.words(source, fields["consent"])
    columns["attributes"] = readings.pairs(fields["attributes"], bool(unknown), ignored_ids)
    for name in layout.times:
        uncounted = readings.uncounted(source, fields[name], name)
        columns |= chain.condition(f"{name}_uncounted", uncounted)
    chain.then(columns | {"inexact": _inexact(layout, shape, chain.empty, fields)})
    return Mapped(chain.sql, frozenset(chain.empty))


def _given_columns(source: Source, fields: Mapping[str, Given], chain: _Chain) -> dict[str, str]:
    columns = {}
    layout = layout_of(source)
    made = any(given.expression for given in fields.values())
    for name, given in fields.items():
        column = name if name in layout.texts else f"{name}_given"
        columns[column] = given.sql
        if made and column != name:
            columns[name] = given.text  # expressions speak of it by its name
        if not given.values:
            chain.empty |= {name, column}
        if name in layout.texts:
            columns |= chain.condition(f"{name}_nested", given.chosen("nested"))
        elif name in layout.numbers and source.decimal_mark == ",":
            columns[f"{name}_number"] = given.chosen("number") or "FALSE"
    return columns


def _make_texts(source: Source, fields: Mapping[str, Given], chain: _Chain) -> None:
    """Let expressions make their fields' texts, all of them of what was given.

    ``<field>_failed`` is true where the expression fails on the record's values: what was given stays then.
    """
    made = {name: given for name, given in fields.items() if given.expression is not None}
    if not made:
        return
    layout = layout_of(source)
    commas = [name for name in made if name in layout.numbers and source.decimal_mark == ","]
    # in a struct: an expression that fails is null then, and one that gives null is not
    chain.then(
        {
            f"{name}_made": f"TRY({{'text': CAST(({given.expression}) AS VARCHAR)}})"
            for name, given in made.items()
        }
        # a number that DuckDB writes has a point
        | {f"{name}_computed": f"typeof(({made[name].expression})) <> 'VARCHAR'" for name in commas}
        | {"given_inexact": _given_inexact(made.values(), fields)}
    )
    replaced = []
    for name, given in made.items():
        column = name if name in layout.texts else f"{name}_given"
        text = with_lookup(f"filled({name}_made.text)", given.lookup)
        replaced.append(f"CASE WHEN {name}_made IS NULL THEN {column} ELSE {text} END AS {column}")
    replaced += [f"{name}_computed OR coalesce({name}_number, FALSE) AS {name}_number" for name in commas]
    left_out = [name for name in layout.names if name not in layout.texts]
    left_out += [f"{name}_made" for name in made] + [f"{name}_computed" for name in commas]
    chain.then(
        {f"{name}_failed": f"{name}_made IS NULL" for name in made},
        keep=f"* EXCLUDE ({', '.join(left_out)}) REPLACE ({', '.join(replaced)})",
    )


def _given_inexact(made: Collection[Given], fields: Collection[str]) -> str:
    """Whether what expressions read is a number whose double may hide what was written."""
    told = " ".join(str(given.expression).lower() for given in made)
    return " OR ".join(f"coalesce(inexact_text({name}), FALSE)" for name in fields if name in told) or "FALSE"


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
        return f"list_sort(list_concat({', '.join([readings.NO_PAIRS, *lists])}))"
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


def _inexact(layout: Layout, shape: Shape, empty: set[str], fields: Mapping[str, Given]) -> str:
    """Rows to be read again from the text of their numbers: their doubles may hide what was written."""
    if not isinstance(shape, Documents) or shape.rewritten:
        return "FALSE"
    amounts = [f"inexact_amount({name}_given, {name}_digits)" for name in layout.amounts if name not in empty]
    texts = [f"inexact_text({name})" for name in layout.texts if name not in empty]
    made = ["given_inexact"] if any(given.expression for given in fields.values()) else []
    cases = " ".join(f"WHEN {condition} THEN TRUE" for condition in (*amounts, *texts, *made))
    return f"CASE {cases} ELSE FALSE END" if cases else "FALSE"
