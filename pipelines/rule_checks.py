"""What can be wrong with a user's rules, and with what the gate names, beyond the shape of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from parcours.pipelines.segment_checks import Found
from parcours.schemas.config import Config, Kpi
from parcours.schemas.rule import KEYS, Gate, Rule

if TYPE_CHECKING:
    import duckdb

    from parcours.pipelines.layers import Place

_NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "BIGINT", "INTEGER", "UBIGINT", "HUGEINT")
_TIMES = ("TIMESTAMP", "DATE")
_COLUMNS = ("column", "before", "after", "time")


def rule_mistakes(resolved: Mapping[Any, Any], config: Config | None) -> Iterator[Found]:
    """Give what is wrong with ``[rule]`` and with the figures that ``[gate]`` names.

    Args:
        resolved: the merged config with variables replaced, whether or not models can be made of it; what
            these say of a rule is not said again.
        config: the model of it; null where it could not be made. Then nothing is said of figures, nor of
            rules of theirs.
    """
    entries = resolved.get("rule")
    rules = dict(_rules(entries if isinstance(entries, Mapping) else {}))
    asked = config.gate.figures if config and config.gate.figures != Gate().figures else ()
    if not rules and not asked:
        return
    store = _EmptyStore(config or Config())
    for name in asked:
        if name not in store.all_figures:
            yield Found(("gate", "figures"), f'"{name}" is no figure', name, store.all_figures)
        elif f"kpi_{name}" not in store.relations:
            yield Found(
                ("gate", "figures"), f'"{name}" has no relation to check: [kpi] figures leaves it out'
            )
    sources = resolved.get("source")
    names = [*sources] if isinstance(sources, Mapping) else []
    for name, rule in rules.items():
        if config is None and rule.on.startswith("kpi_"):
            continue  # a figure of the user's is known once the config is right
        yield from _RuleCheck(name, rule, store, names).mistakes()


def _rules(entries: Mapping[Any, Any]) -> Iterator[tuple[str, Rule]]:
    for name, entry in entries.items():
        try:
            yield name, Rule.model_validate(entry)
        except ValidationError:
            continue


class _EmptyStore:
    """A store in memory with nothing in it, which has the relations that a config's store would have."""

    def __init__(self, config: Config) -> None:
        from parcours.kpis.views import all_figures  # noqa: PLC0415, reads every record
        from parcours.schemas import relations  # noqa: PLC0415

        self.config = config
        self.all_figures = [*all_figures(config.figure)]
        shown, figures = config.kpi.figures, all_figures(config.figure)
        self._figures = {
            f"kpi_{name}": name
            for name, figure in figures.items()
            if shown == "all" or name in shown or figure.phase in shown
        }
        views = [name for name in relations.VIEWS if name.endswith("_now")]
        fixed = ("kpi_stage_conversion", "kpi_catalogue", "segment_members_now", "value_cells_now")
        self.relations = [*dict.fromkeys((*relations.TABLES, *views, *fixed, *self._figures))]
        self._made: set[str] = set()

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The store; figures are not there yet, but stage conversion."""
        import duckdb  # noqa: PLC0415, slow to load

        from parcours.kpis import segments, stage_conversion  # noqa: PLC0415, loads DuckDB
        from parcours.schemas import relations  # noqa: PLC0415

        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
            connection.execute(relations.statement(name))
        for statement in (*segments.create_statements(Config()), *stage_conversion.create_statements(Kpi())):
            connection.execute(statement)
        return connection

    def having(self, text: str) -> duckdb.DuckDBPyConnection:
        """Return the store, with the figures that a text names: all of them would take seconds."""
        from parcours.kpis.views import create_statements  # noqa: PLC0415

        known = (*self._figures, "kpi_catalogue")
        named = {word for word in re.findall(r"kpi_\w+", text) if word in known}
        if named - self._made:
            figures = tuple(self._figures[word] for word in named if word in self._figures)
            kpi = self.config.kpi.model_copy(update={"figures": figures})
            for statement in create_statements(self.config.model_copy(update={"kpi": kpi})):
                self.connection.execute(statement)
            self._made |= named
        return self.connection

    def columns_of(self, relation: str) -> dict[str, str]:
        """Return the columns of a relation, with their types."""
        rows = self.having(relation).execute(f"DESCRIBE FROM {relation}").fetchall()
        return {str(row[0]): str(row[1]) for row in rows}


class _RuleCheck:
    """Finds the mistakes of one rule whose shape is right."""

    def __init__(self, name: str, rule: Rule, store: _EmptyStore, sources: Sequence[str]) -> None:
        self._name, self._rule, self._store, self._sources = name, rule, store, sources
        self._place: Place = ("rule", name)

    def mistakes(self) -> Iterator[Found]:
        """Give the mistakes; whether the store can be asked is tried where there are no others."""
        rule, known = self._rule, self._store.relations
        found: list[Found] = []
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self._name):
            found.append(Found(self._place, "a rule's name is in snake_case, as web_has_campaign"))
        if rule.on not in known:
            found.append(Found((*self._place, "on"), f'"{rule.on}" is no relation', rule.on, known))
        else:
            found += self._of_rejection()
            columns = self._columns()
            if columns is None:
                return
            found += self._of_columns(columns)
        yield from found or self._of_query()

    def _of_rejection(self) -> Iterator[Found]:
        from parcours.quality.user_rules import REJECTING  # noqa: PLC0415

        rule = self._rule
        if rule.severity == "reject" and rule.on not in REJECTING:
            said = "only records that are loaded can be rejected: write warn or stop, or another relation"
            yield Found((*self._place, "on"), said, None, [*REJECTING])

    def _columns(self) -> dict[str, str] | None:
        """Return the columns that the rule may speak of: of one that rejects, those that a record gives.

        Null where the relation is that of a user's figure which is wrong itself: that is told.
        """
        import duckdb  # noqa: PLC0415, slow to load

        from parcours.quality.user_rules import REJECTING  # noqa: PLC0415
        from parcours.schemas.references import fields_of  # noqa: PLC0415

        try:
            columns = self._store.columns_of(self._rule.on)
        except (duckdb.Error, KeyError, ValueError):
            return None
        if self._rule.severity != "reject" or self._rule.on not in REJECTING:
            return columns
        return {name: columns[name] for name in fields_of(REJECTING[self._rule.on]).names}

    def _of_columns(self, columns: Mapping[str, str]) -> Iterator[Found]:
        from parcours.kpis.conditions import check  # noqa: PLC0415, loads DuckDB
        from parcours.quality.user_rules import columns_in  # noqa: PLC0415

        rule, what = self._rule, f"column of {self._rule.on}"
        if rule.severity == "reject":
            what += " that a record gives"
        keys = [*_COLUMNS, *(["by"] if rule.kind == "completeness" else [])]
        named = [(key, name) for key in keys if (name := getattr(rule, key))]
        for key, name in [*named, *(("columns", name) for name in rule.columns)]:
            if name not in columns:
                yield Found((*self._place, key), f'"{name}" is no {what}', name, [*columns])
            elif key == "by" and name.endswith("_id"):
                said = "its groups are named in logs and notices, where no id of a person or thing may stand"
                yield Found((*self._place, key), said)
        found = [
            Found((*self._place, key), wrong.problem, wrong.unknown, [*columns] if wrong.unknown else ())
            for key in ("where", "condition")
            if (text := getattr(rule, key)) is not None
            for wrong in check(text, columns, what)
        ]
        yield from found
        if rule.condition is not None and not found and not columns_in(rule.condition, [*columns]):
            yield Found(
                (*self._place, "condition"), f"it names no {what}: it is true of every row, or of none"
            )
        yield from self._of_kind(columns)

    def _of_kind(self, columns: Mapping[str, str]) -> Iterator[Found]:
        rule = self._rule
        kind = columns.get(rule.column or "", "")
        if rule.kind in ("in_set", "regex") and kind not in ("", "VARCHAR"):
            said = f"{rule.column} is a {kind} and not a text: use a range or a condition"
            yield Found((*self._place, "column"), said)
        if rule.kind == "regex":
            yield from self._of_pattern(rule.pattern or "")
        if rule.kind == "range" and kind:
            yield from self._of_range(kind)
        if rule.kind in ("share", "completeness"):
            yield from self._of_shares()
        if rule.kind == "reference":
            yield from self._of_reference(rule.to or "")
        if rule.kind == "freshness":
            yield from self._of_freshness()
        if rule.kind == "volume":
            yield from self._of_time(columns)

    def _of_pattern(self, pattern: str) -> Iterator[Found]:
        import duckdb  # noqa: PLC0415, slow to load

        from parcours.schemas.literal import literal  # noqa: PLC0415

        try:
            self._store.connection.execute(f"SELECT regexp_full_match('', {literal(pattern)})")
        except duckdb.Error as error:
            yield Found(
                (*self._place, "pattern"), f"it is no regular expression that RE2 reads: {_said(error)}"
            )

    def _of_range(self, kind: str) -> Iterator[Found]:
        from parcours.quality.queries import instant  # noqa: PLC0415

        rule = self._rule
        is_time, is_number = kind.startswith(_TIMES), kind.startswith(_NUMBERS) and not kind.endswith("]")
        if kind.endswith("]") or not (is_time or is_number):
            yield Found((*self._place, "column"), f"{rule.column} is a {kind}, neither a number nor a time")
            return
        read: list[Any] = []
        for key in ("min", "max"):
            end = getattr(rule, key)
            if end is None:
                continue
            if is_number and (isinstance(end, str) or not math.isfinite(end)):
                yield Found((*self._place, key), f"{rule.column} is a {kind}: write a finite number, as 10.5")
            elif is_number:
                read.append(end)
            else:
                try:
                    read.append(instant(end) if isinstance(end, str) else None)
                except (ValueError, OverflowError):
                    read.append(None)
                if read[-1] is None:
                    said = (
                        f'{rule.column} is a {kind}: write a time, as "2025-01-31" or "2025-01-31T12:00:00Z"'
                    )
                    yield Found((*self._place, key), said)
        if len(read) == 2 and None not in read and read[0] > read[1]:
            yield Found((*self._place, "min"), "min is more than max: no value is within")

    def _of_shares(self) -> Iterator[Found]:
        ends = [(key, end) for key in ("min", "max") if (end := getattr(self._rule, key)) is not None]
        for key, end in ends:
            if isinstance(end, str) or not 0 <= end <= 1:
                yield Found((*self._place, key), "a share is a number from 0 to 1, as 0.95")
        if len(ends) == 2 and all(isinstance(end, float) for _, end in ends) and ends[0][1] > ends[1][1]:
            yield Found((*self._place, "min"), "min is more than max: no share is within")

    def _of_reference(self, to: str) -> Iterator[Found]:
        relation, _, column = to.partition(".")
        if relation not in self._store.relations or not column:
            said = (
                f'"{to}" names no column of a relation: write RELATION.COLUMN, as ref_contracts.contract_id'
            )
            yield Found((*self._place, "to"), said, relation, self._store.relations)
            return
        columns = self._store.columns_of(relation)
        if column not in columns:
            yield Found((*self._place, "to"), f'"{column}" is no column of {relation}', column, [*columns])

    def _of_freshness(self) -> Iterator[Found]:
        rule = self._rule
        if rule.on != "touchpoints":
            yield Found((*self._place, "on"), 'freshness is of the events of a source: on = "touchpoints"')
        if rule.source and self._sources and rule.source not in self._sources:
            yield Found((*self._place, "source"), f'"{rule.source}" is no source', rule.source, self._sources)

    def _of_time(self, columns: Mapping[str, str]) -> Iterator[Found]:
        from parcours.quality.row_ids import TIMES  # noqa: PLC0415

        rule = self._rule
        time = rule.time or TIMES.get(rule.on)
        if time is None:
            said = f"volume is counted by day, and {rule.on} has no time of its own: name a column with time"
            yield Found(self._place, said, None, [name for name, kind in columns.items() if kind in _TIMES])
        elif time in columns and columns[time] not in _TIMES:
            yield Found((*self._place, "time"), f"{time} is a {columns[time]}, and not a time or a day")

    def _of_query(self) -> Iterator[Found]:
        """Ask the empty store: what is still wrong, as types that do not compare, DuckDB says."""
        import duckdb  # noqa: PLC0415, slow to load

        from parcours.quality.queries import query_of  # noqa: PLC0415

        rule, key = self._rule, next(iter(KEYS[self._rule.kind][0]), "kind")
        query = query_of(rule, self._store.config, datetime(2000, 1, 1))
        try:
            if rule.sql is not None:
                statements = self._store.connection.extract_statements(rule.sql)
                if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                    yield Found((*self._place, key), "it is not one query: write a single SELECT")
                    return
            for text in filter(None, (query.failing, query.observed)):
                self._store.having(text).execute(text).fetchall()
        except duckdb.Error as error:
            yield Found((*self._place, key), f"the store cannot be asked for it: {_said(error)}")


def _said(error: Exception) -> str:
    """Return what DuckDB says of an error, without the text around its place."""
    return " ".join(str(error).split("\n\n")[0].split())
