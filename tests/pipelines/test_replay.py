"""Quarantined records tried again: what passes is loaded once, and the store is that of a right log."""

import csv
import io
import json
import random
import shutil
import signal

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixing import edit, fix, replayed
from killing import KilledRuns

from parcours.pipelines import runs
from parcours.pipelines.lock import StoreHeldError
from parcours.pipelines.store import Store
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


def faulty(format_):
    """A log and what it should have been: records with faults, and what goes by the event's id."""
    draw = random.Random(format_)
    right, wrong = [], []
    for number in range(100):
        kind = draw.choice([None, None, *FAULTS]) if number > 1 else None
        right.append(record(number, event_id=f"{format_}-{number}"))
        wrong.append(right[-1] | FAULTS[kind](right[-1]) if kind else right[-1])
    # a loser of a conflict that is another event, and equal events of which one is broken
    right.append(record(500, event_id=f"{format_}-other", occurred_at="2025-07-01T00:00:00Z"))
    wrong.append(right[-1] | {"event_id": f"{format_}-1"})
    twice = record(501, event_id=f"{format_}-501")
    right += [right[1], twice, twice]
    wrong += [wrong[1], twice | {"channel": None}, twice]
    if format_ in ("json", "csv"):
        right.append(record(502, event_id=f"{format_}-502"))
        wrong.append(b"torn")
    return right, wrong


def by_hand(store, right):
    """What a person writes in place of the records that no rule mends, by their ids."""
    asked = "SELECT quarantine_id, source, source_topic, source_offset, raw, form FROM quarantine"
    written = {}
    for id_, format_, topic, offset, raw, form in rows(
        store, f"{asked} WHERE status = 'open' AND fixes = []"
    ):
        good = right[format_][offset + HALF * (topic == f"1.{format_}")]
        written[id_] = csv_line(good) if format_ == "csv" else json.dumps(good).encode()
        if form == "contents":
            written[id_] = json.dumps(json.loads(raw) | {"event_id": f"{format_}-other"}).encode()
    return written


FORMATS = ("json", "csv", "avro-file", "parquet")
HALF = 60


def test_fixed_in_any_order_it_is_the_store_of_a_right_log(tmp_path):
    """Faults fixed by rule or by hand, replayed in portions between slices and rewinds: nothing differs."""
    right, wrong = ({format_: faulty(format_)[which] for format_ in FORMATS} for which in (0, 1))
    for name, logs in (("right", right), ("wrong", wrong)):
        (tmp_path / name).mkdir()
        for format_, records in logs.items():
            write(tmp_path / name / f"0.{format_}", format_, records[:HALF])
            write(tmp_path / name / f"1.{format_}", format_, records[HALF:])

    def config_for(name, **limits):
        sources = (file_source(tmp_path / name / f"*.{each}", each, each) for each in FORMATS)
        return config_of(tmp_path / f"{name}.duckdb", *sources, **limits)

    load(config_for("right"))
    config, store, draw = config_for("wrong", slice_records=300), tmp_path / "wrong.duckdb", random.Random(3)
    later = [path.rename(tmp_path / path.name) for path in (tmp_path / "wrong").glob("1.*")]
    load(config)
    for deed in ("portion", "rewind", "portion", "later", "portion", "twice", "rewind", "portion"):
        if deed == "later":
            for path in later:
                path.rename(tmp_path / "wrong" / path.name)
            load(config)
        elif deed == "rewind":
            before = one(store, OPEN)
            for format_ in FORMATS:
                runs.rewind(config, format_, "earliest")
            assert 0 == load(config).loaded
            assert before == one(store, OPEN)
        elif deed == "twice":
            some = "hash(quarantine_id) % 5 = 0"
            replayed(config, some)
            assert 0 == replayed(config, some).loaded
        for rule, change in FIXES.items():
            fix(store, f"rule = '{rule}' AND fixes = [] AND step = 'validate'", **change)
        edit(store, by_hand(store, right))
        assert_balanced(store)
        if deed == "portion":
            replayed(config, f"hash(quarantine_id || '{draw.random()}') % 3 = 0")
    result = replayed(config)
    assert {} == result.reasons
    assert 0 == result.open == one(store, OPEN)
    assert_balanced(store)
    assert_same_stores(tmp_path / "right.duckdb", store, RELATIONS)
    attempts = "SELECT quarantine_id, count(*), max(attempt) FROM quarantine_attempts GROUP BY ALL"
    counted = {id_: (number, last) for id_, number, last in rows(store, attempts)}
    kept = dict(rows(store, "SELECT quarantine_id, attempts FROM quarantine"))
    assert counted == {id_: (number, number) for id_, number in kept.items()}


MANY = 50_000
BROKEN = b"\x00\xff"


