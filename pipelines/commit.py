"""Commit: one transaction checks what was merged and built, and writes it with ledger and offsets."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from parcours.schemas.literal import literal
from parcours.schemas.references import REFERENCES
from parcours.transforms.canonical import canonical_json_sql
from parcours.transforms.contexts import context_id
from parcours.transforms.sources.contract import Position
from parcours.transforms.stage import Manifest


class CommitRefusedError(Exception):
    """A check failed: nothing was written."""


@dataclass(frozen=True)
class RunInfo:
    """The run that commits."""

    run_id: str
    command: str
    started_at: datetime
    fingerprint: str

    @classmethod
    def begun(cls, command: str, fingerprint: str) -> RunInfo:
        """Return a run that begins now, by the rules with this fingerprint; ids sort by start."""
        started = datetime.now(UTC).replace(tzinfo=None)
        run_id = f"{started:%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
        return cls(run_id, command, started, fingerprint)


@dataclass(frozen=True)
class Counts:
    """What became of the records of one or several slices."""

    read: int = 0
    loaded: int = 0
    duplicate: int = 0
    quarantined: int = 0
    suppressed: int = 0
    demoted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.as_tuple(), other.as_tuple(), strict=True)))

    def as_tuple(self) -> tuple[int, ...]:
        """Return the counts in the ledger's order."""
        return (self.read, self.loaded, self.duplicate, self.quarantined, self.suppressed, self.demoted)


