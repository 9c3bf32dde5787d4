"""Simulated data for figures: read without a pipeline, made a little odder, and given to the twins.

The simulator knows no carts, no message without a campaign and hardly two things at one instant: some of its
events are changed, the same for the same seed.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from compare import rows_of
from loading import hashed
from parcours.pipelines.simulate import simulate, taxonomy
from parcours.schemas.references import REFERENCES
from reference import FIELDS, Channel, EventType, Options
from reference.figures.world import World
from strategies import Slice

RECORDS = 2_500
PARIS = ZoneInfo("Europe/Paris")
AMOUNTS = ("value", "cost")

OPTIONS = Options(
    events={
        name: EventType(event.stage, event.roles, event.money_role)
        for name, event in taxonomy().events.items()
    },
    channels={name: Channel(channel.medium, channel.direct) for name, channel in taxonomy().channels.items()},
)


def simulated(seed: int, folder: Path) -> Slice:
    """Return a seed's events and reference inputs as one slice."""
    simulate(RECORDS, seed, "json", folder, files=1, broken=0, duplicates=0)
    lines = (folder / "touchpoints-0000.ndjson").read_text("utf-8").splitlines()
    events = [touchpoint(json.loads(line), offset) for offset, line in enumerate(lines)]
    references = {
        name: list(rows_of_csv(folder / f"{name}.csv", REFERENCES[name].fields)) for name in REFERENCES
    }
    references["spend"] = references["spend"][::7]  # three rows a touchpoint would be most of the work
    return Slice(hashed(list(odder(events, random.Random(seed)))), references)


def touchpoint(record: dict[str, Any], offset: int) -> dict[str, Any]:
    """Return a simulated record as a touchpoint's fields and coordinates."""
    attributes = [{"key": key, "value": str(value)} for key, value in record.items() if key not in FIELDS]
    at = datetime.fromisoformat(record["occurred_at"]).astimezone(UTC).replace(tzinfo=None)
    amounts = {name: Decimal(str(record[name])) for name in AMOUNTS if name in record}
    fields = {key: value for key, value in record.items() if key in FIELDS}
    place = {"source_name": "s", "source_topic": "t", "source_partition": 0, "source_offset": offset}
    return {**fields, "occurred_at": at, **amounts, "attributes": attributes, **place}


def odder(events: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Return the events, some of them changed: carts, nulls, equal instants, bounds of days."""
    for event in events:
        changed = dict(event)
        if event["event_type"] == "product_viewed" and chance.random() < 0.3:
            changed["event_type"] = "cart_created"
        if chance.random() < 0.1:
            changed.pop("campaign", None)
            changed.pop("product", None)
        if chance.random() < 0.02:
            local = event["occurred_at"].replace(tzinfo=UTC).astimezone(PARIS)
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
            changed["occurred_at"] = midnight.astimezone(UTC).replace(tzinfo=None)
        elif chance.random() < 0.1:
            changed["occurred_at"] = event["occurred_at"].replace(minute=0, second=0, microsecond=0)
        yield changed


def rows_of_csv(file: Path, fields: pa.Schema) -> Iterator[dict[str, Any]]:
    """Return a reference input's rows with the types of its fields."""
    with file.open(encoding="utf-8", newline="") as text:
        for offset, row in enumerate(csv.DictReader(text)):
            typed = {name: value_of(row[name], fields.field(name).type) for name in row if row[name]}
            place = {"source_name": file.stem, "source_topic": "t", "source_partition": 0}
            yield {**dict.fromkeys(fields.names), "attributes": [], **typed, **place, "source_offset": offset}


def value_of(text: str, type_: pa.DataType) -> Any:
    """Return a field's value; times without an offset are UTC, a month is its first day."""
    if pa.types.is_date(type_):
        return date.fromisoformat(text if len(text) > 7 else f"{text}-01")
    if pa.types.is_timestamp(type_):
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    if pa.types.is_decimal(type_):
        return Decimal(text)
    if pa.types.is_floating(type_):
        return float(text)
    return int(text) if pa.types.is_integer(type_) else text


def world_at(connection: duckdb.DuckDBPyConnection, as_of: datetime, margin: float | None) -> World:
    """Read a store's relations as they stood at an instant."""

    def rows(name: str, at: datetime = as_of) -> list[dict[str, Any]]:
        return rows_of(connection, f"FROM {name}(TIMESTAMP '{at}')")

    def begun(name: str, column: str) -> list[dict[str, Any]]:
        return rows_of(connection, f"FROM {name} WHERE {column} <= TIMESTAMP '{as_of}'")

    return World(
        as_of,
        OPTIONS,
        margin,
        touchpoints=begun("touchpoints", "occurred_at"),
        visits=begun("visits", "started_at"),
        journey_steps=begun("journey_steps", "occurred_at"),
        stage_visits=begun("stage_visits", "entered_at"),
        **{
            name: rows(f"{name}_at")
            for name in ("journeys", "contracts", "quotes", "claims", "cases", "profiles")
        },
        premiums=rows("contract_premiums_at"),
        **{
            name: rows_of(connection, f"FROM ref_{name}_now")
            for name in ("spend", "events_held", "indicators")
        },
        customers=rows_of(connection, "FROM ref_customers"),
        people={row["customer_id"]: row["profile_id"] for row in rows_of(connection, "FROM internal.people")},
        profiles_at=lambda at: rows("profiles_at", at),
        segment_members_at=lambda at: rows("segment_members_at", at),
        value_cells_at=lambda at: rows("value_cells_at", at),
    )
