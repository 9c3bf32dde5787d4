"""Simulated data for figures: read without a pipeline, made a little odder, and given to the twins.

The simulator knows no carts, no message without a campaign and hardly two things at one instant: some of its
events are changed, the same for the same seed.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
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

LEFT_OUT = {
    **dict.fromkeys(("account_viewed", "document_downloaded", "newsletter_delivered"), 0.85),
    **dict.fromkeys(("claim_paid", "claim_reserved", "request_closed"), 0.3),
}
"""How much of what is left out: most events are visits, and hardly a claim costs nothing."""

COMPLAINT_OF = {"request_opened": "complaint_opened", "request_closed": "complaint_answered"}
"""A third of the requests become complaints, which are rare."""

AGAIN = {
    "request_opened": ("request_opened", (0, 7)),
    "request_closed": ("request_opened", (0, 7, 8, 30, 31)),
    "claim_closed": ("claim_reopened", (0, 30, 31)),
    "email_delivered": ("email_opened", (0, 30, 31)),
    "complaint_opened": ("complaint_answered", (0, 13, 14, 15, 59, 60, 61, 62)),
    "quote_created": ("contract_signed", (0, 30, 31, 90, 91)),
    "cart_created": ("assistance_purchased", (0, 30, 31)),
    "letter_sent": ("contract_signed", (0, 90, 91)),
}
"""What some events are followed by, at once or about a window's edge, in days; a request by another one."""

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
    for contract in references["contracts"][::3]:  # in force before it was signed
        contract["effective_from"] -= timedelta(days=60)
    references["spend"] = references["spend"][::7]  # three rows a touchpoint would be most of the work
    return Slice(hashed(list(odder(events, random.Random(seed)))), references)


def touchpoint(record: dict[str, Any], offset: int) -> dict[str, Any]:
    """Return a simulated record as a touchpoint's fields and coordinates."""
    attributes = [{"key": key, "value": str(value)} for key, value in record.items() if key not in FIELDS]
    at = datetime.fromisoformat(record["occurred_at"]).astimezone(UTC).replace(tzinfo=None)
    amounts = {name: Decimal(str(record[name])) for name in AMOUNTS if name in record}
    fields = {key: value for key, value in record.items() if key in FIELDS}
    return {**fields, "occurred_at": at, **amounts, "attributes": attributes, **place(offset)}


def place(offset: int) -> dict[str, Any]:
    """Return the coordinates of a record."""
    return {"source_name": "s", "source_topic": "t", "source_partition": 0, "source_offset": offset}


def odder(events: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, Any]]:
    """Return the events, some of them changed: fewer visits, more of what is rare, nulls, equal instants."""
    for event in events:
        if chance.random() < LEFT_OUT.get(event["event_type"], 0):
            continue
        changed = dict(event)
        if event["event_type"] == "product_viewed" and chance.random() < 0.3:
            changed["event_type"] = "cart_created"
        if event["event_type"] in COMPLAINT_OF and int(event["case_id"], 36) % 3 == 0:
            changed["event_type"] = COMPLAINT_OF[event["event_type"]]
            changed.pop("stage", None)
        if "variant" in event and event["experiment"] == "welcome_series":
            changed["variant"] = f"series={event['variant']}|tone={chance.choice(('warm', 'plain'))}"
        if chance.random() < 0.1:
            changed.pop("campaign", None)
            changed.pop("product", None)
        if chance.random() < 0.03:
            changed["occurred_at"] = midnight_before(event["occurred_at"])
        elif chance.random() < 0.1:
            changed["occurred_at"] = event["occurred_at"].replace(minute=0, second=0, microsecond=0)
        yield changed
        if changed["event_type"] in AGAIN and chance.random() < 0.2:
            following, days = AGAIN[changed["event_type"]]
            another = {"case_id": f"{event['case_id']}b"} if following == changed["event_type"] else {}
            yield {
                **changed,
                **another,
                "event_id": f"{event['event_id']} again",
                "event_type": following,
                "occurred_at": changed["occurred_at"] + timedelta(days=chance.choice(days)),
                "source_offset": -event["source_offset"],
            }


def midnight_before(at: datetime) -> datetime:
    """Return when an instant's local day begins."""
    return paris(at.replace(tzinfo=UTC).astimezone(PARIS).date())


def paris(day: date) -> datetime:
    """Return when a day begins in Paris."""
    return datetime.combine(day, time(), PARIS).astimezone(UTC).replace(tzinfo=None)


def rows_of_csv(file: Path, fields: pa.Schema) -> Iterator[dict[str, Any]]:
    """Return a reference input's rows with the types of its fields."""
    with file.open(encoding="utf-8", newline="") as text:
        for offset, row in enumerate(csv.DictReader(text)):
            typed = {name: value_of(row[name], fields.field(name).type) for name in row if row[name]}
            yield {**dict.fromkeys(fields.names), "attributes": [], **typed, **place(offset)} | {
                "source_name": file.stem
            }


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
