"""From decoded tables to valid rows: the mapping and the row filter, run by DuckDB on whole batches.

One bad row never spoils its batch: the generated query raises for no content, and every row comes out either
as a touchpoint, or as a row of the reference input that its source loads, or as a rejected record that names
the first rule it broke.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Hashable
from functools import partial
from importlib import resources

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from parcours.quality.filter import applicable, broken_rule_sql, explain, offending_value_sql
from parcours.quality.reference_rules import reference_rules
from parcours.quality.rule import Rule, computed
from parcours.quality.rules import row_rules
from parcours.quality.user_rules import reject_rules
from parcours.schemas.config import Config, Source
from parcours.schemas.literal import literal
from parcours.schemas.references import REFERENCES
from parcours.schemas.touchpoint import REJECTED, TOUCHPOINT
from parcours.transforms.canonical import content_sha256_hex_sql
from parcours.transforms.contexts import context_id, kept_context
from parcours.transforms.elements import REJECT_NOTE, DecodedBatch, DecodedPart, ValidatedBatch
from parcours.transforms.given import ENVELOPES, consumed_names, entry_of, layout_of, with_lookup
from parcours.transforms.mapping import map_part
from parcours.transforms.prepared import PreparedQueries
from parcours.transforms.shapes import Columns, Documents, Path, Shape, pointer_to

MOST_NAMES = 64
"""Unknown names up to which each is read as a field of its own; beyond, documents are searched key by key."""


def make_validator(source: Source, config: Config) -> Validator:
    """Open the validator of one source.

    Raises:
        ValueError: the time zone or the date format is not one that DuckDB reads.
    """
    return Validator(source, config)


class Validator:
    """Validates the batches of one source. Used by one thread; owns an in-memory DuckDB.

    ``hashed`` says that event ids are generated from the contents, so that equal rows of one file need a
    suffix. ``dropped_names`` counts, over all batches so far, the rows that had an unknown field which is not
    kept.
    """

    def __init__(self, source: Source, config: Config) -> None:
        self._source = source
        reference = REFERENCES.get(source.loads)
        built_in = reference_rules(reference) if reference else row_rules(config.validation)
        self._rules = (*built_in, *reject_rules(config, source.loads))
        self._rules = (*_computed_rules(source), *self._rules)
        self._rows = reference.rows if reference else TOUCHPOINT
        self._ignored_ids = config.validation.ignored_ids
        self._envelope = ENVELOPES[source.envelope]
        self._consumed = consumed_names(source)
        self.hashed = entry_of(source, "event_id").generate == "hash"
        self.dropped_names: Counter[str] = Counter()
        self._con = duckdb.connect(":memory:", config={"threads": 1})
        # also when the interpreter ends: DuckDB complains of connections left open
        weakref.finalize(self, self._con.close)
        self._con.execute("SET TimeZone = 'UTC'")
        # a short list of words is found faster word by word than by the join that DuckDB makes of it
        self._con.execute("SET disabled_optimizers = 'in_clause'")
        self._con.execute(resources.files(__package__).joinpath("readers.sql").read_text("utf-8"))
        self._check_times()
        self._queries = PreparedQueries(self._con)

    def _check_times(self) -> None:
        try:
            self._con.execute("SELECT clock(TIMESTAMP '2000-01-01', ?)", [self._source.time_zone]).fetchall()
        except duckdb.Error as error:
            raise ValueError(
                f'time_zone = "{self._source.time_zone}" is unknown to DuckDB: {error}'
            ) from error
        try:
            if self._source.date_format is not None:
                self._con.execute(f"SELECT try_strptime('', {literal(self._source.date_format)})").fetchall()
        except duckdb.Error as error:
            raise ValueError(f'date_format = "{self._source.date_format}" cannot be used: {error}') from error

    def validate(self, decoded: DecodedBatch) -> ValidatedBatch:
        """Validate one batch: as many valid rows and rejected records as it has rows, each by offset."""
        valid, rejected = [], [_with_coordinates(decoded, decoded.rejects)]
        for part in decoded.parts:
            for rows, rules in self._judge(decoded, part):
                fine = pc.is_null(rows["broken"])
                valid.append(self._valid(decoded, rows.filter(fine)))
                rejected.append(_rejected(decoded, rows.filter(pc.invert(fine)), rules))
        refused = _by_offset(rejected)
        context = kept_context(self._source.format, decoded.source, refused["source_offset"])
        if context is not None:
            named = pa.repeat(context_id(context), refused.num_rows)
            refused = refused.set_column(REJECTED.get_field_index("context_id"), "context_id", named)
        return ValidatedBatch(
            decoded.source.range,
            _by_offset(valid) if valid else self._rows.empty_table(),
            refused,
            context,
        )

    def fields(self, decoded: DecodedBatch) -> pa.Table:
        """Return the fields of every row that was decoded, valid or not, and where it stood: for showing."""
        names = ["row", *layout_of(self._source).names]
        rows = [rows.select(names) for part in decoded.parts for rows, _ in self._judge(decoded, part)]
        if not rows:
            return pa.table({"source_offset": pa.array([], pa.int64())})
        table = pa.concat_tables(rows, promote_options="permissive").combine_chunks()
        offsets = decoded.source.records["offset"].take(table["row"].combine_chunks())
        return table.drop_columns(["row"]).append_column("source_offset", offsets)

    def _judge(self, decoded: DecodedBatch, part: DecodedPart) -> list[tuple[pa.Table, tuple[Rule, ...]]]:
        """Say of each row what it is and which rule it breaks: tables, with the rules they refer to."""
        table = self._input(decoded, part)
        if part.kind == "columns":
            columns = part.table.drop_columns(["row"])
            shape = Columns(columns.schema)
            return [self._run(table, columns.schema, shape, self._kept_columns(shape, columns))]
        keys, kept = self._names(table)
        relevant = (frozenset((*prefix, key) for prefix, names in keys.items() for key in names), str(kept))
        rows, rules = self._run(table, relevant, Documents(keys), kept)
        if not pc.any(rows["inexact"]).as_py():
            return [(rows, rules)]
        written = "SELECT *, with_written_numbers(document) AS written FROM part"
        again = self._queries.run("written", lambda: written, table.filter(rows["inexact"]))
        exact = Documents(keys, rewritten=True)
        return [
            (rows.filter(pc.invert(rows["inexact"])), rules),
            self._run(again, ("exact", relevant), exact, kept),
        ]

    def _input(self, decoded: DecodedBatch, part: DecodedPart) -> pa.Table:
        row = part.table["row"].combine_chunks()
        names = [name for name in part.table.column_names if name != "row"]
        renamed = ["document"] if part.kind == "documents" else [f"c{place}" for place in range(len(names))]
        table = pa.table([part.table[name] for name in names], names=renamed) if names else None
        records = decoded.source.records
        added = {"row": row, "broker_timestamp": records["broker_timestamp"].take(row)}
        if entry_of(self._source, "event_id").generate == "row":
            place = records["offset"].take(row).cast(pa.string())
            added["generated_id"] = pc.binary_join_element_wise(decoded.source.range.topic, place, ":")
        for name, column in added.items():
            table = table.append_column(name, column) if table is not None else pa.table({name: column})
        return table

    def _kept_columns(self, shape: Columns, columns: pa.Table) -> list[Path]:
        """Return the paths of unknown columns that become attributes; count those that do not."""
        kept = []
        for prefix in self._envelope.records:
            for name in shape.names(prefix):
                if name in self._consumed:
                    continue
                if self._keeps(name):
                    kept.append((*prefix, name))
                else:
                    present = columns.num_rows - columns[prefix[0] if prefix else name].null_count
                    self.dropped_names[name] += present
        return kept

    def _names(self, table: pa.Table) -> tuple[dict[Path, frozenset[str]], list[Path] | None]:
        """Find the names in documents.

        Returns:
            Under each prefix the names that matter; the paths of those that become attributes, null if they
            are too many for that.
        """
        keys, kept = {}, []
        for prefix in self._envelope.prefixes:
            names = f"json_keys(document, {literal(pointer_to(prefix))})" if prefix else "json_keys(document)"
            each = f"(SELECT unnest({names}) AS key FROM part)"
            query = f"SELECT key, count(*) AS rows FROM {each} GROUP BY key"
            found = self._queries.run(("names", prefix), partial(str, query), table.select(["document"]))
            counts = dict(zip(found["key"].to_pylist(), found["rows"].to_pylist(), strict=True))
            unknown = counts.keys() - self._consumed if prefix in self._envelope.records else set()
            dropped = {name: counts[name] for name in unknown if not self._keeps(name)}
            self.dropped_names.update(dropped)
            kept += [(*prefix, name) for name in unknown - dropped.keys()]
            keys[prefix] = frozenset(counts.keys() - dropped.keys())
        if self._source.attributes == "all" and len(kept) > MOST_NAMES:
            return {prefix: names - {path[-1] for path in kept} for prefix, names in keys.items()}, None
        return keys, sorted(kept)

    def _keeps(self, name: str) -> bool:
        return self._source.attributes == "all" or name in self._source.attributes

    def _run(
        self, table: pa.Table, key: Hashable, shape: Shape, kept: list[Path] | None
    ) -> tuple[pa.Table, tuple[Rule, ...]]:
        """Run the query of one shape: the fields, the hash, the broken rule, the offending value."""
        timeless = table["broker_timestamp"].null_count == len(table)
        mapped = map_part(self._source, shape, kept, self._ignored_ids)
        rules = applicable(self._rules, mapped.empty | ({"broker_timestamp"} if timeless else set()))
        return self._queries.run((key, timeless), lambda: self._query(mapped.sql, rules), table), rules

    def _query(self, mapped: str, rules: tuple[Rule, ...]) -> str:
        judged = f"(SELECT *, {broken_rule_sql(rules)} AS broken FROM {self._unjudged(mapped)})"
        digests = ["content_sha256"] if "content_sha256" in self._rows.names else []
        columns = ", ".join(["row", *layout_of(self._source).names, *digests, "inexact", "broken"])
        value = offending_value_sql(rules, "broken")
        return f"SELECT {columns}, {value} AS bad_value FROM {judged}"

    def _unjudged(self, mapped: str) -> str:
        """Return the relation that the rules' conditions are over: looked up, hashed, and every row in it."""
        hashed = f"{mapped} AS mapped"
        if "content_sha256" in self._rows.names:
            hashed = f"(SELECT *, {content_sha256_hex_sql('mapped')} AS content_sha256 FROM {hashed})"
        looked_up = [
            f"{with_lookup(name, entry_of(self._source, name).lookup)} AS {name}"
            for name in layout_of(self._source).texts
            if entry_of(self._source, name).lookup
        ]
        if self.hashed:
            looked_up.append("content_sha256 AS event_id")
        replaced = f"REPLACE ({', '.join(looked_up)})" if looked_up else ""
        return f"(SELECT * {replaced} FROM {hashed})"

    def _valid(self, decoded: DecodedBatch, rows: pa.Table) -> pa.Table:
        """Make valid rows of judged ones: where they were read stands beside their fields."""
        columns = {name: rows[name] for name in layout_of(self._source).names}
        columns |= _coordinates(decoded, rows["row"].combine_chunks())
        if "content_sha256" in self._rows.names:
            columns["content_sha256"] = _unhex(rows["content_sha256"].combine_chunks())
        return pa.table([_cast(columns[field.name], field.type) for field in self._rows], schema=self._rows)


