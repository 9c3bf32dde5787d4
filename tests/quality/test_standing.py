"""Rules over the store: of each kind one planted fault is found, named and counted, and clean data passes."""

from datetime import datetime

import duckdb
import pytest

from parcours.quality.standing import checked_rows, standing_rules
from parcours.schemas.config import Config

NOW = datetime(2025, 4, 1, 6)

STORE = """
CREATE TABLE touchpoints AS
SELECT
    'e' || n AS event_id,
    TIMESTAMP '2025-01-01 23:30:00' + to_hours(4 * n) AS occurred_at,
    if(n % 6 < 4, 'site', 'shop') AS channel,
    'spring' AS campaign,
    'auto' AS product,
    'purchase' AS stage,
    'purchase' AS stage_given,
    CAST(n % 100 AS DECIMAL(18, 4)) AS value,
    'C' || n % 3 AS customer_id,
    if(n % 6 = 0, 'crm', 'web') AS source_name,
    n AS source_offset
FROM range(535) AS rows(n);
CREATE TABLE ref_customers AS
SELECT 'C' || n AS customer_id, NULL::TIMESTAMP AS valid_from FROM range(3) AS rows(n);
CREATE TABLE claims AS SELECT
    'K' || n AS claim_id,
    TIMESTAMP '2025-01-01' + to_days(n) AS first_at,
    first_at AS opened_at,
    [first_at, first_at + INTERVAL 1 DAY] AS closed_at
FROM range(9) AS rows(n);
CREATE TABLE quotes AS SELECT 'Q' || n AS quote_id, first_at AS quoted_at, first_at AS bound_at FROM
    (SELECT n, TIMESTAMP '2025-01-01' + to_days(n) AS first_at FROM range(9) AS rows(n));
CREATE TABLE ref_spend AS
SELECT DATE '2025-01-01' + CAST(n AS INTEGER) AS day FROM range(80) AS rows(n);
"""

TOUCHPOINTS = {"on": "touchpoints"}
FRESH = {**TOUCHPOINTS, "kind": "freshness", "within": "11h"}
VOLUME = {**TOUCHPOINTS, "kind": "volume"}

