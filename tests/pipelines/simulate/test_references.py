"""The simulated reference inputs: true to the events, and loaded as the manifest says."""

import csv
import json
from decimal import Decimal

import pytest

from parcours.pipelines.simulate import simulate
from stores import assert_balanced, config_of, file_source, load, one, rows

INPUTS = ("customers", "contracts", "aliases", "spend", "events_held", "indicators", "targets")
BROKEN = {
    "customers": {"customer_id.required", "birth_year.number", "member_since.readable"},
    "contracts": {"customer_id.required", "effective_from.readable", "annual_premium.number"},
    "aliases": {"customer_id.required", "id_type.known", "id.required"},
    "spend": {"amount.number", "day.readable", "currency.known"},
    "events_held": {"headcount.not_negative", "date.readable", "event.required"},
    "indicators": {"value.number", "month.readable"},
    "targets": {"period.known", "direction.known", "dimension.known"},
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The manifest, the events, and the rows of each file, none of them broken."""
    out = tmp_path_factory.mktemp("references")
    manifest = simulate(8_000, 9, "json", out, files=1, broken=0, duplicates=0)
    events = [json.loads(line) for line in (out / "touchpoints-0000.ndjson").read_bytes().splitlines()]
    tables = {}
    for name in INPUTS:
        with (out / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            tables[name] = list(csv.DictReader(file))
    return manifest, events, tables


def of_type(events, event_type):
    """The events of a type, by contract; of several the latest."""
    found = [event for event in events if event.get("event_type") == event_type and "contract_id" in event]
    return {event["contract_id"]: event for event in sorted(found, key=lambda event: event["occurred_at"])}


def test_contracts_are_those_of_the_events(simulated):
    """Holder, begin, end and premium are what the events say; the others were signed before the two years."""
    manifest, events, tables = simulated
    signed, ended, renewed = (
        of_type(events, f"contract_{kind}") for kind in ("signed", "terminated", "renewed")
    )
    contracts = {row["contract_id"]: row for row in tables["contracts"]}
    assert signed
    assert signed.keys() <= contracts.keys()
    assert ended.keys() <= contracts.keys()
    for name, event in signed.items():
        assert event.get("customer_id") in (None, contracts[name]["customer_id"])
        assert event["effective_from"] == contracts[name]["effective_from"]
    for name, event in ended.items():
        assert event["effective_to"] == contracts[name]["effective_to"]
        assert "" == contracts[name]["due_at"]
    for name, event in {**signed, **renewed}.items():
        assert f"{event['value']:.2f}" == contracts[name]["annual_premium"]
    before = manifest.references["contracts"]["known_only_here"]
    assert 0 < before == len(contracts) - len(signed)
    assert {row["customer_id"] for row in contracts.values()} <= {
        row["customer_id"] for row in tables["customers"]
    }


def test_aliases_are_true(simulated):
    """An alias is an old number that no event carries, or a device on which its customer never logged in."""
    manifest, events, tables = simulated
    customers = {event.get("customer_id") for event in events}
    silent = {event["anonymous_id"] for event in events if "anonymous_id" in event} - {
        event.get("anonymous_id") for event in events if "customer_id" in event
    }
    kinds = {
        kind: {row["id"] for row in tables["aliases"] if row["id_type"] == kind and row["id"]}
        for kind in ("customer_id", "anonymous_id")
    }
    assert kinds["customer_id"]
    assert not kinds["customer_id"] & customers
    assert kinds["anonymous_id"] <= silent
    assert 0 < len(kinds["anonymous_id"]) == manifest.references["aliases"]["devices"]


def test_what_was_planted_is_loaded(tmp_path):
    """Good rows are in their table, broken ones in the quarantine; some customers have two versions."""
    out = tmp_path / "in"
    manifest = simulate(8_000, 9, "json", out, files=1, broken=0.05)
    store = tmp_path / "store.duckdb"
    load(config_of(store, *(file_source(out / f"{name}.csv", "csv", name, loads=name) for name in INPUTS)))
    for name, counts in manifest.references.items():
        assert counts["broken"] > 0
        assert counts["rows"] - counts["broken"] == one(store, f"SELECT count(*) FROM ref_{name}")
        found = rows(store, f"SELECT rule, count(*) FROM quarantine WHERE source = '{name}' GROUP BY ALL")
        assert counts["broken"] == sum(count for _, count in found)
        assert {rule for rule, _ in found} <= BROKEN[name]
    versions = "SELECT count(*) - count(DISTINCT customer_id) FROM ref_customers"
    assert 0 < one(store, versions) == one(store, "SELECT count(valid_from) FROM ref_customers")
    assert one(store, "SELECT count(*) FROM ref_contracts WHERE effective_to IS NOT NULL") > 0
    spent = "SELECT currency, sum(amount) FROM ref_spend_now GROUP BY ALL"
    assert {
        currency: Decimal(each["numerator"]) for currency, each in manifest.planted["spend"].items()
    } == dict(rows(store, spent))
    heads = "SELECT sum(headcount) FROM ref_events_held_now"
    assert manifest.planted["event_attendance"]["total"]["numerator"] == one(store, heads)
    assert one(store, "SELECT count(*) FROM ref_spend WHERE valid_from IS NOT NULL") > 0
    assert_balanced(store)
