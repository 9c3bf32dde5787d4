"""What replays must get right beside the many: numbered rows, references, other logs, conflicts, refusals."""

import io
import json
import struct

import duckdb
import fastavro
import pytest
from fixing import edit, fix, replayed
from topics import produce

from parcours.pipelines import runs
from parcours.pipelines.judging import UnknownSourceError
from parcours.pipelines.rules import RulesChangedError
from stores import (
    TABLES,
    assert_balanced,
    assert_same_stores,
    config_of,
    file_source,
    load,
    one,
    rows,
    topic_source,
)

RELATIONS = tuple(name for name in TABLES if name != "quarantine")
GOOD = {
    "event_id": "e1",
    "occurred_at": "2025-06-15T12:00:00Z",
    "customer_id": "ada",
    "event_type": "visit",
    "channel": "web",
}
STATES = "SELECT source_offset, status, attempts FROM quarantine ORDER BY ALL"


def line(**changes):
    """One record as a line of JSON; fields that are None are left out."""
    return json.dumps({name: value for name, value in (GOOD | changes).items() if value is not None}) + "\n"


def test_equal_rows_of_a_file_go_on_being_counted(tmp_path):
    """A row that is loaded with a fix has the next number, also where its file is read again and grows."""
    wrong, right = tmp_path / "log.ndjson", tmp_path / "right" / "log.ndjson"
    right.parent.mkdir()
    mapped = {"event_id": "@hash"}
    wrong.write_text(line() + line(channel=None) + line() + line(customer_id="bob"))
    right.write_text(line() * 3 + line(customer_id="bob"))
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(wrong, map=mapped), slice_records=3)
    load(config)
    fix(store, map={"channel": "=web", **mapped})
    assert 1 == replayed(config).loaded
    expected = config_of(tmp_path / "expected.duckdb", file_source(right, map=mapped))
    load(expected)
    assert_same_stores(tmp_path / "expected.duckdb", store, RELATIONS)

    runs.rewind(config, "files", "earliest")
    assert (0, 1) == ((again := load(config)).loaded, again.quarantined)
    assert [(1, "replayed", 1)] == rows(store, STATES)
    for path in (wrong, right):
        path.write_text(path.read_text() + line())
    assert 1 == load(config).loaded
    load(expected)
    assert_same_stores(tmp_path / "expected.duckdb", store, RELATIONS)
    assert_balanced(store)


def test_equal_rows_of_a_file_that_was_forgotten(tmp_path):
    """They go on being counted as its rows, apart from those that the next file has at its place."""
    log, store, mapped = tmp_path / "log.ndjson", tmp_path / "store.duckdb", {"event_id": "@hash"}
    log.write_text(line() + line(channel=None) * 2)
    config = config_of(store, file_source(log, map=mapped))
    load(config)
    runs.reset(config, "files", confirm=lambda _: None)
    assert (1, 2) == ((again := load(config)).duplicate, again.quarantined)
    fix(store, map={"channel": "=web", **mapped})
    asked = "contains(quarantine_id, '@') AND source_offset ="
    assert [1, 1] == [replayed(config, f"{asked} {offset}").loaded for offset in (1, 2)]
    assert (2, 2) == ((done := replayed(config)).tried, done.duplicate)
    assert 3 == one(store, "SELECT count(*) FROM touchpoints")
    assert_balanced(store)


def test_a_reference_row_that_was_loaded_with_a_fix_stands(tmp_path):
    """Its file read again neither takes it away nor opens it again; a shorter file takes it away."""
    dump = tmp_path / "contracts.csv"
    dump.write_text("contract_id,customer_id,product\nK1,ada,auto\nK2,,home\nK3,,home\nK4,bob,home\n")
    store = tmp_path / "store.duckdb"
    source = file_source(dump, "csv", "contracts", loads="contracts", on_replaced="reload")
    config = config_of(store, source, slice_records=2)
    load(config)
    fix(store, "source_offset = 1", map={"customer_id": "=eve"})
    assert (2, 1, 1) == ((done := replayed(config)).tried, done.loaded, done.quarantined)
    said = "SELECT contract_id, customer_id FROM ref_contracts ORDER BY ALL"
    expected = [("K1", "ada"), ("K2", "eve"), ("K4", "bob")]
    assert expected == rows(store, said)
    runs.rewind(config, "contracts", "earliest")
    load(config)
    assert expected == rows(store, said)
    assert [(1, "replayed", 1), (2, "open", 3)] == rows(store, STATES)
    assert_balanced(store)
    # another record at its place is another record
    dump.write_text("contract_id,customer_id,product\nK1,ada,auto\nK9,,home\nK3,,home\nK4,bob,home\n")
    load(config)
    assert [("K1", "ada"), ("K4", "bob")] == rows(store, said)
    assert [(1, "open", 2), (2, "open", 4)] == rows(store, STATES)
    assert [[]] == [each for (each,) in rows(store, "SELECT DISTINCT fixes FROM quarantine")]
    assert_balanced(store)
    # and where the file has nothing any more, nothing stands
    fix(store, "source_offset = 2", map={"customer_id": "=zoe"})
    replayed(config)
    assert [("K1", "ada"), ("K3", "zoe"), ("K4", "bob")] == rows(store, said)
    dump.write_text("contract_id,customer_id,product\nK1,ada,auto\n")
    load(config)
    assert [("K1", "ada")] == rows(store, said)
    assert_balanced(store)


