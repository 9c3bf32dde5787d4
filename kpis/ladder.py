"""The loyalty ladder: rungs and their conditions, as ``[ladder]`` in the config says them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

FACTS = {
    "identified": "BOOLEAN",
    "touchpoints": "BIGINT",
    "journeys": "BIGINT",
    "purchases": "BIGINT",
    "referrals": "BIGINT",
    "good_reviews": "BIGINT",
    "last_nps": "DOUBLE",
    "contracts_in_force": "BIGINT",
    "longest_in_force_years": "DOUBLE",
    "tenure_years": "DOUBLE",
    "holds_nothing_any_more": "BOOLEAN",
}
"""What a condition may speak of, with its type: columns of ``profiles_at``; comments say the meaning."""

LOWEST = "prospect"
"""The rung of those for whom no condition holds."""

_PARTS = {
    "COLUMN_REF",
    "CONSTANT",
    "COMPARISON",
    "CONJUNCTION",
    "OPERATOR",
    "BETWEEN",
    "CASE",
    "CAST",
    "TYPE",
}
_ARITHMETIC = {"+", "-", "*", "/"}
"""What a condition is made of. Functions, subqueries and the like could ask for more than the facts."""


@dataclass(frozen=True)
class LadderMistake:
    """What is wrong with a rung, and the name that is no fact where it is about one."""

    rung: str
    problem: str
    unknown: str | None = None


def create_statements(ladder: Mapping[str, str]) -> list[str]:
    """Return the SQL that makes, or makes anew, the macros of the ladder in a store with the relations.

    Args:
        ladder: each rung and its condition, the lowest rung first.

    Raises:
        ValueError: a condition is none; it names all that are wrong.
    """
    wrong = [f"ladder > {mistake.rung}: {mistake.problem}" for mistake in ladder_mistakes(ladder)]
    if wrong:
        raise ValueError("; ".join(wrong))
    rungs = ", ".join(_quoted(rung) for rung in (LOWEST, *ladder))
    cases = "".join(
        f"\n    WHEN ({condition}) THEN {_quoted(rung)}" for rung, condition in reversed([*ladder.items()])
    )
    rung = f"CASE{cases}\n    ELSE {_quoted(LOWEST)}\nEND" if ladder else _quoted(LOWEST)
    return [
        f"CREATE OR REPLACE MACRO ladder_rungs() AS [{rungs}]",
        "COMMENT ON MACRO ladder_rungs IS 'The rungs of the loyalty ladder, the lowest first, as [ladder] in "
        "the config names them.'",
        f"CREATE OR REPLACE MACRO ladder_rung({', '.join(FACTS)}) AS\n{rung}",
        "COMMENT ON MACRO ladder_rung IS 'The rung of the loyalty ladder of one for whom these facts hold: "
        "the highest whose condition holds, by [ladder] in the config.'",
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ladder_mistakes(ladder: Mapping[str, str]) -> list[LadderMistake]:
    """Return everything that is wrong with the rungs of a ladder and their conditions."""
    with duckdb.connect() as connection:
        return [
            mistake for rung, condition in ladder.items() for mistake in _of_rung(connection, rung, condition)
        ]


def _of_rung(connection: duckdb.DuckDBPyConnection, rung: str, condition: str) -> Iterator[LadderMistake]:
    if not rung.strip() or rung == LOWEST:
        yield LadderMistake(rung, f'a rung needs a name of its own; "{LOWEST}" is who stands on none')
    if not condition.strip() or "--" in condition or "/*" in condition:
        yield LadderMistake(rung, "it is empty, or has a comment")
        return
    text = f"SELECT ({condition})"
    parsed = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    tree = json.loads(parsed[0]) if parsed else {}
    if tree["error"]:
        at_our_parenthesis = int(tree.get("position", 0)) >= len(text) - 1  # nobody wrote that one
        said = "it ends too early" if at_our_parenthesis else tree["error_message"]
        yield LadderMistake(rung, f"it is no condition: {said}")
        return
    node = tree["statements"][0]["node"]
    alone = len(tree["statements"]) == 1 and node["type"] == "SELECT_NODE" and len(node["select_list"]) == 1
    if not alone or node["from_table"]["type"] != "EMPTY":
        yield LadderMistake(rung, "it is no condition but a statement of its own")
        return
    found = [*_of_parts(rung, [*_parts(node["select_list"][0])])]
    yield from found or _of_type(connection, rung, text)


def _of_parts(rung: str, parts: list[dict[str, Any]]) -> Iterator[LadderMistake]:
    names = dict.fromkeys(".".join(part["column_names"]) for part in parts if part["class"] == "COLUMN_REF")
    for name in names:
        if name.lower() not in FACTS:
            yield LadderMistake(rung, f'"{name}" is no fact', name)
    # a text that is no number may fail only where it is compared, in a query and for one person alone
    if any(_is_text(part) for part in parts):
        yield LadderMistake(rung, "a text has no place in it: compare facts with numbers")
    for kind in sorted(
        {part["class"] for part in parts if part.get("function_name") not in _ARITHMETIC} - _PARTS
    ):
        said = kind.lower().replace("_", " ")
        yield LadderMistake(rung, f"a {said} has no place in it: compare facts with numbers")


_NOWHERE = 2**64 - 1
"""Where DuckDB says that an expression stands which is not in the text."""


def _is_text(part: dict[str, Any]) -> bool:
    """Tell a constant that is a text, as DuckDB 2 says it and as DuckDB 1 does."""
    if part["class"] != "CONSTANT":
        return False
    if "literal" in part:
        return bool(part["literal"]["kind"] == "STRING")
    return bool(part["value"]["type"]["id"] == "VARCHAR")


def _of_type(connection: duckdb.DuckDBPyConnection, rung: str, text: str) -> Iterator[LadderMistake]:
    facts = ", ".join(f"0::{kind} AS {name}" for name, kind in FACTS.items())
    try:
        row = connection.execute(
            f"SELECT typeof(fits), fits FROM ({text} AS fits FROM (SELECT {facts}))"
        ).fetchone()
    except duckdb.Error as error:
        yield LadderMistake(rung, f"it is no condition: {str(error).splitlines()[0]}")
        return
    kind = str(row[0]).lower() if row else ""
    if kind != "boolean":
        yield LadderMistake(rung, f"it is a {kind}, not true or false: compare it")


def _parts(tree: object) -> Iterator[dict[str, Any]]:
    """Give every expression in a parsed one, itself included."""
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        # DuckDB 1 has true and false as casts of a text that nobody wrote
        tree = [] if tree.get("query_location") == _NOWHERE else list(tree.values())
    if isinstance(tree, list):
        for inner in tree:
            yield from _parts(inner)
