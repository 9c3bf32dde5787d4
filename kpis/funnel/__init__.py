"""Funnels on any steps: how far people, journeys or visits get, and how long it takes them.

Lives here: what may be asked (``options``, ``steps``), the touchpoints that it needs (``events``), the chains
of matches, for all attempts at once (``chains``) or one by one (``search``), which attempts count
(``attempts``), and the tables of what was found (``result``).
May import ``parcours.schemas`` and ``parcours.kpis.conditions``.
Must not be added: anything that writes to the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb

from parcours.kpis.conditions import columns_of
from parcours.kpis.funnel.attempts import Attempts, attempts
from parcours.kpis.funnel.chains import WORD, Array
from parcours.kpis.funnel.events import Question, read, read_times
from parcours.kpis.funnel.options import COUNTS, FunnelError, Rules, Span, near, rules_of, word
from parcours.kpis.funnel.quick import quick_attempts
from parcours.kpis.funnel.result import FunnelResult, groups_of, people_table, steps_table
from parcours.kpis.funnel.steps import condition_of, resolve
from parcours.schemas.literal import literal

__all__ = ["FunnelError", "FunnelResult", "funnel"]

VERSION = 1
"""Raised whenever the formula changes, so that every ``definition`` does."""

_NEEDED = ("event_id", "occurred_at", "profile_id", "event_type")


def funnel(
    connection: duckdb.DuckDBPyConnection,
    *,
    steps: Sequence[str],
    window: Span = None,
    order: str = "ordered",
    ties: str = "allow",
    entry: str = "best",
    exclude: Sequence[str] = (),
    hold: str | None = None,
    count: str = "profiles",
    breakdown: str | None = None,
    breakdown_at: str = "first",
    where: str | None = None,
    segment: str | None = None,
    step_window: Span | Sequence[Span] = None,
    as_of: datetime | date | str | None = None,
    people: bool = False,
) -> FunnelResult:
    """Return how many units get through steps, one after the other.

    ``docs/funnel.md`` says what each option means, case by case.

    Args:
        connection: any DuckDB connection that has a table ``touchpoints``; nothing is written.
        steps: each an event type, a role, a stage (``type:``, ``role:``, ``stage:`` before it says which) or
            a condition over columns of touchpoints, as ``channel = 'site' AND product = 'auto'``.
        window: how long after an attempt's first touchpoint, inclusive, others may follow: ``14d``; null:
            forever.
        order: ``ordered``, ``strict`` (nothing stands between) or ``any``.
        ties: ``allow`` or ``forbid`` steps at one instant.
        entry: which attempt of a unit counts: ``best``, ``latest``, ``first``, or ``every`` one.
        exclude: steps that, between the matches of an attempt, leave it out.
        hold: a column whose value stays equal through an attempt.
        count: ``profiles``, ``journeys`` or ``visits``.
        breakdown: a column whose values cut the attempts.
        breakdown_at: where its value is taken: ``first``, ``last`` or one of the steps.
        where: a condition: other touchpoints are as if they were not there.
        segment: a segment's name: only persons who are in it at ``as_of`` count.
        step_window: how long after the step before it a step may come: one span, or one for each step after
            the first, null where there is no limit.
        as_of: only what occurred until then counts, UTC unless it says otherwise. Default:
            ``default_as_of()`` in a store; else the newest touchpoint.
        people: whether the attempts are listed with their matches.

    Raises:
        FunnelError: something cannot be as asked; the message says what to write instead.
    """
    columns = _columns(connection)
    names = [steps] if isinstance(steps, str) else list(steps)
    if not names or not all(name.strip() for name in names):
        raise FunnelError("a funnel needs steps, each with a name: as in steps=['quote_created', 'purchase']")
    rules = rules_of(len(names), order=order, ties=ties, entry=entry, window=window, step_window=step_window)
    unit = COUNTS[word("count", count, COUNTS)]
    if unit == "journey_id":
        _require(connection, "journey_steps", "count = journeys")
    elif unit not in columns:
        raise FunnelError(f"count = {count}: touchpoints has no column {unit}; count profiles")
    for option, column in (("hold", hold), ("breakdown", breakdown)):
        if column is not None and column not in columns:
            raise FunnelError(
                f'{option}: "{column}" is no column of touchpoints{near(column, columns)}; they are '
                f"{', '.join(columns)}"
            )
    at = _breakdown_at(breakdown_at, names)
    until = _instant(connection, as_of)
    found_steps = resolve(connection, names, columns, "step")
    excluded = resolve(connection, [exclude] if isinstance(exclude, str) else exclude, columns, "exclude")
    conditions = [condition_of(where, columns, "where")] if where is not None else []
    if segment is not None:
        conditions.append(_members(connection, segment, until))
    question = Question(
        steps=found_steps,
        unit=unit,
        as_of=until,
        columns=columns,
        exclude=excluded,
        where=conditions,
        hold=hold,
        value=breakdown,
        every_event=order == "strict",
    )
    quick = None if people else _quickly(connection, question, rules)
    if quick is None:
        events = read(connection, question)
        found, times = attempts(events, rules), events.lanes.us
    else:
        found, times = quick
    mature_before = None if rules.window is None else _microseconds(until) - rules.window
    labels = [f"{n} of {len(names)}" for n in range(1, len(names) + 1)] if order == "any" else names
    groups = groups_of(found, events, at) if quick is None and breakdown else None
    options = {
        "steps": [step.resolved for step in found_steps],
        "window": _text(window),
        "order": order,
        "ties": ties,
        "entry": entry,
        "exclude": [step.resolved for step in excluded],
        "hold": hold,
        "count": count,
        "breakdown": breakdown,
        "breakdown_at": breakdown_at if breakdown else None,
        "where": where,
        "segment": segment,
        "step_window": _text(step_window),
    }
    hashed = f"funnel {VERSION} {json.dumps(options)}".encode()
    return FunnelResult(
        steps_table(found, times, labels, mature_before, groups),
        people_table(found, events) if quick is None and people else None,
        {
            **options,
            "as_of": until.isoformat(),
            "definition": hashlib.md5(hashed, usedforsecurity=False).hexdigest(),
        },
    )


def _quickly(
    connection: duckdb.DuckDBPyConnection, question: Question, rules: Rules
) -> tuple[Attempts, Array] | None:
    """Return attempts and the times that they speak of, where these can be had quickly."""
    plain = rules.order == "ordered" and rules.allows_ties and rules.entry != "every"
    if not plain or rules.has_step_windows or rules.steps > WORD:
        return None
    if question.exclude or question.hold or question.value:
        return None
    unit, us, fits = read_times(connection, question)
    # of touchpoints that fit several steps, the order within an instant says which serves which
    return None if (fits & (fits - 1)).any() else quick_attempts(unit, us, fits, rules)


def _columns(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    _require(connection, "touchpoints", "a funnel")
    columns = columns_of(connection, "touchpoints")
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise FunnelError(
            f"touchpoints has no column {', '.join(missing)}: a funnel needs {', '.join(_NEEDED)}"
        )
    if not connection.execute("SELECT 1 FROM touchpoints LIMIT 1").fetchall():
        raise FunnelError("the store has no touchpoints yet: load some, as with parcours run")
    return columns


def _require(connection: duckdb.DuckDBPyConnection, relation: str, what: str) -> None:
    try:
        connection.execute(f"DESCRIBE FROM {relation}")
    except duckdb.CatalogException:
        raise FunnelError(f"{what} needs {relation}, which this database does not have") from None


def _breakdown_at(at: str, names: Sequence[str]) -> str | int:
    if at in ("first", "last"):
        return at
    if at not in names:
        allowed = ("first", "last", *names)
        raise FunnelError(f'breakdown_at = "{at}" is none of {", ".join(allowed)}{near(at, allowed)}')
    return list(names).index(at)


def _instant(connection: duckdb.DuckDBPyConnection, as_of: datetime | date | str | None) -> datetime:
    if as_of is None:
        return _default(connection)
    try:
        found = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise FunnelError(
            f'as_of: "{as_of}" is no time: write one such as 2026-03-31 or 2026-03-31T18:00'
        ) from None
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _default(connection: duckdb.DuckDBPyConnection) -> datetime:
    macro = "SELECT 1 FROM duckdb_functions() WHERE function_name = 'default_as_of'"
    queries = ["SELECT default_as_of()"] if connection.execute(macro).fetchall() else []
    for query in [*queries, "SELECT max(occurred_at)::TIMESTAMP FROM touchpoints"]:
        found: datetime | None = connection.execute(query).fetchall()[0][0]
        if found is not None:
            return found
    raise FunnelError("no touchpoint says when it occurred: occurred_at is null everywhere")


def _members(connection: duckdb.DuckDBPyConnection, segment: str, as_of: datetime) -> str:
    """Return the condition that a person is in a segment.

    Raises:
        FunnelError: nobody is, or there are no segments.
    """
    members = f"segment_members_at(TIMESTAMP '{as_of}')"
    try:
        rows = connection.execute(f"SELECT DISTINCT segment FROM {members} ORDER BY segment").fetchall()
    except duckdb.CatalogException:
        raise FunnelError(
            f'segment "{segment}": this database has no segments; write [segment.{segment}] into the config '
            "and run parcours once"
        ) from None
    names = [name for (name,) in rows]
    if segment not in names:
        listed = f"; somebody is in {', '.join(names)}" if names else ""
        raise FunnelError(
            f'segment "{segment}": nobody is in one of that name at {as_of} UTC{near(segment, names)}{listed}'
        )
    return f"profile_id IN (SELECT profile_id FROM {members} WHERE segment = {literal(segment)})"


def _microseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _text(span: Span | Sequence[Span]) -> Any:
    if span is None or isinstance(span, str | timedelta):
        return None if span is None else str(span)
    return [_text(each) for each in span]
