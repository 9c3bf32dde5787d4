"""A source's ``reader_schema``: data of other writers come out as the reader's, by columns or by value."""

import io
import json

import fastavro
import pyarrow as pa
import pytest

from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW
from parcours.transforms.avro_projection import project
from parcours.transforms.avro_records import DatumReader
from parcours.transforms.avro_resolution import compile_reader
from parcours.transforms.avro_schemas import parse
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import PlannedRange, SourceBatch
from parcours.transforms.raw_rows import RawRows, Rejects


def schema(*fields, **more):
    """Make a record schema of (name, type) or (name, type, further keys)."""
    made = [{"name": name, "type": type_, **(extra[0] if extra else {})} for name, type_, *extra in fields]
    return {"type": "record", "name": "io.t.Top", "fields": made, **more}


def encode(written, datum):
    """Write one datum with fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(written))), datum)
    return out.getvalue()


def read(written, wanted, values):
    """Decode values with a reader's schema: the parts' kinds, row → record, and the notes on the others."""
    reader = DatumReader(parse(json.dumps(written), "writer"), parse(json.dumps(wanted), "reader"))
    rejects = Rejects()
    parts = reader.decode(RawRows.of(pa.array(values, pa.large_binary())), rejects)
    found = {}
    for part in parts:
        for line in part.table.to_pylist():
            row = line.pop("row")
            found[row] = json.loads(line["document"]) if part.kind == "documents" else line
    return [part.kind for part in parts], found, rejects.table().to_pylist()


MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
DATE = {"type": "int", "logicalType": "date"}
INNER = {"type": "record", "name": "In", "fields": [{"name": "x", "type": "int"}]}
INNER_LONG = {"type": "record", "name": "In", "fields": [{"name": "x", "type": "long"}]}
INNER_MORE = {
    "type": "record",
    "name": "In",
    "fields": [*INNER["fields"], {"name": "y", "type": "int", "default": 5}],
}
KIND, KINDS = ({"type": "enum", "name": "K", "symbols": symbols} for symbols in (["A", "B"], ["B", "A", "C"]))
FEWER = {"type": "enum", "name": "K", "symbols": ["B", "other"], "default": "other"}

BY_COLUMNS = {
    "added with defaults": (
        schema(("a", "int")),
        schema(
            ("b", ["null", "string"], {"default": None}), ("c", "double", {"default": 1}), ("a", "int"),
            ("d", "string", {"default": "x"}), ("e", "boolean", {"default": True}),
            ("f", "long", {"default": 3}),
        ),
        {"a": 4}, {"a": 4, "b": None, "c": 1.0, "d": "x", "e": True, "f": 3},
    ),
    "removed": (schema(("a", "string"), ("b", "int")), schema(("b", "int")), {"a": "x", "b": 2}, {"b": 2}),
    "renamed": (
        schema(("old", "string"), ("b", "int")),
        schema(("b", "int"), ("new", "string", {"aliases": ["old"]})),
        {"old": "x", "b": 2}, {"new": "x", "b": 2},
    ),
    "promoted": (
        schema(("a", "int"), ("b", "int"), ("c", "float"), ("d", "string"), ("e", "bytes"),
               ("f", ["null", "int"])),
        schema(("a", "long"), ("b", "double"), ("c", "double"), ("d", "bytes"), ("e", "string"),
               ("f", ["null", "double"])),
        {"a": -1, "b": 2, "c": 0.5, "d": "é", "e": b"z", "f": None},
        {"a": -1, "b": 2.0, "c": 0.5, "d": "é".encode(), "e": "z", "f": None},
    ),
    "made nullable": (schema(("a", "string")), schema(("a", ["null", "string"])), {"a": "x"}, {"a": "x"}),
    "a union in another order": (
        schema(("a", ["string", "null"])), schema(("a", ["null", "string"])), {"a": "x"}, {"a": "x"},
    ),
    "inner types": (
        schema(("a", {"type": "array", "items": INNER}), ("k", KIND)),
        schema(("k", KINDS), ("a", {"type": "array", "items": INNER_LONG})),
        {"a": [{"x": 1}], "k": "A"}, {"a": [{"x": 1}], "k": "A"},
    ),
    "a column called row": (
        schema(("a", "int"), ("row", "int")), schema(("Row", "int", {"aliases": ["row"]})),
        {"a": 1, "row": 2},
        {"Row_": 2},
    ),
}  # fmt: skip
BY_VALUE = {
    "several types": (
        schema(("a", ["int", "string"]), ("b", "int")),
        schema(("a", ["null", "string", "double"]), ("b", "long")),
        {"a": 3, "b": 1}, {"a": 3.0, "b": 1},
    ),
    "the value's own type first": (
        schema(("a", ["int", "string"]), ("b", ["string", "int"])),
        schema(("a", ["bytes", "string", "int"]), ("b", ["double", "string", "int"])),
        {"a": "s", "b": 3}, {"a": "s", "b": 3},
    ),
    "an enum's default": (schema(("k", KIND)), schema(("k", FEWER)), {"k": "A"}, {"k": "other"}),
    "null that is not there": (schema(("a", ["null", "int"])), schema(("a", "int")), {"a": 5}, {"a": 5}),
    "an inner record's default": (schema(("a", INNER)), schema(("a", INNER_MORE)), {"a": {"x": 1}},
                                  {"a": {"x": 1, "y": 5}}),
    "inner promotions": (
        schema(("a", {"type": "map", "values": "int"})), schema(("a", {"type": "map", "values": "double"})),
        {"a": {"k": 1}}, {"a": {"k": 1.0}},
    ),
    "defaults that are more than a value": (
        schema(("a", "int")),
        schema(
            ("at", MILLIS, {"default": 1500}), ("raw", "bytes", {"default": "\u00ff"}),
            ("in", INNER_MORE, {"default": {"x": 1}}),
            ("list", {"type": "array", "items": "int"}, {"default": []}),
            ("map", {"type": "map", "values": DATE}, {"default": {"d": 1}}),
            ("either", ["int", "string"], {"default": "s"}),
        ),
        {"a": 1},
        {"at": "1970-01-01T00:00:01.5+00:00", "raw": "/w==", "in": {"x": 1, "y": 5}, "list": [],
         "map": {"d": "1970-01-02"}, "either": "s"},
    ),
    "recursive": (
        schema(("a", "int"), ("n", ["null", "io.t.Top"])), schema(("n", ["null", "Top"]), ("a", "long")),
        {"a": 1, "n": {"a": 2, "n": None}}, {"a": 1, "n": {"a": 2, "n": None}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", [*BY_COLUMNS, *BY_VALUE])
def test_data_come_out_as_the_readers(case):
    """Aliases, defaults, promotions and unions; by columns wherever the bytes of both schemas are alike."""
    written, wanted, datum, expected = (BY_COLUMNS | BY_VALUE)[case]
    value = encode(written, datum)
    kinds, found, rejects = read(written, wanted, [value, value[:-1], value])
    assert ["columns" if case in BY_COLUMNS else "documents"] == kinds
    assert {0: expected, 2: expected} == found
    assert texts(expected) == texts(found[0])
    assert [(1, "undecodable", "avro.decodes")] == [(n["row"], n["reason"], n["rule"]) for n in rejects]


def texts(datum):
    """Write each value so that 3 is not 3.0."""
    return json.dumps(datum, sort_keys=True, default=repr)


@pytest.mark.parametrize("case", BY_COLUMNS)
def test_columns_and_values_are_the_same(case):
    """What columns give is what reading value by value gives: the way does not show."""
    written, wanted, datum, _ = BY_COLUMNS[case]
    writer, reader = parse(json.dumps(written), "writer"), parse(json.dumps(wanted), "reader")
    assert project(writer, reader) is not None
    _, found, _ = read(written, wanted, [encode(written, datum)])
    by_value = compile_reader(writer, reader)(io.BytesIO(encode(written, datum)))
    assert by_value == {name.removesuffix("_"): value for name, value in found[0].items()}


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("long", MILLIS), (MILLIS, "long"), (MILLIS, MILLIS), (["null", "long"], ["null", MILLIS])],
)
def test_a_logical_type_of_one_side_holds(written, wanted):
    """A producer that says later what its numbers are, or never does, is read as a time either way."""
    value = encode(schema(("at", "long")), {"at": 1500})
    value = b"\2" + value if isinstance(written, list) else value
    for more in ([], [("u", ["int", "string"])]):  # the second schema is no columns'
        tail = b"\0\2" if more else b""
        _, found, _ = read(schema(("at", written), *more), schema(("at", wanted), *more), [value + tail])
        assert "1970-01-01 00:00:01.5" == str(found[0]["at"]).replace("T", " ")[:21]


def test_what_does_not_resolve_names_its_field_and_both_types():
    """The record is rejected, alone if only its branch or symbol is at fault."""
    null = schema(("a", ["null", "int"]), ("k", KIND))
    wanted = schema(("a", "int"), ("k", {"type": "enum", "name": "K", "symbols": ["A"]}))
    data = [{"a": 1, "k": "A"}, {"a": None, "k": "A"}, {"a": 1, "k": "B"}]
    _, found, rejects = read(null, wanted, [encode(null, datum) for datum in data])
    assert {0: data[0]} == found
    assert [(1, "Top.a"), (2, "Top.k")] == [(note["row"], note["field"]) for note in rejects]
    assert {("schema_mismatch", "avro.resolves")} == {(note["reason"], note["rule"]) for note in rejects}
    assert "written as null, read as int" in rejects[0]["message"]
    assert "no symbol B" in rejects[1]["message"]

    for written, field, text in [
        (schema(("a", "string")), "Top.a", "written as string, read as int"),
        (schema(("b", "int")), "Top.a", "not written, read as int"),
        ({**schema(("a", "int")), "name": "Other"}, "Top", "record Other, read as record io.t.Top"),
        ("int", "Top", "written as int, read as record io.t.Top"),
    ]:
        datum = (
            1
            if written == "int"
            else dict.fromkeys("ab", "x" if field == "Top.a" and "string" in text else 1)
        )
        _, found, rejects = read(written, schema(("a", "int")), [encode(written, datum)] * 2)
        assert {} == found
        assert [field] * 2 == [note["field"] for note in rejects]
        assert text in rejects[0]["message"]


def test_every_avro_format_takes_a_reader_schema(tmp_path):
    """avro, avro-confluent, avro-single-object and avro-file; without one the writer's fields stay."""
    written, wanted = schema(("old", "int"), ("x", "int")), schema(("new", "long", {"aliases": ["old"]}))
    (tmp_path / "1.avsc").write_text(json.dumps(written))
    (tmp_path / "wanted.avsc").write_text(json.dumps(wanted))
    datum = encode(written, {"old": 7, "x": 1})
    place = {"name": "s", "kind": "kafka", "topics": "t", "bootstrap": "localhost:1", "start": "earliest"}
    writer = {"writer_schema": str(tmp_path / "1.avsc")}
    single = b"\xc3\x01" + parse(json.dumps(written), "w").fingerprint() + datum
    sources = [
        ({**place, **writer, "format": "avro"}, datum, None),
        ({**place, "format": "avro-confluent", "schemas": str(tmp_path)}, b"\0\0\0\0\1" + datum, None),
        ({**place, **writer, "format": "avro-single-object"}, single, None),
        (
            {"name": "s", "kind": "file", "path": "x", "format": "avro-file"},
            datum,
            json.dumps(written).encode(),
        ),
    ]
    for keys, value, context in sources:
        for reader, expected in (
            ({}, {"old": 7, "x": 1}),
            ({"reader_schema": str(tmp_path / "wanted.avsc")}, {"new": 7}),
        ):
            source = Source(**keys, **reader)
            assert [expected] == decoded(source, value, context)
    with pytest.raises(ValueError, match=r"gone\.avsc"):
        make_decoder(Source(**sources[0][0], reader_schema="gone.avsc"), Validation())
    with pytest.raises(ValueError, match="reader_schema is for Avro"):
        Source(name="s", kind="file", path="x", format="json", reader_schema="wanted.avsc")


def decoded(source, value, context):
    """Decode one value of a source to its records."""
    nothing = {item.name: pa.nulls(1, item.type) for item in RAW}
    given = {
        "offset": pa.array([0]),
        "value": pa.array([value], pa.large_binary()),
        "size": pa.array([len(value)]),
    }
    batch = SourceBatch(
        PlannedRange(0, "s", "t", 0, 0, 1), pa.RecordBatch.from_pydict(nothing | given, RAW), context
    )
    parts = make_decoder(source, Validation()).decode(batch).parts
    return [part.table.drop_columns("row").to_pylist()[0] for part in parts]
