"""The column-wise Avro decoder against fastavro, on generated schemas, values and corruptions."""

import datetime as dt
import io
import itertools
import json
import time
import tracemalloc
import uuid
from decimal import Decimal

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parcours.schemas.touchpoint import avro_schema
from parcours.transforms import avro_columns
from parcours.transforms.avro_columns import compile_record, decode_columns
from parcours.transforms.avro_documents import BROKEN
from parcours.transforms.avro_resolution import compile_reader
from parcours.transforms.avro_schemas import parse
from parcours.transforms.raw_rows import RawRows


def record(*types, name="Top"):
    """Make a record schema whose fields are f0, f1 and so on."""
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{n}", "type": t} for n, t in enumerate(types)],
    }


def encode(schema, *data):
    """Write data with fastavro, one bytes object each."""
    written = []
    for datum in data:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
        written.append(out.getvalue())
    return written


def rows(values):
    """View values as the rows of a batch."""
    return RawRows.of(pa.array(values, pa.large_binary()))


def decode(schema, values):
    """Decode values by columns: the outcome, and row → record."""
    found = decode_columns(compile_record(parse(json.dumps(schema), "test")), rows(values))
    for batch in found.table.to_batches():
        batch.validate(full=True)
    return found, {line.pop("row"): line for line in found.table.to_pylist()}


def same(schema, expected, actual):
    """Compare a value that fastavro read with one from a column, along the schema; NaN equals itself."""
    if isinstance(schema, list):
        inner = next(branch for branch in schema if branch != "null")
        return actual is None if expected is None else same(inner, expected, actual)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        equal = all(same(f["type"], expected[f["name"]], actual[f["name"]]) for f in schema["fields"])
    elif kind == "array":
        pairs = zip(expected, actual, strict=True)
        equal = all(same(schema["items"], left, right) for left, right in pairs)
    elif kind == "map":
        entries = {entry["key"]: entry["value"] for entry in actual}
        values = schema["values"]
        equal = entries.keys() == expected.keys() and all(
            same(values, expected[k], entries[k]) for k in expected
        )
    elif isinstance(expected, float):
        # by value, a float is the shortest number that means it
        equal = np.array_equal(expected, actual, equal_nan=True) or (
            kind == "float" and np.float32(expected) == np.float32(actual)
        )
    elif isinstance(expected, dt.datetime):
        local = expected.tzinfo is None
        equal = expected.replace(tzinfo=None) == (dt.datetime.fromisoformat(actual) if local else actual)
    else:
        equal = (str(expected) if isinstance(expected, uuid.UUID) else expected) == actual
    return equal


INSTANTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
MILLIS = INSTANTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
LEAVES = [
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32)),
    ("double", st.floats()),
    ("bytes", st.binary(max_size=20)),
    ("string", st.text(max_size=12)),
    ("string", st.text(min_size=60, max_size=140)),
    ({"type": "int", "logicalType": "date"}, st.dates()),
    ({"type": "long", "logicalType": "timestamp-micros"}, INSTANTS.map(lambda m: m.replace(tzinfo=dt.UTC))),
    ({"type": "long", "logicalType": "timestamp-millis"}, MILLIS.map(lambda m: m.replace(tzinfo=dt.UTC))),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, INSTANTS),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, MILLIS),
    ({"type": "long", "logicalType": "time-micros"}, st.times()),
    (
        {"type": "int", "logicalType": "time-millis"},
        st.times().map(lambda clock: clock.replace(microsecond=clock.microsecond // 1000 * 1000)),
    ),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    *(
        (
            {"type": "bytes", "logicalType": "decimal", "precision": digits, "scale": 2},
            st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda n: Decimal(n).scaleb(-2)),
        )
        for digits in (4, 18, 25)
    ),
]
names = itertools.count()


def _fixed(size):
    schema = {"type": "fixed", "name": f"Fixed{next(names)}", "size": size}
    return schema, st.binary(min_size=size, max_size=size)


def _enum(count):
    symbols = [f"S{n}" for n in range(count)]
    return {"type": "enum", "name": f"Enum{next(names)}", "symbols": symbols}, st.sampled_from(symbols)


