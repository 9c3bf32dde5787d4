"""The four Avro formats: headers, schemas from files, folders and registries, and data as documents."""

import base64
import datetime as dt
import io
import json
import struct
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastavro
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW, REASONS, avro_schema
from parcours.transforms.avro_records import COLUMN_RECORD_BYTES
from parcours.transforms.avro_schemas import (
    RegistryUnavailableError,
    SchemaFolder,
    SchemaRegistry,
    open_schemas,
    parse,
)
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import PlannedRange, SourceBatch
from parcours.transforms.sources.files import FileSource

PAIR = {
    "type": "record",
    "name": "io.test.Pair",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "amount", "type": ["null", "double"], "default": None},
    ],
}
MIXED = {
    "type": "record",
    "name": "Mixed",
    "fields": [
        {"name": "either", "type": ["null", "string", "double", "bytes"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}},
    ],
}
NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "label", "type": "string"}, {"name": "next", "type": ["null", "Node"]}],
}


def encode(schema, datum):
    """Write one datum with fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return out.getvalue()


def decoder(format_, **more):
    """Open the decoder of a source."""
    if format_ == "avro-file":
        return make_decoder(Source(name="s", kind="file", path="x", format=format_), Validation())
    place = {"topics": "t", "bootstrap": "localhost:1", "start": "earliest"}
    return make_decoder(Source(name="s", kind="kafka", format=format_, **place, **more), Validation())


def decode(decoder_, values, context=None):
    """Decode values, and check that every row ends in exactly one place."""
    count = len(values)
    records = pa.RecordBatch.from_arrays(
        [
            pa.array(range(count), pa.int64()),
            *(
                pa.nulls(count, RAW.field(name).type)
                for name in ("broker_timestamp", "record_key", "headers")
            ),
            pa.array(values, pa.large_binary()),
            pa.array([len(value or b"") for value in values], pa.int64()),
        ],
        schema=RAW,
    )
    decoded = decoder_.decode(SourceBatch(PlannedRange(0, "s", "t", 0, 0, count), records, context))
    placed = [row for part in decoded.parts for row in part.table["row"].to_pylist()]
    assert sorted(placed + decoded.rejects["row"].to_pylist()) == list(range(count))
    assert set(decoded.rejects["reason"].to_pylist()) <= set(REASONS)
    return decoded


def reasons(decoded):
    """Give (row, reason, rule) of every reject."""
    return [(note["row"], note["reason"], note["rule"]) for note in decoded.rejects.to_pylist()]


def records_of(decoded):
    """Give row → record, of columns and documents alike."""
    found = {}
    for part in decoded.parts:
        for line in part.table.to_pylist():
            row = line.pop("row")
            found[row] = json.loads(line["document"]) if part.kind == "documents" else line
    return found


@pytest.fixture
def write_schema(tmp_path):
    """Write a schema into a file, and give its path."""

    def write(schema, name="writer.avsc"):
        path = tmp_path / name
        path.write_text(json.dumps(schema))
        return str(path)

    return write


@pytest.fixture
def registry():
    """A registry's documented API over HTTP: ids 1 and 7, a login, and what goes wrong in the field."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            login = base64.b64encode(b"reader:p@ss").decode()
            if self.headers.get("Authorization") != f"Basic {login}":
                return self.answer(401, {"error_code": 40101})
            schemas = {"1": PAIR, "7": MIXED}
            name = self.path.removeprefix("/schemas/ids/")
            if name == self.path:
                return self.answer(404, {"message": "no such page"})
            if name == "500":
                return self.answer(500, {"error_code": 50001})
            if name == "2":
                return self.answer(200, {"schemaType": "PROTOBUF", "schema": "message A {}"})
            if name not in schemas:
                return self.answer(404, {"error_code": 40403, "message": "Schema not found"})
            return self.answer(200, {"schema": json.dumps(schemas[name])})

        def answer(self, code, body):
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    server.url = f"http://reader:p%40ss@127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def confluent(schema_id, datum):
    """Put the wire format's header before a datum."""
    return b"\0" + struct.pack(">i", schema_id) + datum


