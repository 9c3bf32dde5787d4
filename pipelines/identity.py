"""Who is who: what an id names, and what ties the ids of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from parcours.pipelines.rows import Row, rows_of

ANONYMOUS = "anon:"
"""What the profile of a device that nobody claimed begins with."""

NEAR = 5
"""How many ids are proposed instead of one that is not there."""


class IdentityError(Exception):
    """There is no such id, or nothing to decide about the pair."""


@dataclass(frozen=True)
class Person:
    """A person who is a known customer.

    Attributes:
        profile_id: the customer id that stands for all.
        touchpoints: how many there are.
        customer_ids: all of the person's, sorted.
        devices: those that a touchpoint of the person or a link names, sorted.
        links: of the person's customer ids, one per touchpoint or alias: the columns of ``identity_links``,
            and ``decision`` and ``decided_at`` of the last decision about the pair, null where there is none.
    """

    profile_id: str
    touchpoints: int
    customer_ids: Sequence[str]
    devices: Sequence[str]
    links: Sequence[Row]


@dataclass(frozen=True)
class Device:
    """A device, cookie or call line.

    Attributes:
        anonymous_id: its id.
        owners: to whom the touchpoints that name it alone belong: ``profile_id``, ``touchpoints``.
        persons: of its links that are not taken back, sorted.
        links: as of a person.
    """

    anonymous_id: str
    owners: Sequence[Row]
    persons: Sequence[str]
    links: Sequence[Row]


@dataclass(frozen=True)
class Found:
    """All that an id names."""

    persons: Sequence[Person]
    devices: Sequence[Device]


def find(connection: duckdb.DuckDBPyConnection, text: str) -> Found:
    """Return all that an id names: the person with this customer id, the device with this id and its persons.

    Args:
        connection: an open store.
        text: a customer id, an anonymous id, or ``anon:`` and an anonymous id.

    Raises:
        IdentityError: nothing has it; ids that are spelled nearly so are named.
    """
    persons = [text] if _has(connection, _CUSTOMERS, text) else []
    named = [text, *([text.removeprefix(ANONYMOUS)] if text.startswith(ANONYMOUS) else [])]
    devices = [_device(connection, name) for name in named if _has(connection, _DEVICES, name)]
    for device in devices:
        if not any(link["status"] == "over_limit" for link in device.links):
            persons += device.persons
    profiles = {_profile(connection, person): None for person in persons}
    if not profiles and not devices:
        raise IdentityError(f'no touchpoint, link or alias has the id "{text}"{near_ids(connection, text)}')
    return Found([_person(connection, profile) for profile in profiles], devices)


def shared(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the devices that met several persons, those over the limit first, then by persons.

    Each with ``anonymous_id``, ``status`` (active or over_limit), ``persons``, ``links`` (not taken back),
    ``unlinked`` (links that are), ``touchpoints`` (that name the device alone), ``profiles``: all persons.
    """
    return rows_of(
        connection,
        """
        WITH met AS (
            SELECT
                anonymous_id,
                if(bool_or(status = 'over_limit'), 'over_limit', 'active') AS status,
                count(DISTINCT person) FILTER (status <> 'unlinked') AS persons,
                count(*) FILTER (status <> 'unlinked') AS links,
                count(*) FILTER (status = 'unlinked') AS unlinked,
                list(DISTINCT person) FILTER (status <> 'unlinked') AS profiles
            FROM (
                SELECT anonymous_id, status, coalesce(p.profile_id, l.customer_id) AS person
                FROM identity_links AS l LEFT JOIN internal.people AS p USING (customer_id)
                WHERE anonymous_id IS NOT NULL
            )
            GROUP BY anonymous_id
            HAVING persons > 1
        ),
        alone AS (
            SELECT anonymous_id, count(*) AS touchpoints
            FROM touchpoints SEMI JOIN met USING (anonymous_id)
            WHERE customer_id IS NULL
            GROUP BY anonymous_id
        )
        SELECT
            anonymous_id, status, persons, links, unlinked, coalesce(touchpoints, 0) AS touchpoints,
            list_sort(profiles) AS profiles
        FROM met LEFT JOIN alone USING (anonymous_id)
        ORDER BY status DESC, persons DESC, anonymous_id
        """,
    )


