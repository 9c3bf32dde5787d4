"""Records of reference inputs become typed rows or rejected ones, JSON documents and typed columns alike."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from decoded_batches import decoded, documents, text_columns, validator

from parcours.quality.reference_rules import reference_rules
from parcours.schemas.references import REFERENCES
from parcours.schemas.touchpoint import REASONS, REJECTED

SHAPES = pytest.mark.parametrize("shape", [documents, text_columns])
GOOD = {
    "customers": {"customer_id": "C1"},
    "contracts": {"contract_id": "K1", "customer_id": "C1"},
    "aliases": {"id_type": "customer_id", "id": "C0", "customer_id": "C1"},
    "spend": {
        "day": "2025-03-01", "campaign": "spring", "channel": "search", "amount": 12, "currency": "EUR",
    },
    "events_held": {"event": "fair", "date": "2025-03-14", "channel": "event"},
    "indicators": {"name": "awareness", "month": "2025-03", "value": 31},
    "targets": {"kpi": "csat", "dimension": "total", "period": "2025", "value": 1, "direction": "up"},
}  # fmt: skip
TERM = {"effective_from": "2025-02-01", "effective_to": "2025-01-31"}
PREMIUM = {"annual_premium": "1", "currency": "EUR"}


def judge(loads, batch, **keys):
    """Validate a batch of one reference input; return valid and rejected rows."""
    result = validator(loads=loads, **keys).validate(batch)
    assert REFERENCES[loads].rows == result.touchpoints.schema
    assert REJECTED == result.rejected.schema
    assert batch.source.records.num_rows == result.touchpoints.num_rows + result.rejected.num_rows
    return result.touchpoints.to_pylist(), result.rejected.to_pylist()


REFUSED = {
    "a customer without id": ("customers", {"customer_id": None}, "missing_field", "customer_id"),
    "an ignored id": ("customers", {"customer_id": "undefined"}, "missing_field", "customer_id"),
    "a customer that is anonymous": ("customers", {"customer_id": "anon:1"}, "reserved_id", "customer_id"),
    "an id of 129": ("contracts", {"contract_id": "x" * 129}, "too_long", "contract_id"),
    "no such day": ("customers", {"member_since": "2025-02-29"}, "invalid_time", "member_since"),
    "a day as a number": ("customers", {"member_until": 20250228}, "wrong_type", "member_until"),
    "a time that is none": ("contracts", {"due_at": "soon"}, "invalid_time", "due_at"),
    "a valid_from that is none": ("aliases", {"valid_from": "always"}, "invalid_time", "valid_from"),
    "a year as a word": ("customers", {"birth_year": "MCMLXXX"}, "wrong_type", "birth_year"),
    "half a year": ("customers", {"birth_year": "1980.5"}, "wrong_type", "birth_year"),
    "no finite year": ("customers", {"birth_year": "NaN"}, "not_finite", "birth_year"),
    "a year of 20 digits": ("customers", {"birth_year": "9" * 20}, "wrong_type", "birth_year"),
    "no contract": ("contracts", {"contract_id": " "}, "missing_field", "contract_id"),
    "a contract of nobody": ("contracts", {"customer_id": None}, "missing_field", "customer_id"),
    "a premium in words": ("contracts", PREMIUM | {"annual_premium": "?"}, "wrong_type", "annual_premium"),
    "a premium alone": ("contracts", {"annual_premium": 1}, "pair_incomplete", "currency"),
    "a currency alone": ("contracts", {"currency": "EUR"}, "pair_incomplete", "annual_premium"),
    "no currency": ("contracts", PREMIUM | {"currency": "euro"}, "unknown_value", "currency"),
    "too much": ("contracts", PREMIUM | {"annual_premium": "1e14"}, "out_of_range", "annual_premium"),
    "no kind of id": ("aliases", {"id_type": None}, "missing_field", "id_type"),
    "another kind of id": ("aliases", {"id_type": "email"}, "unknown_value", "id_type"),
    "an alias of nothing": ("aliases", {"id": "0"}, "missing_field", "id"),
    "an alias of itself": ("aliases", {"id": "C1"}, "rule_failed", "id"),
    "a reserved alias": ("aliases", {"id": "anon:x"}, "reserved_id", "id"),
    "an end before its begin": ("contracts", TERM, "rule_failed", "effective_to"),
    "a premium below nothing": (
        "contracts", PREMIUM | {"annual_premium": "-0.01"}, "rule_failed", "annual_premium",
    ),
    "spent on no day": ("spend", {"day": None}, "missing_field", "day"),
    "spent on a day that is none": ("spend", {"day": "2025-02-30"}, "invalid_time", "day"),
    "spent on nothing": ("spend", {"campaign": ""}, "missing_field", "campaign"),
    "nothing spent": ("spend", {"amount": None}, "missing_field", "amount"),
    "an amount in words": ("spend", {"amount": "much"}, "wrong_type", "amount"),
    "francs by name": ("spend", {"currency": "francs"}, "unknown_value", "currency"),
    "an event on no day": ("events_held", {"date": " "}, "missing_field", "date"),
    "half a guest": ("events_held", {"headcount": 1.5}, "wrong_type", "headcount"),
    "fewer than nobody": ("events_held", {"headcount": -1}, "rule_failed", "headcount"),
    "a month's other day": ("indicators", {"month": "2025-03-02"}, "invalid_time", "month"),
    "a 13th month": ("indicators", {"month": "2025-13"}, "invalid_time", "month"),
    "an indicator of nothing": ("indicators", {"value": None}, "missing_field", "value"),
    "an indicator without end": ("indicators", {"value": "-Infinity"}, "not_finite", "value"),
    "an indicator beyond doubles": ("indicators", {"value": "1e999"}, "out_of_range", "value"),
    "an indicator in words": ("indicators", {"value": "high"}, "wrong_type", "value"),
    "a target elsewhere": ("targets", {"direction": "sideways"}, "unknown_value", "direction"),
    "a target of a row that is none": ("targets", {"dimension": "site"}, "rule_failed", "dimension"),
    "a target of half a row": ("targets", {"dimension": "channel=site,"}, "rule_failed", "dimension"),
    "attributes of texts": ("aliases", {"attributes": ["a"]}, "wrong_type", "attributes"),
}  # fmt: skip


@SHAPES
@pytest.mark.parametrize("case", REFUSED)
def test_every_rule_refuses_with_its_reason_and_field(case, shape):
    """A record that breaks one rule is rejected for that reason, and the sentence names the field."""
    loads, change, reason, field = REFUSED[case]
    good, (bad,) = judge(loads, shape([{**GOOD[loads], **change}]))
    assert [] == good
    assert (reason, field) == (bad["reason"], bad["field"])
    assert field in bad["message"]


KEPT = {
    "a day": ("customers", {"member_since": "2019-12-31"}, "member_since", date(2019, 12, 31)),
    "the day that it was in Paris": (
        "customers", {"member_since": "2019-12-31T23:30:00Z"}, "member_since", date(2020, 1, 1),
    ),
    "a year": ("customers", {"birth_year": 1980}, "birth_year", 1980),
    "a year as a spreadsheet has it": ("customers", {"birth_year": "1980,0"}, "birth_year", 1980),
    "midnight in Paris": (
        "contracts", {"effective_from": "2025-07-01"}, "effective_from", datetime(2025, 6, 30, 22),
    ),
    "an end that is none": ("contracts", {"effective_to": "9999-12-31"}, "effective_to",
                            datetime(9999, 12, 30, 23)),
    "an instant": ("contracts", {"due_at": "2025-07-01T10:00:00Z"}, "due_at", datetime(2025, 7, 1, 10)),
    "a premium as people write it": (
        "contracts", PREMIUM | {"annual_premium": "1 234,505"}, "annual_premium", Decimal("1234.5050"),
    ),
    "since ever": ("contracts", {}, "valid_from", None),
    "a device that is called as its customer": (
        "aliases", {"id_type": "anonymous_id", "id": "C1"}, "id", "C1",
    ),
    "a contract of no time": (
        "contracts", TERM | {"effective_to": "2025-02-01"}, "effective_to", datetime(2025, 1, 31, 23),
    ),
    "money that came back": ("spend", {"amount": "-1 000,5"}, "amount", Decimal("-1000.5000")),
    "a month": ("indicators", {}, "month", date(2025, 3, 1)),
    "a month by its first day": ("indicators", {"month": "2025-03-01"}, "month", date(2025, 3, 1)),
    "a month in Paris": ("indicators", {"month": "2025-02-28T23:00:00Z"}, "month", date(2025, 3, 1)),
    "a number with a comma": ("indicators", {"value": "0,315"}, "value", 0.315),
    "nobody counted": ("events_held", {}, "headcount", None),
    "guests": ("events_held", {"headcount": "1 200"}, "headcount", 1200),
    "a target of one row": (
        "targets", {"dimension": "channel=site,product=auto"}, "dimension", "channel=site,product=auto",
    ),
    "an unknown field": ("aliases", {"origin": "CRM"}, "attributes", [{"key": "origin", "value": "CRM"}]),
}  # fmt: skip


@SHAPES
@pytest.mark.parametrize("case", KEPT)
def test_values_are_read_as_the_source_writes_them(case, shape):
    """Decimal commas, days and times without offset are those of the source's country."""
    loads, change, field, expected = KEPT[case]
    batch = shape([{**GOOD[loads], **change}])
    (good,), bad = judge(loads, batch, decimal_mark=",", time_zone="Europe/Paris")
    assert [] == bad
    assert expected == good[field]
    assert ("web", "visits.ndjson", 3, 100) == tuple(
        good[name] for name in ("source_name", "source_topic", "source_partition", "source_offset")
    )


