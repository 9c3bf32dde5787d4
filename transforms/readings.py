"""How the given values become times, numbers and lists: SQL made of the macros in ``readers.sql``.

Each function returns the expression of one column. A reading that takes several steps has a column for each,
so that the next step is computed only for the rows that need it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from parcours.schemas.config import Source
from parcours.schemas.literal import literal
from parcours.schemas.references import MONTHS
from parcours.transforms.given import Given, entry_of, layout_of, with_lookup

PAIRS = "STRUCT(key VARCHAR, value VARCHAR)[]"
NO_PAIRS = f"CAST([] AS {PAIRS})"
_NO_WORDS = "CAST([] AS VARCHAR[])"
_NO_TIME = "CAST(NULL AS TIMESTAMP)"
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def without_ignored(name: str, ignored_ids: Sequence[str]) -> str:
    """An id, null where it is one of the texts that are no id, in any case."""
    words = {word.lower() for word in ignored_ids}
    if not words:
        return name
    # a letter has at most three times the bytes of its lower-case form; the length is known without reading
    longest = 3 * max(len(word.encode()) for word in words)
    listed = ", ".join(map(literal, sorted(words)))
    return f"CASE WHEN strlen({name}) <= {longest} AND lower({name}) IN ({listed}) THEN NULL ELSE {name} END"


def plain_number(source: Source, given: Given, name: str) -> str:
    """``<number>_plain``: the number where its reading is plain, null elsewhere."""
    if name not in layout_of(source).amounts:
        read = f"CASE WHEN isfinite({name}_given) THEN {name}_given END"
        return "CAST(NULL AS DOUBLE)" if given.is_text else read
    return (
        f"plain_amount({name}_given, {_mark(source, name)})"
        if given.is_text
        else f"plain_double({name}_given)"
    )


def digits(source: Source, given: Given, name: str) -> str:
    """``<number>_digits``: the text of a number that is not plain, with a point; null where it is none."""
    if given.is_text:
        return f"CASE WHEN {name}_plain IS NULL THEN written_number({name}_given, {_mark(source, name)}) END"
    return f"CASE WHEN {name}_plain IS NULL AND isfinite({name}_given) THEN CAST({name}_given AS VARCHAR) END"


def _mark(source: Source, name: str) -> str:
    """The decimal mark: the country's in texts, a point in numbers that the format itself writes."""
    return "'.'" if source.decimal_mark == "." else f"CASE WHEN {name}_number THEN '.' ELSE ',' END"


def amount(name: str) -> str:
    """An amount: DECIMAL(18, 4), null where there is none or it cannot be read."""
    rounded = f"CASE WHEN {name}_digits IS NOT NULL THEN rounded_amount({name}_digits) END"
    return f"coalesce({name}_plain, {rounded})"


def double(name: str) -> str:
    """A number: DOUBLE, null where there is none or it cannot be read."""
    read = f"TRY_CAST({name}_digits AS DOUBLE)"
    return f"coalesce({name}_plain, CASE WHEN isfinite({read}) THEN {read} END)"


def whole(name: str) -> str:
    """A whole number: BIGINT, null where there is none, or none that a double holds exactly."""
    read = double(name)
    return f"CASE WHEN {read} = floor({read}) AND abs({read}) < {2**53} THEN CAST({read} AS BIGINT) END"


def given_instant(source: Source, given: Given, name: str) -> str:
    """``<time>_instant``: the time where it was given as an instant."""
    if pa.types.is_timestamp(given.type):
        return f"CAST({name}_given AS TIMESTAMP)"
    if not given.values or not given.is_text:
        return _NO_TIME
    instant = f"iso_instant({name}_given)"
    if source.date_format is not None:
        instant = _parsed(source.date_format, name) if _has_offset(source.date_format) else _NO_TIME
    if source.time_unit:
        counted = f"counted_instant({name}_given, {_UNITS[source.time_unit]})"
        return f"CASE WHEN is_count({name}_given) THEN {counted} ELSE {instant} END"
    return instant


