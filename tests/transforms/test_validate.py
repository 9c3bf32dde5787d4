"""Decoded parts become touchpoints or rejected rows; JSON documents and typed columns alike."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from decoded_batches import GOOD, decoded, documents, judge, one, text_columns, validator
from hypothesis import given, settings
from hypothesis import strategies as st

from parcours.schemas.config import Validation
from parcours.schemas.touchpoint import FIELDS
from parcours.transforms.elements import REJECT_NOTE, DecodedBatch, DecodedPart

SHAPES = pytest.mark.parametrize("shape", [documents, text_columns])

REFUSED = {
    "event_id absent": ({"event_id": None}, "missing_field", "event_id"),
    "event_id blank": ({"event_id": " \u00a0\t"}, "missing_field", "event_id"),
    "event_id ignored": ({"event_id": "NULL"}, "missing_field", "event_id"),
    "event_type absent": ({"event_type": None}, "missing_field", "event_type"),
    "channel blank": ({"channel": ""}, "missing_field", "channel"),
    "no time": ({"occurred_at": None}, "missing_field", "occurred_at"),
    "no person": ({"customer_id": "None"}, "missing_field", "customer_id"),
    "id of 129": ({"claim_id": "x" * 129}, "too_long", "claim_id"),
    "id of 129 emoji": ({"event_id": "😀" * 129}, "too_long", "event_id"),
    "reserved": ({"customer_id": "anon:7"}, "reserved_id", "customer_id"),
    "time unreadable": ({"occurred_at": "yesterday"}, "invalid_time", "occurred_at"),
    "time of a word of DuckDB's": ({"occurred_at": "infinity"}, "invalid_time", "occurred_at"),
    "30 February": ({"occurred_at": "2025-02-30T00:00:00Z"}, "invalid_time", "occurred_at"),
    "1066": ({"occurred_at": "1066-10-14T09:00:00Z"}, "invalid_time", "occurred_at"),
    "2999": ({"occurred_at": "2999-01-01T00:00:00Z"}, "invalid_time", "occurred_at"),
    "2100": ({"occurred_at": "2100-01-01T00:00:00Z"}, "invalid_time", "occurred_at"),
    "time as a number": ({"occurred_at": 1741083072}, "wrong_type", "occurred_at"),
    "stage": ({"stage": "Awareness"}, "unknown_value", "stage"),
    "value no number": ({"value": "12 euros", "currency": "EUR"}, "wrong_type", "value"),
    "value with underscore": ({"value": "1_000", "currency": "EUR"}, "wrong_type", "value"),
    "value with a decimal comma": ({"value": "1,5", "currency": "EUR"}, "wrong_type", "value"),
    "value true": ({"value": True, "currency": "EUR"}, "wrong_type", "value"),
    "value a list": ({"value": [1], "currency": "EUR"}, "wrong_type", "value"),
    "value NaN": ({"value": "NaN", "currency": "EUR"}, "not_finite", "value"),
    "value infinite": ({"value": "-Infinity", "currency": "EUR"}, "not_finite", "value"),
    "cost infinite": ({"cost": "inf"}, "not_finite", "cost"),
    "value too large": ({"value": 1e14, "currency": "EUR"}, "out_of_range", "value"),
    "value beyond all": ({"value": "1e400", "currency": "EUR"}, "out_of_range", "value"),
    "value alone": ({"value": 1}, "pair_incomplete", "currency"),
    "currency alone": ({"currency": "EUR"}, "pair_incomplete", "value"),
    "currency unknown": ({"value": 1, "currency": "eur"}, "unknown_value", "currency"),
    "survey alone": ({"survey": "nps"}, "pair_incomplete", "score"),
    "score alone": ({"score": 3}, "pair_incomplete", "survey"),
    "survey unknown": ({"survey": "mood", "score": 3}, "unknown_value", "survey"),
    "score off its scale": ({"survey": "csat", "score": 0}, "out_of_range", "score"),
    "score above its scale": ({"survey": "nps", "score": 11}, "out_of_range", "score"),
    "score not whole": ({"survey": "nps", "score": 7.5}, "wrong_type", "score"),
    "score NaN": ({"survey": "nps", "score": "nan"}, "not_finite", "score"),
    "score no number": ({"survey": "nps", "score": "ten"}, "wrong_type", "score"),
    "consent of objects": ({"consent": [{"a": 1}]}, "wrong_type", "consent"),
    "attributes of texts": ({"attributes": ["a"]}, "wrong_type", "attributes"),
    "attributes a text": ({"attributes": "a"}, "wrong_type", "attributes"),
}


@SHAPES
@pytest.mark.parametrize("case", REFUSED)
def test_every_rule_refuses_with_its_reason_and_field(case, shape):
    """A record that breaks one rule is rejected for that reason, whatever kind of part it came in."""
    change, reason, field = REFUSED[case]

    assert (reason, field) == one({**GOOD, **change}, shape=shape)


KEPT = {
    "an id of 128": ({"event_id": "x" * 128}, "event_id", "x" * 128),
    "an id of 128 emoji": ({"contract_id": "😀" * 128}, "contract_id", "😀" * 128),
    "a person called NA": ({"customer_id": "NA"}, "customer_id", "NA"),
    "an id that is zero": ({"quote_id": 0}, "quote_id", None),
    "an id that is NaN": ({"claim_id": "NaN"}, "claim_id", None),
    "zero beyond ids": ({"campaign": "0"}, "campaign", "0"),
    "a number as text": ({"campaign": 123}, "campaign", "123"),
    "a number as it is written": ({"product": "@1.0e3"}, "product", "1.0e3"),
    "a long number as it is written": ({"product": "@1234567890123456.10"}, "product", "1234567890123456.10"),
    "a truth value as text": ({"variant": True}, "variant", "true"),
    "blank is nothing": ({"content": "  "}, "content", None),
    "spaces at the ends stay": ({"content": " a "}, "content", " a "),
    "an offset": ({"occurred_at": "2025-03-04 10:00+0130"}, "occurred_at", datetime(2025, 3, 4, 8, 30)),
    "digits past microseconds": (
        {"occurred_at": "2025-03-04T10:00:00.1234569Z"},
        "occurred_at",
        datetime(2025, 3, 4, 10, 0, 0, 123456),
    ),
    "a day": ({"occurred_at": "2025-03-04"}, "occurred_at", datetime(2025, 3, 4)),
    "an amount as text": ({"value": "-12.50", "currency": "EUR"}, "value", Decimal("-12.5")),
    "an amount with thousands": ({"value": "1\u202f234.5", "currency": "EUR"}, "value", Decimal("1234.5")),
    "the largest amount": ({"cost": "99999999999999.99994"}, "cost", Decimal("99999999999999.9999")),
    "a tie hidden by doubles": ({"cost": "@0.00025000000000000000001"}, "cost", Decimal("0.0003")),
    "a tie": ({"cost": "@0.00025"}, "cost", Decimal("0.0002")),
    "an amount of 18 digits": ({"cost": "@12345678901234.1235"}, "cost", Decimal("12345678901234.1235")),
    "consent": ({"consent": ["ads", " ", "mail"]}, "consent", ["ads", "mail"]),
    "consent between bars": ({"consent": "ads|mail"}, "consent", ["ads", "mail"]),
    "no consent": ({}, "consent", []),
    "attributes sorted": (
        {"attributes": {"z": 1, "b": None, "a": {"x": [1]}}, "m": "é"},
        "attributes",
        [{"key": "a", "value": '{"x":[1]}'}, {"key": "m", "value": "é"}, {"key": "z", "value": "1"}],
    ),
    "a merge of nobody": (
        {"attributes": {"merged_customer_id": "None", "other": "null"}},
        "attributes",
        [{"key": "other", "value": "null"}],
    ),
    "attributes as pairs": (
        {"attributes": [{"key": "b", "value": "2"}, {"key": "a", "value": 1}]},
        "attributes",
        [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_values_are_read_as_the_contract_says(case):
    """Valid values of every kind come out as the contract has them."""
    change, field, expected = KEPT[case]
    document = re.sub(r'"@([^"]*)"', r"\1", json.dumps({**GOOD, **change}))

    assert expected == one(document)[field]


def test_a_list_or_an_object_is_no_text():
    """An object where a text is expected is rejected; a text that merely looks like one is not."""
    assert ("wrong_type", "campaign") == one({**GOOD, "campaign": {"a": 1}})
    assert ("wrong_type", "event_id") == one({**GOOD, "event_id": [1]})
    assert one({**GOOD, "campaign": "{brackets}"})["campaign"] == "{brackets}"
    assert one({**GOOD, "campaign": "[x]"}, shape=text_columns)["campaign"] == "[x]"


def test_one_bad_row_leaves_its_neighbours_alone():
    """Rejected rows keep their bytes and coordinates; the others are loaded with theirs."""
    wild = [
        '{"event_id":"\\u0000","occurred_at":"2025-03-04","customer_id":"a\\u0000b","event_type":"t","channel":"c"}',
        '{"event_id":"e","occurred_at":1e999,"value":1e999,"":1,"a\\u0000b":2,"EVENT_ID":3,"~/\\"":4}',
        "{}",
        '{"attributes":{"a":1,"a":2},"consent":"[","value":"[","cost":"e5","score":"\\u202f"}',
    ]
    good, bad = judge(validator(), documents([GOOD, *wild, GOOD]))

    assert [100, 102, 110] == [row["source_offset"] for row in good]
    assert [104, 106, 108] == [row["source_offset"] for row in bad]
    assert good[1]["event_id"] == "\0"
    for row in (*good, *bad):
        place = (row["source_offset"] - 100) // 2
        coordinates = [
            row[name] for name in ("source_name", "source_topic", "source_partition", "record_key", "headers")
        ]
        assert ["web", "visits.ndjson", 3, f"k{place}".encode(), [{"key": "h", "value": b"v"}]] == coordinates
    assert [b"raw 2", b"raw 3", b"raw 4"] == [row["raw"] for row in bad]
    assert {"validate"} == {row["step"] for row in bad}


def test_rejects_of_the_decoder_stand_beside_those_of_validation():
    """Rows that were never decoded keep the decoder's reason and get their bytes and coordinates."""
    batch = documents([GOOD, GOOD])
    note = {
        "row": 1,
        "step": "decode",
        "reason": "undecodable",
        "rule": "json.valid",
        "field": None,
        "value": "{",
        "message": "m",
    }
    part = DecodedPart("documents", batch.parts[0].table.slice(0, 1))
    rejects = pa.Table.from_pylist([note], schema=REJECT_NOTE)

    good, bad = judge(validator(), DecodedBatch(batch.source, (part,), rejects))

    assert [100] == [row["source_offset"] for row in good]
    assert [("decode", "undecodable", 102, b"raw 1")] == [
        (row["step"], row["reason"], row["source_offset"], row["raw"]) for row in bad
    ]