CASES = {
    "not_null": (
        {**TOUCHPOINTS, "kind": "not_null", "column": "campaign"},
        "UPDATE touchpoints SET campaign = NULL WHERE event_id = 'e7'",
        ["e7"],
    ),
    "not_null where": (
        {**TOUCHPOINTS, "kind": "not_null", "column": "campaign", "where": "channel = 'site'"},
        "UPDATE touchpoints SET campaign = NULL WHERE event_id IN ('e4', 'e6')",
        ["e6"],
    ),
    "in_set": (
        {**TOUCHPOINTS, "kind": "in_set", "column": "channel", "values": ["site", "shop"]},
        "UPDATE touchpoints SET channel = nullif('Site', event_id) WHERE event_id = 'e7'",
        ["e7"],
    ),
    "regex": (
        {**TOUCHPOINTS, "kind": "regex", "column": "product", "pattern": "[a-z]+"},
        "UPDATE touchpoints SET product = 'auto ' WHERE event_id = 'e7'",
        ["e7"],
    ),
    "range": (
        {**TOUCHPOINTS, "kind": "range", "column": "value", "min": 0, "max": 99},
        "UPDATE touchpoints SET value = 99.0001 WHERE event_id = 'e7'",
        ["e7"],
    ),
    "range of times": (
        {**TOUCHPOINTS, "kind": "range", "column": "occurred_at", "min": "2025-01-02T00:30:00+01:00"},
        "UPDATE touchpoints SET occurred_at = TIMESTAMP '2025-01-01 23:29:59' WHERE event_id = 'e7'",
        ["e7"],
    ),
    "condition": (
        {**TOUCHPOINTS, "kind": "condition", "condition": "value < 100 OR product = 'home'"},
        "UPDATE touchpoints SET value = 100 WHERE event_id = 'e7'",
        ["e7"],
    ),
    "a rule that rejects": (
        {**TOUCHPOINTS, "kind": "not_null", "column": "stage", "severity": "reject"},
        "UPDATE touchpoints SET stage = NULL;UPDATE touchpoints SET stage_given = NULL WHERE event_id = 'e7'",
        ["e7"],
    ),
    "unique": (
        {**TOUCHPOINTS, "kind": "unique", "columns": ["event_id"]},
        "UPDATE touchpoints SET event_id = 'e8' WHERE event_id = 'e7'",
        ["e8", "e8"],
    ),
    "unique of several": (
        {**TOUCHPOINTS, "kind": "unique", "columns": ["source_name", "source_offset"]},
        "UPDATE touchpoints SET source_offset = 8 WHERE event_id IN ('e6', 'e7');"
        "UPDATE touchpoints SET source_offset = NULL WHERE event_id IN ('e20', 'e21')",
        ["e7", "e8"],
    ),
    "reference": (
        {**TOUCHPOINTS, "kind": "reference", "column": "customer_id", "to": "ref_customers.customer_id"},
        "UPDATE touchpoints SET customer_id = 'C9' WHERE event_id = 'e7';"
        "UPDATE touchpoints SET customer_id = NULL WHERE event_id = 'e8'",
        ["e7"],
    ),
    "order": (
        {"on": "quotes", "kind": "order", "before": "quoted_at", "after": "bound_at"},
        "UPDATE quotes SET bound_at = quoted_at - INTERVAL 1 SECOND WHERE quote_id = 'Q3';"
        "UPDATE quotes SET bound_at = NULL WHERE quote_id = 'Q4'",
        ["Q3"],
    ),
    "order of a list": (
        {"on": "claims", "kind": "order", "before": "opened_at", "after": "closed_at"},
        "UPDATE claims SET opened_at = opened_at + INTERVAL 1 SECOND WHERE claim_id = 'K3'",
        ["K3"],
    ),
    "freshness": (
        FRESH | {"source": "web"},
        "DELETE FROM touchpoints WHERE source_name = 'web' AND occurred_at > '2025-03-31 19:00:00'",
        ["web"],
    ),
    "freshness of each": (
        FRESH | {"within": "1d"},
        "DELETE FROM touchpoints WHERE source_name = 'crm'",
        ["crm"],
    ),
    "volume": (
        VOLUME,
        "DELETE FROM touchpoints WHERE occurred_at = TIMESTAMP '2025-03-30 23:30:00'",  # in Paris the 31st
        ["2025-03-31"],
    ),
    "volume by day": (
        {"on": "ref_spend", "kind": "volume", "time": "day", "deviations": 2, "weeks": 3},
        "INSERT INTO ref_spend VALUES (DATE '2025-03-20')",
        ["2025-03-20"],
    ),
    "share": (
        {**TOUCHPOINTS, "kind": "share", "column": "channel", "value": "shop", "min": 0.3, "max": 0.4},
        "UPDATE touchpoints SET channel = 'fax' WHERE channel = 'shop' AND source_offset > 60",
        ["channel = shop"],
    ),
    "completeness": (
        {**TOUCHPOINTS, "kind": "completeness", "column": "campaign", "min": 0.9},
        "UPDATE touchpoints SET campaign = NULL WHERE channel = 'shop' AND source_offset > 400",
        ["shop"],
    ),
    "sql": (
        {
            **TOUCHPOINTS,
            "kind": "sql",
            "sql": "SELECT customer_id, count(*) FROM touchpoints GROUP BY 1 HAVING count(*) < 170; ",
        },
        "DELETE FROM touchpoints WHERE customer_id = 'C2' AND source_offset > 400",
        ["C2"],
    ),
}


@pytest.fixture(scope="module")
def store():
    """A small clean store, open."""
    with duckdb.connect() as connection:
        connection.execute(STORE)
        yield connection


def rule_of(record, **tables):
    """The standing rule of one record of a config with two sources."""
    source = {"kind": "file", "format": "csv", "path": "x"}
    given = {"rule": {"r": record}, "source": [{**source, "name": "web"}, {**source, "name": "crm"}]}
    return standing_rules(Config.model_validate(given | tables), now=NOW, relations=())[0]


def found(store, rule):
    """The ids of what breaks a rule, and what is observed."""
    ids = [row[0] for row in store.execute(f"SELECT id FROM ({rule.failing}) ORDER BY id").fetchall()]
    return ids, rule.observed and store.execute(rule.observed).fetchall()[0][0]


@pytest.mark.parametrize("case", CASES)
def test_one_planted_fault_is_found(store, case):
    """Clean data passes; the one fault is found by its id, and nothing else is."""
    record, fault, ids = CASES[case]
    rule = rule_of(record)
    assert [] == found(store, rule)[0]
    store.begin()
    try:
        store.execute(fault)
        assert ids == found(store, rule)[0]
    finally:
        store.rollback()


