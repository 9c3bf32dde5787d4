"""Runs over reference inputs: dumps that follow one another, are replaced or read again, and topics."""

import io
import json
import signal
from datetime import date, datetime

import fastavro
import pytest
from killing import KilledRuns
from topics import produce

from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.rules import RulesChangedError
from parcours.pipelines.simulate import simulate
from parcours.transforms.sources.contract import LogStoppedError
from stores import assert_balanced, config_of, file_source, load, one, rows, topic_source

DUMPS = {"name": "contracts", "format_": "csv", "loads": "contracts", "delimiter": ";"}
HEAD = "contract_id;customer_id;product;valid_from"
STORED = (
    "SELECT contract_id, customer_id, product, valid_from, source_topic, source_offset FROM ref_contracts"
)
SAID = "SELECT contract_id, customer_id, product FROM ref_contracts ORDER BY ALL"


def dump(folder, name, *lines):
    """Write one dump of contracts."""
    path = folder / name
    path.write_text("\n".join([HEAD, *lines]) + "\n", "utf-8")
    return path


@pytest.fixture
def world(tmp_path):
    """A folder of dumps, and the config of a store that loads them two records a slice."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    source = file_source(folder / "*.csv", on_replaced="reload", **DUMPS)
    return folder, config_of(tmp_path / "store.duckdb", source, slice_records=2)


def test_daily_dumps(world, tmp_path):
    """The later dump by name counts, in whichever order the dumps come; versions stand side by side."""
    folder, config = world
    days = {
        "2026-03-01.csv": ["K1;C1;auto;", "K2;C2;home;", "K2;C2;home;2026-01-01", "K3;;home;"],
        "2026-03-02.csv": ["K1;C9;auto;", "K4;C4;auto;", "K4;C5;auto;"],
    }
    for name in reversed(days):
        dump(folder, name, *days[name])
        load(config)
    late = rows(tmp_path / "store.duckdb", STORED)
    assert_balanced(tmp_path / "store.duckdb")
    whole = config_of(tmp_path / "whole.duckdb", file_source(folder / "*.csv", on_replaced="reload", **DUMPS))
    result = load(whole)
    assert (7, 4, 2, 1) == (result.read, result.loaded, result.duplicate, result.quarantined)
    assert_balanced(tmp_path / "whole.duckdb")
    expected = {
        ("K1", "C9", "auto", None, "2026-03-02.csv", 0),
        ("K2", "C2", "home", None, "2026-03-01.csv", 1),
        ("K2", "C2", "home", datetime(2026, 1, 1), "2026-03-01.csv", 2),
        ("K4", "C5", "auto", None, "2026-03-02.csv", 2),
    }
    assert expected == set(late) == set(rows(tmp_path / "whole.duckdb", STORED))
    assert load(whole).nothing_to_do
    quarantined = "SELECT reason, rule, field, source_offset, decode(raw) FROM quarantine"
    assert [("missing_field", "customer_id.required", "customer_id", 3, "K3;;home;")] == rows(
        tmp_path / "whole.duckdb", quarantined
    )


def test_a_replaced_dump(world, tmp_path):
    """A file that is replaced under its name stops the run or, with reload, takes the place of its rows."""
    folder, config = world
    store = tmp_path / "store.duckdb"
    dump(folder, "all.csv", "K1;C1;auto;", "K2;C2;home;", "K3;C3;home;")
    load(config)
    dump(folder, "all.csv", "K2;C2;travel;")
    strict = config.source[0].model_copy(update={"on_replaced": "error"})
    with pytest.raises(LogStoppedError, match=r"all\.csv"):
        load(config.model_copy(update={"source": (strict,)}))
    assert [("K1", "C1", "auto"), ("K2", "C2", "home"), ("K3", "C3", "home")] == rows(store, SAID)
    result = load(config)
    assert (1, 1, 3) == (result.read, result.loaded, result.demoted)
    assert [("K2", "C2", "travel")] == rows(store, SAID)
    assert_balanced(store)


def test_spend_and_targets_move_no_journey(tmp_path):
    """A key of several columns, a day among them, is one; its newest version counts, and nothing is built."""
    head = "day,campaign,channel,amount,currency,valid_from"
    first, second = "2026-03-01,spring", "2026-03-02,spring"
    days = {
        "1.csv": (f"{first},search,10,EUR,", f"{first},search,9,CHF,", f"{second},search,1,EUR,"),
        "2.csv": (f"{first},search,12,EUR,", f"{first},social,3,EUR,", f"{second},search,2,EUR,2026-04-01"),
    }
    targets = {"kpi": "csat", "dimension": "total", "period": "2026", "value": 0.8, "direction": "up"}
    (tmp_path / "targets.ndjson").write_text(json.dumps(targets) + "\n")
    for order in (("1.csv", "2.csv"), ("2.csv", "1.csv")):
        store = tmp_path / f"{order[0]}.duckdb"
        config = config_of(
            store,
            file_source(tmp_path / order[0] / "*.csv", "csv", "spend", loads="spend"),
            file_source(tmp_path / "targets.ndjson", name="targets", loads="targets"),
        )
        (tmp_path / order[0]).mkdir()
        for name in order:
            (tmp_path / order[0] / name).write_text("\n".join([head, *days[name]]) + "\n")
            if order[0] == "2.csv" or name == order[-1]:  # together, and the later one alone before the other
                load(config)
        expected = [
            (date(2026, 3, 1), "search", "CHF", 9),
            (date(2026, 3, 1), "search", "EUR", 12),
            (date(2026, 3, 1), "social", "EUR", 3),
            (date(2026, 3, 2), "search", "EUR", 2),
        ]
        assert expected == rows(
            store, "SELECT day, channel, currency, amount FROM ref_spend_now ORDER BY ALL"
        )
        assert 5 == one(store, "SELECT count(*) FROM ref_spend")
        assert [("csat", 0.8)] == rows(store, "SELECT kpi, value FROM ref_targets_now")
        assert [] == rows(store, "FROM journeys")
        assert_balanced(store)


def test_rewound_under_another_mapping(world, tmp_path):
    """What is read again unchanged is a duplicate; mapped anew, it takes its own place and is replayed."""
    folder, config = world
    store = tmp_path / "store.duckdb"
    dump(folder, "1.csv", "K1;C1;Auto;", "K2;;Home;")
    load(config)
    runs.rewind(config, "contracts", "earliest")
    again = load(config)
    assert (0, 1, 1) == (again.loaded, again.duplicate, again.quarantined)
    mapping = {
        "product": {"path": "product", "lookup": {"Auto": "auto"}},
        "customer_id": {"path": "customer_id", "constant": "C0"},
    }
    source = file_source(folder / "*.csv", map=mapping, **DUMPS)
    mended = config_of(store, source, slice_records=2)
    runs.rewind(mended, "contracts", "earliest")
    result = load(mended)
    assert (2, 1) == (result.loaded, result.demoted)
    assert [("K1", "C1", "auto"), ("K2", "C0", "Home")] == rows(store, SAID)
    assert [("replayed",)] == rows(store, "SELECT status FROM quarantine")
    assert_balanced(store)


def test_killed_in_the_middle(tmp_path):
    """A run that is killed after the merge or before the ledger leaves no row of its slice."""
    out = tmp_path / "in"
    simulate(400, 5, "json", out, files=1)
    for name, lines in {"a.csv": ["K1;C1;auto;", "K2;C2;home;"], "b.csv": ["K1;C9;auto;"]}.items():
        dump(tmp_path, name, *lines)
    config = config_of(
        tmp_path / "store.duckdb",
        file_source(tmp_path / "*.csv", **DUMPS),
        file_source(out / "*.ndjson"),
        slice_records=150,
    )
    killed = KilledRuns()
    try:
        for point in ("end merge", "begin ledger"):
            assert signal.SIGKILL == killed(config, point)
            assert 0 == one(tmp_path / "store.duckdb", "SELECT count(*) FROM ref_contracts")
        assert signal.SIGKILL == killed(config, "begin ledger", nth=2)
    finally:
        killed.close()
    assert [("K1", "C9", "auto"), ("K2", "C2", "home")] == rows(tmp_path / "store.duckdb", SAID)
    load(config)
    assert [("K1", "C9", "auto"), ("K2", "C2", "home")] == rows(tmp_path / "store.duckdb", SAID)
    assert_balanced(tmp_path / "store.duckdb")


SCHEMA = {
    "type": "record",
    "name": "Customer",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "since", "type": [{"type": "int", "logicalType": "date"}, "null"]},
        {"name": "born", "type": ["null", "int"]},
        {"name": "from", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


@pytest.mark.kafka
def test_topics(kafka, tmp_path):
    """Customers of a registry's topic and aliases of a JSON one: the later offset counts."""
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "7.avsc").write_text(json.dumps(SCHEMA), "utf-8")
    values = []
    for number, born in ((1, None), (2, 1950), (1, 1960)):
        data = io.BytesIO()
        since, begin = datetime(2020, 1, number).date(), datetime(2026, 1, 1)
        record = {"id": f"C{number}", "since": since, "born": born, "from": begin}
        fastavro.schemaless_writer(data, SCHEMA, record)
        values.append(b"\0\0\0\0\7" + data.getvalue())
    kafka.create_topic("customers", 1)
    produce(kafka, "customers", [*values, None])
    kafka.create_topic("aliases", 1)
    device = {"id_type": "anonymous_id", "id": "D1", "customer_id": "C1"}
    produce(kafka, "aliases", [json.dumps({**device, "customer_id": of}).encode() for of in ("C1", "C2")])
    mapping = {"customer_id": "id", "member_since": "since", "birth_year": "born", "valid_from": "from"}
    keys = {"loads": "customers", "schemas": str(schemas), "map": mapping}
    config = config_of(
        tmp_path / "store.duckdb",
        topic_source(kafka.bootstrap, "customers", "avro-confluent", "customers", **keys),
        topic_source(kafka.bootstrap, "aliases", "json", "aliases", loads="aliases"),
    )
    result = load(config)
    assert (6, 3, 2, 1) == (result.read, result.loaded, result.duplicate, result.quarantined)
    store = tmp_path / "store.duckdb"
    customers = "SELECT customer_id, member_since::VARCHAR, birth_year, valid_from::VARCHAR, source_offset"
    assert [
        ("C1", "2020-01-01", 1960, "2026-01-01 00:00:00", 2),
        ("C2", "2020-01-02", 1950, "2026-01-01 00:00:00", 1),
    ] == rows(store, f"{customers} FROM ref_customers ORDER BY ALL")
    assert [("D1", "C2")] == rows(store, "SELECT id, customer_id FROM ref_aliases")
    assert [("tombstone", "customers")] == rows(store, "SELECT reason, source FROM quarantine")
    assert_balanced(store)
    runs.rewind(config, "customers", "1")
    again = load(config)
    assert (0, 2) == (again.loaded, again.duplicate)


def test_aliases_without_touchpoints_go_by_the_rules_too(tmp_path):
    """A limit that changes while there are aliases alone is a changed rule, and reaches their links."""
    lines = ["id_type,id,customer_id,valid_from", "anonymous_id,d,ann,", "anonymous_id,d,bob,2026-01-01"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n", "utf-8")
    store = tmp_path / "store.duckdb"
    source = file_source(tmp_path / "a.csv", name="aliases", format_="csv", loads="aliases")
    config = config_of(store, source)
    one_person = config.identity.model_copy(update={"max_customers_per_device": 1})
    load(config.model_copy(update={"identity": one_person}))
    statuses = "SELECT DISTINCT status FROM identity_links"
    assert [("over_limit",)] == rows(store, statuses)
    with pytest.raises(RulesChangedError):
        load(config)
    runs.rebuild(config, observer=SilentObserver())
    assert [("active",)] == rows(store, statuses)