def test_the_first_broken_rule_is_the_reason_and_says_the_value():
    """Of several broken rules the first counts; value and sentence show what was given, cut at 200."""
    _, bad = judge(
        validator(), documents([{**GOOD, "event_id": "y" * 300, "stage": "?"}, {**GOOD, "stage": "?"}])
    )

    assert ["event_id.length", "stage.known"] == [row["rule"] for row in bad]
    assert "y" * 200 == bad[0]["value"]
    assert 'stage is "?"; it is one of awareness, ' in bad[1]["message"]


def test_time_in_the_future_counts_from_the_broker():
    """A record may not be later than the broker received it by more than max_future."""
    broker = datetime(2025, 3, 4, 10, 0)
    late = {**GOOD, "occurred_at": "2025-03-05T10:00:00.000001Z"}

    assert ("time_in_future", "occurred_at") == one(late, broker)
    assert one({**GOOD, "occurred_at": "2025-03-05T10:00:00Z"}, broker)["occurred_at"] == datetime(
        2025, 3, 5, 10
    )
    assert one(late)["event_id"] == "e1"


ZONES = ("Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "UTC")


def expected_instant(local, zone):
    """What Python says: fold 0 is the first of two; a time that does not come back was skipped."""
    instant = local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    back = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return instant.replace(tzinfo=None) if back == local else None


@pytest.mark.parametrize("zone", ZONES)
def test_local_times_fall_on_the_zones_clocks(zone):
    """Every quarter of an hour of two years around changes of the clocks agrees with zoneinfo."""
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(731)]
    offset = lambda day: datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).utcoffset()  # noqa: E731
    changes = [day for day in days if offset(day) != offset(day + timedelta(days=1))] or days[:2]
    locals_ = [
        datetime(d.year, d.month, d.day) + timedelta(minutes=15 * step) for d in changes for step in range(96)
    ]
    records = [{**GOOD, "occurred_at": local.isoformat(" ")} for local in locals_]
    good, bad = judge(validator(time_zone=zone), documents(records))
    found = {row["source_offset"]: row["occurred_at"] for row in good}

    assert [expected_instant(local, zone) for local in locals_] == [
        found.get(100 + 2 * place) for place in range(len(locals_))
    ]
    assert {"invalid_time"} >= {row["reason"] for row in bad}
    assert (zone == "UTC") == (not bad)


