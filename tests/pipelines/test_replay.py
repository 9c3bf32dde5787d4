"""Quarantined records tried again: what passes is loaded once, and the store is that of a right log."""

import csv
import io
import json
import random

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixing import fix, replayed

from parcours.pipelines import runs
from stores import TABLES, assert_balanced, assert_same_stores, config_of, file_source, load, one, rows

RELATIONS = tuple(name for name in TABLES if name != "quarantine")
NAMES = ("event_id", "occurred_at", "customer_id", "event_type", "channel", "value", "currency", "note")
OPEN = "SELECT count(*) FROM quarantine WHERE status = 'open'"


def record(number, **changes):
    """One right record."""
    day, hour = 1 + number % 28, number % 24
    return dict.fromkeys(NAMES) | {
        "event_id": f"e{number}",
        "occurred_at": f"2025-06-{day:02}T{hour:02}:30:00Z",
        "customer_id": f"c{number % 17}",
        "event_type": ("visit", "quote_created", "contract_signed")[number % 3],
        "channel": "web",
        "value": f"{number}.5",
        "currency": "EUR",
        **changes,
    }


FAULTS = {
    "value.number": lambda right: {"value": right["value"].replace(".", ",")},
    "occurred_at.readable": lambda right: {
        "occurred_at": f"{right['occurred_at'][8:10]}/06/2025 {right['occurred_at'][11:16]}"
    },
    "currency.known": lambda _: {"currency": "euros"},
    "channel.required": lambda _: {"channel": None},
    "event_id.required": lambda _: {"event_id": None},
}
"""What is wrong with a record, by the rule that it breaks."""

FIXES = {
    "value.number": {"decimal_mark": ","},
    "occurred_at.readable": {"date_format": "%d/%m/%Y %H:%M"},
    "currency.known": {"map": {"currency": {"path": "currency", "lookup": {"euros": "EUR"}}}},
    "channel.required": {"map": {"channel": "=web"}},
}


def write(path, format_, records):
    """Write a file of records; one given as bytes stands as it is."""
    if format_ == "json":
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
    elif format_ == "csv":
        path.write_bytes(
            b"".join(line + b"\n" for line in [",".join(NAMES).encode(), *map(csv_line, records)])
        )
    elif format_ == "parquet":
        pq.write_table(pa.Table.from_pylist(records, pa.schema([(n, pa.string()) for n in NAMES])), path)
    else:
        schema = {
            "type": "record",
            "name": "Event",
            "fields": [{"name": name, "type": ["null", "string"]} for name in NAMES],
        }
        with path.open("wb") as file:
            fastavro.writer(file, schema, records, sync_interval=2_000)


def csv_line(record):
    """One record as a line of a CSV file."""
    if isinstance(record, bytes):
        return record
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([record[name] or "" for name in NAMES])
    return out.getvalue().encode()


def edited(format_, right):
    """What a person writes in place of a record."""
    return csv_line(right) if format_ == "csv" else json.dumps(right).encode()


@pytest.mark.parametrize("format_", ["json", "csv", "avro-file", "parquet"])
def test_fixed_in_any_order_it_is_the_store_of_a_right_log(format_, tmp_path):
    """Faults fixed by rule or by hand, replayed in portions between slices and rewinds: nothing differs."""
    draw = random.Random(format_)
    right, wrong = [], []
    for number in range(160):
        kind = draw.choice([None, None, *FAULTS])
        good = record(number)
        right.append(good)
        wrong.append(good | FAULTS[kind](good) if kind else good)
    # a loser of a conflict that is another event, and equal events of which one is broken
    right.append(record(500, event_id="other", occurred_at="2025-07-01T00:00:00Z"))
    wrong.append(right[-1] | {"event_id": "e1"})
    right.append(record(1))
    wrong.append(record(1))
    right += [record(501), record(501)]
    wrong += [record(501, channel=None), record(501)]
    if format_ in ("json", "csv"):
        right.append(record(502))
        wrong.append(b"torn")
    if wrong[1]["event_id"] != "e1":
        wrong[1] = right[1]
    halves = (slice(0, 100), slice(100, None))
    for name, records in (("right", right), ("wrong", wrong)):
        (tmp_path / name).mkdir()
        for nth, half in enumerate(halves):
            write(tmp_path / name / f"{nth}.data", format_, records[half])
    expected = config_of(tmp_path / "expected.duckdb", file_source(tmp_path / "right" / "*.data", format_))
    load(expected)

    store = tmp_path / "store.duckdb"
    config = config_of(store, file_source(tmp_path / "wrong" / "*.data", format_), slice_records=120)
    (tmp_path / "wrong" / "1.data").rename(tmp_path / "later")
    load(config)
    deeds = ["portion", "rewind", "later", "portion", "twice"]
    for deed in [*deeds, "rewind", "portion"] if format_ == "json" else deeds:
        if deed == "later":
            (tmp_path / "later").rename(tmp_path / "wrong" / "1.data")
            load(config)
        elif deed == "rewind":
            before = one(store, OPEN)
            runs.rewind(config, "files", "earliest")
            assert 0 == load(config).loaded
            assert before == one(store, OPEN)
        elif deed == "twice":
            ids = [each for (each,) in rows(store, "SELECT quarantine_id FROM quarantine")][:20]
            replayed(config, f"quarantine_id IN {tuple(ids)}")
            assert 0 == replayed(config, f"quarantine_id IN {tuple(ids)}").loaded
        for rule, change in FIXES.items():
            fix(store, f"rule = '{rule}' AND fixes = [] AND step = 'validate'", **change)
        by_hand = rows(
            store,
            "SELECT quarantine_id, source_topic, source_offset, raw, form FROM quarantine"
            " WHERE status = 'open' AND fixes = []",
        )
        for id_, topic, offset, raw, form in by_hand:
            good = right[offset + 100 * (topic == "1.data")]
            new = edited(format_, good)
            if form == "contents":
                new = json.dumps(json.loads(raw) | {"event_id": "other"}).encode()
            fix(store, f"quarantine_id = '{id_}'", edited=new)
        assert_balanced(store)
        if deed == "portion":
            replayed(config, f"hash(quarantine_id || '{draw.random()}') % 3 = 0")
    result = replayed(config)
    assert {} == result.reasons
    assert 0 == result.open == one(store, OPEN)
    assert_balanced(store)
    assert_same_stores(tmp_path / "expected.duckdb", store, RELATIONS)
    attempts = "SELECT quarantine_id, count(*), max(attempt) FROM quarantine_attempts GROUP BY ALL"
    counted = {id_: (number, last) for id_, number, last in rows(store, attempts)}
    kept = dict(rows(store, "SELECT quarantine_id, attempts FROM quarantine"))
    assert counted == {id_: (number, number) for id_, number in kept.items()}
