"""The row filter and the suites are made of one list of rules: on data that nobody filtered, they agree."""

import random
from collections import defaultdict
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from decoded_batches import GOOD, documents, source, text_columns

from parcours.quality.standing import StandingRule
from parcours.quality.suites import run_suites
from parcours.schemas.config import Config
from parcours.transforms.validate import Validator

SETS = 100
ROWS = 25

RECEIVED = datetime(2025, 6, 1, tzinfo=UTC)

OWN_RULES = {
    "product_given": {"kind": "not_null", "column": "product", "where": "event_type = 'purchase'"},
    "our_channels": {"kind": "in_set", "column": "channel", "values": ["site", "mail", "branch", "x" * 200]},
    "contract_like_ours": {"kind": "regex", "column": "contract_id", "pattern": r"K-\d{3}"},
    "small_value": {"kind": "range", "column": "value", "min": -100, "max": 5000.5},
    "cost_below_value": {"kind": "condition", "condition": "cost <= value OR currency = 'CHF'"},
}
"""A user's rules that reject: one of each kind that may."""

LONG = "x" * 200
FULL = {
    **GOOD,
    "anonymous_id": "D1",
    "stage": "purchase",
    "product": "car",
    "contract_id": "K-001",
    "value": 12.5,
    "currency": "EUR",
    "cost": 1,
    "survey": "nps",
    "score": 9,
    "consent": ["email"],
    "attributes": {"plan": "gold"},
}
"""A record with all that is varied, so that all batches have the same columns."""

FAULTS = {
    "event_id": [None, "", {"a": 1}, ["b"], LONG],
    "occurred_at": [None, "yesterday", "1998-01-01T00:00:00Z", "2150-01-01T00:00:00Z", "2025-06-09", 174108],
    "customer_id": [None, "anon:1", LONG, {"id": 1}, "0"],
    "anonymous_id": [None, LONG, "null"],
    "event_type": [None, "", [1], "purchase"],
    "stage": [None, "puchase", 3, {"stage": "purchase"}],
    "channel": [None, "post", ["site"], LONG],
    "product": [None, "home", {"name": "car"}],
    "contract_id": [None, "k-1", "K-12\n", LONG, 123],
    "value": [None, "abc", "nan", "1e30", -5, 5000.5, 5000.51, "1 000", True],
    "currency": [None, "eur", "CHF", "ZZZ"],
    "cost": [None, "free", 13, float(10**15), "-Infinity"],
    "survey": [None, "nsp", "csat", 5],
    "score": [None, 11, 2.5, "good", "inf", -1],
    "consent": [None, "email", {"email": True}, [1, 2], "[broken"],
    "attributes": [None, "gold", [], [{"key": "a", "value": "b"}], [1]],
}  # fmt: skip
"""By field, what may be wrong with it, and some odd things that are right."""


def data_sets(seed):
    """Generate data sets, a list of records each: right ones, and ones with up to five faults at once."""
    rng = random.Random(seed)
    for _ in range(SETS // 2):
        records = [dict(FULL)]
        while len(records) < ROWS:
            record = {**FULL, "event_id": f"e{len(records)}"}
            for field in rng.sample(list(FAULTS), rng.choice([0, 0, 1, 1, 2, 5])):
                record[field] = rng.choice(FAULTS[field])
            records.append(record)
        yield records


class EveryRow(Validator):
    """A validator that rejects nothing: it keeps what the filter's rules are judged over."""

    def _query(self, mapped, rules):
        return f"SELECT * FROM {self._unjudged(mapped)}"

    def rows(self, decoded):
        """Return every row, mapped, with all columns that rules may name."""
        judged = [rows for part in decoded.parts for rows, _ in self._judge(decoded, part)]
        return pa.concat_tables(judged, promote_options="permissive")


def suite(rules, relation):
    """Return the filter's rules as they are asked of a relation."""
    return [
        StandingRule(
            name=rule.name,
            relation=relation,
            kind="condition",
            severity="stop",
            owner=rule.owner,
            english=rule.english,
            french=rule.french,
            failing=f"SELECT id FROM {relation} WHERE {rule.broken}",
            observed=None,
            expected="0 rows",
            native=None,
        )
        for rule in rules
    ]


@pytest.mark.parametrize("shape", [documents, text_columns], ids=["documents", "texts"])
def test_the_filter_and_the_suites_agree_on_every_row(shape, tmp_path):
    """A row is rejected if and only if an expectation names it; the filter's rule is the first of these."""
    config = Config.model_validate(
        {
            "rule": {
                name: {**rule, "on": "touchpoints", "severity": "reject"} for name, rule in OWN_RULES.items()
            }
        }
    )
    format_ = {documents: "json", text_columns: "csv"}[shape]
    row_filter = Validator(source(format=format_), config)
    every_row = EveryRow(source(format=format_), config)
    filtered, unfiltered = {}, []
    for number, records in enumerate(data_sets(shape.__name__)):
        batch = shape(records, RECEIVED)
        judged = row_filter.validate(batch)
        rejected = judged.rejected.select(["source_offset", "rule"]).to_pylist()
        places = {offset: place for place, offset in enumerate(batch.source.records["offset"].to_pylist())}
        filtered[number] = {places[row["source_offset"]]: row["rule"] for row in rejected}
        assert len(records) == judged.touchpoints.num_rows + len(rejected)
        rows = every_row.rows(batch)
        ids = [f"{number}:{row}" for row in rows["row"].to_pylist()]
        unfiltered.append(rows.append_column("id", pa.array(ids)))
    with duckdb.connect(str(tmp_path / "rows.duckdb")) as connection:
        connection.register("unfiltered", pa.concat_tables(unfiltered, promote_options="permissive"))
        connection.execute("CREATE TABLE mapped AS FROM unfiltered")
        assert [(SETS // 2 * ROWS,)] == connection.execute("SELECT count(DISTINCT id) FROM mapped").fetchall()
        rules = suite(row_filter._rules, "mapped")
        findings = run_suites(connection, rules, tmp_path / "quality", name="agreement")
        named = defaultdict(lambda: defaultdict(list))
        for finding in findings:
            ids = [row[0] for row in connection.execute(finding.rule.failing).fetchall()]
            assert (None, len(ids)) == (finding.error, finding.failed), finding.rule.name
            assert tuple(sorted(ids)[:10]) == finding.sample
            for place in ids:
                number, row = map(int, place.split(":"))
                named[number][row].append(finding.rule.name)
    for number, expected in filtered.items():
        assert expected == {row: names[0] for row, names in named[number].items()}, f"data set {number}"
    broken = {finding.rule.name for finding in findings if not finding.passed}
    assert set(OWN_RULES) <= broken
    assert len(broken) > 30
    assert max(len(names) for rows in named.values() for names in rows.values()) >= 5