def _computed_rules(source: Source) -> list[Rule]:
    """Return the rules that the expressions of the mapping work."""
    texts = layout_of(source).texts
    return [
        computed(name, name if name in texts else f"CAST({name}_given AS VARCHAR)")
        for name, entry in source.map.items()
        if entry.sql is not None
    ]


def _by_offset(tables: list[pa.Table]) -> pa.Table:
    """Bring together what was judged apart, in the order in which it was read."""
    filled = [table for table in tables if table.num_rows]
    if len(filled) < 2:
        return filled[0] if filled else tables[0]
    together = pa.concat_tables(filled)
    return together.take(pc.sort_indices(together["source_offset"]))


def _coordinates(decoded: DecodedBatch, row: pa.Array) -> dict[str, pa.Array]:
    """Return where rows were read, column by column."""
    records, count, range_ = decoded.source.records, len(row), decoded.source.range
    ids = decoded.schema_ids.take(row) if decoded.schema_ids is not None else pa.nulls(count, pa.int32())
    return {
        "source_name": pa.repeat(range_.source, count),
        "source_topic": pa.repeat(range_.topic, count),
        "source_partition": pa.repeat(pa.scalar(range_.partition, pa.int32()), count),
        "source_offset": records["offset"].take(row),
        "broker_timestamp": records["broker_timestamp"].take(row),
        "record_key": records["record_key"].take(row),
        "headers": records["headers"].take(row),
        "schema_id": ids,
    }