def test_bare_data_are_read_with_the_configured_schema(write_schema):
    """The typical source: our own schema, one corrupt record, one written with another schema."""
    schema = avro_schema()
    at = dt.datetime(2025, 3, 4, 10, 11, 12, 123456, tzinfo=dt.UTC)
    datum = {"event_id": "é1", "occurred_at": at, "event_type": "visit", "channel": "site", "value": 12.5}
    datum["attributes"] = [{"key": "device", "value": "mobile"}]
    good = encode(schema, datum)
    decoded = decode(
        decoder("avro", writer_schema=write_schema(schema)), [good, good[:-1], None, good + b"\0", good]
    )
    assert reasons(decoded) == [
        (1, "undecodable", "avro.decodes"),
        (2, "tombstone", "record.value"),
        (3, "schema_mismatch", "avro.consumed_exactly"),
    ]
    assert decoded.schema_ids is None
    record = records_of(decoded)[4]
    assert {key: value for key, value in record.items() if value is not None and value != []} == {
        **datum,
        "occurred_at": at.replace(tzinfo=None),
    }


def test_confluent_records_are_read_with_the_schema_that_each_names(registry):
    """Several ids in one batch, an unknown one, a record without the header: each row keeps its id."""
    values = [
        confluent(1, encode(PAIR, {"id": "a", "amount": 1.5})),
        confluent(9, b"\0"),
        b"\x01\0\0\0\x01",
        b"\0\0\0",
        None,
        confluent(7, encode(MIXED, {"either": "x", "at": 0, "local": 0, "price": Decimal(1)})),
        confluent(1, encode(PAIR, {"id": "b", "amount": None})),
    ]
    opened = decoder("avro-confluent", schemas=registry.url)
    decoded = decode(opened, values)
    assert reasons(decoded) == [
        (1, "unknown_schema", "avro.schema_known"),
        (2, "undecodable", "avro.magic"),
        (3, "undecodable", "avro.magic"),
        (4, "tombstone", "record.value"),
    ]
    assert decoded.rejects["value"][0].as_py() == "9"
    assert decoded.schema_ids.to_pylist() == [1, 9, None, None, None, 7, 1]
    assert records_of(decoded)[6] == {"id": "b", "amount": None}
    assert records_of(decoded)[5]["either"] == "x"
    decode(opened, values)
    assert sorted(registry.asked) == ["/schemas/ids/1", "/schemas/ids/7", "/schemas/ids/9"]


def test_a_registry_that_does_not_answer_stops_the_range_and_keeps_its_secret(registry):
    """Records are not refused because a service is down, and no message shows the password."""
    for url, problem in [
        (registry.url.replace("p%40ss", "wrong-secret"), "401"),
        (registry.url + "/no/such/base", "404"),
        ("http://reader:wrong-secret@127.0.0.1:1", "no schema registry answers"),
    ]:
        opened = decoder("avro-confluent", schemas=url)
        with pytest.raises(RegistryUnavailableError, match=problem) as caught:
            decode(opened, [confluent(1, b"")])
        assert "wrong-secret" not in f"{caught.value!r} {caught.value} {SchemaRegistry(url)!r}"
        assert "p%40ss" not in str(caught.value)
    with pytest.raises(RegistryUnavailableError, match="500"):
        SchemaRegistry(registry.url).find(500)
    with pytest.raises(ValueError, match="PROTOBUF"):
        SchemaRegistry(registry.url).find(2)


