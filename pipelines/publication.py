"""Publication: the store is checked where that is due, and copied for readers where the gate is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from parcours.pipelines.checks import PUBLISHED, Check, GateState, check, committed, is_due, newest_gate
from parcours.pipelines.commit import RunInfo
from parcours.pipelines.observe import Observer
from parcours.pipelines.status import known_ends, write_status
from parcours.pipelines.store import Store
from parcours.schemas.config import Config
from parcours.serving.publish import Copy, publish


@dataclass(frozen=True)
class Publication:
    """What came of a wish to publish: what the gate says, and the copy where it is open."""

    gate: GateState
    copy: Copy | None


def link_of(config: Config) -> Path:
    """Return the link that readers open."""
    if config.publish.path is not None:
        return Path(config.publish.path)
    store = Path(config.store.path)
    return store.with_name(f"{store.stem}.published.duckdb")


def publish_copy(store: Store, config: Config, gate: GateState, observer: Observer) -> Copy:
    """Copy the store, move the link, and write the publication down.

    Raises:
        PublishError: the copy cannot be where it should be.
        duckdb.Error: it could not be written.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    connection = store.connection
    observer.begin("publish")
    copy = publish(connection, link_of(config), run_id=gate.run_id, now=now, keep=config.publish.keep)
    connection.execute("BEGIN")
    try:
        connection.execute(
            "INSERT INTO publications VALUES (?, ?, ?, ?, ?)",
            [now, gate.run_id, copy.file.name, copy.touchpoints, copy.newest_at],
        )
        store.set_meta(PUBLISHED, committed(connection))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    observer.end("publish")
    observer.told("published", {"run_id": gate.run_id, "path": copy.file.name, "relations": copy.relations})
    return copy


def is_published(store: Store, config: Config) -> bool:
    """Say whether the newest copy is there and has all that was committed."""
    return link_of(config).exists() and store.meta(PUBLISHED) == committed(store.connection)


@dataclass(frozen=True)
class NewestCopy:
    """What the copy that readers open says of itself."""

    file: str
    published_at: datetime
    touchpoints: int
    newest_at: datetime | None


def newest_copy(config: Config) -> NewestCopy | None:
    """Return what the published copy says of itself, or None where there is none."""
    link = link_of(config)
    if not link.exists():
        return None
    with duckdb.connect(str(link), read_only=True) as connection:
        row = connection.execute(
            "SELECT file, published_at, touchpoints, newest_at FROM publications"
            " ORDER BY published_at DESC LIMIT 1"
        ).fetchone()
    return None if row is None else NewestCopy(*row)


@contextmanager
def _opened(config: Config) -> Iterator[Store]:
    """Open a store that is there already, and tell its new state at the end."""
    path = Path(config.store.path)
    if not path.exists():
        raise FileNotFoundError(f'there is no store at "{path}" yet; parcours run makes it')
    with Store(path, memory_limit=config.store.memory_limit) as store:
        yield store
        write_status(store, known_ends(path))


def check_now(config: Config, observer: Observer) -> Check:
    """Check the store, whether or not that is due.

    Raises:
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds it.
    """
    with _opened(config) as store:
        return check(store, config, _check_id(), observer=observer, warn=observer.warn)


def publish_now(config: Config, observer: Observer) -> Publication:
    """Publish where the gate allows it; it is asked anew where something changed, or where it was held.

    Raises:
        FileNotFoundError: there is no store.
        StoreHeldError: another process holds it.
        PublishError: the copy cannot be where it should be.
    """
    with _opened(config) as store:
        gate = newest_gate(store.connection)
        if gate is None or gate.state == "held" or is_due(store, config):
            gate = check(store, config, _check_id(), observer=observer, warn=observer.warn).gate
        copy = publish_copy(store, config, gate, observer) if gate.state == "open" else None
        return Publication(gate, copy)


def _check_id() -> str:
    return RunInfo.begun("check", "").run_id
