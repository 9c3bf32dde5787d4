"""Decisions of people: a pair of ids is held apart, or that is taken back, with all that follows from it."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import duckdb

from parcours.pipelines.identity import ANONYMOUS, NEAR, IdentityError, near_ids
from parcours.pipelines.identity_changes import IdentityChange
from parcours.pipelines.observe import Observer
from parcours.pipelines.store import Store
from parcours.pipelines.store_run import StoreRun
from parcours.schemas.config import Config
from parcours.transforms.merge import merge, register_staged
from parcours.transforms.merge_steps import sql

Kind = Literal["unlink", "relink"]


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
                record_decision(connection, run.run.run_id, kind, id_, customer_id)
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


def record_decision(
    connection: duckdb.DuckDBPyConnection, run_id: str, kind: str, id_: str, customer_id: str
) -> None:
    """Write a decision, in the caller's transaction; it is the last even where the clock was set back."""
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
    WHERE kind IN ('unlink', 'relink')
        AND ((id = $id AND customer_id = $customer_id) OR (id = $customer_id AND customer_id = $id))
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
    if id_ == customer_id:
        raise IdentityError(f'"{id_}" is named twice: name the two ids that belong to different persons')
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
    return near_ids(connection, id_)