def test_a_folder_of_schemas_stands_in_for_a_registry(tmp_path, write_schema):
    """ID.avsc is the schema of that id; a missing file is an unknown id, a broken one an error."""
    write_schema(PAIR, "42.avsc")
    write_schema({"type": "nonsense"}, "43.avsc")
    opened = decoder("avro-confluent", schemas=str(tmp_path))
    decoded = decode(opened, [confluent(42, encode(PAIR, {"id": "a"})), confluent(-1, b"")])
    assert records_of(decoded) == {0: {"id": "a", "amount": None}}
    assert reasons(decoded) == [(1, "unknown_schema", "avro.schema_known")]
    with pytest.raises(ValueError, match=r"43\.avsc"):
        decode(opened, [confluent(43, b"")])
    with pytest.raises(ValueError, match="nowhere"):
        decoder("avro-confluent", schemas=str(tmp_path / "nowhere"))
    assert isinstance(open_schemas(str(tmp_path)), SchemaFolder)


def test_single_objects_name_their_schema_by_its_fingerprint(tmp_path, write_schema):
    """The fingerprint picks the writer schema, or one of the folder's; no other can be read."""
    folder = tmp_path / "older"
    folder.mkdir()
    older = {**PAIR, "fields": PAIR["fields"][:1]}
    (folder / "v1.avsc").write_text(json.dumps(older))

    def single(schema, datum):
        return b"\xc3\x01" + parse(json.dumps(schema), "test").fingerprint() + encode(schema, datum)

    values = [
        single(PAIR, {"id": "new"}),
        single(older, {"id": "old"}),
        single(NODE, {"label": "x"}),
        b"\xc3\x01short",
        b"\xc3\x02" * 9,
    ]
    opened = decoder("avro-single-object", writer_schema=write_schema(PAIR), schemas=str(folder))
    decoded = decode(opened, values)
    assert records_of(decoded) == {0: {"id": "new", "amount": None}, 1: {"id": "old"}}
    assert reasons(decoded) == [
        (2, "unknown_schema", "avro.schema_known"),
        (3, "undecodable", "avro.magic"),
        (4, "undecodable", "avro.magic"),
    ]
    with pytest.raises(ValueError, match="FOLDER"):
        decoder("avro-single-object", writer_schema=write_schema(PAIR), schemas="http://127.0.0.1:1")


def test_a_container_names_its_own_schema():
    """Each file's header says how its data were written; an unusable one names the file."""
    opened = decoder("avro-file")
    for schema, datum in [(PAIR, {"id": "a", "amount": None}), (NODE, {"label": "x", "next": None})]:
        assert records_of(decode(opened, [encode(schema, datum)], json.dumps(schema).encode())) == {0: datum}
    with pytest.raises(ValueError, match="t: the writer schema"):
        decode(opened, [b""], b"{")
    with pytest.raises(ValueError, match="take no bytes"):
        decode(opened, [b""], b'{"type": "array", "items": "null"}')


def test_data_that_columns_cannot_hold_become_documents(write_schema):
    """Times, decimals, bytes and NaN have their texts in JSON, and exactness is checked there too."""
    at = dt.datetime(2025, 3, 4, 10, 11, 12, 123000, tzinfo=dt.UTC)
    datum = {"at": at, "local": dt.datetime(2025, 3, 4, 10), "price": Decimal("12.50")}
    values = [
        encode(MIXED, {**datum, "either": either}) for either in ("é", 1.5, b"\xff\0", None, float("nan"))
    ]
    decoded = decode(
        decoder("avro", writer_schema=write_schema(MIXED)), [*values, values[0] + b"\0", values[0][:-1], b""]
    )
    documents = records_of(decoded)
    assert [documents[row]["either"] for row in range(5)] == ["é", 1.5, "/wA=", None, "NaN"]
    assert {key: documents[0][key] for key in datum} == {
        "at": "2025-03-04T10:11:12.123+00:00",
        "local": "2025-03-04T10:00:00",
        "price": "12.50",
    }
    assert reasons(decoded) == [
        (5, "schema_mismatch", "avro.consumed_exactly"),
        (6, "undecodable", "avro.decodes"),
        (7, "undecodable", "avro.decodes"),
    ]