def _decimal(size):
    schema = {
        "type": "fixed",
        "name": f"D{next(names)}",
        "size": size,
        "logicalType": "decimal",
        "precision": 6,
    }
    return schema, st.integers(-999_999, 999_999).map(Decimal)


def _array(inner):
    schema, values = inner
    if schema == "null":
        schema, values = "int", st.integers(0, 9)
    return {"type": "array", "items": schema}, st.lists(values, max_size=4)


def _map(inner):
    return {"type": "map", "values": inner[0]}, st.dictionaries(st.text(max_size=4), inner[1], max_size=3)


def _nullable(inner, first):
    schema, values = inner
    if schema == "null" or isinstance(schema, list):
        return schema, values
    return (["null", schema] if first else [schema, "null"]), st.none() | values


def _record(inners):
    if all(schema == "null" for schema, _ in inners):
        inners = [*inners, ("boolean", st.booleans())]
    schema = record(*(schema for schema, _ in inners), name=f"Record{next(names)}")
    return schema, st.fixed_dictionaries({f"f{n}": values for n, (_, values) in enumerate(inners)})


TYPES = st.recursive(
    st.sampled_from(LEAVES)
    | st.integers(1, 20).map(_fixed)
    | st.integers(1, 70).map(_enum)
    | st.integers(3, 20).map(_decimal),
    lambda inner: (
        inner.map(_array)
        | inner.map(_map)
        | st.builds(_nullable, inner, st.booleans())
        | st.lists(inner, min_size=1, max_size=3).map(_record)
    ),
    max_leaves=6,
)
TOPS = st.lists(TYPES, min_size=1, max_size=6).map(_record)
QUICK = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(TOPS, st.data())
def test_columns_hold_what_fastavro_reads(top, data):
    """Whatever the schema and the values, both decoders agree on every record."""
    schema, values = top
    data_ = data.draw(st.lists(values, min_size=1, max_size=8))
    encoded = encode(schema, *data_)
    found, actual = decode(schema, encoded)
    assert (len(found.undecodable), len(found.unfinished)) == (0, 0)
    parsed = fastavro.parse_schema(schema)
    for row, value in enumerate(encoded):
        expected = fastavro.schemaless_reader(io.BytesIO(value), parsed)
        assert same(schema, expected, actual[row]), (expected, actual[row])


def corruptions(value):
    """Ways in which bytes go wrong: cut, replaced, lengthened, or made up."""
    return st.one_of(
        st.integers(0, max(0, len(value) - 1)).map(lambda n: value[:n]),
        st.binary(min_size=1, max_size=9).map(lambda tail: value + tail),
        st.binary(max_size=40),
        st.builds(
            lambda at, new: value[:at] + new + value[at + len(new) :],
            st.integers(0, len(value)),
            st.sampled_from(
                [b"\xff", b"\x80" * 11, b"\xff" * 9 + b"\x01", b"\xfe" * 5 + b"\x0f", b"\x00", b"\x01"]
            ),
        ),
    )


@QUICK
@given(TOPS, st.data())
def test_a_corrupt_record_never_touches_its_neighbours(top, data):
    """Every other record is corrupted; the sound ones between them decode as if they stood alone."""
    schema, values = top
    encoded = encode(schema, *data.draw(st.lists(values, min_size=2, max_size=6)))
    mixed = [piece for value in encoded for piece in (data.draw(corruptions(value)), value)]
    found, actual = decode(schema, mixed)
    assert sorted([*actual, *found.undecodable.tolist(), *found.unfinished.tolist()]) == list(
        range(len(mixed))
    )
    parsed = fastavro.parse_schema(schema)
    for row in range(1, len(mixed), 2):
        expected = fastavro.schemaless_reader(io.BytesIO(mixed[row]), parsed)
        assert same(schema, expected, actual[row])
    for row, left in zip(found.unfinished.tolist(), found.left_over.tolist(), strict=True):
        assert 0 < left <= len(mixed[row])


