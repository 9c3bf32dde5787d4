"""The row filter made from the rules: in one pass, which rule each row breaks first, and by what value."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from parcours.quality.rule import Rule

SHOWN_VALUE = 200
"""Characters of an offending value that are kept."""


def applicable(rules: Sequence[Rule], empty: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules that rows can break, given the columns that are null or false in every row."""
    return tuple(rule for rule in rules if rule.needs not in empty)


def broken_rule_sql(rules: Sequence[Rule]) -> str:
    """Return the SQL expression of the first broken rule's place (USMALLINT, from 0); null where none is."""
    cases = " ".join(f"WHEN {rule.broken} THEN {place}" for place, rule in enumerate(rules))
    return f"CAST(CASE {cases} END AS USMALLINT)"


def offending_value_sql(rules: Sequence[Rule], broken: str) -> str:
    """Return the SQL expression of the value that broke the rule: VARCHAR, cut, null where no rule is broken.

    Args:
        rules: as given to ``broken_rule_sql``.
        broken: the column that holds the place of the broken rule.
    """
    cases = " ".join(f"WHEN {place} THEN {rule.value}" for place, rule in enumerate(rules))
    return f"CASE WHEN {broken} IS NOT NULL THEN left(CASE {broken} {cases} END, {SHOWN_VALUE}) END"


def explain(rules: Sequence[Rule], broken: pa.Array, value: pa.Array) -> dict[str, pa.Array]:
    """Return reason, rule, field, value and the English message of rejected rows.

    Args:
        rules: as given to ``broken_rule_sql``.
        broken: the place of each row's broken rule, without nulls.
        value: each row's offending value.
    """

    def column(texts: list[str]) -> pa.Array:
        return pa.array(texts, pa.string()).take(broken)

    sentences = [rule.english.partition("{value}") for rule in rules]
    shown = pc.if_else(
        pa.array([bool(mark) for _, mark, _ in sentences], pa.bool_()).take(broken),
        pc.fill_null(value, "(nothing)"),
        "",
    )
    return {
        "reason": column([rule.reason for rule in rules]),
        "rule": column([rule.name for rule in rules]),
        "field": column([rule.field for rule in rules]),
        "value": value,
        "message": pc.binary_join_element_wise(
            column([before for before, _, _ in sentences]),
            shown,
            column([after for _, _, after in sentences]),
            "",
        ),
    }