def test_a_schema_that_is_no_record_has_no_touchpoints(write_schema):
    """Each of its data is refused; a union of records is read."""
    decoded = decode(decoder("avro", writer_schema=write_schema("string")), [b"\x02a"])
    assert reasons(decoded) == [(0, "wrong_type", "avro.record")]
    either = decoder("avro", writer_schema=write_schema([PAIR, NODE]))
    assert records_of(decode(either, [b"\x02\x02a\x00", b"\x00\x02a\x00"])) == {
        0: {"label": "a", "next": None},
        1: {"id": "a", "amount": None},
    }


def test_endless_nesting_ends_its_record_alone(write_schema):
    """A corrupt record that nests a hundred thousand deep neither ends the process nor spoils the next."""
    deep = b"\x02a\x02" * 100_000 + b"\x02a\x00"
    good = encode(NODE, {"label": "a", "next": {"label": "b", "next": None}})
    decoded = decode(decoder("avro", writer_schema=write_schema(NODE)), [good, deep, good])
    assert reasons(decoded) == [(1, "undecodable", "avro.decodes")]
    assert sorted(records_of(decoded)) == [0, 2]


def test_a_large_record_is_decoded_apart(write_schema):
    """Its size alone decides, and it reads the same; what it claims to hold never slows the batch."""
    schema = avro_schema()
    datum = {"event_id": "1", "occurred_at": 0, "event_type": "visit", "channel": "site"}
    large = {**datum, "consent": ["purpose"] * 5_000}
    lie = encode(schema, {**datum, "content": "x"})[:-3] + b"\x80\x89\x7a" + b"\0" * 1_000_000
    values = [encode(schema, item) for item in (datum, large)]
    assert len(values[1]) > COLUMN_RECORD_BYTES
    begun = time.monotonic()
    decoded = decode(decoder("avro", writer_schema=write_schema(schema)), [*values, lie])
    assert time.monotonic() - begun < 10
    assert [part.kind for part in decoded.parts] == ["documents", "columns"]
    found = records_of(decoded)
    assert found[1]["consent"] == large["consent"]
    assert found[1]["occurred_at"] == "1970-01-01T00:00:00+00:00"
    assert found[0]["consent"] == []
    assert decoded.rejects["row"].to_pylist() == [2]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"\0\0\0\0\x01" + tail), max_size=10
    )
)
def test_no_bytes_make_a_decoder_raise(tmp_path, values):
    """Made-up bytes end in a part or in the rejects, whatever the schema."""
    for schema in (PAIR, MIXED, NODE, avro_schema()):
        (tmp_path / "1.avsc").write_text(json.dumps(schema))
        decode(decoder("avro", writer_schema=str(tmp_path / "1.avsc")), values)
        decode(decoder("avro-confluent", schemas=str(tmp_path)), values)


def from_file(path):
    """Read a file as a source does: its records, and the notes on what is refused."""
    source = Source(name="s", kind="file", format="avro-file", path=str(path))
    opened, files = make_decoder(source, Validation()), FileSource(source, Validation())
    found, notes = [], []
    for planned in files.plan({}, first_id=1, records=100_000, bytes_=10**9).ranges:
        for batch in files.read(planned):
            if isinstance(batch, SourceBatch):
                decoded = opened.decode(batch)
                found += records_of(decoded).values()
                notes += decoded.rejects.to_pylist()
    return found, notes


def test_the_avro_projects_files_are_read(avro_project):
    """What other languages wrote, in every codec, is read with the contents that the project states."""
    data = avro_project / "data"
    weather = [json.loads(line) for line in (data / "weather.json").read_text().splitlines()]
    for codec in ("", "-deflate", "-snappy", "-zstd"):
        assert (weather, []) == from_file(data / f"weather{codec}.avro"), codec
    by_time = sorted(weather, key=lambda line: line["time"])
    assert (by_time, []) == from_file(data / "weather-sorted.avro")
    simple = [{"text": text} for text in ("hello", "bonjour", "guten tag")]
    assert (simple, []) == from_file(data / "schemas" / "simple" / "data.avro")
    unions = [
        {"data1": "textValue", "data2": None},
        {"data1": 123, "data2": {"d1": False}},
        {"data1": 3, "data2": {"d1": "text value"}},
    ]
    assert (unions, []) == from_file(data / "schemas" / "withUnion" / "data.avro")
    people, notes = from_file(data / "syncInMeta.avro")
    assert (6001, []) == (len(people), notes)
    assert {"ID": 6001, "First": "Super", "Last": "Man", "Phone": "123456", "Age": 31} == people[-1]


