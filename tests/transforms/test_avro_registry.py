"""Writer schemas from a real registry: ids, references, subjects; a registry that is away, slow or closed."""

import base64
import io
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import urlopen

import fastavro
import pyarrow as pa
import pytest

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW
from parcours.transforms import avro_schemas
from parcours.transforms.avro_schemas import RegistryUnavailableError
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import PlannedRange, SourceBatch

pytestmark = pytest.mark.kafka

SECRET = "s3cret-de-l-equipe"
MONEY = {
    "type": "record",
    "name": "io.t.Money",
    "fields": [{"name": "amount", "type": "double"}, {"name": "currency", "type": "string"}],
}
LINE = {
    "type": "record",
    "name": "io.t.Line",
    "fields": [{"name": "product", "type": "string"}, {"name": "price", "type": "io.t.Money"}],
}
ORDER = {
    "type": "record",
    "name": "io.t.Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "lines", "type": {"type": "array", "items": "io.t.Line"}},
        {"name": "total", "type": ["null", "io.t.Money"]},
    ],
}


def refer(subject, version=1):
    """Refer to a version of a subject by the name of its record."""
    return {"name": subject, "subject": subject, "version": version}


@pytest.fixture(scope="module")
def order(registry):
    """The id of a schema that refers to two others, one of which refers to the other."""
    registry.register("io.t.Money", MONEY)
    registry.register("io.t.Line", LINE, [refer("io.t.Money")])
    return registry.register("team/orders-value", ORDER, [refer("io.t.Line"), refer("io.t.Money")])


@pytest.fixture
def gate(registry):
    """The registry behind a login, as companies have it; it can be slow, and break off an answer."""

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            time.sleep(self.server.delay)
            login = base64.b64encode(f"reader:{SECRET}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {login}":
                return self.answer(401, b'{"error_code": 40101}')
            if self.path in self.server.instead:
                return self.answer(200, json.dumps(self.server.instead[self.path]).encode())
            try:
                with urlopen(f"{registry.url}{self.path}", timeout=10) as answer:
                    return self.answer(200, answer.read())
            except HTTPError as error:
                return self.answer(error.code, error.read())

        def answer(self, code, body):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: (self.server.whole and len(body)) or 10])

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    server.asked, server.instead, server.delay, server.whole = [], {}, 0, True
    server.url = f"http://reader:{SECRET}@127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def decoder(url):
    """Open the decoder of a topic whose schemas are at a URL."""
    place = {"topics": "t", "bootstrap": "localhost:1", "start": "earliest"}
    source = Source(name="s", kind="kafka", format="avro-confluent", schemas=url, **place)
    return make_decoder(source, Validation())


def decode(opened, *values):
    """Decode values: the records, and the notes on the others."""
    count = len(values)
    given = {
        "offset": pa.array(range(count)),
        "value": pa.array(values, pa.large_binary()),
        "size": pa.array(map(len, values)),
    }
    empty = {item.name: pa.nulls(count, item.type) for item in RAW}
    records = pa.RecordBatch.from_pydict(empty | given, RAW)
    found = opened.decode(SourceBatch(PlannedRange(0, "s", "t", 0, 0, count), records))
    rows = [line for part in found.parts for line in part.table.drop_columns("row").to_pylist()]
    return rows, found.rejects.to_pylist(), found.schema_ids.to_pylist()


def message(schema_id, datum=b""):
    """Write Confluent's header before a datum."""
    return b"\0" + struct.pack(">i", schema_id) + datum


