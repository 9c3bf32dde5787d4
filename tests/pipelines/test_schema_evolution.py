"""A topic whose writers change their schema three times, loaded as one, with a folder and with a registry."""

import io
import json
import struct
from datetime import UTC, datetime, timedelta

import fastavro
import pytest
from topics import produce

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from stores import assert_balanced, config_of, load, one, rows, topic_source

pytestmark = pytest.mark.kafka

NAME = "io.shop.Contact"
START = datetime(2025, 3, 4, 10, tzinfo=UTC)
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
STATE = {"type": "enum", "name": "State", "symbols": ["NEW", "DONE"], "default": "NEW"}
OTHER_STATE = {**STATE, "symbols": ["DONE", "LATE", "NEW"]}


def version(*fields, name=NAME, **more):
    """Make a version of the record, of (name, type) or (name, type, further keys)."""
    made = [{"name": n, "type": t, **(extra[0] if extra else {})} for n, t, *extra in fields]
    return {"type": "record", "name": name, "fields": made, **more}


VERSIONS = [
    version(
        ("id", "string"), ("at", MILLIS), ("client", "string"), ("kind", "string"), ("amount", "int"),
        ("mark", ["int", "string"]), ("state", STATE), ("obsolete", "string"),
    ),
    # a field added with a default, one removed, the amount promoted, the union in another order
    version(
        ("id", "string"), ("at", MILLIS), ("client", "string"), ("kind", "string"), ("amount", "long"),
        ("mark", ["null", "string", "int"]), ("state", STATE), ("shop", "string", {"default": "online"}),
    ),
    # a field and the record renamed, one made nullable, the fields in another order, a symbol added
    version(
        ("at", MILLIS), ("id", "string"), ("customer", ["null", "string"], {"aliases": ["client"]}),
        ("kind", "string"), ("shop", "string", {"default": "online"}), ("amount", "double"),
        ("mark", ["string", "null", "int"]), ("state", OTHER_STATE),
        name="io.shop.Touch", aliases=[NAME],
    ),
    # only what a reader asks for
    version(
        ("id", "string"), ("at", MILLIS), ("customer", ["string", "null"]), ("kind", "string"),
        ("amount", ["double", "null"]), name="io.shop.Touch",
    ),
]  # fmt: skip
READER = version(
    ("id", "string"),
    ("at", MILLIS),
    ("customer", ["null", "string"], {"aliases": ["client"]}),
    ("kind", "string"),
    ("amount", ["null", "double"]),
    ("shop", "string", {"default": "unknown"}),
    ("state", {**STATE, "symbols": ["NEW", "DONE"]}, {"default": "DONE"}),
    name="io.shop.Touch",
    aliases=[NAME],
)
IDS = (11, 22, 3_333, 70_000)
EACH = 300
MAP = {
    "event_id": "id",
    "occurred_at": "at",
    "customer_id": "customer",
    "anonymous_id": "=device",
    "event_type": "kind",
    "channel": "shop",
    "value": "amount",
    "currency": "=EUR",
}


def datum(generation, number):
    """One record of a generation of writers."""
    made = {
        "id": f"{generation}-{number}",
        "at": START + timedelta(minutes=number),
        "client": f"C{number % 50}",
        "customer": f"C{number % 50}" if number % 5 else None,
        "kind": "visit",
        "amount": number if generation < 2 else number + 0.5,
        "mark": number if number % 2 else "good",
        "state": "LATE" if generation == 2 and number % 7 == 0 else "DONE",
        "shop": "niort",
        "obsolete": "x",
    }
    return {item["name"]: made[item["name"]] for item in VERSIONS[generation]["fields"]}