_MANIFESTS = pa.schema(
    [
        ("source", pa.string()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("start", pa.int64()),
        ("next_offset", pa.int64()),
        ("read", pa.int64()),
        ("invalid", pa.int64()),
        ("gap", pa.int64()),
        ("gap_reason", pa.string()),
    ]
)


_OFFSETS = pa.schema(
    [
        ("source", pa.string()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("next_offset", pa.int64()),
        ("resume", pa.string()),
    ]
)


def run_sql(
    connection: duckdb.DuckDBPyConnection, name: str, values: Mapping[str, Any], **texts: str
) -> None:
    """Run one file of statements; each statement is given those of the values that it names.

    ``texts`` are SQL expressions or whole numbers written into the text before it is parsed.
    """
    text = resources.files(__package__).joinpath("commit_sql", f"{name}.sql").read_text("utf-8")
    for key, value in texts.items():
        text = text.replace(f"${key}", value)
    for statement in duckdb.extract_statements(text):
        connection.execute(statement, {key: values[key] for key in statement.named_parameters})


_EMPTY = {"visit_changes": "(SELECT NULL::BIGINT AS rid, NULL::VARCHAR AS visit_id WHERE false)"}
"""What is built and is no relation of the store, without rows: a slice of duplicates alone builds nothing."""


def register_built(connection: duckdb.DuckDBPyConnection, built: Mapping[str, Sequence[Path]]) -> None:
    """Give the built files the names ``built_RELATION``."""
    for relation, paths in built.items():
        quoted = ", ".join(literal(str(path)) for path in paths)
        empty = _EMPTY.get(relation, f"(FROM {relation} WHERE false)")
        source = f"read_parquet([{quoted}])" if paths else empty
        connection.execute(f"CREATE OR REPLACE TEMP VIEW built_{relation} AS FROM {source}")


def balance(connection: duckdb.DuckDBPyConnection, manifests: Sequence[Manifest]) -> None:
    """Fill ``balances``: what became of each record, by topic-partition."""
    rows = [{name: getattr(manifest, name) for name in _MANIFESTS.names} for manifest in manifests]
    connection.register("manifests", pa.Table.from_pylist(rows, schema=_MANIFESTS))
    run_sql(connection, "balances", {})


def check(connection: duckdb.DuckDBPyConnection, run: RunInfo, now: datetime) -> None:
    """Hold the slice against what must be true of it, and keep the results.

    Raises:
        CommitRefusedError: a check failed.
    """
    run_sql(connection, "check", {})
    failed = connection.execute("SELECT rule, failed, sample FROM checks WHERE failed > 0").fetchall()
    if failed:
        listed = "; ".join(
            f"{rule}: {count} rows, such as {', '.join(sample)}" for rule, count, sample in failed
        )
        raise CommitRefusedError(f"the slice is not consistent and was not committed: {listed}")
    connection.execute("DELETE FROM quality_results WHERE run_id = ? AND relation = 'slice'", [run.run_id])
    connection.execute(
        "INSERT INTO quality_results "
        "SELECT ?, rule, 'slice', 'stop', failed = 0, failed || ' rows', '0 rows', failed, sample, "
        "'parcours', ? FROM checks",
        [run.run_id, now],
    )


def write_tables(
    connection: duckdb.DuckDBPyConnection,
    run: RunInfo,
    now: datetime,
    max_customers_per_device: int,
    *,
    rejects: str = "rejected",
) -> None:
    """Write quarantine, touchpoints, links and everything built.

    Args:
        connection: the store's.
        run: the run that writes.
        now: when, UTC.
        max_customers_per_device: more make a device nobody's.
        rejects: the statements that say what comes of what was rejected: of records that were read, of
            quarantined ones that were tried again (replayed), or of touchpoints (revalidated).
    """
    values = {"run_id": run.run_id, "now": now}
    stored_json = canonical_json_sql("t", stage="stage_given")
    run_sql(connection, rejects, values, stored_json=stored_json)
    staged_json = canonical_json_sql("s", stage="stage")
    run_sql(connection, "losers", values, staged_json=staged_json, stored_json=stored_json)
    run_sql(connection, "tables", values, max_customers_per_device=str(max_customers_per_device))


def write_everything(
    connection: duckdb.DuckDBPyConnection, run: RunInfo, now: datetime, max_customers_per_device: int
) -> None:
    """Write what a rebuild built: all of it anew, and every touchpoint by the taxonomy in force."""
    run_sql(connection, "everything", {})
    write_tables(connection, run, now, max_customers_per_device)
    run_sql(connection, "taxonomy", {})


def write_ledger(
    connection: duckdb.DuckDBPyConnection, run: RunInfo, now: datetime, manifests: Sequence[Manifest]
) -> Counts:
    """Write the run, its balances and the new offsets; return the slice's counts."""
    connection.execute(
        """
        INSERT INTO run_balances
        SELECT
            ?, source, topic, partition, from_offset, to_offset, read, loaded, duplicate, quarantined, 0,
            demoted, gap, gap_reason, ?
        FROM balances ORDER BY ALL
        """,
        [run.run_id, now],
    )
    record_run(connection, run, now, "running")
    write_offsets(
        connection,
        {
            (m.source, m.topic, m.partition): Position(m.next_offset, m.resume)
            for m in manifests
            if m.replays is None
        },
    )
    row = connection.execute(
        "SELECT sum(read)::BIGINT, sum(loaded)::BIGINT, sum(duplicate)::BIGINT, sum(quarantined)::BIGINT, 0, "
        "sum(demoted)::BIGINT FROM balances"
    ).fetchone()
    assert row is not None  # noqa: S101  an aggregate gives one row
    return Counts(*(value or 0 for value in row))


def keep_contexts(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """Keep what rejected records need to be read again, in the caller's transaction; each context once."""
    for file in files:
        context = file.read_bytes()
        connection.execute(
            "INSERT INTO internal.contexts SELECT $id, $context "
            "WHERE $id NOT IN (SELECT context_id FROM internal.contexts)",
            {"id": context_id(context), "context": context},
        )


def record_run(connection: duckdb.DuckDBPyConnection, run: RunInfo, now: datetime, status: str) -> None:
    """Write or update the run's line in the ledger."""
    connection.execute("DELETE FROM runs WHERE run_id = ?", [run.run_id])
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)",
        [run.run_id, run.command, run.started_at, now, status, run.fingerprint],
    )


def write_offsets(
    connection: duckdb.DuckDBPyConnection, positions: Mapping[tuple[str, str, int], Position]
) -> None:
    """Replace the committed position of each (source, topic, partition)."""
    rows = [
        {
            "source": s,
            "topic": t,
            "partition": p,
            "next_offset": at.next_offset,
            "resume": json.dumps(dict(at.resume)),
        }
        for (s, t, p), at in positions.items()
    ]
    connection.register("new_offsets", pa.Table.from_pylist(rows, schema=_OFFSETS))
    connection.execute(
        """
        DELETE FROM internal.offsets USING new_offsets AS n
        WHERE offsets.source = n.source AND offsets.topic = n.topic AND offsets.partition = n.partition
        """
    )
    connection.execute("INSERT INTO internal.offsets FROM new_offsets")


def read_offsets(connection: duckdb.DuckDBPyConnection, source: str) -> dict[tuple[str, int], Position]:
    """Return the committed positions of one source by (topic, partition)."""
    rows = connection.execute(
        "SELECT topic, partition, next_offset, resume FROM internal.offsets WHERE source = ?", [source]
    ).fetchall()
    return {
        (topic, partition): Position(offset, json.loads(resume)) for topic, partition, offset, resume in rows
    }


def forget_log(
    connection: duckdb.DuckDBPyConnection, source: str, topic: str | None, run: RunInfo, now: datetime
) -> None:
    """Forget what was read of a source, or of one of its topics; what was loaded of it stays.

    Runs in the caller's transaction. What was rejected until now, and what reference inputs hold, no longer
    goes by its place, where the next run may read another record.
    """
    values = {"source": source, "topic": topic, "run_id": run.run_id}
    for reference in REFERENCES.values():
        run_sql(connection, "forget_reference", values, relation=reference.relation)
    run_sql(connection, "forget", values)
    record_run(connection, run, now, "done")
