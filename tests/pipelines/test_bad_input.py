"""Bad records land in quarantine with everything there is to say of them, and their neighbours are loaded."""

import json

import pytest

from parcours.pipelines import runs
from parcours.pipelines.simulate import simulate
from stores import assert_balanced, config_of, file_source, load, one, rows

GOOD = {
    "event_id": "good",
    "occurred_at": "2025-03-05T14:02:00Z",
    "customer_id": "M1",
    "event_type": "quote_created",
    "channel": "website",
}
LONG = "x" * 129
LIMIT = 2_000


def line(**changes):
    """A good record with some fields changed; null takes one out."""
    record = {**GOOD, **changes}
    return json.dumps({name: value for name, value in record.items() if value is not None}).encode()


def text(name, value):
    """A good record with a token that JSON's writer would not write."""
    return line(**{name: "@"}).replace(b'"@"', value)


BAD = [
    # bytes, step, reason, field, value
    (b'{"event_id": "cut', "decode", "undecodable", None, '{"event_id": "cut'),
    (b"]]]", "decode", "undecodable", None, "]]]"),
    (b'["a", "list"]', "decode", "wrong_type", None, '["a", "list"]'),
    (b"42", "decode", "wrong_type", None, "42"),
    (line(source="caf\u00e9").replace(b"\\u00e9", b"\xe9"), "decode", "encoding", None, ...),
    (text("value", b"NaN"), "decode", "not_finite", None, ...),
    (text("value", b"-Infinity"), "decode", "not_finite", None, ...),
    (line(value="inf", currency="EUR"), "validate", "not_finite", "value", "inf"),
    (line(value="twelve", currency="EUR"), "validate", "wrong_type", "value", "twelve"),
    (line(value=1e30, currency="EUR"), "validate", "out_of_range", "value", ...),
    (line(customer_id={"id": 1}), "validate", "wrong_type", "customer_id", ...),
    (line(consent={"marketing": True}), "validate", "wrong_type", "consent", ...),
    (line(event_id=None), "validate", "missing_field", "event_id", None),
    (line(event_id=" "), "validate", "missing_field", "event_id", None),
    (line(occurred_at=None), "validate", "missing_field", "occurred_at", None),
    (line(event_type=None), "validate", "missing_field", "event_type", None),
    (line(channel=""), "validate", "missing_field", "channel", None),
    (line(customer_id=None), "validate", "missing_field", "customer_id", None),
    (line(customer_id="undefined"), "validate", "missing_field", "customer_id", None),
    (line(survey="nps", score=11), "validate", "out_of_range", "score", "11"),
    (line(survey="csat", score=0), "validate", "out_of_range", "score", "0"),
    (line(survey="nps", score=7.5), "validate", "wrong_type", "score", "7.5"),
    (line(survey="mood", score=3), "validate", "unknown_value", "survey", "mood"),
    (line(survey="nps"), "validate", "pair_incomplete", "score", "nps"),
    (line(value=12.5), "validate", "pair_incomplete", "currency", "12.5"),
    (line(value=1, currency="EURO"), "validate", "unknown_value", "currency", "EURO"),
    (
        line(occurred_at="1066-10-14T09:00:00Z"),
        "validate",
        "invalid_time",
        "occurred_at",
        "1066-10-14T09:00:00Z",
    ),
    (
        line(occurred_at="2999-12-31T23:59:00Z"),
        "validate",
        "invalid_time",
        "occurred_at",
        "2999-12-31T23:59:00Z",
    ),
    (line(occurred_at="yesterday"), "validate", "invalid_time", "occurred_at", "yesterday"),
    (line(event_id=LONG), "validate", "too_long", "event_id", LONG),
    (line(contract_id=LONG), "validate", "too_long", "contract_id", LONG),
    (line(customer_id="anon:7"), "validate", "reserved_id", "customer_id", "anon:7"),
    (line(stage="purchse"), "validate", "unknown_value", "stage", "purchse"),
    (line(content="y" * LIMIT), "decode", "too_large", None, str(len(line(content="y" * LIMIT)))),
]


