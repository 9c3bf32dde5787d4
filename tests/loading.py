"""Loads valid touchpoints into a store through the product's SQL, without a pipeline.

``Loader`` keeps one in-memory store and empties it between worlds: creating the relations costs more than a
small world does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from parcours.pipelines import commit
from parcours.schemas import relations
from parcours.schemas.config import Config
from parcours.schemas.touchpoint import REJECTED, TOUCHPOINT
from parcours.transforms.canonical import content_sha256_sql
from parcours.transforms.journeys import JourneyRules, build_journeys
from parcours.transforms.merge import collect_history, merge, merge_everything, register_taxonomy
from parcours.transforms.references import register_references
from parcours.transforms.stage import Manifest
from reference import Options

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
            "kpi": {"time_zone": options.time_zone, "week_start": options.week_start},
        }
    )


def hashed(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events with the product's own content hash, which settles conflicts at one instant."""
    table = _arrow([{**event, "rid": n, "content_sha256": b"0" * 32} for n, event in enumerate(events)])
    with duckdb.connect() as connection:
        connection.register("events", table)
        query = f"SELECT hex({content_sha256_sql('e')}) FROM events AS e ORDER BY rid"
        rows = connection.sql(query).fetchall()
    return [{**event, "content_sha256": row[0]} for event, row in zip(events, rows, strict=True)]


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
        for name in (*relations.INTERNAL, *relations.TABLES):
            self.connection.execute(relations.statement(name))
        self._slices = 0

    def empty(self) -> None:
        """Forget everything that was loaded, a slice that failed half-way too."""
        with contextlib.suppress(duckdb.TransactionException):  # no slice had failed
            self.connection.execute("ROLLBACK")
        for name in (*relations.TABLES, "internal.offsets", "internal.row_hashes"):
            if name != "dim_date":
                self.connection.execute(f"DELETE FROM {name}")

    def load(self, slices: Sequence[Sequence[dict[str, Any]]], options: Options) -> commit.Counts:
        """Load one slice after the other; each event has its coordinates and ``content_sha256`` (hex)."""
        config = config_of(options)
        register_taxonomy(self.connection, config.taxonomy)
        counts = commit.Counts()
        for events in slices:
            counts += self._slice(events, config)
        return counts

    def rebuild(self, options: Options) -> None:
        """Build everything anew."""
        config = config_of(options)
        register_taxonomy(self.connection, config.taxonomy)
        connection = self.connection
        connection.execute("BEGIN")
        merge_everything(connection, config)
        collect_history(connection)
        build_journeys(connection, JourneyRules.of(config.journey))
        run = self._run()
        commit.balance(connection, [])
        commit.check(connection, run, STARTED)
        commit.write_everything(connection, run, STARTED, config.identity.max_customers_per_device)
        connection.execute("COMMIT")

    def _run(self) -> commit.RunInfo:
        self._slices += 1
        return commit.RunInfo(f"run-{self._slices}", "run", STARTED + timedelta(seconds=self._slices), "")

    def _slice(self, events: Sequence[dict[str, Any]], config: Config) -> commit.Counts:
        connection = self.connection
        rows = [
            {**event, "rid": rid, "content_sha256": bytes.fromhex(event["content_sha256"])}
            for rid, event in enumerate(events)
        ]
        run = self._run()
        connection.execute("BEGIN")
        connection.register("staged_rows", _arrow(rows))
        connection.register("staged_rejected_rows", REJECTED.empty_table())
        connection.execute("CREATE OR REPLACE TEMP VIEW staged AS FROM staged_rows")
        connection.execute("CREATE OR REPLACE TEMP VIEW staged_rejected AS FROM staged_rejected_rows")
        register_references(connection, {})
        merge(connection, config, _manifests(events), run.run_id)
        collect_history(connection)
        build_journeys(connection, JourneyRules.of(config.journey))
        commit.balance(connection, _manifests(events))
        commit.check(connection, run, STARTED)
        commit.write_tables(connection, run, STARTED, config.identity.max_customers_per_device)
        counts = commit.write_ledger(connection, run, STARTED, _manifests(events))
        connection.execute("COMMIT")
        return counts


def _manifests(events: Sequence[dict[str, Any]]) -> list[Manifest]:
    partitions = sorted({event["source_partition"] for event in events})
    sizes = {p: sum(event["source_partition"] == p for event in events) for p in partitions}
    return [
        Manifest(
            range_id=p,
            source="world",
            topic="touchpoints",
            partition=p,
            start=0,
            next_offset=size,
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
        for p, size in sizes.items()
    ]