def test_a_reference_row_of_a_log_that_was_forgotten(tmp_path):
    """It stands before all that the log has now: at its place there may be another record."""
    dump = tmp_path / "contracts.csv"
    dump.write_text("contract_id,customer_id,product\nK1,,auto\nK2,,home\n")
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(dump, "csv", "contracts", loads="contracts"))
    load(config)
    runs.reset(config, "contracts", confirm=lambda _: None)
    dump.write_text("contract_id,customer_id,product\nK1,ada,travel\nK9,bob,auto\n")
    load(config)
    fix(store, map={"customer_id": "=eve"})
    assert (2, 1, 1) == ((done := replayed(config)).tried, done.loaded, done.duplicate)
    said = "SELECT contract_id, customer_id, product FROM ref_contracts ORDER BY ALL"
    assert [("K1", "ada", "travel"), ("K2", "eve", "home"), ("K9", "bob", "auto")] == rows(store, said)
    assert_balanced(store)


def test_a_record_that_was_discarded_stays_so(tmp_path):
    """Read again with the same bytes it is not opened again; with others it is."""
    log = tmp_path / "log.ndjson"
    log.write_text(line() + "rubbish\n")
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(log, on_replaced="reload"))
    load(config)
    with runs.Store(store) as opened:
        opened.connection.execute("UPDATE quarantine SET status = 'discarded'")
    runs.rewind(config, "files", "earliest")
    assert (2, 1) == ((again := load(config)).read, again.quarantined)
    assert [(1, "discarded", 1)] == rows(store, STATES)
    log.write_text(line() + "refuse\n")
    load(config)
    assert [(1, "open", 2)] == rows(store, STATES)
    assert_balanced(store)


def test_what_came_meanwhile(tmp_path):
    """The same event is a duplicate; other contents are a conflict, as ever; both records are done with."""
    (tmp_path / "1.ndjson").write_text(line(channel=None) + line(event_id="e2", channel=None))
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(tmp_path / "*.ndjson"))
    load(config)
    (tmp_path / "2.ndjson").write_text(line() + line(event_id="e2", occurred_at="2025-06-01T00:00:00Z"))
    load(config)
    fix(store, map={"channel": "=web"})
    done = replayed(config)
    assert (2, 0, 1, 1) == (done.tried, done.loaded, done.duplicate, done.quarantined)
    assert {"conflicting_duplicate": 1} == done.reasons
    kept = "SELECT step, status, form FROM quarantine ORDER BY ALL"
    replays = [("validate", "replayed", "record")] * 2
    assert [("conflict", "open", "contents"), *replays] == rows(store, kept)
    # nothing was decided about the loser: it would lose again
    assert (0, {"conflict": 1}) == ((again := replayed(config)).tried, again.skipped)
    # and with a fix that changes nothing of it, it does
    fix(store, nulls=["nothing"])
    assert {"conflicting_duplicate": 1} == replayed(config).reasons
    assert [(1, "open", 2)] == rows(store, f"FROM ({STATES}) WHERE status = 'open'")
    assert_balanced(store)
    (loser,) = rows(store, "SELECT quarantine_id, raw FROM quarantine WHERE status = 'open'")
    edit(store, {loser[0]: json.dumps(json.loads(loser[1]) | {"event_id": "e3"}).encode()})
    assert 1 == replayed(config).loaded
    assert ["e1", "e2", "e3"] == [
        each for (each,) in rows(store, "SELECT event_id FROM touchpoints ORDER BY 1")
    ]
    assert_balanced(store)