def test_times_as_the_source_writes_them():
    """Date formats, units of numbers and typed columns are read as declared; an offset is kept."""
    french = {"date_format": "%d/%m/%Y %H:%M", "time_zone": "Europe/Paris"}
    assert one({**GOOD, "occurred_at": "05/03/2026 14:02"}, **french)["occurred_at"] == datetime(
        2026, 3, 5, 13, 2
    )
    assert ("invalid_time", "occurred_at") == one(GOOD, **french)
    offset = {"date_format": "%d/%m/%Y %H:%M %z", "time_zone": "Europe/Paris"}
    assert one({**GOOD, "occurred_at": "05/03/2026 14:02 +0500"}, **offset)["occurred_at"] == datetime(
        2026, 3, 5, 9, 2
    )
    for unit, number in (("s", 1741083072.5), ("ms", 1741083072500), ("us", "1741083072500000")):
        read = one({**GOOD, "occurred_at": number}, time_unit=unit)["occurred_at"]
        assert datetime(2025, 3, 4, 10, 11, 12, 500000) == read
    assert one(GOOD, time_unit="s")["occurred_at"] == datetime(2025, 3, 4, 10, 11, 12, 123456)
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.timestamp("ns")):
        typed = pa.array([datetime(2025, 3, 4, 10)], pa.timestamp("us")).cast(kind)
        table = text_columns([GOOD]).parts[0].table.drop_columns(["row"])
        table = table.set_column(table.column_names.index("occurred_at"), "occurred_at", typed)
        good, _ = judge(validator(time_zone="Europe/Paris"), decoded("columns", table))
        assert datetime(2025, 3, 4, 10) == good[0]["occurred_at"]


