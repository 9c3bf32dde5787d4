"""Steps as users name them: an event type, a role, a stage, or a condition over columns of touchpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from parcours.kpis import conditions
from parcours.kpis.funnel.options import FunnelError, near
from parcours.schemas.config import ROLES, STAGES
from parcours.schemas.literal import literal

_COMPARES = re.compile(r"[=<>!()'\"]|\b(is|in|like|ilike|not|between|and|or)\b", re.IGNORECASE)
"""What no name of a step has, and a condition has."""

KINDS = ("type", "role", "stage")
"""What a name may be, in the order in which it is looked up."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: as it was given.
        kind: one of ``KINDS``, or ``condition``.
        condition: what a touchpoint of it fulfils, in SQL.
    """

    name: str
    kind: str
    condition: str

    @property
    def resolved(self) -> str:
        """What the name was taken for, as it can be written to mean nothing else."""
        return self.name if self.kind == "condition" else f"{self.kind}:{_bare(self.name)}"


def split(text: str) -> list[str]:
    """Split a list at its commas, but for those within quotes, parentheses and brackets."""
    parts, quote, depth = [""], "", 0
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        depth += (sign in "([") - (sign in ")]") if not quote else 0
        if sign == "," and not quote and depth <= 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def resolve(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], columns: Mapping[str, str], what: str
) -> list[Step]:
    """Return the steps that names mean in a store.

    A name with a prefix, ``type:``, ``role:`` or ``stage:``, is that. Another is an event type where
    touchpoints have it, else a role, else a stage, else a condition.

    Args:
        connection: an open store.
        names: the names.
        columns: the columns of touchpoints, with their types.
        what: what messages call one of them: step or exclude.

    Raises:
        FunnelError: a name is none of them.
    """
    return [_resolve(connection, name.strip(), columns, what) for name in names]


def condition_of(text: str, columns: Mapping[str, str], what: str) -> str:
    """Return a condition over touchpoints, in parentheses.

    Raises:
        FunnelError: it is none.
    """
    for mistake in conditions.check(text, columns, "column of touchpoints"):
        hint = near(mistake.unknown, columns) if mistake.unknown else ""
        raise FunnelError(f'{what} "{text}": {mistake.problem}{hint}')
    return f"({text})"


def _resolve(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], what: str) -> Step:
    prefix, colon, bare = name.partition(":")
    kinds = (prefix,) if colon and prefix in KINDS else KINDS
    bare = bare if len(kinds) == 1 else name
    for kind in kinds:
        condition = _condition(kind, bare)
        known = (kind == "role" and bare in ROLES) or (kind == "stage" and bare in STAGES)
        if _column(kind) in columns and (known or _occurs(connection, condition)):
            return Step(name, kind, condition)
    if len(kinds) > 1 and (_COMPARES.search(name) or columns.get(name) == "BOOLEAN"):
        return Step(name, "condition", condition_of(name, columns, what))
    channel = f"channel = {literal(name)}"
    if "channel" in columns and _occurs(connection, channel):
        raise FunnelError(f'{what} "{name}" is a channel: write {channel}')
    listed = [
        f"{kind}:{word}" if len(kinds) == 1 else word
        for kind, word in _words(connection, columns)
        if kind in kinds
    ]
    raise FunnelError(
        f'{what} "{name}" is no event type, role or stage of the store{near(name, listed)}; '
        "write one of them, or a condition over columns of touchpoints, as in channel = 'agency'"
    )


def _bare(name: str) -> str:
    prefix, colon, bare = name.partition(":")
    return bare if colon and prefix in KINDS else name


def _column(kind: str) -> str:
    return {"type": "event_type", "role": "roles", "stage": "stage"}[kind]


def _condition(kind: str, word: str) -> str:
    if kind == "role":
        return f"list_contains(roles, {literal(word)})"
    return f"{_column(kind)} = {literal(word)}"


def _occurs(connection: duckdb.DuckDBPyConnection, condition: str) -> bool:
    return bool(connection.execute(f"SELECT 1 FROM touchpoints WHERE {condition} LIMIT 1").fetchall())


def _words(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return all words that steps may be named by, with their kinds."""
    found = [("stage", stage) for stage in STAGES]
    for kind, values in (("type", "event_type"), ("role", "unnest(roles)")):
        if _column(kind) in columns:
            rows = connection.execute(
                f"SELECT DISTINCT {values} AS word FROM touchpoints ORDER BY word"
            ).fetchall()
            found += [(kind, word) for (word,) in rows if word is not None]
    return found