@QUICK
@given(TOPS, st.data())
def test_reading_by_value_takes_what_columns_take(top, data):
    """Sound or corrupt, a record is good both ways and reads the same, but for times that Python lacks."""
    schema, values = top
    encoded = encode(schema, *data.draw(st.lists(values, min_size=1, max_size=4)))
    mixed = [piece for value in encoded for piece in (data.draw(corruptions(value)), value)]
    found, actual = decode(schema, mixed)
    parsed = parse(json.dumps(schema), "test")
    read = compile_reader(parsed, parsed)
    for row, value in enumerate(mixed):
        stream, problem, datum = io.BytesIO(value), None, None
        try:
            datum = read(stream)
        except BROKEN as error:
            problem = error
        if row in actual:
            assert isinstance(problem, OverflowError) or same(schema, datum, actual[row])
            assert problem or stream.tell() == len(value)
        else:
            assert problem or row in found.unfinished


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", b""),
        ("string", b"\x02"),
        ("string", b"\x01"),
        ("string", b"\x02\xff"),
        ("string", b"\xfe\xff\xff\xff\x0f"),
        ("string", b"\xff" * 9 + b"\x01"),
        ("string", b"\x80" * 12),
        ("bytes", b"\xfe" * 9 + b"\x01"),
        ("boolean", b"\x02"),
        ("int", b"\x80\x80\x80\x80\x20"),
        ("long", b"\xff" * 9 + b"\x02"),
        ("double", b"\0" * 7),
        (["null", "string"], b"\x04"),
        (["null", "string"], b"\x01"),
        (["null"], b"\x02"),
        (["string"], b"\x02"),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, b"\x04"),
        ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, b"\x01"),
        ({"type": "fixed", "name": "F", "size": 3}, b"ab"),
        ({"type": "array", "items": "int"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02"),
        ({"type": "array", "items": "int"}, b"\xff" * 9 + b"\x01" + b"\x02"),
        ({"type": "array", "items": "int"}, b"\x04\x02\x02"),
        ({"type": "map", "values": "int"}, b"\x02\x02a"),
        ({"type": "int", "logicalType": "time-millis"}, b"\x01"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2}, b"\x02\x64"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 38}, b"\x22\x01" + b"\0" * 16),
    ],
)
def test_what_a_type_does_not_allow_breaks_its_record_alone(type_, value):
    """Ends too early, bad lengths, branches, symbols, counts and texts."""
    found, actual = decode(record("int", type_), [b"\x02" + value])
    assert found.undecodable.tolist() == [0]
    assert actual == {}


def test_bytes_left_over_are_counted():
    """A datum that ends before its record was most likely written with another schema."""
    found, actual = decode(record("int"), [b"\x02", b"\x02\x02\x02", b""])
    assert (found.unfinished.tolist(), found.left_over.tolist(), found.undecodable.tolist()) == (
        [1],
        [2],
        [2],
    )
    assert actual == {0: {"f0": 1}}


def test_blocks_with_and_without_sizes():
    """An array may come in several blocks, each with a count, or with a negative count and its size."""
    schema = record({"type": "array", "items": "int"})
    found, actual = decode(
        schema, [b"\x04\x02\x04\x02\x06\x00", b"\x03\x04\x02\x04\x01\x02\x06\x00", b"\x00"]
    )
    assert [actual[row]["f0"] for row in range(3)] == [[1, 2, 3], [1, 2, 3], []]
    assert not len(found.undecodable)


def test_a_varint_of_many_bytes_is_read():
    """Nine and ten bytes are needed for the largest numbers; padded short ones are allowed."""
    largest, smallest = 2**63 - 1, -(2**63)
    data = [largest, smallest, 2**62, 2**55, 0]
    encoded = [value for n in data for value in encode(record("long"), {"f0": n})]
    _, actual = decode(record("long"), [*encoded, b"\x82\x80\x00"])
    assert [actual[row]["f0"] for row in range(6)] == [*data, 1]


