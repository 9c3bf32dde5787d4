"""What the simulator planted is what the store holds: every count, and every balance closes."""

import os
from datetime import datetime
from decimal import Decimal

import pytest

from parcours.pipelines.simulate import simulate
from stores import assert_balanced, config_of, file_source, load, one, rows, topic_source

FULL = os.environ.get("HYPOTHESIS_PROFILE") == "long"
TOPIC_EVENTS = 250_000 if FULL else 40_000
"""Records in each of the four topic formats: a million in all in the nightly profile."""
FILE_EVENTS = 100_000 if FULL else 10_000
SHARES = {"broken": 0.01, "duplicates": 0.02}


def found_in(store):
    """Count in a store what a manifest states, by the manifest's names."""
    links = (
        "SELECT anonymous_id, count(DISTINCT customer_id) AS met,"
        " bool_or(status = 'over_limit') AS over_limit FROM identity_links GROUP BY ALL"
    )
    counts = {
        "records": "SELECT sum(read) FROM run_balances",
        "events": "SELECT count(*) FROM touchpoints",
        "exact_duplicates": "SELECT sum(duplicate) FROM run_balances",
        "conflicting_duplicates": "SELECT count(*) FROM quarantine WHERE reason = 'conflicting_duplicate'",
        "broken": "SELECT count(*) FROM quarantine WHERE reason <> 'conflicting_duplicate'",
        "customers": "SELECT count(DISTINCT customer_id) FROM touchpoints",
        "devices": "SELECT count(DISTINCT anonymous_id) FROM touchpoints",
        "links": "SELECT count(*) FROM identity_links",
        "linked_devices": f"SELECT count(*) FROM ({links})",
        "shared_devices": f"SELECT count(*) FROM ({links}) WHERE met > 1 AND NOT over_limit",
        "over_limit_devices": f"SELECT count(*) FROM ({links}) WHERE over_limit",
        "profiles": "SELECT count(*) FROM profiles",
    }
    groups = {
        "broken_by_reason": "SELECT reason, count(*) FROM quarantine WHERE step <> 'conflict' GROUP BY ALL",
        "by_event_type": "SELECT event_type, count(*) FROM touchpoints GROUP BY ALL",
        "by_stage": "SELECT stage, count(*) FROM touchpoints GROUP BY ALL",
        "by_channel": "SELECT channel, count(*) FROM touchpoints GROUP BY ALL",
    }
    spans = "SELECT min(occurred_at), max(occurred_at) FROM touchpoints"
    amounts = (
        "SELECT currency, money_role, sum(value) FROM touchpoints"
        " WHERE money_role IS NOT NULL GROUP BY ALL HAVING sum(value) <> 0"
    )
    return {
        **{name: one(store, query) for name, query in counts.items()},
        **{name: dict(rows(store, query)) for name, query in groups.items()},
        **dict(zip(("first_at", "last_at"), rows(store, spans)[0], strict=True)),
        "amounts": {(currency, role): amount for currency, role, amount in rows(store, amounts)},
    }


def planted(manifest, names):
    """Return what a manifest states, in the types of the store."""
    stated = {name: getattr(manifest, name) for name in names}
    for name in ("first_at", "last_at"):
        stated[name] = datetime.fromisoformat(stated[name]).replace(tzinfo=None)
    stated["amounts"] = {
        (currency, role): Decimal(amount)
        for currency, roles in manifest.amounts.items()
        for role, amount in roles.items()
        if Decimal(amount)
    }
    return stated


def assert_manifest(manifest, store):
    """Every count of the manifest is matched by the store, and every balance closes."""
    found = found_in(store)
    stated = planted(manifest, found)
    for name, value in stated.items():
        assert value == found[name], name
    assert_balanced(store)
    assert 0 == one(store, "SELECT sum(gap) FROM run_balances")


@pytest.mark.kafka
@pytest.mark.parametrize("format_", ["json", "avro", "avro-confluent", "avro-single-object"])
def test_topic_is_loaded_as_planted(format_, kafka, tmp_path):
    """Four partitions, 1 % broken, 2 % duplicates, two slices: nothing lost, nothing twice."""
    topic = f"planted-{format_}"
    manifest = simulate(
        TOPIC_EVENTS,
        11,
        format_,
        tmp_path / "in",
        bootstrap=kafka.bootstrap,
        topic=topic,
        partitions=4,
        **SHARES,
    )
    schemas = {
        "json": {},
        "avro": {"writer_schema": str(tmp_path / "in" / "schemas" / "1.avsc")},
        "avro-single-object": {"writer_schema": str(tmp_path / "in" / "schemas" / "1.avsc")},
        "avro-confluent": {"schemas": str(tmp_path / "in" / "schemas")},
    }
    store = tmp_path / "store.duckdb"
    source = topic_source(kafka.bootstrap, topic, format_, **schemas[format_])
    result = load(config_of(store, source, slice_records=TOPIC_EVENTS // 2))
    assert result.slices >= 2
    assert_manifest(manifest, store)
    read = "SELECT source_topic || '[' || source_partition || ']', sum(read) FROM run_balances GROUP BY ALL"
    assert manifest.parts == dict(rows(store, read))
    assert min(manifest.parts.values()) > 0
    assert 4 == len(manifest.parts)


@pytest.mark.parametrize(
    ("format_", "compression"),
    [("json", None), ("json", "gzip"), ("json", "zstd"), ("csv", None), ("avro-file", None)],
)
def test_files_are_loaded_as_planted(format_, compression, tmp_path):
    """Lines, plain or compressed, and containers: every count is matched, file by file."""
    manifest = simulate(FILE_EVENTS, 12, format_, tmp_path / "in", compression=compression, **SHARES)
    store = tmp_path / "store.duckdb"
    load(config_of(store, file_source(tmp_path / "in" / "touchpoints-*", format_)))
    assert_manifest(manifest, store)
    assert manifest.parts == dict(
        rows(store, "SELECT source_topic, sum(read) FROM run_balances GROUP BY ALL")
    )