PERIODS = {
    **dict.fromkeys(("2025", "2025-Q1", "2025-12", "2025-W01", "2026-W53", "2024-02-29"), True),
    **dict.fromkeys(("25", "2025-Q5", "2025-13", "2025-00", "2025-W00", "2025-W53", "2025-W5"), False),
    **dict.fromkeys(("2025-02-29", "2025-3", "2025-3-1", "Q1 2025", "2025-03-01T00:00", "0999"), False),
}


def test_a_target_s_period_is_one_of_the_calendar():
    """Years, quarters, months, ISO weeks and days that there are; the 53rd week only where a year has one."""
    good, bad = judge("targets", documents([GOOD["targets"] | {"period": period} for period in PERIODS]))
    assert {period for period, right in PERIODS.items() if right} == {row["period"] for row in good}
    assert {period for period, right in PERIODS.items() if not right} == {row["value"] for row in bad}
    assert {("rule_failed", "period.known")} == {(row["reason"], row["rule"]) for row in bad}


def test_a_month_in_the_source_s_own_format():
    """A pattern for dates serves months too, and then it alone does."""
    rows = [GOOD["indicators"] | {"month": month} for month in ("03/2025", "2025-03")]
    (good,), (bad,) = judge("indicators", documents(rows), date_format="%m/%Y")
    assert date(2025, 3, 1) == good["month"]
    assert ("invalid_time", "2025-03") == (bad["reason"], bad["value"])


