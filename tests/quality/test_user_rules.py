"""Rules of a config that reject: one row alone decides, whatever stands in it."""

import re
from datetime import datetime
from decimal import Decimal

import duckdb
import pytest
from decoded_batches import GOOD, documents, source
from hypothesis import given, settings
from hypothesis import strategies as st

from parcours.quality.standing import standing_rules
from parcours.quality.user_rules import columns_in, reject_rules
from parcours.schemas.config import Config
from parcours.schemas.touchpoint import FIELDS
from parcours.transforms.validate import make_validator
from stores import assert_balanced, config_of, file_source, load, rows


def config(rules, on="touchpoints"):
    """A config with these rules, which reject."""
    given = {"on": on, "severity": "reject"}
    return Config.model_validate({"rule": {name: {**given, **rule} for name, rule in rules.items()}})


def judged(validator, records):
    """Validate records; return the touchpoints, and the rejected rows by the record's place."""
    result = validator.validate(documents(records))
    places = [(offset - 100) // 2 for offset in result.rejected["source_offset"].to_pylist()]
    return result.touchpoints, dict(zip(places, result.rejected.to_pylist(), strict=True))


def _both(left, right):
    return False if left is False or right is False else None if None in (left, right) else True


RULES = {
    "campaign_given": {"kind": "not_null", "column": "campaign"},
    "product_word": {"kind": "in_set", "column": "product", "values": ["auto", "l'été", "NaN"]},
    "content_form": {"kind": "regex", "column": "content", "pattern": "[a-zé]{1,3}|N/?A"},
    "value_bounds": {"kind": "range", "column": "value", "min": -0.1, "max": 1000.5},
    "score_least": {"kind": "range", "column": "score", "min": 3},
    "time_bounds": {
        "kind": "range",
        "column": "occurred_at",
        "min": "2024-02-29",
        "max": "2025-12-31T12:00:00+02:00",
    },
    "stage_as_given": {"kind": "in_set", "column": "stage", "values": ["service", "purchase"]},
    "either": {"kind": "condition", "condition": "value > 10 OR source = 'ad'"},
    "consented": {"kind": "condition", "condition": "len(consent) > 0"},
    "site_source": {"kind": "not_null", "column": "source", "where": "channel = 'site'"},
    "ad_content": {"kind": "in_set", "column": "content", "values": ["a"], "where": "source = 'ad'"},
}
BROKEN = {
    "campaign_given": lambda row: row["campaign"] is None,
    "product_word": lambda row: row["product"] is not None and row["product"] not in ("auto", "l'été", "NaN"),
    "content_form": lambda row: (
        row["content"] is not None and not re.fullmatch("[a-zé]{1,3}|N/?A", row["content"])
    ),
    "value_bounds": lambda row: (
        row["value"] is not None and not Decimal("-0.1") <= row["value"] <= Decimal("1000.5")
    ),
    "score_least": lambda row: row["score"] is not None and row["score"] < 3,
    "time_bounds": lambda row: not datetime(2024, 2, 29) <= row["occurred_at"] <= datetime(2025, 12, 31, 10),
    "stage_as_given": lambda row: row["stage"] is not None and row["stage"] not in ("service", "purchase"),
    "either": lambda row: (
        (row["value"] is not None and row["value"] <= 10)
        and (row["source"] is not None and row["source"] != "ad")
    ),
    "consented": lambda row: not row["consent"],
    "site_source": lambda row: row["channel"] == "site" and row["source"] is None,
    "ad_content": lambda row: row["source"] == "ad" and row["content"] is not None and row["content"] != "a",
}
"""The same rules over again, by one row as a dictionary."""

TEXTS = st.sampled_from(
    ["a", "ad", "auto", "AUTO", "l'été", "l'e\u0301te\u0301", "NaN", "N/A", "NULL", '"', "é", "null"]
)
WORDS = st.none() | TEXTS | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
NUMBERS = st.sampled_from(
    ["-0.1", "-0.10005", "1000.5", "1000.50001", "10", "10.00004", "1e3", "99999999999999"]
)
ROWS = st.fixed_dictionaries(
    {
        **dict.fromkeys(("campaign", "product", "content", "source"), WORDS),
        "channel": st.sampled_from(["site", "Site", "é"]),
        "stage": st.none() | st.sampled_from(["service", "purchase", "loyalty"]),
        "occurred_at": st.sampled_from(
            [
                "2024-02-28T23:59:59.999999Z",
                "2024-02-29T00:00:00Z",
                "2025-12-31T10:00:00Z",
                "2025-12-31T11:00:00.000001+01:00",
            ]
        ),
        "consent": st.lists(st.sampled_from(["mail", ""]), max_size=2),
        "amount": st.none() | NUMBERS,
        "answer": st.none() | st.integers(0, 10),
    }
)


def as_record(place, row):
    """A record of a drawn row: amounts have a currency, scores a survey."""
    record = {
        **GOOD,
        **{name: row[name] for name in row.keys() - {"amount", "answer"}},
        "event_id": f"e{place}",
    }
    record |= {} if row["amount"] is None else {"value": row["amount"], "currency": "EUR"}
    return record | ({} if row["answer"] is None else {"survey": "nps", "score": row["answer"]})


@pytest.fixture(scope="module")
def validators():
    """A validator by the built-in rules alone, and one by RULES too."""
    return make_validator(source(), Config()), make_validator(source(), config(RULES))


@pytest.fixture(scope="module")
def standing():
    """What asks a store for the rows that break each of RULES."""
    found = standing_rules(config(RULES), now=datetime(2026, 1, 1), relations=())
    return {rule.name: rule for rule in found}


@given(st.lists(ROWS, min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_filter_and_store_judge_as_plain_python_does(validators, standing, drawn):
    """The first broken rule rejects; over what is stored, the same rule finds the same rows."""
    plain, ruled = validators
    records = [as_record(place, row) for place, row in enumerate(drawn)]
    touchpoints, _ = judged(plain, records)
    broken = {
        name: [row["event_id"] for row in touchpoints.to_pylist() if breaks(row)]
        for name, breaks in BROKEN.items()
    }
    firsts = {}
    for name, ids in broken.items():
        for event_id in ids:
            firsts.setdefault(event_id, name)
    assert firsts == {f"e{place}": row["rule"] for place, row in judged(ruled, records)[1].items()}
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE touchpoints AS SELECT *, stage AS stage_given FROM touchpoints")
        for name, rule in standing.items():
            found = connection.execute(f"SELECT id FROM ({rule.failing}) ORDER BY id").fetchall()
            assert sorted(broken[name]) == [row[0] for row in found], name


def test_what_a_rejected_record_is_told():
    """Reason, field, value and a sentence: made of the rule, or the user's beside the value."""
    rules = {
        "word": {"kind": "in_set", "column": "channel", "values": ["shop", "phone"]},
        "own_words": {"kind": "regex", "column": "product", "pattern": "[a-z]+", "english": "small letters"},
        "own_value": {"kind": "range", "column": "value", "max": 5, "english": "{value} is too dear"},
        "given": {"kind": "not_null", "column": "campaign"},
        "both": {"kind": "condition", "condition": "score > 5 OR survey <> 'nps'"},
    }  # fmt: skip
    one_rule = {name: make_validator(source(), config({name: rule})) for name, rule in rules.items()}
    faults = {
        "word": ({}, "channel", "site", 'channel is "site": channel is one of shop, phone'),
        "own_words": (
            {"product": "Auto"},
            "product",
            "Auto",
            'product is "Auto": small letters',
        ),
        "own_value": ({"value": 6, "currency": "EUR"}, "value", "6.0000", "6.0000 is too dear"),
        "given": ({}, "campaign", None, "campaign is missing: every row has campaign"),
        "both": (
            {"survey": "nps", "score": 5},
            "record",
            "score 5.0, survey nps",
            "record is \"score 5.0, survey nps\": this is true: score > 5 OR survey <> 'nps'",
        ),
    }
    for name, (fault, *told) in faults.items():
        good = {**GOOD, "campaign": "c", "channel": "shop"}
        record = {**GOOD, **fault} if name in ("word", "given") else {**good, **fault}
        _, rejected = judged(one_rule[name], [record, good])
        assert [0] == list(rejected), name
        assert ["validate", "rule_failed", name] == [rejected[0][key] for key in ("step", "reason", "rule")]
        assert told == [rejected[0][key] for key in ("field", "value", "message")]


def test_more_rules_than_a_byte_has_values():
    """The three-hundredth rule is as good as the first."""
    rules = {
        f"not_{number}": {"kind": "condition", "condition": f"value <> {number}"} for number in range(300)
    }
    validator = make_validator(source(), config(rules))
    _, rejected = judged(
        validator, [{**GOOD, "value": number, "currency": "EUR"} for number in (0, 255, 299, 300)]
    )
    assert {0: "not_0", 1: "not_255", 2: "not_299"} == {place: row["rule"] for place, row in rejected.items()}


def test_a_condition_that_cannot_be_computed_passes():
    """A number that gets too large spoils neither its record nor its neighbours."""
    rules = {"small": {"kind": "condition", "condition": "value * value * value < 8"}}
    records = [{**GOOD, "value": number, "currency": "EUR"} for number in (1, 2, 99999999999999)]
    _, rejected = judged(make_validator(source(), config(rules)), records)
    assert [1] == list(rejected)


def test_fields_that_a_source_never_gives():
    """A field that no record has breaks not_null alone; ids that are made of the contents are judged too."""
    rules = {
        "form": {"kind": "regex", "column": "event_id", "pattern": "[0-9a-f]{64}"},
        "known": {"kind": "in_set", "column": "campaign", "values": ["spring"]},
        "given": {"kind": "not_null", "column": "claim_id"},
    }
    record = {key: value for key, value in GOOD.items() if key != "event_id"}
    validator = make_validator(source(map={"event_id": "@hash"}), config(rules))
    assert {0: "given"} == {place: row["rule"] for place, row in judged(validator, [record])[1].items()}
    rules = {"form": {**rules["form"], "pattern": "[g-z]+"}}
    validator = make_validator(source(map={"event_id": "@hash"}), config(rules))
    assert {0: "form"} == {place: row["rule"] for place, row in judged(validator, [record])[1].items()}


def test_columns_in_a_condition():
    """Fields are found by name, whatever their case, and not within texts."""
    text = """Value > 3 AND "source" = 'channel' AND campaign_x IS NULL AND value < 9"""
    assert ["value", "source"] == columns_in(text, FIELDS.names)


def test_rules_of_another_relation_are_not_in_the_filter():
    """A source is held against the rules of what it loads."""
    rules = {"region": {"kind": "not_null", "column": "region", "owner": "marketing"}}
    assert () == reject_rules(config(rules, "ref_customers"), "touchpoints")
    assert ["marketing"] == [rule.owner for rule in reject_rules(config(rules, "ref_customers"), "customers")]


INPUTS = {
    "customers": {"customer_id": "x"},
    "contracts": {"contract_id": "x", "customer_id": "C"},
    "aliases": {"id": "x", "id_type": "anonymous_id", "customer_id": "C"},
    "spend": {"campaign": "x", "channel": "ad", "day": "2025-01-01", "amount": 1, "currency": "EUR"},
    "events_held": {"event": "x", "date": "2025-01-01", "channel": "hall"},
    "indicators": {"name": "x", "month": "2025-01", "value": 1},
    "targets": {"kpi": "x", "dimension": "total", "period": "2025", "value": 1, "direction": "up"},
}


@pytest.mark.parametrize("loads", INPUTS)
def test_every_reference_input_may_have_rules(loads):
    """A rule of a reference input rejects its rows, and no others."""
    record, column = INPUTS[loads], next(iter(INPUTS[loads]))
    rules = {"known": {"kind": "in_set", "column": column, "values": ["good"]}}
    validator = make_validator(source(loads=loads), config(rules, f"ref_{loads}"))
    kept, rejected = judged(validator, [{**record, column: "good"}, record])
    assert (1, {1: "known"}) == (kept.num_rows, {place: row["rule"] for place, row in rejected.items()})


def test_a_run_puts_what_breaks_a_rule_in_quarantine(tmp_path):
    """Touchpoints and rows of reference inputs that break a rule are kept apart; the rest is loaded."""
    (tmp_path / "events.csv").write_text(
        "event_id,occurred_at,customer_id,event_type,channel,value,currency\n"
        "e1,2025-01-01T00:00:00Z,C1,quote,site,10,EUR\n"
        "e2,2025-01-01T00:00:00Z,C1,quote,fax,10,EUR\n"
        "e3,2025-01-01T00:00:00Z,C1,quote,site,-3,EUR\n"
        "e4,2025-01-01T00:00:00Z,C1,quote,site,500,EUR\n"
    )
    (tmp_path / "customers.csv").write_text("customer_id,region\nC1,idf\nC2,\nC3,IDF\n")
    given = {"severity": "reject"}
    rules = {
        "channel": {**given, "on": "touchpoints", "kind": "in_set", "column": "channel", "values": ["site"]},
        "value": {**given, "on": "touchpoints", "kind": "range", "column": "value", "min": 0},
        "dear": {**given, "on": "touchpoints", "kind": "condition", "condition": "value < 99"},
        "region": {**given, "on": "ref_customers", "kind": "not_null", "column": "region"},
        "region_form": {
            **given,
            "on": "ref_customers",
            "kind": "regex",
            "column": "region",
            "pattern": "[a-z]+",
        },
    }
    store = tmp_path / "store.duckdb"
    load(
        config_of(
            store,
            file_source(tmp_path / "events.csv", "csv", "events"),
            file_source(tmp_path / "customers.csv", "csv", "customers", loads="customers"),
            rule=rules,
        )
    )
    assert [
        ("customers", "rule_failed", "region", "region", None, "region is missing: every row has region"),
        ("customers", "rule_failed", "region_form", "region", "IDF", 'region is "IDF": region fits [a-z]+'),
        ("events", "rule_failed", "channel", "channel", "fax", 'channel is "fax": channel is one of site'),
        (
            *("events", "rule_failed", "dear", "value", "500.0000"),
            'value is "500.0000": this is true: value < 99',
        ),
        ("events", "rule_failed", "value", "value", "-3.0000", 'value is "-3.0000": value is at least 0'),
    ] == rows(
        store, "SELECT source, reason, rule, field, value, message FROM quarantine ORDER BY source, rule"
    )
    assert [("e1",)] == rows(store, "SELECT event_id FROM touchpoints")
    assert [("C1",)] == rows(store, "SELECT customer_id FROM ref_customers")
    assert_balanced(store)
