"""The configured mapping: where our fields come from, whatever carries the records."""

import hashlib
import json
from collections import Counter
from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
from decoded_batches import GOOD, decoded, documents, judge, one, text_columns, validator

from parcours.schemas.touchpoint import FIELDS
from parcours.transforms.canonical import canonical_json_sql, content_sha256_sql


def typed(records, broker_timestamp=None):
    """The records as an Avro file has them: objects are structs."""
    return decoded("columns", pa.Table.from_pylist(records), broker_timestamp)


SHAPES = pytest.mark.parametrize("shape", [documents, typed])


def attributes(touchpoint):
    """Return a touchpoint's attributes as an object."""
    return {pair["key"]: pair["value"] for pair in touchpoint["attributes"]}


@SHAPES
def test_paths_go_through_objects_and_the_first_value_counts(shape):
    """Nested paths are followed; of several the first that is filled counts, then the constant."""
    record = {**GOOD, "customer_id": " ", "user": {"id": {"main": "U7"}}, "kind": None, "label": "x"}
    mapping = {
        "customer_id": ["customer_id", "user.id.main"],
        "campaign": ["kind", "nowhere.at.all", "label"],
        "product": {"path": "kind", "constant": "auto"},
        "channel": "=web",
    }
    found = one(record, shape=shape, map=mapping)

    assert ["U7", "x", "auto", "web"] == [
        found[name] for name in ("customer_id", "campaign", "product", "channel")
    ]
    assert {"channel": "site"} == attributes(found), "what the mapping does not read is an attribute"


@SHAPES
def test_a_name_with_dots_wins_over_nesting(shape):
    """A field whose own name is the path counts first; where it is empty the nested one does."""
    records = [
        {**GOOD, "a.b": "literal", "a": {"b": "nested"}},
        {**GOOD, "a.b": None, "a": {"b": "nested"}},
    ]
    good, _ = judge(validator(map={"campaign": "a.b"}), shape(records))

    assert ["literal", "nested"] == [row["campaign"] for row in good]


@SHAPES
def test_look_ups_and_null_words(shape):
    """Words are replaced before validation, others stay; null words of field and source count as absent."""
    mapping = {"stage": {"path": "stage", "lookup": {"AFTER SALE": "service"}, "nulls": ["none"]}}
    records = [
        {**GOOD, "stage": stage, "content": "N/A"} for stage in ("AFTER SALE", "none", "loyalty", "N/A")
    ]
    good, _ = judge(validator(map=mapping, nulls=["N/A"]), shape(records))

    assert ["service", None, "loyalty", None] == [row["stage"] for row in good]
    assert {None} == {row["content"] for row in good}


def test_the_hash_is_over_what_was_given_not_over_looked_up_words():
    """Two words that one look-up makes equal are still different contents."""
    mapping = {"channel": {"path": "channel", "lookup": {"WEB": "site"}}}
    good, _ = judge(validator(map=mapping), documents([{**GOOD, "channel": "WEB"}, GOOD, GOOD]))

    assert ["site"] * 3 == [row["channel"] for row in good]
    assert good[0]["content_sha256"] != good[1]["content_sha256"] == good[2]["content_sha256"]


@SHAPES
def test_generated_ids(shape):
    """@hash is the SHA-256 of the mapped fields; @row is the file and the record's ordinal."""
    records = [{**GOOD, "campaign": campaign} for campaign in ("x", "x", "y")]
    hashing = validator(map={"event_id": "@hash"})
    good, _ = judge(hashing, shape(records))

    assert hashing.hashed
    assert not validator().hashed
    assert [row["content_sha256"].hex() for row in good] == [row["event_id"] for row in good]
    assert good[0]["event_id"] == good[1]["event_id"] != good[2]["event_id"]
    good, _ = judge(validator(map={"event_id": "@row"}), shape(records))
    assert ["visits.ndjson:100", "visits.ndjson:102", "visits.ndjson:104"] == [
        row["event_id"] for row in good
    ]


