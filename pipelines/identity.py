"""Who is who: what ties the ids of a person, and decisions that hold a pair apart or take that back."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb

from parcours.pipelines.identity_changes import IdentityChange
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import StoreRun
from parcours.schemas.config import Config
from parcours.transforms.merge import merge, register_staged, sql

Kind = Literal["unlink", "relink"]
Row = dict[str, Any]

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


@dataclass(frozen=True)
class Decided:
    """What came of a decision.

    Attributes:
        kind: unlink or relink.
        id: a device, cookie or call line, or a customer id.
        customer_id: the other of the pair.
        changes: whether it changes what holds of the pair; else it was decided so before.
        links: how many links the pair has now; one that is relinked may have none left.
        change: what it moved; null: no stored touchpoint changed hands.
        dry_run: nothing is written.
    """

    kind: Kind
    id: str
    customer_id: str
    changes: bool
    links: int
    change: IdentityChange | None
    dry_run: bool


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
        raise IdentityError(f'no touchpoint, link or alias has the id "{text}"{_hint(connection, text)}')
    return Found([_person(connection, profile) for profile in profiles], devices)


def shared(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the devices that met several persons, those over the limit first, then by persons.

    Each with ``anonymous_id``, ``status`` (active or over_limit), ``persons``, ``links`` (not taken back),
    ``unlinked`` (links that are), ``touchpoints`` (that name the device alone), ``profiles``: all persons.
    """
    return _rows(
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


def decide(
    config: Config, kind: Kind, id_: str, customer_id: str, *, dry_run: bool = False, observer: Observer
) -> Decided:
    """Hold a pair apart, or take that back, in one transaction with all that follows from it.

    Args:
        config: names the store, and has its rules.
        kind: unlink or relink.
        id_: a device (``anon:`` may stand before it), or a customer id.
        customer_id: the other of the pair.
        dry_run: work out what it moves, and write nothing.
        observer: is told of the steps.

    Raises:
        IdentityError: nothing links the pair, or it was never unlinked.
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds the store.
        RulesChangedError: the store was built with other rules.
        CommitRefusedError: a check failed.
    """
    if not Path(config.store.path).exists():
        raise FileNotFoundError(f'there is no store at "{config.store.path}": nobody is linked yet')
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        run = StoreRun(store, config, "identity", observer)
        try:
            run.prepare()
            return _decide(run, kind, id_, customer_id, dry_run=dry_run)
        finally:
            run.close()


class _DryRunError(Exception):
    """Ends a transaction that is not to be committed."""

    def __init__(self, decided: Decided) -> None:
        self.decided = decided


def _decide(run: StoreRun, kind: Kind, id_: str, customer_id: str, *, dry_run: bool) -> Decided:
    connection = run.connection
    id_ = _as_named(connection, id_, customer_id)
    if not _is_open(connection, kind, id_, customer_id):
        return Decided(kind, id_, customer_id, changes=False, links=0, change=None, dry_run=dry_run)
    folder = run.new_attempt()
    try:
        with run.transaction():
            with run.step("merge"):
                _record(connection, run.run.run_id, kind, id_, customer_id)
                register_staged(connection, [], [], {})
                merge(connection, run.config, [], run.run.run_id, [(kind, id_, customer_id)])
            _, change = run.commit([], run.build(folder))
            links = connection.execute("SELECT count(*) FROM decided_links").fetchall()[0][0]
            decided = Decided(
                kind, id_, customer_id, changes=True, links=links, change=change, dry_run=dry_run
            )
            if dry_run:
                raise _DryRunError(decided)
    except _DryRunError as ended:
        return ended.decided
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    run.result.slices += 1
    run.finish("done")
    return decided


def _record(
    connection: duckdb.DuckDBPyConnection, run_id: str, kind: Kind, id_: str, customer_id: str
) -> None:
    """Write the decision; it is the last one even where the clock was set back."""
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.execute(
        """
        INSERT INTO decisions
        SELECT
            $decision_id, greatest($now, max(decided_at) + INTERVAL 1 MICROSECOND), $kind, $id, $customer_id,
            $run_id
        FROM decisions
        """,
        {
            "decision_id": uuid.uuid4().hex,
            "now": now,
            "kind": kind,
            "id": id_,
            "customer_id": customer_id,
            "run_id": run_id,
        },
    )


_PAIR_LINKS = """
    (customer_id = $customer_id AND (anonymous_id = $id OR other_customer_id = $id))
    OR (customer_id = $id AND other_customer_id = $customer_id)
"""


def _as_named(connection: duckdb.DuckDBPyConnection, id_: str, customer_id: str) -> str:
    """Take ``anon:`` from a device's profile id, unless the pair is known with it."""
    pair = {"id": id_, "customer_id": customer_id}
    known = f"SELECT 1 FROM identity_links WHERE {_PAIR_LINKS} UNION ALL {_PAIR_DECISIONS} LIMIT 1"
    if not id_.startswith(ANONYMOUS) or connection.execute(known, pair).fetchone():
        return id_
    return id_.removeprefix(ANONYMOUS)


_PAIR_DECISIONS = """
    SELECT 1 FROM decisions
    WHERE (id = $id AND customer_id = $customer_id) OR (id = $customer_id AND customer_id = $id)
"""


def _is_open(connection: duckdb.DuckDBPyConnection, kind: Kind, id_: str, customer_id: str) -> bool:
    """Return whether the decision would change what holds of the pair.

    Raises:
        IdentityError: there is nothing to decide about.
    """
    pair = {"id": id_, "customer_id": customer_id}
    connection.execute(sql("decisions"))
    is_apart = bool(
        connection.execute(
            "FROM unlinked WHERE id = $id AND customer_id = $customer_id LIMIT 1", pair
        ).fetchone()
    )
    if kind == "relink":
        if not is_apart and not connection.execute(f"{_PAIR_DECISIONS} LIMIT 1", pair).fetchone():
            raise IdentityError(
                f'"{id_}" and "{customer_id}" were never unlinked: there is nothing to take back'
            )
        return is_apart
    standing = f"FROM identity_links WHERE ({_PAIR_LINKS}) AND status <> 'unlinked' LIMIT 1"
    if connection.execute(standing, pair).fetchone():
        return True
    if is_apart:
        return False
    raise IdentityError(f'nothing links "{id_}" with "{customer_id}"{_known_links(connection, id_)}')


def _known_links(connection: duckdb.DuckDBPyConnection, id_: str) -> str:
    """Say what an id is linked with, or which ids are spelled nearly so."""
    linked = connection.execute(
        """
        SELECT DISTINCT if(customer_id = $id, coalesce(other_customer_id, anonymous_id), customer_id) AS other
        FROM identity_links
        WHERE anonymous_id = $id OR other_customer_id = $id OR customer_id = $id
        ORDER BY other LIMIT $most
        """,
        {"id": id_, "most": NEAR},
    ).fetchall()
    if linked:
        return f'; "{id_}" is linked with {", ".join(other for (other,) in linked)}'
    return _hint(connection, id_)


_CUSTOMERS = """
    SELECT customer_id AS id FROM touchpoints
    UNION ALL SELECT customer_id FROM identity_links
    UNION ALL SELECT other_customer_id FROM identity_links
"""
_DEVICES = "SELECT anonymous_id AS id FROM touchpoints UNION ALL SELECT anonymous_id FROM identity_links"


def _has(connection: duckdb.DuckDBPyConnection, ids: str, text: str) -> bool:
    return bool(connection.execute(f"SELECT 1 FROM ({ids}) WHERE id = $id LIMIT 1", {"id": text}).fetchone())


def _hint(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """Propose ids that are the same in another case, or that begin the same."""
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
    LEFT JOIN decisions AS d
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
    links = _rows(
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
    links = _rows(connection, _LINKS.format(condition="anonymous_id = $id"), of)
    standing = {link["customer_id"] for link in links if link["status"] != "unlinked"}
    return Device(
        anonymous_id,
        owners=_rows(
            connection,
            "SELECT profile_id, count(*) AS touchpoints FROM touchpoints"
            " WHERE anonymous_id = $id AND customer_id IS NULL GROUP BY ALL"
            " ORDER BY touchpoints DESC, profile_id",
            of,
        ),
        persons=sorted({_profile(connection, customer_id) for customer_id in standing}),
        links=links,
    )


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, Any] | None = None
) -> list[Row]:
    cursor = connection.execute(query, dict(values or {}))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