def values(ids):
    """All records as they are on the topic: generations overlap, as they do while writers are replaced."""
    made = []
    for generation, schema in enumerate(VERSIONS):
        parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
        for number in range(EACH):
            out = io.BytesIO()
            out.write(b"\0" + struct.pack(">i", ids[generation]))
            fastavro.schemaless_writer(out, parsed, datum(generation, number))
            made.append((generation * EACH // 2 + number, out.getvalue()))
    return [value for _, value in sorted(made, key=lambda item: item[0])]


@pytest.fixture(scope="module")
def schemas(tmp_path_factory, registry):
    """Both places of schemas: where they are, and the ids of the versions there."""
    folder = tmp_path_factory.mktemp("schemas")
    for id_, schema in zip(IDS, VERSIONS, strict=True):
        (folder / f"{id_}.avsc").write_text(json.dumps(schema))
    ids = [registry.register("contacts-value", schema) for schema in VERSIONS]
    return {"folder": (str(folder), IDS), "registry": (registry.url, ids)}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The reader's schema as a file."""
    path = tmp_path_factory.mktemp("reader") / "touch.avsc"
    path.write_text(json.dumps(READER))
    return str(path)


@pytest.mark.parametrize("place", ["folder", "registry"])
def test_every_generation_is_loaded_as_one(kafka, schemas, reader, tmp_path, place):
    """Each record is resolved to the reader's schema and keeps the id of the one it was written with."""
    where, ids = schemas[place]
    topic = f"evolving-{place}"
    kafka.create_topic(topic, 3)
    produce(kafka, topic, values(ids))
    source = topic_source(
        kafka.bootstrap, topic, "avro-confluent", schemas=where, reader_schema=reader, map=MAP
    )
    store = tmp_path / "store.duckdb"
    result = load(config_of(store, source, slice_records=700))
    assert (4 * EACH, 4 * EACH, 0) == (result.read, result.loaded, result.quarantined)
    assert_balanced(store)
    by_id = "SELECT schema_id, left(event_id, 1)::INT, count(*) FROM touchpoints GROUP BY ALL ORDER BY 2"
    assert [(id_, generation, EACH) for generation, id_ in enumerate(ids)] == rows(store, by_id)

    number = "split_part(event_id, '-', 2)::INT"
    generation = "left(event_id, 1)"
    assert 0 == one(
        store,
        f"SELECT count(*) FROM touchpoints WHERE value <> {number} + if({generation} < '2', 0, 0.5)"
        f" OR customer_id IS DISTINCT FROM"
        f" if({generation} >= '2' AND {number} % 5 = 0, NULL, 'C' || {number} % 50)"
        f" OR occurred_at <> TIMESTAMP '2025-03-04 10:00:00' + INTERVAL 1 MINUTE * {number}"
        f" OR channel <> if({generation} IN ('0', '3'), 'unknown', 'niort')",
    )
    states = (
        "SELECT left(event_id, 1), list(DISTINCT a.value) FROM touchpoints, unnest(attributes) AS u(a)"
        " WHERE a.key = 'state' GROUP BY 1"
    )
    found = {generation: set(words) for generation, words in rows(store, states)}
    assert {"0": {"DONE"}, "1": {"DONE"}, "2": {"DONE", "NEW"}, "3": {"DONE"}} == found


def test_without_a_readers_schema_the_mapping_names_the_fields_of_all(kafka, schemas, tmp_path):
    """Several paths, the first that is there, do for renamed fields; the schema ids are the same."""
    where, ids = schemas["folder"]
    kafka.create_topic("evolving-unresolved", 1)
    produce(kafka, "evolving-unresolved", values(ids))
    mapping = {
        **MAP,
        "customer_id": ["customer", "client"],
        "channel": {"paths": ["shop"], "constant": "none"},
    }
    source = topic_source(
        kafka.bootstrap, "evolving-unresolved", "avro-confluent", schemas=where, map=mapping
    )
    store = tmp_path / "store.duckdb"
    result = load(config_of(store, source))
    assert (4 * EACH, 0) == (result.loaded, result.quarantined)
    assert [(id_, EACH) for id_ in sorted(ids)] == rows(
        store, "SELECT schema_id, count(*) FROM touchpoints GROUP BY 1 ORDER BY 1"
    )


def test_a_generation_that_does_not_resolve_is_quarantined(kafka, schemas, tmp_path):
    """Its records wait with the field and both types; the other generations are loaded."""
    where, ids = schemas["folder"]
    wanted = version(
        *((f["name"], f["type"], f) for f in READER["fields"] if f["name"] != "shop"), name="io.shop.Touch"
    )
    strict = {**wanted, "aliases": [NAME], "fields": [*wanted["fields"], {"name": "shop", "type": "string"}]}
    (tmp_path / "strict.avsc").write_text(json.dumps(strict))
    kafka.create_topic("evolving-strict", 1)
    produce(kafka, "evolving-strict", values(ids))
    source = topic_source(
        kafka.bootstrap, "evolving-strict", "avro-confluent", schemas=where, map=MAP,
        reader_schema=str(tmp_path / "strict.avsc"),
    )  # fmt: skip
    store = tmp_path / "store.duckdb"
    load(config_of(store, source))
    assert [(ids[1], EACH), (ids[2], EACH)] == rows(
        store, "SELECT schema_id, count(*) FROM touchpoints GROUP BY 1 ORDER BY 1"
    )
    wrong = "SELECT DISTINCT reason, rule, field FROM quarantine"
    assert [("schema_mismatch", "avro.resolves", "Touch.shop")] == rows(store, wrong)
    said = one(store, "SELECT min(message) FROM quarantine")
    assert "Touch.shop: not written, read as string" in said
    assert 2 * EACH == one(store, "SELECT count(*) FROM quarantine")


def test_versions_are_checked_before_writers_use_them(schemas, reader, capsys):
    """What the topic went through is what the check says of it: the reader takes each version."""
    folder, _ = schemas["folder"]
    assert 0 == run_guarded(root, ["schema", "check", folder, reader, "--transitive"])
    assert 0 == run_guarded(root, ["schema", "check", folder])
    assert 1 == run_guarded(root, ["schema", "check", folder, "--transitive"])
    assert f'the alias "{NAME}"' in " ".join(capsys.readouterr().out.split())