def test_the_canonical_text_is_json_of_every_field():
    """The hash is over the JSON array of the values; people see the same values under their names."""
    record = {
        **GOOD,
        "value": 12.5,
        "currency": "EUR",
        "survey": "nps",
        "score": -0.0,
        "campaign": 'é"\\\n/\u2028',
    }
    record |= {"attributes": {"b": 1, "a": "x"}, "consent": ["z", "a"]}
    result = validator().validate(documents([record])).touchpoints
    values = {
        **dict.fromkeys(FIELDS.names),
        **record,
        "occurred_at": 1741083072123456,
        "value": "12.5000",
        "score": 0.0,
        "attributes": [{"key": "a", "value": "x"}, {"key": "b", "value": "1"}],
    }
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    with duckdb.connect() as con:
        query = f"SELECT {canonical_json_sql('t')}, {content_sha256_sql('t')} FROM result AS t"
        named, digest = con.sql(query).fetchall()[0]

    assert json.dumps(values, **compact) == named
    assert hashlib.sha256(json.dumps(list(values.values()), **compact).encode()).digest() == digest
    assert digest == result["content_sha256"][0].as_py()


@SHAPES
def test_unknown_fields_are_kept_or_counted(shape):
    """All unknown fields are attributes, or the listed ones are and the others are counted."""
    records = [{**GOOD, "b": 1, "a": "x", "c": {"d": [True]}}, {**GOOD, "b": 2, "a": None, "c": None}]
    good, _ = judge(validator(), shape(records))
    assert [{"a": "x", "b": "1", "c": '{"d":[true]}'}, {"b": "2"}] == [attributes(row) for row in good]

    listing = validator(attributes=["b", "zzz"])
    good, _ = judge(listing, shape(records))
    assert [{"b": "1"}, {"b": "2"}] == [attributes(row) for row in good]
    assert {"a", "c"} == set(listing.dropped_names)


def test_dropped_names_add_up_over_batches():
    """Each row that has an unknown field which is not kept counts once."""
    listing = validator(attributes=[])
    for _ in range(2):
        judge(listing, documents([{**GOOD, "a": 1}, {**GOOD, "a": 2, "b": 3}]))
        judge(listing, text_columns([{**GOOD, "a": 1}, {**GOOD, "a": 2, "b": 3}]))

    assert Counter(a=8, b=4) == listing.dropped_names


def test_any_number_of_any_names():
    """Names that JSON or SQL write specially, names that differ in case, and hundreds of names are kept."""
    odd = {
        "": "1",
        "a b": "2",
        'q"': "3",
        "s'": "4",
        "~/": "5",
        "*": "6",
        "$.x": "7",
        "é😀": "8",
        "\\": "9",
        "0": "10",
    }
    odd |= {
        "Campaign": "11",
        "CAMPAIGN": "12",
        "nul\0": "13",
        "SELECT": "14",
        "document": "16",
        "c0": "17",
    }
    many = {f"name {place}": str(place) for place in range(300)}
    for extra in (odd, many, odd | many):
        record = {**GOOD, "campaign": "mine", **extra}
        found = one(record)
        assert extra == attributes(found)
        assert sorted(extra) == [pair["key"] for pair in found["attributes"]]
        assert "mine" == found["campaign"]
        assert extra == attributes(one(record, shape=text_columns))


@SHAPES
def test_cloudevents(shape):
    """The record is under data; id, time and type fill what it lacks; other names are no attributes."""
    event = {"id": "ce1", "time": GOOD["occurred_at"], "type": "viewed", "source": "/shop", "subject": "C9"}
    event |= {"specversion": "1.0", "data": {"channel": "site", "customer_id": "C1", "extra": "x"}}
    found = one(event, shape=shape, envelope="cloudevents")

    assert ["ce1", "viewed", "C1", None] == [
        found[n] for n in ("event_id", "event_type", "customer_id", "source")
    ]
    assert datetime(2025, 3, 4, 10, 11, 12, 123456) == found["occurred_at"]
    assert {"extra": "x"} == attributes(found)
    mapped = one(
        event, shape=shape, envelope="cloudevents", map={"customer_id": "subject", "source": "source"}
    )
    assert ["C9", "/shop"] == [mapped["customer_id"], mapped["source"]]


@SHAPES
@pytest.mark.parametrize("wrap", [lambda change: change, lambda change: {"payload": change}])
def test_debezium(shape, wrap):
    """The record is the row after the change; a deletion is a tombstone."""
    changes = [
        {"op": "c", "after": {**GOOD, "x": "1"}},
        {"op": "d", "after": None},
        {"op": "d", "after": GOOD},
    ]
    good, bad = judge(validator(envelope="debezium"), shape([wrap(change) for change in changes]))

    assert [({"x": "1"}, "C1")] == [(attributes(row), row["customer_id"]) for row in good]
    assert ["tombstone", "tombstone"] == [row["reason"] for row in bad]