def test_a_decimal_comma_is_for_texts_alone():
    """With decimal_mark "," a text is read with it, and a JSON number as JSON writes it."""
    french = {"decimal_mark": ","}
    for given_value, expected in (
        ("1 234,50", "1234.5"),
        ("1\u00a0234,5", "1234.5"),
        (12.5, "12.5"),
        (7, "7"),
    ):
        assert one({**GOOD, "value": given_value, "currency": "EUR"}, **french)["value"] == Decimal(expected)
    for unread in ("1.5", "1.234,5", "12 34"):
        assert ("wrong_type", "value") == one({**GOOD, "value": unread, "currency": "EUR"}, **french)
        assert ("wrong_type", "value") == one(
            {**GOOD, "value": unread, "currency": "EUR"}, shape=text_columns, **french
        )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.decimals(-(10**13), 10**13, places=5).map(lambda number: f"{number:f}"),
            st.decimals(-1000, 1000, places=9).map(lambda number: f"{number:f}"),
            st.builds("{}e{}".format, st.integers(-(10**6), 10**6), st.integers(-12, 6)),
            st.builds(
                "0.{:04d}5{}".format, st.integers(0, 9999), st.integers(0, 9).map(lambda n: "0" * 20 + str(n))
            ),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_amounts_round_half_to_even_from_the_written_text(texts):
    """As JSON numbers and as texts, amounts are Python's exact decimals rounded once, half to even."""
    expected = [
        Decimal(text).quantize(Decimal("0.0001"), ROUND_HALF_EVEN, Context(prec=60)) for text in texts
    ]
    for pattern in ("{}", '"{}"'):
        records = [json.dumps(GOOD)[:-1] + f', "cost": {pattern.format(text)}}}' for text in texts]
        good, _ = judge(SHARED, documents(records))
        assert expected == [row["cost"] for row in sorted(good, key=lambda row: row["source_offset"])]