def test_what_is_observed_and_expected(store):
    """Kinds of which the number of failures says little say what was measured."""
    told = {
        name: (rule.expected, found(store, rule)[1])
        for name in ("unique", "freshness of each", "volume", "volume by day", "share", "completeness")
        for rule in [rule_of(CASES[name][0])]
    }
    assert {
        "unique": ("0 rows", None),
        "freshness of each": (
            "an event after 2025-03-31 06:00:00",
            "web: 2025-03-31 19:30:00; crm: 2025-03-31 23:30:00",
        ),
        "volume": (
            "the mean of that weekday, within 3 standard deviations",
            "2025-03-31: 6 rows; 6.0 in the mean of 8 weeks, standard deviation 0.0",
        ),
        "volume by day": (
            "the mean of that weekday, within 2 standard deviations",
            "2025-03-20: 1 rows; 1.0 in the mean of 3 weeks, standard deviation 0.0",
        ),
        "share": ("from 30 % to 40 %", "33.27 %"),
        "completeness": ("at least 90 % of each channel", "shop: 100.0 %"),
    } == told


def test_little_past_and_empty_relations_pass(store):
    """Fewer than three days to compare with, no rows, no event: a volume and a share say nothing then."""
    store.begin()
    try:
        store.execute("DELETE FROM touchpoints WHERE occurred_at < TIMESTAMP '2025-03-10'")
        assert ([], "too little past") == found(store, rule_of(VOLUME))
        store.execute("DELETE FROM touchpoints")
        assert ([], "too little past") == found(store, rule_of(VOLUME))
        assert ([], "no rows") == found(store, rule_of(CASES["share"][0]))
        assert ([], "no rows") == found(store, rule_of(CASES["completeness"][0]))
        assert (["crm", "web"], "crm: no event; web: no event") == found(store, rule_of(FRESH))
    finally:
        store.rollback()


def test_a_day_without_rows_counts(store):
    """The last whole day may have no rows at all, and so may days of the past."""
    west = rule_of(CASES["volume by day"][0], kpi={"time_zone": "America/New_York"})
    assert found(store, west)[1].startswith("2025-03-20: 1 rows"), (
        "a day is one wherever it is looked at from"
    )
    store.begin()
    try:
        day = "CAST(occurred_at AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Paris' AS DATE)"
        store.execute(f"DELETE FROM touchpoints WHERE {day} = DATE '2025-03-31'")
        assert ["2025-03-31"] == found(store, rule_of(VOLUME))[0]
        store.execute(f"DELETE FROM touchpoints WHERE {day} = DATE '2025-03-24'")
        assert [] == found(store, rule_of(VOLUME))[0]
    finally:
        store.rollback()


def test_native_expectations_are_those_that_mean_the_same():
    """A rule that judges some rows only, or reads the stage as given, has none."""
    natives = {name: rule_of(record).native for name, (record, _, _) in CASES.items()}
    assert {
        "not_null": ("ExpectColumnValuesToNotBeNull", {"column": "campaign"}),
        "in_set": ("ExpectColumnValuesToBeInSet", {"column": "channel", "value_set": ["site", "shop"]}),
        "range": ("ExpectColumnValuesToBeBetween", {"column": "value", "min_value": 0, "max_value": 99}),
        "unique": ("ExpectColumnValuesToBeUnique", {"column": "event_id"}),
        "order": (
            "ExpectColumnPairValuesAToBeGreaterThanB",
            {
                "column_A": "bound_at",
                "column_B": "quoted_at",
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
            },
        ),
    } == {name: native for name, native in natives.items() if native}


def test_severity_owner_and_sentences():
    """The user's words stand; where there are none, both languages are made of the rule."""
    own = rule_of(
        {**VOLUME, "severity": "stop", "owner": "data", "english": "as ever", "french": "comme toujours"}
    )
    assert ("stop", "data", "as ever", "comme toujours") == (own.severity, own.owner, own.english, own.french)
    rejecting = rule_of(CASES["a rule that rejects"][0])
    assert ("warn", "", "every row has stage", "chaque ligne a stage") == (
        rejecting.severity,
        rejecting.owner,
        rejecting.english,
        rejecting.french,
    )
    for name, (record, _, _) in CASES.items():
        rule = rule_of(record)
        assert rule.english != rule.french, name
        assert "None" not in rule.english + rule.french, name


def test_the_rows_that_are_computed_for_a_check():
    """All rows of a view; of stage conversion the totals by month, unless a rule of a user reads it."""
    config = Config.model_validate(
        {"rule": {"r": {"on": "runs", "kind": "sql", "sql": "SELECT n FROM kpi_stage_conversion"}}}
    )
    rules = standing_rules(config, now=NOW, relations={"kpi_stage_conversion"})
    assert "FROM \"kpi_stage_conversion\" WHERE grain = 'month' AND dimensions = ['total']" == checked_rows(
        "kpi_stage_conversion", rules[:-1]
    )
    assert 'FROM "kpi_stage_conversion"' == checked_rows("kpi_stage_conversion", rules)
    assert 'FROM "kpi_csat"' == checked_rows("kpi_csat", rules)