def test_columns_that_differ_in_case_stay_apart():
    """Names are compared as they are written."""
    found = one({**GOOD, "Channel": "other", "CUSTOMER_ID": "other"}, shape=text_columns)

    assert ("site", "C1") == (found["channel"], found["customer_id"])
    assert {"Channel": "other", "CUSTOMER_ID": "other"} == attributes(found)


def test_what_duckdb_cannot_use_is_refused_at_once():
    """A date format that is no pattern stops before anything is read."""
    with pytest.raises(ValueError, match='date_format = "%Q" cannot be used'):
        validator(date_format="%Q")


@SHAPES
def test_an_expression_makes_a_field_of_what_was_given(shape):
    """Over the fields' texts before any look-up; what it gives is then looked up, or read as others are."""
    mapping = {
        "occurred_at": {"path": "day", "sql": "occurred_at || 'T' || content || 'Z'"},
        "content": "hour",
        "customer_id": {"path": "user", "sql": "'C-' || upper(customer_id)"},
        "channel": {"sql": "if(contains(campaign, 'mail'), 'E', 'W')", "lookup": {"E": "email", "W": "site"}},
        "value": {"path": "amount", "sql": "replace(replace(value, ' €', ''), ',', '.')"},
        "currency": {"sql": "if(value LIKE '%€', 'EUR', NULL)"},
    }
    record = {**GOOD, "day": "2025-03-04", "hour": "10:00", "user": "u1", "amount": "12,50 €"}
    records = [{**record, "campaign": "mailing"}, {**record, "campaign": "x", "amount": None}]
    good, bad = judge(validator(map=mapping), shape(records))

    assert [] == bad
    assert [datetime(2025, 3, 4, 10)] * 2 == [row["occurred_at"] for row in good]
    assert ["C-U1"] * 2 == [row["customer_id"] for row in good]
    assert ["email", "site"] == [row["channel"] for row in good]
    assert [("12.5000", "EUR"), ("None", None)] == [(str(row["value"]), row["currency"]) for row in good]


@SHAPES
def test_an_expression_that_fails_on_a_record_rejects_it_alone(shape):
    """The rule is the field's sql, the value what was given; an expression that gives null gives nothing."""
    mapping = {
        "campaign": {"path": "n", "sql": "CAST(CAST(campaign AS INTEGER) + 1 AS VARCHAR)"},
        "cost": {"path": "m", "sql": "CAST(cost AS INTEGER) / 2"},
    }
    records = [{**GOOD, "n": n, "m": m} for n, m in (("1", "3"), ("x", "3"), (None, None), ("1", "?"))]
    good, bad = judge(validator(map=mapping), shape(records))

    assert [("2", "1.5000"), (None, "None")] == [(row["campaign"], str(row["cost"])) for row in good]
    told = [(row["reason"], row["rule"], row["field"], row["value"]) for row in bad]
    assert [("wrong_type", "campaign.sql", "campaign", "x"), ("wrong_type", "cost.sql", "cost", "?")] == told


@pytest.mark.parametrize(("given", "made"), [(12.5, "25.0000"), ("12,5", "25.0000")])
def test_a_number_that_an_expression_computes_has_a_point(given, made):
    """Also where the source writes a decimal comma, which its texts have until the expression is done."""
    mapping = {"cost": {"path": "m", "sql": "CAST(replace(cost, ',', '.') AS DOUBLE) * 2"}}
    found = one({**GOOD, "m": given}, shape=documents, map=mapping, decimal_mark=",")
    assert made == str(found["cost"])


def test_an_expression_sees_a_number_as_it_was_written():
    """Not the nearest double."""
    mapping = {"customer_id": {"path": "n", "sql": "'C-' || customer_id"}}
    found = one({**GOOD, "n": 12345678901234567890}, shape=documents, map=mapping)
    assert "C-12345678901234567890" == found["customer_id"]


def test_the_hash_is_over_what_an_expression_made():
    """Records whose fields are equal once their expressions are done are one content."""
    mapping = {"campaign": {"path": "campaign", "sql": "lower(campaign)"}}
    records = [{**GOOD, "campaign": name} for name in ("Spring", "spring")]
    good, _ = judge(validator(map=mapping), documents(records))
    assert good[0]["content_sha256"] == good[1]["content_sha256"]