def _unhex(texts: pa.StringArray) -> pa.FixedSizeBinaryArray:
    """Turn texts of 64 hex digits into 32 bytes each, all at once: they stand end to end in one buffer."""
    digits = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts), "")[0]
    data = bytes.fromhex(digits.as_py())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(texts), [None, pa.py_buffer(data)])


def _rejected(decoded: DecodedBatch, rows: pa.Table, rules: tuple[Rule, ...]) -> pa.Table:
    reasons = explain(rules, rows["broken"].combine_chunks(), rows["bad_value"].combine_chunks())
    step = pa.repeat("validate", rows.num_rows)
    return _with_coordinates(decoded, pa.table({"row": rows["row"], "step": step, **reasons}))


def _with_coordinates(decoded: DecodedBatch, notes: pa.Table) -> pa.Table:
    """Make rejected records of notes: the raw bytes and where they were read stand beside the reason."""
    row = notes["row"].combine_chunks()
    columns = _coordinates(decoded, row) | {"raw": decoded.source.records["value"].take(row)}
    columns |= {name: notes[name] for name in REJECT_NOTE.names if name != "row"}
    columns |= {"context_id": pa.nulls(len(row), pa.string())}
    return pa.table([_cast(columns[field.name], field.type) for field in REJECTED], schema=REJECTED)


def _cast(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind)