_CUSTOMERS = """
    SELECT customer_id AS id FROM touchpoints
    UNION ALL SELECT customer_id FROM identity_links
    UNION ALL SELECT other_customer_id FROM identity_links
"""
_DEVICES = "SELECT anonymous_id AS id FROM touchpoints UNION ALL SELECT anonymous_id FROM identity_links"


def _has(connection: duckdb.DuckDBPyConnection, ids: str, text: str) -> bool:
    return bool(connection.execute(f"SELECT 1 FROM ({ids}) WHERE id = $id LIMIT 1", {"id": text}).fetchone())


def near_ids(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """Propose ids that are the same in another case, or that begin the same; empty where there are none."""
    found = connection.execute(
        f"""
        SELECT id FROM ({_CUSTOMERS} UNION ALL {_DEVICES})
        WHERE lower(id) = lower($id) OR starts_with(id, $id) OR (len(id) > 2 AND starts_with($id, id))
        GROUP BY id ORDER BY lower(id) <> lower($id), len(id), id LIMIT {NEAR}
        """,
        {"id": text},
    ).fetchall()
    return f"; near are {', '.join(repr(name) for (name,) in found)}" if found else ""


def _profile(connection: duckdb.DuckDBPyConnection, customer_id: str) -> str:
    row = connection.execute(
        "SELECT profile_id FROM internal.people WHERE customer_id = $id", {"id": customer_id}
    ).fetchone()
    return str(row[0]) if row else customer_id


_LINKS = """
    SELECT
        l.*,
        arg_max(d.kind, (d.decided_at, d.decision_id)) AS decision, max(d.decided_at) AS decided_at
    FROM (FROM identity_links WHERE {condition}) AS l
    LEFT JOIN (FROM decisions WHERE kind IN ('unlink', 'relink')) AS d
        ON (d.id = coalesce(l.anonymous_id, l.other_customer_id) AND d.customer_id = l.customer_id)
            OR (d.id = l.customer_id AND d.customer_id = l.other_customer_id)
    GROUP BY ALL
    ORDER BY l.linked_at NULLS FIRST, l.link_id
"""


def _person(connection: duckdb.DuckDBPyConnection, profile_id: str) -> Person:
    of = {"id": profile_id}
    ids = connection.execute(
        "SELECT customer_id FROM internal.people WHERE profile_id = $id UNION SELECT $id ORDER BY ALL", of
    ).fetchall()
    customer_ids = [name for (name,) in ids]
    links = rows_of(
        connection,
        _LINKS.format(condition="list_contains($ids, customer_id) OR list_contains($ids, other_customer_id)"),
        {"ids": customer_ids},
    )
    used = connection.execute(
        "SELECT anonymous_id, count(*) FROM touchpoints WHERE profile_id = $id GROUP BY ALL", of
    ).fetchall()
    devices = {name for name, _ in used} | {link["anonymous_id"] for link in links}
    return Person(profile_id, sum(count for _, count in used), customer_ids, sorted(devices - {None}), links)


def _device(connection: duckdb.DuckDBPyConnection, anonymous_id: str) -> Device:
    of = {"id": anonymous_id}
    links = rows_of(connection, _LINKS.format(condition="anonymous_id = $id"), of)
    standing = {link["customer_id"] for link in links if link["status"] != "unlinked"}
    return Device(
        anonymous_id,
        owners=rows_of(
            connection,
            "SELECT profile_id, count(*) AS touchpoints FROM touchpoints"
            " WHERE anonymous_id = $id AND customer_id IS NULL GROUP BY ALL"
            " ORDER BY touchpoints DESC, profile_id",
            of,
        ),
        persons=sorted({_profile(connection, customer_id) for customer_id in standing}),
        links=links,
    )