SHARED = validator()

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12
)
PLAIN = TEXT.filter(
    lambda text: text.lower() not in Validation().ignored_ids and not text.startswith("anon:")
)
RECORDS = st.fixed_dictionaries(
    {
        "event_id": PLAIN,
        "occurred_at": st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),
        "customer_id": PLAIN,
        "event_type": PLAIN,
        "channel": PLAIN,
        "value": st.floats(-1e9, 1e9),
        "currency": st.sampled_from(["EUR", "USD"]),
    },
    optional={
        "campaign": TEXT,
        "anonymous_id": PLAIN,
        "stage": st.sampled_from(["awareness", "service"]),
        "cost": st.floats(-1e9, 1e9),
        "consent": st.lists(PLAIN.filter(lambda word: "|" not in word and word[0] not in "[{"), max_size=3),
        "attributes": st.dictionaries(TEXT, TEXT, max_size=3),
    },
)


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=8))
def test_one_touchpoint_whatever_carries_it(records):
    """As JSON, as texts of a CSV file and as typed columns, equal data give equal touchpoints and hashes."""
    iso = [{**record, "occurred_at": record["occurred_at"].isoformat() + "Z"} for record in records]
    csv = [
        {**record, "consent": "|".join(record["consent"]) if "consent" in record else None} for record in iso
    ]
    types = {"occurred_at": pa.timestamp("us", "UTC"), "value": pa.float64(), "cost": pa.float64()}
    schema = pa.schema([pa.field(field.name, types.get(field.name, field.type)) for field in FIELDS])
    rows = [
        {**dict.fromkeys(FIELDS.names), **record, "attributes": list(record.get("attributes", {}).items())}
        for record in records
    ]
    place = schema.get_field_index("attributes")
    as_map = schema.set(place, pa.field("attributes", pa.map_(pa.string(), pa.string())))
    as_pairs = [
        {**row, "attributes": [{"key": key, "value": value} for key, value in row["attributes"]]}
        for row in rows
    ]
    typed = pa.Table.from_pylist(as_pairs, schema=schema)
    mapped = pa.Table.from_pylist(rows, schema=as_map)

    expected = SHARED.validate(documents(iso))

    assert [] == expected.rejected.to_pylist()
    for other in (text_columns(csv), decoded("columns", typed), decoded("columns", mapped)):
        found = SHARED.validate(other)
        assert [] == found.rejected.to_pylist()
        assert expected.touchpoints.to_pylist() == found.touchpoints.to_pylist()