def given_local(source: Source, given: Given, name: str) -> str:
    """``<time>_local``: the time where it was given as what the clocks of the source's zone showed."""
    if pa.types.is_date(given.type):
        return f"CAST({name}_given AS TIMESTAMP)"
    if not given.values or not given.is_text or _has_offset(source.date_format or ""):
        return _NO_TIME
    macro = "iso_month" if name in MONTHS else "iso_local"
    local = f"{macro}({name}_given)" if source.date_format is None else _parsed(source.date_format, name)
    counted = f" AND NOT is_count({name}_given)" if source.time_unit else ""
    return f"CASE WHEN {name}_instant IS NULL{counted} THEN {local} END"


def _parsed(date_format: str, name: str) -> str:
    return f"CAST(try_strptime({name}_given, {literal(date_format)}) AS TIMESTAMP)"


def _has_offset(date_format: str) -> bool:
    return "%z" in date_format or "%Z" in date_format


def clock_offset(source: Source, name: str, sign: str) -> str:
    """How far the zone's clocks are ahead of UTC, about a day before (-) or after (+) ``<time>_local``."""
    day = f"({name}_local {sign} INTERVAL 1 DAY)"
    return f"clock({day}, {literal(source.time_zone)}) - {day}"


def instant(source: Source, name: str) -> str:
    """An instant: TIMESTAMP in UTC; null where there is none, or none that can be read or that was."""
    if source.time_zone == "UTC":
        return f"coalesce({name}_instant, {name}_local)"
    placed = f"placed({name}_local, {literal(source.time_zone)}, {name}_before, {name}_after)"
    return f"coalesce({name}_instant, TRY({placed}))"


def day(source: Source, name: str) -> str:
    """A day: DATE, the one on the calendar of the source's zone; null where there is none to be read."""
    return f"CAST(coalesce({name}_local, clock({name}_instant, {literal(source.time_zone)})) AS DATE)"


def uncounted(source: Source, given: Given, name: str) -> str | None:
    """``<time>_uncounted``: the time is a number, and nobody said of what; null where that cannot be."""
    if source.time_unit or source.date_format is not None or not given.values or not given.is_text:
        return None
    return (
        f"CASE WHEN {name}_instant IS NULL AND {name}_local IS NULL "
        f"THEN coalesce(is_count({name}_given), FALSE) ELSE FALSE END"
    )


def words(source: Source, given: Given) -> str:
    """``consent``: its words, blank ones left out; null where what was given is no list of texts."""
    if not given.values:
        return _NO_WORDS
    read = "word_list(consent_given)" if given.is_text else "consent_given"
    lookup = entry_of(source, "consent").lookup
    if lookup:
        read = f"list_transform({read}, lambda word: {with_lookup('word', lookup)})"
    kept = f"list_filter({read}, lambda word: filled(word) IS NOT NULL)"
    return f"CASE WHEN consent_given IS NULL THEN {_NO_WORDS} ELSE {kept} END"


def given_pairs(given: Given) -> str:
    """``attributes_pairs``: the pairs given as such; null where there are none or they cannot be read."""
    if not given.values:
        return f"CAST(NULL AS {PAIRS})"
    if given.is_text:
        return "pair_list(attributes_given)"
    return "list_transform(attributes_given, lambda pair: {'key': pair.key, 'value': pair.value})"


def pairs(given: Given, unknown: bool, ignored_ids: Sequence[str]) -> str:
    """``attributes``: all pairs by key, empty values left out; null where what was given are no pairs.

    A merged customer whose id is none counts as empty: it would tie all who are merged with it.
    """
    listed = "coalesce(attributes_pairs, [])"
    if not given.values:
        listed = "attributes_unknown"
    elif unknown:
        listed = f"list_concat({listed}, attributes_unknown)"
    merged = without_ignored("pair.value", ignored_ids)
    value = f"CASE WHEN pair.key = 'merged_customer_id' THEN {merged} ELSE pair.value END"
    kept = f"list_filter({listed}, lambda pair: filled({value}) IS NOT NULL)"
    if not given.values:
        return kept
    keyless = "len(list_filter(attributes_pairs, lambda pair: pair.key IS NULL)) > 0"
    unreadable = f"attributes_given IS NOT NULL AND (attributes_pairs IS NULL OR {keyless})"
    return f"CASE WHEN {unreadable} THEN NULL ELSE list_sort({kept}) END"