def test_schemas_are_fetched_by_id_with_what_they_refer_to(registry, order):
    """References of references too; an id that the registry does not have rejects its records alone."""
    datum = {
        "id": "o1",
        "lines": [{"product": "auto", "price": {"amount": 12.5, "currency": "EUR"}}],
        "total": {"amount": 12.5, "currency": "EUR"},
    }
    out = io.BytesIO()
    named = {}
    for schema in (MONEY, LINE):
        fastavro.parse_schema(schema, named)
    fastavro.schemaless_writer(out, fastavro.parse_schema(ORDER, named), datum)
    opened = decoder(registry.url)
    rows, rejects, ids = decode(opened, message(order, out.getvalue()), message(order + 999))
    assert [datum] == rows
    assert [(1, "unknown_schema", str(order + 999))] == [(n["row"], n["reason"], n["value"]) for n in rejects]
    assert [order, order + 999] == ids


def test_each_schema_is_asked_for_once(gate, order):
    """Not for every batch: a registry is not there to be asked a million times."""
    opened = decoder(gate.url)
    for _ in range(3):
        decode(opened, message(order, b"\2a\0\0"), message(order + 999))
    assert 4 == len(gate.asked)
    assert len(set(gate.asked)) == 4


def test_a_registry_that_is_away_slow_or_closed(gate, order, monkeypatch):
    """Its records wait: one kind of error that says what to do, and never the password."""
    url = gate.url
    monkeypatch.setattr(avro_schemas, "TIMEOUT_SECONDS", 0.3)
    opened = decoder(url)
    decode(opened, message(order, b"\2a\0\0"))

    def unavailable(opened, schema_id, match):
        with pytest.raises(RegistryUnavailableError, match=match) as caught:
            decode(opened, message(schema_id))
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
        assert "127.0.0.1" in str(caught.value)

    unavailable(decoder(url.replace("reader:", "other:")), order, r"401.*user and password")
    gate.delay = 1
    unavailable(decoder(url), order, "timed out")
    gate.delay, gate.whole = 0, False
    unavailable(decoder(url), order, "IncompleteRead|Expecting|Unterminated|delimiter")
    gate.whole = True
    gate.shutdown()
    gate.server_close()
    unavailable(decoder(url), order, r"no schema registry answers at.*start it")
    unavailable(opened, order + 999, "refused")
    rows, rejects, _ = decode(opened, message(order, b"\2a\0\0"))  # what is known needs no registry
    assert (1, []) == (len(rows), rejects)


def test_a_reference_that_is_gone_says_so(gate):
    """A schema whose parts the registry lost is an error that names both."""
    lost = {"schema": '"io.t.Gone"', "references": [refer("io.t.Gone", 7)]}
    gate.instead["/schemas/ids/5"] = lost
    with pytest.raises(ValueError, match=r'/schemas/ids/5 refers to version 7 of the subject "io\.t\.Gone"'):
        decode(decoder(gate.url), message(5))


def test_versions_of_a_subject_are_held_against_a_file(registry, tmp_path, capsys):
    """``schema check`` takes a subject for all its versions, the oldest first."""
    for fields in (MONEY["fields"], [*MONEY["fields"], {"name": "note", "type": "string", "default": ""}]):
        registry.register("prices-value", {**MONEY, "name": "io.t.Price", "fields": fields})
    new = tmp_path / "new.avsc"
    new.write_text(
        json.dumps(
            {**MONEY, "name": "io.t.Price", "fields": [*MONEY["fields"], {"name": "note", "type": "string"}]}
        )
    )
    subject = f"{registry.url}/subjects/prices-value"
    assert 0 == run_guarded(root, ["schema", "check", subject])
    assert 0 == run_guarded(root, ["schema", "check", subject, str(new)])
    capsys.readouterr()
    assert 1 == run_guarded(root, ["schema", "check", subject, str(new), "--transitive", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(f"{subject}/versions/1", 1), (f"{subject}/versions/2", 0)] == [
        (item["writer"], len(item["incompatibilities"])) for item in checks
    ]
    assert 2 == run_guarded(root, ["schema", "check", f"{registry.url}/subjects/nothing", str(new)])
    assert 3 == run_guarded(root, ["schema", "check", "http://127.0.0.1:1/subjects/prices-value", str(new)])
    assert "no schema registry answers" in capsys.readouterr().err
