"""The touchpoint: its fields, the Avro schema, and the Arrow schemas that one step hands to the next.

A record goes through three shapes: ``RAW`` (bytes and coordinates, as read), a decoded table whose columns
are the source's own, and ``TOUCHPOINT`` (typed, mapped and valid) or ``REJECTED`` (kept with its reason).
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pyarrow as pa

INSTANT = pa.timestamp("us")
"""UTC, without a zone in the type: every stored time is UTC."""

AMOUNT = pa.decimal128(18, 4)

PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))

FIELDS = pa.schema(
    [
        ("event_id", pa.string()),
        ("occurred_at", INSTANT),
        ("customer_id", pa.string()),
        ("anonymous_id", pa.string()),
        ("event_type", pa.string()),
        ("stage", pa.string()),
        ("channel", pa.string()),
        ("source", pa.string()),
        ("campaign", pa.string()),
        ("content", pa.string()),
        ("product", pa.string()),
        ("contract_id", pa.string()),
        ("quote_id", pa.string()),
        ("claim_id", pa.string()),
        ("referral_id", pa.string()),
        ("case_id", pa.string()),
        ("value", AMOUNT),
        ("currency", pa.string()),
        ("cost", AMOUNT),
        ("survey", pa.string()),
        ("score", pa.float64()),
        ("consent", pa.list_(pa.string())),
        ("experiment", pa.string()),
        ("variant", pa.string()),
        ("attributes", PAIRS),
    ]
)
"""The fields of a touchpoint, in the order of the contract, as they stand once valid."""

COORDINATES = pa.schema(
    [
        ("source_name", pa.string()),
        ("source_topic", pa.string()),
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
        ("broker_timestamp", INSTANT),
        ("record_key", pa.binary()),
        ("headers", HEADERS),
        ("schema_id", pa.int32()),
    ]
)
"""Where a record was read: beside the touchpoint, never inside it."""

RAW = pa.schema(
    [
        ("offset", pa.int64()),  # Kafka's offset, or the record's ordinal in its file, from 0
        ("broker_timestamp", INSTANT),  # null for files
        ("record_key", pa.binary()),
        ("headers", HEADERS),
        ("value", pa.large_binary()),  # null is a tombstone; cut at max_record_bytes
        ("size", pa.int64()),  # bytes before any cut
    ]
)
"""One batch as a source reads it."""

TOUCHPOINT = pa.schema([*FIELDS, *COORDINATES, ("content_sha256", pa.binary(32))])
"""One valid record. ``content_sha256`` is over the mapped fields before any look-up."""

REJECTED = pa.schema(
    [
        *COORDINATES,
        ("raw", pa.large_binary()),
        ("step", pa.string()),
        ("reason", pa.string()),
        ("rule", pa.string()),
        ("field", pa.string()),
        ("value", pa.string()),
        ("message", pa.string()),
        ("context_id", pa.string()),
    ]
)
"""One record for the quarantine: the one rule that it broke first, and what its bytes need to be read."""

REASONS = (
    "tombstone",
    "undecodable",
    "encoding",
    "unknown_schema",
    "schema_mismatch",
    "too_large",
    "missing_field",
    "wrong_type",
    "not_finite",
    "too_long",
    "out_of_range",
    "unknown_value",
    "pair_incomplete",
    "invalid_time",
    "time_in_future",
    "reserved_id",
    "rule_failed",
    "conflicting_duplicate",
)

SURVEYS: dict[str, tuple[int, int]] = {
    "nps": (0, 10),
    "csat": (1, 5),
    "ces": (1, 7),
    "recommend": (0, 10),
    "review": (1, 5),
    **dict.fromkeys(("value", "efficiency", "trust", "consistency", "relevance", "control"), (0, 10)),
}
"""The built-in surveys and the ends of their scales."""


def avro_schema() -> dict[str, Any]:
    """Return the Avro schema ``io.parcours.Touchpoint`` as a dictionary."""
    text = resources.files(__package__).joinpath("avro", "touchpoint.avsc").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