def test_offsets_of_any_size(tmp_path):
    """Those of a topic that is years old are not taken for another's."""
    (tmp_path / "1.ndjson").write_text(line(channel=None))
    (tmp_path / "2.ndjson").write_text(line(event_id="e2", channel=None))
    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(tmp_path / "*.ndjson", map={"channel": {"constant": "web"}}))
    load(config_of(store, file_source(tmp_path / "*.ndjson")))
    with duckdb.connect(str(store)) as connection:
        connection.execute(
            "UPDATE quarantine SET source_offset = 1::BIGINT << 40 WHERE source_topic = '1.ndjson'"
        )
    assert 2 == replayed(config).loaded
    assert [("e1", 1 << 40), ("e2", 0)] == rows(
        store, "SELECT event_id, source_offset FROM touchpoints ORDER BY ALL"
    )


def test_what_is_not_tried(tmp_path):
    """Cut bytes, unknown sources and other rules: each is said, and nothing is done."""
    (tmp_path / "log.ndjson").write_text(line(content="x" * 500) + line(channel=None))
    store = tmp_path / "store.duckdb"
    source = file_source(tmp_path / "log.ndjson")
    config = config_of(store, source, validation={"max_record_bytes": 300})
    load(config)
    assert {"cut": 1} == replayed(config).skipped
    before = rows(store, "FROM quarantine ORDER BY ALL")
    with pytest.raises(UnknownSourceError, match=r'no source "files" \(1 record\)'):
        replayed(config_of(store, file_source(tmp_path / "log.ndjson", name="other")))
    with pytest.raises(FileNotFoundError, match="nothing is in quarantine"):
        replayed(config_of(tmp_path / "none.duckdb", source))
    assert before == rows(store, "FROM quarantine ORDER BY ALL")
    edit(store, {each: line().encode() for (each,) in rows(store, "SELECT quarantine_id FROM quarantine")})
    assert (2, 1, 1) == ((done := replayed(config)).tried, done.loaded, done.duplicate)
    with pytest.raises(RulesChangedError):
        replayed(config_of(store, source, journey={"gap": "2d"}))


SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [{"name": name, "type": ["null", "string"]} for name in (*GOOD, "currency", "value")],
}


def datum(**changes):
    """One record as a bare Avro datum."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, dict.fromkeys(("currency", "value")) | GOOD | changes)
    return out.getvalue()


@pytest.mark.kafka
def test_records_of_topics(kafka, tmp_path):
    """Both Avro formats of topics, keys and times of the broker, and a log that was forgotten meanwhile."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "7.avsc").write_text(json.dumps(SCHEMA))
    parsed = fastavro.parse_schema(SCHEMA)
    print_ = bytes.fromhex(
        fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(parsed), "CRC-64-AVRO")
    )
    heads = {"avro-confluent": b"\0" + struct.pack(">i", 7), "avro-single-object": b"\xc3\x01" + print_}
    sources, wrong = [], []
    for name, head in heads.items():
        wrong.append(
            [head + datum(event_id=f"{name}-{n}", channel=None if n % 2 else "web") for n in range(6)]
        )
        kafka.create_topic(name)
        produce(kafka, name, [*wrong[-1], b"rubbish"])
        keys = {"writer_schema": str(tmp_path / "schemas" / "7.avsc")} if "single" in name else {}
        schemas = {} if "single" in name else {"schemas": str(tmp_path / "schemas")}
        sources.append(topic_source(kafka.bootstrap, name, name, name, **keys, **schemas))
    store = tmp_path / "store.duckdb"
    config = config_of(store, *sources)
    assert (14, 6) == ((first := load(config)).read, first.loaded)
    runs.reset(config, "avro-confluent", confirm=lambda _: None)
    load(config)  # the same log, taken for another one
    fix(store, map={"channel": "=web"})
    done = replayed(config)
    assert (12, 6, 3, 3) == (done.tried, done.loaded, done.duplicate, done.quarantined)
    assert 12 == one(
        store, "SELECT count(DISTINCT event_id) FROM touchpoints WHERE broker_timestamp IS NOT NULL"
    )
    assert 9 == one(store, "SELECT count(*) FROM quarantine WHERE status = 'replayed'")
    asked = "SELECT count(*) FROM quarantine_attempts SEMI JOIN quarantine USING (quarantine_id)"
    assert 12 + 3 == one(store, asked) == one(store, "SELECT count(*) FROM quarantine_attempts")
    assert_balanced(store)
