"""A person's story: who it is and by which links, the rung of the ladder, contracts, and each journey.

All of it is read, nothing is worked out anew: the story says why the tables hold what they hold.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from parcours.pipelines.rows import Row, rows_of
from parcours.schemas.config import STAGES


@dataclass(frozen=True)
class Story:
    """What is known of a person at an instant. Instants are UTC; rows have the columns of their relations.

    Attributes:
        person: ``profile_id``, ``identified``, ``first_at``, ``last_at``, ``touchpoints``, and all
            ``customer_ids`` that name the person.
        as_of: only what occurred until then counts.
        devices: ``anonymous_id``, how many of the person's ``touchpoints`` it has, and how many of them are
            ``anonymous``: named by the device alone.
        links: one per pair of ids: ``kind``, ``anonymous_id`` or ``other_customer_id``, ``customer_id``,
            ``status``, how many ``times`` it was made, ``linked_at`` and ``event_id`` of the first time; null
            for an alias since ever. Links of the person's devices with others are among them.
        rung: of the loyalty ladder.
        ladder: each rung from the lowest: ``rung``, ``condition``, whether it ``holds``, and the ``facts``
            that the condition names.
        facts: all that a condition may name.
        contracts: the rows of ``contracts_at``, the oldest first.
        journeys: the rows of ``journeys_at``, the oldest first, each with why it ``began`` and ``ended``, its
            ``stages`` (``stage_visits``), ``steps`` (the newest touchpoints, in order) and how many before
            them were ``left_out``.
        outside: touchpoints in no journey: they lack the key that journeys are cut by.
    """

    person: Row
    as_of: datetime
    devices: Sequence[Row]
    links: Sequence[Row]
    rung: str
    ladder: Sequence[Row]
    facts: Row
    contracts: Sequence[Row]
    journeys: Sequence[Row]
    outside: Sequence[Row]


def tell_story(
    connection: duckdb.DuckDBPyConnection,
    profile_id: str,
    as_of: datetime,
    ladder: Mapping[str, str],
    *,
    newest: int | None = None,
) -> Story | None:
    """Read a person's story; null where nothing of the person had occurred by then.

    Args:
        connection: an open store.
        profile_id: the person.
        as_of: the instant, UTC without zone.
        ladder: rung to condition over the facts of ``profiles_at``, the lowest first.
        newest: how many touchpoints of each journey are told, the newest ones; null: all.
    """
    values = {"person": profile_id, "as_of": as_of}
    facts = rows_of(connection, "FROM profiles_at($as_of) WHERE profile_id = $person", values)
    if not facts:
        return None
    rung = facts[0].pop("rung")
    touchpoints = rows_of(connection, _TOUCHPOINTS, values)
    return Story(
        person={
            **{name: facts[0][name] for name in _PERSON},
            "customer_ids": [row["name"] for row in rows_of(connection, _CUSTOMERS, values)],
        },
        as_of=as_of,
        devices=_devices(touchpoints),
        links=rows_of(connection, _LINKS, values),
        rung=rung,
        ladder=_ladder(connection, ladder, facts[0]),
        facts={name: value for name, value in facts[0].items() if name != "profile_id"},
        contracts=rows_of(
            connection,
            "FROM contracts_at($as_of) WHERE profile_id = $person ORDER BY began_at, contract_id",
            values,
        ),
        journeys=_journeys(connection, values, touchpoints, newest),
        outside=[t for t in touchpoints if t["journey_id"] is None][-newest if newest else 0 :],
    )


_PERSON = ("profile_id", "identified", "first_at", "last_at", "touchpoints")

_TOUCHPOINTS = """
SELECT
    s.journey_id, s.position, t.event_id, t.occurred_at, t.event_type, t.channel, t.medium, t.stage,
    CASE WHEN t.stage_given IS NOT NULL THEN 'record' WHEN t.stage IS NOT NULL THEN 'taxonomy' END
        AS stage_by,
    t.roles, t.product, t.contract_id, t.value, t.currency, t.visit_id, t.customer_id, t.anonymous_id,
    t.source_name, CASE WHEN t.customer_id IS NULL AND t.identified THEN t.anonymous_id END AS by_device
