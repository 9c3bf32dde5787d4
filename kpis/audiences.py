"""Audiences: persons to be contacted, why each is there, and how many were left out for which cause."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from string import Formatter
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb

from parcours.kpis import facts
from parcours.schemas.config import Config
from parcours.schemas.literal import literal
from parcours.schemas.segment import Audience, Over, Segment

Language = Literal["en", "fr"]

CAUSES = ("consent", "suppressed", "contacted")
"""Why one who fits is left out: the first of these that holds, so that each person has one cause."""


@dataclass(frozen=True)
class Person:
    """One who is in an audience.

    Attributes:
        profile_id: customer id, or ``anon:`` and the id of a device that is nobody's yet.
        customer_ids: every customer id of the person; none of an unknown device's.
        matter: the ids of the contracts, quotes … that are the reason, or the person's own.
        reason: why, in words, one sentence for each of those.
    """

    profile_id: str
    customer_ids: list[str]
    matter: list[str]
    reason: str


@dataclass(frozen=True)
class Listed:
    """An audience at an instant: who is in it, and how many are left out for each of ``CAUSES``."""

    people: list[Person]
    left_out: dict[str, int]


@cache
def packs() -> Mapping[str, Audience]:
    """Return the audiences that need no configuration."""
    text = resources.files(__package__).joinpath("packs.toml").read_text("utf-8")
    return MappingProxyType(
        {name: Audience.model_validate(each) for name, each in tomllib.loads(text).items()}
    )


def audiences(config: Config) -> dict[str, Audience]:
    """Return every audience there is: the ready-made ones, and those of the config, which replace them."""
    return {**packs(), **config.audience}


def judged(audience: Audience, segments: Mapping[str, Segment]) -> tuple[Over, str]:
    """Return whose rows an audience judges, and by which condition."""
    if audience.over is not None and audience.where is not None:
        return audience.over, audience.where
    segment = segments[audience.segment or ""]
    return segment.over, segment.where


def placeholders(text: str) -> list[str]:
    """Return the columns that a reason names.

    Raises:
        ValueError: its braces do not pair, or one holds more than a name.
    """
    found = [(name, layout, turn) for _, name, layout, turn in Formatter().parse(text) if name is not None]
    for name, layout, turn in found:
        if not name.isidentifier() or layout or turn:
            raise ValueError("a brace holds the name of a column and nothing else, as {product}")
    return [name for name, _, _ in found]


def list_people(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    name: str,
    as_of: datetime,
    language: Language = "en",
) -> Listed:
    """List an audience as it stood at an instant.

    Who opted out is left out of what is for a purpose at every instant, whenever that was decided.

    Args:
        connection: a store with the macros of ``parcours.kpis.facts``.
        config: a checked one, with the audience and its segment.
        name: one of ``audiences``.
        as_of: the instant, UTC, without a zone.
        language: of the reasons, and of the dates and numbers in them.
    """
    audience = audiences(config)[name]
    over, _ = judged(audience, config.segment)
    _, key = facts.MATTERS[over]
    rows = connection.execute(_query(audience, config.segment, as_of)).fetchall()
    zone = ZoneInfo(config.kpi.time_zone)
    text = getattr(audience.reason, language)
    people = [
        Person(
            profile_id,
            customer_ids,
            [row[key] for row in matters],
            "; ".join(_told(text, row, language, zone) for row in matters),
        )
        for profile_id, cause, customer_ids, matters in rows
        if cause is None
    ]
    return Listed(people, {cause: sum(row[1] == cause for row in rows) for cause in CAUSES})


def _query(audience: Audience, segments: Mapping[str, Segment], as_of: datetime) -> str:
    over, where = judged(audience, segments)
    macro, key = facts.MATTERS[over]
    instant = f"TIMESTAMP '{as_of.isoformat(' ')}'"
    causes = []
    if audience.purpose is not None:
        causes += [
            f"WHEN NOT coalesce(list_contains(consent, {literal(audience.purpose)}), false) THEN 'consent'",
            "WHEN profile_id IN (FROM opted_out()) THEN 'suppressed'",
        ]
    if audience.not_contacted_days is not None:
        causes.append(f"WHEN days_since_touch <= {audience.not_contacted_days} THEN 'contacted'")
    cause = f"CASE {' '.join(causes)} END" if causes else "CAST(NULL AS VARCHAR)"
    return f"""
        WITH fitting AS (
            SELECT profile_id, list(matter ORDER BY matter.{key}) AS matters
            FROM {macro}({instant}) AS matter
            WHERE TRY({where})
            GROUP BY profile_id
        ),
        others AS (SELECT profile_id, list(customer_id) AS ids FROM internal.people GROUP BY profile_id)
        SELECT
            profile_id,
            {cause} AS cause,
            list_sort(if(starts_with(profile_id, 'anon:'), [], [profile_id]) || coalesce(ids, [])),
            matters
        FROM fitting
        LEFT JOIN (SELECT profile_id, consent, days_since_touch FROM profile_facts_at({instant}))
            USING (profile_id)
        LEFT JOIN others USING (profile_id)
        ORDER BY profile_id
    """


def _told(text: str, row: Mapping[str, Any], language: Language, zone: ZoneInfo) -> str:
    """Fill a row's values into a reason. Names of columns are of any case."""
    by_name = {column.lower(): value for column, value in row.items()}
    values = {name: shown(by_name[name.lower()], language, zone) for name in placeholders(text)}
    return text.format_map(values)


_WORDS: dict[Language, tuple[str, str, str]] = {
    "en": ("unknown", "yes", "no"),
    "fr": ("inconnu", "oui", "non"),
}


def shown(value: object, language: Language, zone: ZoneInfo) -> str:  # noqa: PLR0911, one line a type
    """Write a value as people read it: days without the time, at most one decimal, money with two."""
    unknown, yes, no = _WORDS[language]
    match value:
        case None:
            return unknown
        case bool():
            return yes if value else no
        case datetime():
            return shown(value.replace(tzinfo=UTC).astimezone(zone).date(), language, zone)
        case date():
            return f"{value:%d/%m/%Y}" if language == "fr" else value.isoformat()
        case float() | Decimal() | int():
            return _number(value, language)
        case list():
            return ", ".join(shown(each, language, zone) for each in value)
    return str(value)


def _number(value: float | Decimal, language: Language) -> str:
    decimals = 2 if isinstance(value, Decimal) else 0 if value == int(value) else 1
    text = f"{value:,.{decimals}f}"
    # French: a decimal comma, and a narrow space that no line breaks at
    return text.translate({ord(","): "\u202f", ord("."): ","}) if language == "fr" else text


def mistakes_of_reason(text: str, columns: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Give what is wrong with a reason: the problem, and the name that is no column where it is about one."""
    try:
        names = placeholders(text)
    except ValueError as error:
        yield str(error), None
        return
    known = {column.lower() for column in columns}
    for name in dict.fromkeys(names):
        if name.lower() not in known:
            yield f'"{name}" is no column', name