def test_every_kind_of_bad_record(tmp_path):
    """Each bad record stands between two good ones: what there is to say of it is kept."""
    goods = [line(event_id=f"good-{number}") for number in range(len(BAD) + 1)]
    lines = [goods[0]]
    for (raw, *_), good in zip(BAD, goods[1:], strict=True):
        lines += [raw, good]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "mixed.ndjson").write_bytes(b"".join(each + b"\n" for each in lines))
    (tmp_path / "in" / "nothing.ndjson").touch()
    store = tmp_path / "store.duckdb"
    source = file_source(tmp_path / "in" / "*.ndjson")
    result = load(config_of(store, source, validation={"max_record_bytes": LIMIT}))

    assert (len(lines), len(goods), len(BAD)) == (result.read, result.loaded, result.quarantined)
    columns = "source_offset, raw, step, reason, field, value, rule, message"
    columns += ", source, source_topic, status, attempts"
    kept = rows(store, f"SELECT {columns} FROM quarantine ORDER BY source_offset")
    for number, ((raw, step, reason, field, value), row) in enumerate(zip(BAD, kept, strict=True)):
        about = f"record {2 * number + 1}: {raw[:60]!r}"
        assert (2 * number + 1, raw[:LIMIT], step, reason, field) == row[:5], about
        assert value is ... or value == row[5], about
        assert row[6] and row[7], about
        assert ("files", "mixed.ndjson", "open", 1) == row[8:], about
    assert_balanced(store)

    # an empty file is a warning and a line in the ledger, and no record
    assert ["nothing.ndjson is empty"] == result.warnings
    ledger = "SELECT read, from_offset, to_offset FROM run_balances WHERE source_topic = 'nothing.ndjson'"
    assert [(0, 0, 0)] == rows(store, ledger)
    assert load(config_of(store, source, validation={"max_record_bytes": LIMIT})).nothing_to_do


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_whole_file_in_another_encoding(format_, tmp_path):
    """A cp1252 file declared as UTF-8: lines with accents are refused; declared rightly, none is."""
    names = [f"Soci\u00e9taire {n}" if n % 2 else f"Member {n}" for n in range(10)]
    records = [{**GOOD, "event_id": f"e{n}", "source": name} for n, name in enumerate(names)]
    if format_ == "json":
        content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    else:
        content = "\n".join([",".join(GOOD | {"source": ""}), *(",".join(r.values()) for r in records), ""])
    file = tmp_path / f"cp1252.{format_}"
    file.write_bytes(content.encode("cp1252"))
    loaded = {}
    for encoding in ("utf-8", "cp1252"):
        store = tmp_path / f"{encoding}.duckdb"
        loaded[encoding] = load(config_of(store, file_source(file, format_, encoding=encoding)))
    assert (5, 5) == (loaded["utf-8"].loaded, loaded["utf-8"].quarantined)
    assert {"encoding": 5} == loaded["utf-8"].quarantine
    assert (10, 0) == (loaded["cp1252"].loaded, loaded["cp1252"].quarantined)
    assert 5 == one(
        tmp_path / "cp1252.duckdb", "SELECT count(*) FROM touchpoints WHERE source LIKE 'Soci\u00e9taire%'"
    )


def test_truncated_container(tmp_path):
    """Of a container that ends in the middle of a block, the whole blocks are loaded, with a warning."""
    manifest = simulate(12_000, 93, "avro-file", tmp_path / "in", files=1, broken=0, duplicates=0)
    file = next((tmp_path / "in").glob("*.avro"))
    file.write_bytes(file.read_bytes()[:-1_000])
    store = tmp_path / "store.duckdb"
    result = load(config_of(store, file_source(file, "avro-file")))
    assert 10_000 == result.loaded < manifest.events
    assert len(result.warnings) == 1
    assert file.name in result.warnings[0]
    assert_balanced(store)


def test_rejected_record_that_is_mended(tmp_path):
    """A rejected record read again counts an attempt if it is refused again; else it is settled."""
    file = tmp_path / "late.ndjson"
    file.write_bytes(line(event_id="old", occurred_at="1999-06-01T00:00:00Z") + b"\n" + b"rubbish\n")
    store = tmp_path / "store.duckdb"
    load(config_of(store, file_source(file)))
    mended = config_of(store, file_source(file), validation={"min_time": "1990-01-01T00:00:00Z"})
    runs.rewind(mended, "files", "earliest")
    result = load(mended)
    assert (2, 1, 1) == (result.read, result.loaded, result.quarantined)
    kept = rows(store, "SELECT source_offset, attempts, status FROM quarantine ORDER BY ALL")
    assert [(0, 1, "replayed"), (1, 2, "open")] == kept
    assert_balanced(store)