def test_a_file_that_is_no_container_is_one_rejected_record(avro_project):
    """Also one of Avro 1.2, whose header was another: the other files of the source are read."""
    (path,) = (avro_project / "data").glob("test.avro12")
    found, (note,) = from_file(path)
    assert ([], "undecodable", "avro.container") == (found, note["reason"], note["rule"])


def test_the_avro_projects_interoperability_schema_is_read(avro_project):
    """One record with every type, a recursive one included."""
    schema = json.loads((avro_project / "schemas" / "interop.avsc").read_text())
    datum = {
        "intField": 12,
        "longField": 15234324,
        "stringField": "hey",
        "boolField": True,
        "floatField": 1234.0,
        "doubleField": -1234.0,
        "bytesField": b"12312adf",
        "nullField": None,
        "arrayField": [5.0, 0.0, 12.0],
        "mapField": {"a": {"label": "a"}, "bee": {"label": "cee"}},
        "unionField": 12.0,
        "enumField": "C",
        "fixedField": b"1019181716151413",
        "recordField": {"label": "blah", "children": [{"label": "inner", "children": []}]},
    }
    decoded = decode(decoder("avro-file"), [encode(schema, datum)], json.dumps(schema).encode())
    texts = {name: base64.b64encode(datum[name]).decode() for name in ("bytesField", "fixedField")}
    assert records_of(decoded) == {0: {**datum, **texts}}


def test_the_avro_projects_single_object_message_is_read(avro_project):
    """The ground truth of single-object encoding, written by Avro's own Java."""
    folder = avro_project / "data" / "messageV1"
    opened = decoder("avro-single-object", writer_schema=str(folder / "test_schema.avsc"))
    decoded = decode(opened, [(folder / "test_message.bin").read_bytes()])
    assert records_of(decoded) == {0: {"id": 42, "name": "Bill", "tags": ["dog_lover", "cat_hater"]}}


def test_the_avro_projects_fingerprints_are_computed(avro_project):
    """Each schema of the list has the published CRC-64-AVRO; what cannot be read safely is refused."""
    text = (avro_project / "data" / "schema-tests.txt").read_text()
    checked = 0
    for case in text.split("<<INPUT")[1:]:
        if "<<fingerprint" not in case:
            continue
        schema = case.split("INPUT\n")[0] if "INPUT\n" in case else case.split("\n")[0]
        expected = int(case.split("<<fingerprint")[1].split()[0]) % 2**64
        if '"items":{"type":"null"}' in schema or ("array" in schema and '"items":"null"' in schema):
            with pytest.raises(ValueError, match="take no bytes"):
                parse(schema, "test")
            continue
        assert parse(schema, "test").fingerprint() == expected.to_bytes(8, "little"), schema
        checked += 1
    assert checked >= 10


def test_data_of_older_writers_are_read_as_they_were_written(avro_project):
    """The evolution vectors: data decode by their writer schema; the mapping takes what it knows."""
    cases = json.loads((avro_project.parents[1] / "fastavro_evolution_vectors.json").read_text())["cases"]
    records = [case for case in cases if isinstance(case["writer_schema"], dict)]
    records = [case for case in records if case["writer_schema"]["type"] == "record"]
    assert len(records) >= 10
    for case in records:
        schema = case["writer_schema"]
        decoded = decode(
            decoder("avro-file"),
            [encode(schema, datum) for datum in case["records"]],
            json.dumps(schema).encode(),
        )
        assert records_of(decoded) == dict(enumerate(case["records"])), case["test"]