def test_typed_columns_need_no_reading():
    """Dates, instants, numbers and decimals that the format itself types come out as they are."""
    instant = datetime(2025, 7, 1, 10, tzinfo=UTC)
    table = pa.table(
        {
            "contract_id": ["K1"],
            "customer_id": ["C1"],
            "effective_from": pa.array([date(2025, 7, 1)], pa.date32()),
            "due_at": pa.array([instant], pa.timestamp("us", "UTC")),
            "annual_premium": pa.array([Decimal("12.345")], pa.decimal128(9, 3)),
            "currency": ["EUR"],
        }
    )
    (contract,), _ = judge("contracts", decoded("columns", table), time_zone="Europe/Paris")
    assert datetime(2025, 6, 30, 22) == contract["effective_from"]
    assert instant.replace(tzinfo=None) == contract["due_at"]
    assert Decimal("12.3450") == contract["annual_premium"]
    table = pa.table(
        {
            "customer_id": ["C1"],
            "member_since": pa.array([date(2025, 7, 1)], pa.date32()),
            "member_until": pa.array([datetime(2025, 12, 31, 23, 30, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "birth_year": pa.array([1980], pa.int32()),
        }
    )
    (customer,), _ = judge("customers", decoded("columns", table), time_zone="Europe/Paris")
    assert (date(2025, 7, 1), date(2026, 1, 1)) == (customer["member_since"], customer["member_until"])
    assert 1980 == customer["birth_year"]


def test_a_mapping_translates_their_words():
    """Paths, constants, look-ups and null tokens serve reference inputs as they serve touchpoints."""
    keys = {
        "map": {
            "id_type": {"path": "kind", "lookup": {"device": "anonymous_id"}},
            "id": "what",
            "customer_id": ["who.new", "who.old"],
            "valid_from": {"path": "since", "nulls": ["-"]},
        }
    }
    (alias,), _ = judge(
        "aliases", documents([{"kind": "device", "what": "D1", "who": {"old": "C9"}, "since": "-"}]), **keys
    )
    assert ("anonymous_id", "D1", "C9") == (alias["id_type"], alias["id"], alias["customer_id"])
    assert alias["valid_from"] is None


@pytest.mark.parametrize("loads", REFERENCES)
def test_rules_say_what_to_do_in_both_languages(loads):
    """Each rule has a known reason, a name of its own, and a sentence in English and in French."""
    rules = reference_rules(REFERENCES[loads])
    assert len(rules) == len({rule.name for rule in rules})
    for rule in rules:
        assert rule.reason in REASONS
        assert rule.english and rule.french and rule.english != rule.french