def test_fifty_thousand_records_of_five_kinds(tmp_path):
    """Fixes and replays, kind by kind, end with all but the truly broken ones loaded once."""
    right, wrong = [], []
    for number in range(MANY):
        good = record(number, customer_id=f"c{number % 5_000}")
        kind = [*FIXES, None][number % 5]
        if kind or number % 2:
            right.append(good)
        torn = json.dumps(good).replace('"channel"', "channel").encode() if number % 2 else BROKEN
        wrong.append(good | FAULTS[kind](good) if kind else torn)
    for name, records in (("right", right), ("wrong", wrong)):
        write(tmp_path / name, "json", records)
        load(config_of(tmp_path / f"{name}.duckdb", file_source(tmp_path / name)))
    store = tmp_path / "wrong.duckdb"
    config = config_of(store, file_source(tmp_path / "wrong"))
    assert (MANY, 0) == (one(store, OPEN), one(store, "SELECT count(*) FROM touchpoints"))
    for rule, change in FIXES.items():
        fix(store, f"rule = '{rule}'", **change)
        assert MANY // 5 == replayed(config, f"rule = '{rule}'").loaded
    torn = rows(store, "SELECT quarantine_id, raw FROM quarantine WHERE reason = 'undecodable'")
    edit(store, {id_: raw.replace(b"channel", b'"channel"') for id_, raw in torn})
    last = replayed(config)
    assert (MANY // 10, {"encoding": MANY // 10}, MANY // 10) == (last.loaded, last.reasons, last.open)
    assert [(BROKEN,)] == rows(store, "SELECT DISTINCT raw FROM quarantine WHERE status = 'open'")
    assert_same_stores(tmp_path / "right.duckdb", store, RELATIONS)
    assert_balanced(store)


STEPS = ("ingest", "merge", "check", "ledger", "tell")


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    """A folder with a closed store whose quarantined records were fixed, and with that of a right log."""
    folder = tmp_path_factory.mktemp("fixed")
    right = [record(number) for number in range(300)]
    kinds = [None, "value.number", "channel.required", "currency.known"]
    wrong = [good | FAULTS[kind](good) if (kind := kinds[n % 4]) else good for n, good in enumerate(right)]
    for name, records in (("right", right), ("wrong", wrong)):
        write(folder / name, "json", records)
        load(config_of(folder / f"{name}.duckdb", file_source(folder / name)))
    for rule, change in FIXES.items():
        fix(folder / "wrong.duckdb", f"rule = '{rule}'", **change)
    return folder


@pytest.fixture
def world(fixed, tmp_path):
    """The config of a copy of that store."""
    shutil.copy(fixed / "wrong.duckdb", tmp_path / "store.duckdb")
    return config_of(tmp_path / "store.duckdb", file_source(fixed / "wrong"))


@pytest.fixture(scope="module")
def killed():
    """Runs that kill themselves."""
    runs = KilledRuns()
    yield runs
    runs.close()


def assert_replayed(fixed, store):
    """All is loaded, once, and nothing waits."""
    assert_same_stores(fixed / "right.duckdb", store, ("touchpoints", "profiles", "journeys"))
    assert_balanced(store)
    kept = "SELECT status, count(*), max(attempts) FROM quarantine GROUP BY ALL"
    assert [("replayed", 225, 1)] == rows(store, kept)
    assert 225 == one(store, "SELECT count(*) FROM quarantine_attempts")


@pytest.mark.parametrize("step", STEPS)
def test_a_replay_that_is_killed_at_a_step_is_done_wholly_or_not_at_all(step, killed, fixed, world):
    """Killed before a step, then after it, nothing is half done; the next one loads what is left, once."""
    store = world.store.path
    is_committed = step == "tell"
    for point in ("begin", "end")[: 1 if is_committed else 2]:
        assert signal.SIGKILL == killed(world, f"{point} {step}", command="replay")
        assert (0 if is_committed else 225) == one(store, OPEN)
        assert (300 if is_committed else 75) == one(store, "SELECT count(*) FROM touchpoints")
        assert_balanced(store)
    assert (0 if is_committed else 225) == replayed(world).loaded
    assert_replayed(fixed, store)


@pytest.mark.parametrize("after", [0.0, 0.002, 0.005, 0.01])
def test_a_replay_that_is_killed_in_its_commit(after, killed, fixed, world):
    """Wherever the commit is cut off, the next replay ends where an undisturbed one does."""
    killed(world, "end ledger", after=after, command="replay")
    replayed(world)
    assert_replayed(fixed, world.store.path)


def test_replayed_twice(fixed, world):
    """The same records again: they are no longer open, and nothing is done and written."""
    assert 225 == replayed(world, "true").loaded
    again = replayed(world, "true")
    assert (0, {"open": 225}, None) == (again.tried, again.skipped, again.run_id)
    assert_replayed(fixed, world.store.path)
    commands = rows(world.store.path, "SELECT command, status FROM runs ORDER BY started_at")
    assert [("run", "done"), ("replay", "done")] == commands


def test_from_two_terminals(fixed, world):
    """The second is told who holds the store, and finds its work done afterwards."""
    with Store(world.store.path), pytest.raises(StoreHeldError, match="held by process"):
        replayed(world)
    assert 225 == replayed(world).loaded
    assert_replayed(fixed, world.store.path)


def test_a_dry_run_says_what_would_come_and_writes_nothing(fixed, world):
    """The counts are those of the replay itself; the store holds what it held."""
    told = replayed(world, "rule = 'value.number'", dry_run=True)
    assert (75, 75, None, 150, True) == (told.tried, told.loaded, told.run_id, told.open, told.dry_run)
    assert_same_stores(fixed / "wrong.duckdb", world.store.path)
    done = replayed(world, "rule = 'value.number'")
    assert (told.tried, told.loaded, told.open) == (done.tried, done.loaded, done.open)