def test_times_beyond_what_a_column_holds_stand_at_the_end():
    """A time in milliseconds that microseconds cannot say is far outside every limit, not wrapped."""
    schema = record({"type": "long", "logicalType": "timestamp-millis"})
    encoded = [value for n in (2**63 - 1, -(2**63)) for value in encode(record("long"), {"f0": n})]
    found = decode_columns(compile_record(parse(json.dumps(schema), "t")), rows(encoded))
    values = found.table["f0"].cast(pa.int64()).to_pylist()
    assert values[0] > 2**62
    assert values[1] < -(2**62)


def test_decimals_longer_than_they_need():
    """Writers may pad with the sign: 20 bytes can hold a small number."""
    schema = record(
        {"type": "fixed", "name": "F", "size": 20, "logicalType": "decimal", "precision": 5, "scale": 1}
    )
    sound = [(-123).to_bytes(20, "big", signed=True), (99_999).to_bytes(20, "big")]
    found, actual = decode(schema, [*sound, (1 << 140).to_bytes(20, "big")])
    assert [actual[0]["f0"], actual[1]["f0"]] == [Decimal("-12.3"), Decimal("9999.9")]
    assert found.undecodable.tolist() == [2]


def test_chunks_are_cut_by_records_and_by_bytes(monkeypatch):
    """However the batch is cut into chunks, the columns are the same."""
    schema = record("string", {"type": "array", "items": "string"})
    encoded = encode(schema, *({"f0": "x" * n, "f1": ["é"] * (n % 3)} for n in range(60)))
    encoded[7] = encoded[7][:-1]
    whole, expected = decode(schema, encoded)
    monkeypatch.setattr(avro_columns, "CHUNK_RECORDS", 7)
    monkeypatch.setattr(avro_columns, "CHUNK_BYTES", 100)
    cut, actual = decode(schema, encoded)
    assert expected == actual
    assert whole.undecodable.tolist() == cut.undecodable.tolist() == [7]


def test_gaps_between_rows_are_not_read():
    """Rows that were refused earlier lie between those to decode."""
    schema = record("string")
    every = rows(encode(schema, *({"f0": str(n)} for n in range(10))))
    found = decode_columns(compile_record(parse(json.dumps(schema), "t")), every.select(every.row % 3 == 0))
    assert found.table.to_pydict() == {"row": [0, 3, 6, 9], "f0": ["0", "3", "6", "9"]}


def test_no_rows_give_an_empty_table_with_its_columns():
    """The columns and their types come from the schema alone."""
    found, _ = decode(avro_schema(), [])
    assert found.table.num_rows == 0
    assert found.table.schema.field("occurred_at").type == pa.timestamp("us")
    assert found.table.schema.field("consent").type == pa.list_(pa.string())


def test_corrupt_counts_neither_allocate_nor_loop():
    """A million records' worth of lies in counts and lengths costs what the bytes cost."""
    schema = record({"type": "array", "items": "string"}, {"type": "map", "values": "long"}, "bytes")
    lies = [
        b"\xfe" * 9 + b"\x01",
        b"\xfe\xff\xff\xff\x0f",
        b"\x00\xfe\xff\xff\xff\x0f",
        b"\x00\x00\xfe\xff\xff\xff\x0f",
    ]
    tracemalloc.start()
    begun = time.monotonic()
    found, _ = decode(schema, lies * 2_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.undecodable) == 8_000
    assert peak < 50_000_000
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        ["null", record("int")],
        record(["int", "string"]),
        record({"type": "record", "name": "Empty", "fields": []}),
        record(["null", "Top"]),
        record({"type": "bytes", "logicalType": "decimal", "precision": 50}),
    ],
)
def test_schemas_that_columns_do_not_cover_are_known_from_the_schema(schema):
    """The choice is made before any record is read."""
    assert compile_record(parse(json.dumps(schema), "test")) is None


def test_named_types_are_followed():
    """A type defined once may be used again, by its short name in its namespace."""
    point = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}
    schema = {**record(point, "Point", ["null", "io.test.Point"]), "namespace": "io.test"}
    _, actual = decode(schema, [b"\x02\x04\x02\x06"])
    assert actual == {0: {"f0": {"x": 1}, "f1": {"x": 2}, "f2": {"x": 3}}}
