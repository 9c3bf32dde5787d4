"""Loads valid touchpoints into a store through the product's SQL, without a pipeline.

``Loader`` keeps one in-memory store and empties it between worlds: creating the relations costs more than a
small world does.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from parcours.kpis.ladder import create_statements
from parcours.pipelines import commit
from parcours.schemas import relations
from parcours.schemas.config import Config, Taxonomy
from parcours.schemas.references import REFERENCES
from parcours.schemas.touchpoint import REJECTED, TOUCHPOINT
from parcours.transforms.canonical import content_sha256_sql
from parcours.transforms.journeys import JourneyRules, build_journeys
from parcours.transforms.merge import collect_history, merge, merge_everything, register_taxonomy
from parcours.transforms.stage import Manifest
from reference import Options
from strategies import Slice

STARTED = datetime(2026, 1, 1)


def config_of(options: Options) -> Config:
    """The reference's options as the product's config."""
    return Config.model_validate(
        {
            "taxonomy": {
                "events": {
                    name: {"stage": e.stage, "roles": e.roles, "money_role": e.money_role}
                    for name, e in options.events.items()
                },
                "channels": {
                    name: {"medium": c.medium, "direct": c.direct} for name, c in options.channels.items()
                },
            },
            "journey": {
                "unit": options.unit,
                "gap": options.gap if options.gap is not None else "none",
                "end_on": options.end_on,
            },
            "identity": {"max_customers_per_device": options.max_customers_per_device},
            "source": [
                {"name": name, "kind": "file", "format": "csv", "path": f"{name}/*.csv", "loads": name}
                for name in REFERENCES
            ],
            **({"ladder": options.ladder_as_written} if options.ladder_as_written else {}),
            "kpi": {"time_zone": options.time_zone, "week_start": options.week_start},
        }
    )


def hashed(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events with the product's own content hash, which settles conflicts at one instant."""
    table = _arrow([{**event, "rid": n, "content_sha256": b"0" * 32} for n, event in enumerate(events)])
    connection = _hashing()
    connection.register("events", table)
    query = f"SELECT hex({content_sha256_sql('e')}) FROM events AS e ORDER BY rid"
    rows = connection.execute(query).fetchall()
    return [{**event, "content_sha256": row[0]} for event, row in zip(events, rows, strict=True)]


@cache
def _hashing() -> duckdb.DuckDBPyConnection:
    """One connection for all hashes: opening one costs as much as a hundred hashes."""
    return duckdb.connect(config={"threads": 1})


def _arrow(rows: Sequence[dict[str, Any]]) -> pa.Table:
    whole = [
        {
            **row,
            "consent": row.get("consent", []),
            "attributes": sorted(row.get("attributes", []), key=_by_key),
        }
        for row in rows
    ]
    return pa.Table.from_pylist(whole, pa.schema([*TOUCHPOINT, ("rid", pa.int64())]))


def _by_key(attribute: dict[str, str]) -> tuple[str, str]:
    return attribute["key"], attribute["value"]


class Loader:
    """An in-memory store that is filled slice by slice."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
            self.connection.execute(relations.statement(name))
        self._slices = 0
        self._taxonomy: Taxonomy | None = None
        self._ladder: dict[str, str] | None = None

    def empty(self) -> None:
        """Forget everything that was loaded, a slice that failed half-way too."""
        with contextlib.suppress(duckdb.TransactionException):  # no slice had failed
            self.connection.execute("ROLLBACK")
        for name in (*relations.TABLES, "internal.offsets", "internal.row_hashes", "internal.people"):
            if name != "dim_date":
                self.connection.execute(f"DELETE FROM {name}")

    def load(self, slices: Sequence[Slice | Sequence[dict[str, Any]]], options: Options) -> commit.Counts:
        """Load one slice after the other; each event has its coordinates and ``content_sha256`` (hex)."""
        config = config_of(options)
        self._register(config)
        counts = commit.Counts()
        for content in slices:
            counts += self._slice(content if isinstance(content, Slice) else Slice(list(content)), config)
        return counts

    def _register(self, config: Config) -> None:
        if config.taxonomy != self._taxonomy:
            register_taxonomy(self.connection, config.taxonomy)
            self._taxonomy = config.taxonomy
        if config.ladder != self._ladder:
            for statement in create_statements(config.ladder):
                self.connection.execute(statement)
            self._ladder = config.ladder

    def rebuild(self, options: Options) -> None:
        """Build everything anew."""
        config = config_of(options)
        self._register(config)
        connection = self.connection
        connection.execute("BEGIN")
        merge_everything(connection, config)
        self._build(config)
        run = self._run()
        commit.balance(connection, [])
        commit.check(connection, run, STARTED)
        commit.write_everything(connection, run, STARTED, config.identity.max_customers_per_device)
        connection.execute("COMMIT")

    def _run(self) -> commit.RunInfo:
        self._slices += 1
        return commit.RunInfo(f"run-{self._slices}", "run", STARTED + timedelta(seconds=self._slices), "")

    def _slice(self, content: Slice, config: Config) -> commit.Counts:
        connection = self.connection
        rows = [
            {**event, "rid": rid, "content_sha256": bytes.fromhex(event["content_sha256"])}
            for rid, event in enumerate(content.events)
        ]
        manifests = [
            manifest
            for records in (content.events, *content.references.values())
            for manifest in _manifests(records)
        ]
        run = self._run()
        connection.execute("BEGIN")
        self._stage("staged", _arrow(rows))
        self._stage("staged_rejected", REJECTED.empty_table())
        for name, reference in REFERENCES.items():
            self._stage(
                f"staged_{name}",
                pa.Table.from_pylist(
                    [{"attributes": [], **record} for record in content.references.get(name, [])],
                    reference.rows,
                ),
            )
        for decision in content.decisions:
            connection.execute(
                "INSERT INTO decisions VALUES ($decision_id, $decided_at, $kind, $id, $customer_id, $run_id)",
                {**decision, "run_id": run.run_id},
            )
        decided = [(each["kind"], each["id"], each["customer_id"]) for each in content.decisions]
        merge(connection, config, manifests, run.run_id, decided)
        self._build(config)
        commit.balance(connection, manifests)
        commit.check(connection, run, STARTED)
        commit.write_tables(connection, run, STARTED, config.identity.max_customers_per_device)
        counts = commit.write_ledger(connection, run, STARTED, manifests)
        connection.execute("COMMIT")
        return counts

    def _stage(self, name: str, rows: pa.Table) -> None:
        self.connection.register(f"{name}_rows", rows)
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {name}_rows")

    def _build(self, config: Config) -> None:
        """Build from a copy of the history, as the pipeline does: the view over the store costs more."""
        collect_history(self.connection)
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE exported AS FROM history;"
            "CREATE OR REPLACE TEMP VIEW history AS FROM exported"
        )
        build_journeys(self.connection, JourneyRules.of(config.journey))


def _manifests(records: Sequence[dict[str, Any]]) -> list[Manifest]:
    """What was read of each topic-partition; not from its beginning, or a file would be read anew."""
    places = Counter(
        (record["source_name"], record["source_topic"], record["source_partition"]) for record in records
    )
    return [
        Manifest(
            range_id=number,
            source=source,
            topic=topic,
            partition=partition,
            start=1,
            next_offset=1 + size,
            read=size,
            valid=size,
            invalid=0,
            gap=0,
            gap_reason=None,
            resume={},
            warnings=[],
            touchpoints=[],
            rejected=[],
        )
        for number, ((source, topic, partition), size) in enumerate(sorted(places.items()))
    ]
