"""What users write in SQL of one row, by its columns alone: conditions, and expressions that make a text.

What could ask for more than the row (subqueries, aggregates, windows, tables, the clock) has no place in one,
nor, in a condition, has what fails only in a query, once a row comes that it does not suit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

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
"""What a condition is made of, beside functions."""

_SIGNS = {
    "+": "+",
    "-": "-",
    "*": "*",
    "/": "/",
    "//": "//",
    "%": "%",
    "||": "||",
    "~~": "LIKE",
    "!~~": "NOT LIKE",
    "~~*": "ILIKE",
    "!~~*": "NOT ILIKE",
    "list_value": "[…]",
    "struct_pack": "{…}",
}
"""Functions that are written as signs or words of their own."""

FUNCTIONS = tuple(
    """abs ceil floor round greatest least if ifnull nullif coalesce
    lower upper trim length len left right substring contains starts_with ends_with
    list_contains list_has list_has_any list_has_all array_contains array_length
    year quarter month week day hour minute dayofweek isodow date_diff datediff date_trunc date_part trunc
    to_years to_months to_weeks to_days to_hours to_minutes to_seconds""".split()  # noqa: SIM905, a name a line is 40 lines
)
"""The functions that a condition may call: of one row, and the same in every version of DuckDB."""

TEXT_FUNCTIONS = tuple(
    """replace regexp_replace regexp_extract regexp_matches regexp_full_match translate concat concat_ws
    split_part ltrim rtrim lpad rpad reverse strip_accents strpos octet_length chr format md5 sha256
    strptime try_strptime strftime make_timestamp epoch_ms json_extract_string json_extract try
    ->> ~ array_extract array_slice""".split()  # noqa: SIM905, a name a line is 30 lines
)
"""The functions that an expression may call beside: they make texts, or what is written as one."""

_WRITTEN = re.compile(
    r"""'[^']*'? | "[^"]*"?
    | (?P<comment> -- | /\*)
    | (?P<other> (?<![\w$]) (?: [eE]' | \$ (?: [^\W\d]\w* )? \$ ))""",
    re.VERBOSE,
)
"""Texts and quoted names in plain quotes, comments, and what begins texts of the other kinds."""

_NOWHERE = 2**64 - 1
"""Where DuckDB says that an expression stands which is not in the text."""


_TOO_DEEP = "it is nested too deeply: write it shorter"

_DEEPEST = 100
"""How many expressions may stand within each other: nothing runs out of stack, wherever it stands."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a condition, and the name that is no column where it is about one."""

    problem: str
    unknown: str | None = None


def columns_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Return the columns of a relation, as SQL names it after FROM, and their types."""
    rows = connection.execute(f"DESCRIBE FROM {relation}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def check(text: str, columns: Mapping[str, str], what: str, *, texts: bool = True) -> list[Mistake]:
    """Return everything that is wrong with a condition; nothing where it is one.

    A condition stands in a query as ``(text)``.

    Args:
        text: the condition as a user wrote it.
        columns: what it may speak of, with the types that DuckDB gives them.
        what: what messages call one of them, as "column", "column of touchpoints" or "fact".
        texts: whether texts, and with them dates and intervals written as texts, have a place in it.
    """
    if not text.strip():
        return [Mistake("it is empty")]
    wrong = _of_writing(text)
    if wrong:
        return [Mistake(wrong)]
    with duckdb.connect() as connection:
        try:
            return [*_mistakes(connection, text, columns, what, texts=texts)]
        except RecursionError:
            return [Mistake(_TOO_DEEP)]


def check_expression(text: str, columns: Mapping[str, str], what: str) -> list[Mistake]:
    """Return everything that is wrong with an expression; nothing where it is one.

    That it fails on some values is no mistake of it. An expression stands in a query as ``(text)``.

    Args:
        text: the expression as a user wrote it.
        columns: what it may speak of, with the types that DuckDB gives them.
        what: what messages call one of them, as "field of touchpoints".
    """
    if not text.strip():
        return [Mistake("it is empty")]
    wrong = _of_writing(text)
    if wrong:
        return [Mistake(wrong)]
    with duckdb.connect() as connection:
        try:
            return [*_mistakes(connection, text, columns, what, texts=True, gives="expression")]
        except RecursionError:
            return [Mistake(_TOO_DEEP)]


def _mistakes(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    columns: Mapping[str, str],
    what: str,
    *,
    texts: bool,
    gives: Literal["condition", "expression"] = "condition",
) -> Iterator[Mistake]:
    query = f"SELECT ({text})"
    tree = _parsed(connection, query)
    if tree["error"]:
        at_our_parenthesis = int(tree.get("position", 0)) >= len(query) - 1  # nobody wrote that one
        said = "it ends too early" if at_our_parenthesis else tree["error_message"]
        too_deep = "max_expression_depth" in said
        yield Mistake(_TOO_DEEP if too_deep else f"it is no {gives}: {said}")
        return
    node = tree["statements"][0]["node"]
    alone = len(tree["statements"]) == 1 and node["type"] == "SELECT_NODE" and len(node["select_list"]) == 1
    # without our parenthesis: what closes it and opens another would not stand together in a query
    bare = _parsed(connection, f"SELECT CASE WHEN {text}\nTHEN 1 END")
    if not alone or bare["error"] or node["from_table"]["type"] != "EMPTY":
        yield Mistake(f"it is no {gives} but a statement of its own")
        return
    parts = [*_parts(node["select_list"][0])]
    functions = FUNCTIONS if gives == "condition" else (*FUNCTIONS, *TEXT_FUNCTIONS)
    found = [*_of_parts(parts, columns, what, functions, gives, texts=texts)]
    if gives == "condition":
        yield from found or _of_values(connection, parts, columns)
    else:
        yield from found or _of_types(connection, text, columns)


def _parsed(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    row = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {}
    return tree


def _of_writing(text: str) -> str | None:
    """Say what is wrong outside of plain texts and quoted names: a comment, or a text of another kind."""
    for found in _WRITTEN.finditer(text):
        if found["comment"]:
            return "it has a comment (-- or /*): leave it out"
        if found["other"]:
            return "write texts in plain quotes, as 'text'"
    return None


def _of_parts(
    parts: list[dict[str, Any]],
    columns: Mapping[str, str],
    what: str,
    functions: Sequence[str],
    gives: Literal["condition", "expression"],
    *,
    texts: bool,
) -> Iterator[Mistake]:
    names = dict.fromkeys(".".join(part["column_names"]) for part in parts if part["class"] == "COLUMN_REF")
    known = {name.lower() for name in columns}
    for name in names:
        if name.lower() not in known:
            yield Mistake(f'"{name}" is no {what}', name)
    one, space, of = what.partition(" ")
    several = f"{one}s{space}{of}"
    if not texts and any(_is_text(part) for part in parts):
        yield Mistake(f"a text has no place in it: compare {several} with numbers")
    compare = f"compare {several} with {'constants' if texts else 'numbers'}"
    if gives == "expression":
        compare = f"make the text of {several} and constants"
    for kind in sorted({part["class"] for part in parts} - _PARTS - {"FUNCTION"}):
        said = kind.lower().replace("_", " ")
        yield Mistake(f"a {said} has no place in it: {compare}")
    called = {part["function_name"].lower() for part in parts if part["class"] == "FUNCTION"}
    called -= {*_SIGNS, *functions}
    if called:
        listed = f"other than {', '.join(functions)}"
        yield Mistake(f"a function has no place in it {listed}: not {', '.join(sorted(called))}")


def _is_text(part: dict[str, Any]) -> bool:
    """Tell a constant that is a text, as DuckDB 2 says it and as DuckDB 1 does."""
    if part["class"] != "CONSTANT":
        return False
    if "literal" in part:
        return bool(part["literal"]["kind"] == "STRING")
    return bool(part["value"]["type"]["id"] == "VARCHAR")


def _parts(tree: object, within: int = 0) -> Iterator[dict[str, Any]]:
    """Give every expression in a parsed one, itself included.

    Raises:
        RecursionError: more than ``_DEEPEST`` stand within each other.
    """
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
            within += 1
            if within > _DEEPEST:
                raise RecursionError
        # DuckDB 1 has true and false as casts of a text that nobody wrote
        boolean = tree.get("query_location") == _NOWHERE and tree.get("cast_type", {}).get("id") == "BOOLEAN"
        tree = [] if boolean else list(tree.values())
    if isinstance(tree, list):
        for inner in tree:
            yield from _parts(inner, within)


def _of_types(
    connection: duckdb.DuckDBPyConnection, text: str, columns: Mapping[str, str]
) -> Iterator[Mistake]:
    """Run an expression as a mapping does: what does not suit the row is null, what suits none is found."""
    row = ", ".join(f"CAST({_sample(kind)} AS {kind}) AS {_name(name)}" for name, kind in columns.items())
    try:
        connection.execute(f"CREATE TABLE probe AS SELECT {row}")
        connection.execute(f"SELECT TRY(CAST(({text}) AS VARCHAR)) FROM probe").fetchall()
    except duckdb.Error as error:
        yield Mistake(f"it is no expression: {str(error).splitlines()[0]}")


def _of_values(
    connection: duckdb.DuckDBPyConnection, parts: list[dict[str, Any]], columns: Mapping[str, str]
) -> Iterator[Mistake]:
    """Compute every part of a condition apart, of a row and of nulls: none hides behind an AND or a CASE."""
    row = ", ".join(f"CAST({_sample(kind)} AS {kind}) AS {_name(name)}" for name, kind in columns.items())
    nulls = ", ".join("NULL" for _ in columns)
    connection.execute("PRAGMA disable_optimizer")
    connection.execute(f"CREATE TABLE probe AS SELECT {row} UNION ALL SELECT {nulls}")
    computed = _parsed(connection, "SELECT 1 FROM probe")
    computed["statements"][0]["node"]["select_list"] = [part for part in parts if part["class"] != "TYPE"]
    try:
        text = connection.execute("SELECT json_deserialize_sql(?)", [json.dumps(computed)]).fetchone()
        result = connection.execute(text[0] if text else "")
        result.fetchall()
    except duckdb.Error as error:
        yield Mistake(f"it is no condition: {str(error).splitlines()[0]}")
        return
    kinds = [str(column[1]).lower().replace("_", " ") for column in result.description or ()]
    if any("tz" in kind or "time zone" in kind for kind in kinds):
        yield Mistake("a time with a zone has no place in it: times are TIMESTAMP, in UTC")
    if kinds[0] != "boolean":
        article = "an" if kinds[0][0] in "aeiou" else "a"
        yield Mistake(f"it is {article} {kinds[0]}, not true or false: compare it")


def _sample(kind: str) -> str:
    """Return a value of a type, in SQL: a text that is no number and no date, for one may come."""
    if kind.endswith("[]"):
        return f"[{_sample(kind[:-2])}]"
    if kind == "VARCHAR":
        return "'x'"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return "TIMESTAMP '2020-02-29 12:00:00'"
    numeric = kind == "BOOLEAN" or kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT")
    return "1" if numeric or kind == "INTEGER" else "NULL"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