FROM touchpoints AS t
LEFT JOIN (FROM journey_steps WHERE profile_id = $person) AS s ON s.event_id = t.event_id
WHERE t.profile_id = $person AND t.occurred_at <= $as_of
ORDER BY t.occurred_at, s.position, t.event_id
"""

_CUSTOMERS = """
SELECT customer_id AS name FROM touchpoints WHERE profile_id = $person AND customer_id IS NOT NULL
UNION
SELECT customer_id FROM internal.people WHERE profile_id = $person
ORDER BY name
"""

_LINKS = """
WITH names AS (
    SELECT $person AS name
    UNION
    SELECT customer_id FROM internal.people WHERE profile_id = $person
    UNION
    SELECT customer_id FROM touchpoints WHERE profile_id = $person
),
devices AS (SELECT DISTINCT anonymous_id FROM touchpoints WHERE profile_id = $person)
SELECT
    kind, anonymous_id, other_customer_id, customer_id, status, count(*) AS times,
    min(linked_at) AS linked_at, min_by(event_id, (linked_at, event_id)) AS event_id
FROM identity_links
WHERE anonymous_id IN (FROM devices) OR customer_id IN (FROM names) OR other_customer_id IN (FROM names)
GROUP BY ALL
ORDER BY linked_at NULLS FIRST, kind, anonymous_id, other_customer_id, customer_id
"""


def _devices(touchpoints: Iterable[Row]) -> list[Row]:
    devices: dict[str, Row] = {}
    for touchpoint in touchpoints:
        name = touchpoint["anonymous_id"]
        if name is not None:
            device = devices.setdefault(name, {"anonymous_id": name, "touchpoints": 0, "anonymous": 0})
            device["touchpoints"] += 1
            device["anonymous"] += touchpoint["customer_id"] is None
    return list(devices.values())


def _ladder(connection: duckdb.DuckDBPyConnection, ladder: Mapping[str, str], facts: Row) -> list[Row]:
    named = ", ".join(f'${name} AS "{name}"' for name in facts)
    rungs = []
    for rung, condition in ladder.items():
        query = f"SELECT coalesce(({condition}), false) FROM (SELECT {named})"
        row = connection.execute(query, facts).fetchone()
        assert row is not None  # noqa: S101  one row in, one row out
        used = {name: value for name, value in facts.items() if re.search(rf"\b{name}\b", condition)}
        rungs.append({"rung": rung, "condition": condition, "holds": row[0], "facts": used})
    return rungs


def _journeys(
    connection: duckdb.DuckDBPyConnection, values: Row, touchpoints: Sequence[Row], newest: int | None
) -> list[Row]:
    journeys = rows_of(
        connection,
        "FROM journeys_at($as_of) WHERE profile_id = $person ORDER BY started_at, unit_key, journey_id",
        values,
    )
    stays = rows_of(
        connection,
        "SELECT journey_id, position, stage, entered_at, is_return, return_kind "
        "FROM stage_visits JOIN journeys USING (journey_id) "
        "WHERE profile_id = $person AND entered_at <= $as_of ORDER BY journey_id, position",
        values,
    )
    stays_of, steps_of = (_by_journey(rows) for rows in (stays, touchpoints))
    before: dict[str | None, Row] = {}
    for journey in journeys:
        steps = steps_of[journey["journey_id"]]
        told = steps[-newest:] if newest else steps
        journey |= {
            "began": _began(journey, before.get(journey["unit_key"])),
            "ended": _ended(journey),
            "stages": stays_of[journey["journey_id"]],
            "steps": told,
            "left_out": len(steps) - len(told),
        }
        before[journey["unit_key"]] = journey
    return journeys


def _by_journey(rows: Iterable[Row]) -> dict[str | None, list[Row]]:
    grouped: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["journey_id"]].append(row)
    return grouped


def _began(journey: Row, before: Row | None) -> Row:
    """Say why a journey began: it is the first of its unit, or something ended the one before."""
    if before is None:
        return {"reason": "first"}
    if before["ended_by"] is not None:
        return {"reason": "end", "event_type": before["ended_by"], "at": before["last_at"]}
    return {"reason": "gap", "at": before["last_at"], "days": _days(before["last_at"], journey["started_at"])}


def _ended(journey: Row) -> Row:
    """Say why a journey ended, or when it will."""
    if journey["ended_by"] is not None:
        return {"reason": "end", "event_type": journey["ended_by"], "at": journey["last_at"]}
    return {"reason": "gap" if journey["closed"] else "open", "at": journey["closes_at"]}


def _days(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds() / 86_400, 1)


def reached(journey: Row) -> list[tuple[str, datetime]]:
    """Return the stages that a journey entered, in the order of their entries."""
    entered = [(stage, journey[f"{stage}_at"]) for stage in STAGES if journey[f"{stage}_at"] is not None]
    return sorted(entered, key=lambda entry: entry[1])
