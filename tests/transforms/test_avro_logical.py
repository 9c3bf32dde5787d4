"""Logical types: readable texts as attributes, typed as mapped fields, by columns and as documents."""

import datetime as dt
import io
import json
import uuid
from decimal import Decimal

import fastavro
import pyarrow as pa
import pytest
from decoded_batches import raw, source

from parcours.schemas.config import Config
from parcours.transforms.avro_logical import duration_text
from parcours.transforms.avro_records import DatumReader
from parcours.transforms.avro_schemas import parse
from parcours.transforms.elements import DecodedBatch, PlannedRange, SourceBatch
from parcours.transforms.raw_rows import RawRows, Rejects
from parcours.transforms.validate import make_validator

AT = dt.datetime(2025, 3, 4, 10, 11, 12, 345600)
MICROS = (AT - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
ID = uuid.UUID("12345678-1234-5678-9abc-123456789abc")


def logical(kind, meaning, **more):
    """Make a logical type."""
    return {"type": kind, "logicalType": meaning, **more}


def fixed(meaning, size, **more):
    """Make a logical type over fixed."""
    return logical("fixed", meaning, name=f"{meaning}{size}", size=size, **more)


TYPES = {
    "decimal over bytes": (logical("bytes", "decimal", precision=20, scale=8), Decimal("0E-8"), "0.00000000"),
    "decimal over fixed": (fixed("decimal", 5, precision=9, scale=2), Decimal("-1234567.80"), "-1234567.80"),
    "a whole decimal": (logical("bytes", "decimal", precision=30), Decimal(10**25), "1" + 25 * "0"),
    "uuid": (logical("string", "uuid"), str(ID), str(ID)),
    "uuid over fixed": (fixed("uuid", 16), ID.bytes, str(ID)),
    "date": (logical("int", "date"), AT.date(), "2025-03-04"),
    "time-millis": (logical("int", "time-millis"), dt.time(10, 11, 12, 340_000), "10:11:12.34"),
    "time-micros": (logical("long", "time-micros"), dt.time(0, 0, 1), "00:00:01"),
    "timestamp-millis": (
        logical("long", "timestamp-millis"), MICROS // 1000, "2025-03-04T10:11:12.345+00:00",
    ),
    "timestamp-micros": (logical("long", "timestamp-micros"), MICROS, "2025-03-04T10:11:12.3456+00:00"),
    "timestamp-nanos": (
        logical("long", "timestamp-nanos"), MICROS * 1000 + 789, "2025-03-04T10:11:12.3456+00:00",
    ),
    "a whole second": (logical("long", "timestamp-millis"), 1_000, "1970-01-01T00:00:01+00:00"),
    "local-timestamp-millis": (
        logical("long", "local-timestamp-millis"), MICROS // 1000, "2025-03-04T10:11:12.345",
    ),
    "local-timestamp-micros": (logical("long", "local-timestamp-micros"), MICROS, "2025-03-04T10:11:12.3456"),
    "local-timestamp-nanos": (
        logical("long", "local-timestamp-nanos"), MICROS * 1000, "2025-03-04T10:11:12.3456",
    ),
    "a whole local second": (logical("long", "local-timestamp-millis"), 1_000, "1970-01-01T00:00:01"),
    "duration": (fixed("duration", 12), bytes([1, 0, 0, 0, 2, 0, 0, 0, 220, 5, 0, 0]), "P1M2DT1.5S"),
    "bytes": ("bytes", b"\xff\0", "/wA="),
    "no decimal without a precision": (logical("bytes", "decimal"), b"ab", "YWI="),
    "no duration of another size": (fixed("duration", 8), b"\0" * 8, "AAAAAAAAAAA="),
}  # fmt: skip


def touchpoint(typed, more=(), **keys):
    """Take one record with fields of some types through decoding, mapping and validation."""
    words = {"event_id": "e1", "customer_id": "C1", "event_type": "visit", "channel": "site"}
    fields = [{"name": name, "type": "string"} for name in words]
    fields.append({"name": "occurred_at", "type": logical("long", "timestamp-micros")})
    fields += [{"name": name, "type": type_} for name, (type_, _) in typed.items()]
    schema = {"type": "record", "name": "Top", "fields": [*fields, *more]}
    datum = {**words, "occurred_at": MICROS, **{name: value for name, (_, value) in typed.items()}}
    datum |= {"either": "s"} if more else {}
    out = io.BytesIO()
    written = json.loads(json.dumps(schema).replace('"logicalType": "uuid", ', ""))
    fastavro.schemaless_writer(out, fastavro.parse_schema(written), datum)
    rejects = Rejects()
    rows = RawRows.of(pa.array([out.getvalue()], pa.large_binary()))
    (part,) = DatumReader(parse(json.dumps(schema), "test")).decode(rows, rejects)
    batch = SourceBatch(PlannedRange(1, "web", "visits", 3, 100, 10_000), raw(1))
    decoded = DecodedBatch(batch, (part,), rejects.table())
    result = make_validator(source(format="avro-file", **keys), Config()).validate(decoded)
    assert [] == result.rejected.to_pylist()
    return part.kind, result.touchpoints.to_pylist()[0]


EITHER = ({"name": "either", "type": ["int", "string"]},)
"""A field that columns do not hold."""


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("more", [(), EITHER])
def test_attributes_are_readable_texts(more, nullable):
    """ISO 8601, plain digits, base64 of what is only bytes: whichever way the record is decoded."""
    typed = {
        name: (["null", type_] if nullable else type_, value) for name, (type_, value, _) in TYPES.items()
    }
    kind, found = touchpoint(typed, more)
    assert kind == ("documents" if more else "columns")
    texts = dict(pair.values() for pair in found["attributes"])
    assert {name: TYPES[name][2] for name in typed} == {name: texts[name] for name in typed}


@pytest.mark.parametrize("more", [(), EITHER])
def test_mapped_fields_are_typed(more):
    """A decimal is an amount, a timestamp an instant, a local one and a date stand in the source's zone."""
    amount = logical("bytes", "decimal", precision=12, scale=3)
    currency = {"value": "x", "currency": "=EUR"}
    for type_, value in ((logical("string", "uuid"), str(ID)), (fixed("uuid", 16), ID.bytes)):
        typed = {"x": (amount, Decimal("12.345")), "y": (type_, value)}
        found = touchpoint(typed, more, map={**currency, "event_id": "y"})[1]
        assert (Decimal("12.3450"), str(ID)) == (found["value"], found["event_id"])
    for type_, value, expected in [
        (logical("long", "timestamp-millis"), MICROS // 1000, AT.replace(microsecond=345_000)),
        (logical("long", "timestamp-nanos"), MICROS * 1000, AT),
        (logical("long", "local-timestamp-micros"), MICROS, AT - dt.timedelta(hours=1)),
        (logical("int", "date"), AT.date(), dt.datetime(2025, 3, 3, 23)),
    ]:
        keys = {"map": {"occurred_at": "x"}, "time_zone": "Europe/Paris"}
        assert expected == touchpoint({"x": (type_, value)}, more, **keys)[1]["occurred_at"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((0, 0, 0), "PT0S"),
        ((14, 0, 0), "P14M"),
        ((0, 40, 1), "P40DT0.001S"),
        ((0, 0, 2**32 - 1), "PT4294967.295S"),
    ],
)
def test_durations(parts, text):
    """Months, days and milliseconds are never turned into each other."""
    assert text == duration_text(b"".join(part.to_bytes(4, "little") for part in parts))


def test_names_that_conflict():
    """Two records of one name in two namespaces stand apart; a redefinition is an error with its name."""
    shops = [
        {"type": "record", "name": "Shop", "namespace": space, "fields": [{"name": field, "type": "string"}]}
        for space, field in (("a", "town"), ("b", "street"))
    ]
    top = {
        "type": "record",
        "name": "Top",
        "fields": [{"name": f"s{n}", "type": s} for n, s in enumerate(shops)],
    }
    top["fields"].append({"name": "again", "type": ["a.Shop", "b.Shop"]})
    reader = DatumReader(parse(json.dumps(top), "test"))
    datum = {"s0": {"town": "Niort"}, "s1": {"street": "Rue"}, "again": ("b.Shop", {"street": "Quai"})}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(top), datum)
    (part,) = reader.decode(RawRows.of(pa.array([out.getvalue()], pa.large_binary())), Rejects())
    assert {**datum, "again": {"street": "Quai"}} == json.loads(part.table["document"][0].as_py())

    shops[1]["namespace"] = "a"
    top["fields"] = [{"name": f"s{n}", "type": shop} for n, shop in enumerate(shops)]
    with pytest.raises(ValueError, match=r"redefined named type: a\.Shop"):
        parse(json.dumps(top), "test")
    with pytest.raises(ValueError, match='the record "Top" has two fields "id"'):
        parse(
            json.dumps({"type": "record", "name": "Top", "fields": [{"name": "id", "type": "int"}] * 2}), "t"
        )
