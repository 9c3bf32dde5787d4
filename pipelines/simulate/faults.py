"""The broken records: one kind a rule, each breaking that rule alone, and the reason a reader should give.

=========================================  ===============  ====  ===  =========  =======================
kinds                                      reason           json  csv  avro-file  avro formats of a topic
=========================================  ===============  ====  ===  =========  =======================
missing_event_id, _event_type,             missing_field    x     x    x          x
_channel, _person
missing_time                               missing_field    x     x
not_a_number, infinite, infinite_cost      not_finite       x     x    x          x
score_above, score_below                   out_of_range     x     x    x          x
year_1066, year_2999                       invalid_time     x     x    x          x
wrong_time                                 invalid_time     x     x
long_event_id, long_customer_id            too_long         x     x    x          x
unknown_stage                              unknown_value    x     x    x          x
value_alone, survey_alone                  pair_incomplete  x     x    x          x
reserved_customer                          reserved_id      x     x    x          x
wrong_type                                 wrong_type       x     x
encoding                                   encoding         x     x
truncated                                  undecodable      x     x               x
tombstone                                  tombstone        topic                 x
trailing_bytes                             schema_mismatch                        x
wrong_magic                                undecodable                            confluent, single-object
unknown_schema_id                          unknown_schema                         confluent
wrong_fingerprint                          unknown_schema                         single-object
=========================================  ===============  ====  ===  =========  =======================

A container file frames its records itself, so only what its values can hold is planted there. Records over
``max_record_bytes`` and times ahead of the broker's clock are not planted: the first would be ten megabytes
each, the second depend on when the topic is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Record = dict[str, Any]

_CONTAINED = frozenset({"avro-file"})
_TEXT = frozenset({"json", "csv"})
_FRAMED = frozenset({"avro-confluent", "avro-single-object"})
_DATUM = _FRAMED | {"avro"}
_ANY = _TEXT | _DATUM | _CONTAINED


@dataclass(frozen=True)
class Fault:
    """One way of being broken: a change of the record before it is written, or damage to its bytes after."""

    kind: str
    reason: str
    formats: frozenset[str]
    change: Callable[[Record], None] | None = None
    damage: Callable[[bytes], bytes | None] | None = None
    topic_only: bool = False


def faults(format_: str, *, topic: bool) -> tuple[Fault, ...]:
    """Return the faults that a format can carry, in a fixed order."""
    return tuple(fault for fault in _FAULTS if format_ in fault.formats and (topic or not fault.topic_only))


def _put(**fields: Any) -> Callable[[Record], None]:
    """Return a change that sets fields; ``None`` takes one out."""

    def change(record: Record) -> None:
        for name, value in fields.items():
            if value is None:
                record.pop(name, None)
            else:
                record[name] = value

    return change


def _lengthen(record: Record) -> None:
    record["event_id"] = record["event_id"].ljust(129, "0")


def _instant(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))


def _half(data: bytes) -> bytes:
    cut = len(data) // 2
    # Not within a character: that would be another fault, a wrong encoding.
    while data[cut] & 0xC0 == 0x80:
        cut -= 1
    return data[:cut]


_FAULTS = (
    Fault("truncated", "undecodable", _TEXT | _DATUM, damage=_half),
    Fault(
        "encoding",
        "encoding",
        _TEXT,
        change=_put(source="café"),
        damage=lambda data: data.replace("é".encode(), b"\xe9"),
    ),
    Fault("wrong_type", "wrong_type", _TEXT, change=_put(value="twelve", currency="EUR")),
    Fault("wrong_time", "invalid_time", _TEXT, change=_put(occurred_at="yesterday")),
    Fault("missing_event_id", "missing_field", _ANY, change=_put(event_id=None)),
    Fault("missing_time", "missing_field", _TEXT, change=_put(occurred_at=None)),
    Fault("missing_event_type", "missing_field", _ANY, change=_put(event_type=None)),
    Fault("missing_channel", "missing_field", _ANY, change=_put(channel="")),
    Fault("missing_person", "missing_field", _ANY, change=_put(customer_id=None, anonymous_id=None)),
    Fault("not_a_number", "not_finite", _ANY, change=_put(value=float("nan"), currency="EUR")),
    Fault("infinite", "not_finite", _ANY, change=_put(value=float("inf"), currency="EUR")),
    Fault("infinite_cost", "not_finite", _ANY, change=_put(cost=float("-inf"))),
    Fault("score_above", "out_of_range", _ANY, change=_put(survey="nps", score=11)),
    Fault("score_below", "out_of_range", _ANY, change=_put(survey="csat", score=0)),
    Fault("year_1066", "invalid_time", _ANY, change=_put(occurred_at=_instant("1066-10-14T09:00"))),
    Fault("year_2999", "invalid_time", _ANY, change=_put(occurred_at=_instant("2999-12-31T23:59"))),
    Fault("long_event_id", "too_long", _ANY, change=_lengthen),
    Fault("long_customer_id", "too_long", _ANY, change=_put(customer_id="M" * 129)),
    Fault("unknown_stage", "unknown_value", _ANY, change=_put(stage="purchse")),
    Fault("value_alone", "pair_incomplete", _ANY, change=_put(value=12.5, currency=None)),
    Fault("survey_alone", "pair_incomplete", _ANY, change=_put(survey="nps", score=None)),
    Fault("reserved_customer", "reserved_id", _ANY, change=_put(customer_id="anon:1234")),
    Fault("tombstone", "tombstone", _DATUM | {"json"}, damage=lambda _: None, topic_only=True),
    Fault("trailing_bytes", "schema_mismatch", _DATUM, damage=lambda data: data + b"\x00\x00"),
    Fault(
        "unknown_schema_id",
        "unknown_schema",
        frozenset({"avro-confluent"}),
        damage=lambda data: b"\x00" + (999_999).to_bytes(4, "big") + data[5:],
    ),
    Fault("wrong_magic", "undecodable", _FRAMED, damage=lambda data: b"\x5a" + data[1:]),
    Fault(
        "wrong_fingerprint",
        "unknown_schema",
        frozenset({"avro-single-object"}),
        damage=lambda data: data[:2] + bytes(8) + data[10:],
    ),
)
