"""Mistakes in a user's rules are the config's: all of them are listed before anything is read."""

import re

import pytest
from pydantic import ValidationError

from parcours.pipelines.config import ConfigError, load_config
from stores import config_of, file_source, write_toml

SOURCE = """
[[source]]
name = "web"
kind = "file"
format = "json"
path = "web.ndjson"
"""


@pytest.fixture
def mistakes(tmp_path):
    """Returns the mistakes of a config with these tables, by their key, as they are told."""
    (tmp_path / "web.ndjson").write_text("{}\n")
    path = tmp_path / "parcours.toml"

    def of(text):
        path.write_text(SOURCE + text, "utf-8")
        try:
            load_config([path], {}, {})
        except ConfigError as error:
            return {mistake.key: str(mistake) for mistake in error.mistakes}
        return {}

    return of


def test_every_mistake_is_listed_at_once(mistakes):
    """Relations, columns, bounds, patterns, conditions, queries, sources: each says what is allowed."""
    found = mistakes(
        """
[rule."web.campaign"]
on = "touchpoints"
kind = "not_null"
column = "campaign"
[rule.relation]
on = "touchpoint"
kind = "not_null"
column = "campaign"
[rule.column]
on = "touchpoints"
kind = "in_set"
column = "chanel"
values = ["site"]
[rule.number]
on = "touchpoints"
kind = "in_set"
column = "score"
values = ["1"]
[rule.pattern]
on = "touchpoints"
kind = "regex"
column = "product"
pattern = "(auto"
[rule.bound]
on = "touchpoints"
kind = "range"
column = "value"
min = "10"
max = inf
[rule.time]
on = "touchpoints"
kind = "range"
column = "occurred_at"
min = "last week"
max = 3
[rule.turned]
on = "touchpoints"
kind = "range"
column = "occurred_at"
min = "2025-02-01"
max = "2025-01-31T00:00:00Z"
[rule.text_range]
on = "touchpoints"
kind = "range"
column = "channel"
min = 1
[rule.condition]
on = "touchpoints"
kind = "condition"
condition = "valeu > 1"
where = "channel ="
[rule.not_given]
on = "touchpoints"
kind = "condition"
condition = "medium = 'digital'"
severity = "reject"
[rule.derived]
on = "journeys"
kind = "not_null"
column = "ended_by"
severity = "reject"
[rule.several]
on = "touchpoints"
kind = "unique"
columns = ["event_id", "evnt_type"]
severity = "reject"
[rule.target]
on = "contracts"
kind = "reference"
column = "contract_id"
to = "ref_contract.contract_id"
[rule.target_column]
on = "contracts"
kind = "reference"
column = "contract_id"
to = "ref_contracts.contractid"
[rule.types]
on = "contracts"
kind = "order"
before = "signed_at"
after = "currency"
[rule.fresh]
on = "touchpoints"
kind = "freshness"
within = "6 parsecs"
[rule.fresh_source]
on = "touchpoints"
kind = "freshness"
within = "6h"
source = "wbe"
[rule.fresh_on]
on = "journeys"
kind = "freshness"
within = "6h"
[rule.volume]
on = "ref_spend"
kind = "volume"
[rule.volume_time]
on = "touchpoints"
kind = "volume"
time = "channel"
[rule.share]
on = "touchpoints"
kind = "share"
column = "channel"
value = "site"
min = 5
[rule.complete]
on = "touchpoints"
kind = "completeness"
column = "campaign"
min = 0.5
by = "chanel"
[rule.groups]
on = "touchpoints"
kind = "completeness"
column = "campaign"
min = 0.5
by = "customer_id"
[rule.query]
on = "touchpoints"
kind = "sql"
sql = "SELECT event_id FROM touchpoint"
[rule.statement]
on = "touchpoints"
kind = "sql"
sql = "DELETE FROM touchpoints"
[gate]

every = "often"
"""
    )
    expected = {
        "rule > web.campaign": "snake_case",
        "rule > relation > on": 'did you mean "touchpoints"',
        "rule > column > column": 'did you mean "channel"',
        "rule > number > column": "is a DOUBLE and not a text: use a range or a condition",
        "rule > pattern > pattern": "missing",
        "rule > bound > min": "write a finite number",
        "rule > bound > max": "write a finite number",
        "rule > time > min": 'write a time, as "2025-01-31"',
        "rule > time > max": 'write a time, as "2025-01-31"',
        "rule > turned > min": "min is more than max",
        "rule > text_range > column": "is a VARCHAR, neither a number nor a time",
        "rule > condition > condition": 'did you mean "value"',
        "rule > condition > where": "it ends too early",
        "rule > not_given > condition": '"medium" is no column of touchpoints that a record gives',
        "rule > derived > on": "only records that are loaded can be rejected",
        "rule > several": "would depend on the order of arrival",
        "rule > target > to": 'did you mean "ref_contracts"',
        "rule > target_column > to": 'did you mean "contract_id"',
        "rule > types > before": "the store cannot be asked for it",
        "rule > fresh > within": "is not a duration",
        "rule > fresh_source > source": 'did you mean "web"',
        "rule > fresh_on > on": "freshness is of the events of a source",
        "rule > volume": "name a column with time (allowed: day, valid_from)",
        "rule > volume_time > time": "channel is a VARCHAR, and not a time or a day",
        "rule > share > min": "a share is a number from 0 to 1",
        "rule > complete > by": 'did you mean "channel"',
        "rule > groups > by": "no id of a person",
        "rule > query > sql": "touchpoint does not exist",
        "rule > statement > sql": "write a single SELECT",
        "gate > every": "is not a duration",
    }
    for key, words in expected.items():
        assert words in found.get(key, "it is not there"), (key, found.get(key))
    assert set(expected) == set(found)


def test_figures_of_the_gate(mistakes):
    """A figure that there is not is told with the near spelling; so is one without a relation."""
    assert 'did you mean "csat"' in mistakes('[gate]\nfigures = ["csta"]')["gate > figures"]
    told = mistakes('[gate]\nfigures = ["csat"]\n[kpi]\nfigures = ["nps"]')["gate > figures"]
    assert "[kpi] figures leaves it out" in told
    assert {} == mistakes('[gate]\nfigures = ["csat", "stage_conversion"]')


def test_rules_that_are_right(mistakes):
    """A rule of each kind, on stored relations, views and figures, is no mistake."""
    kinds = {
        "not_null": 'on = "touchpoints"\ncolumn = "stage"\nseverity = "reject"',
        "in_set": 'on = "ref_customers"\ncolumn = "region"\nvalues = ["idf"]\nseverity = "reject"',
        "regex": 'on = "claims_now"\ncolumn = "claim_id"\npattern = "C[0-9]+"',
        "range": 'on = "kpi_csat"\ncolumn = "value"\nmin = 0\nmax = 1\nwhere = "n > 10"',
        "condition": 'on = "ref_spend"\ncondition = "amount >= 0"\nseverity = "reject"',
        "unique": 'on = "ref_customers"\ncolumns = ["customer_id", "valid_from"]',
        "reference": 'on = "touchpoints"\ncolumn = "customer_id"\nto = "ref_customers.customer_id"',
        "order": 'on = "claims_now"\nbefore = "opened_at"\nafter = "closed_at"\nseverity = "stop"',
        "freshness": 'on = "touchpoints"\nwithin = "6h"',
        "volume": 'on = "ref_spend"\ntime = "day"\nwhere = "channel = \'site\'"',
        "share": 'on = "touchpoints"\ncolumn = "is_direct"\nvalue = "true"\nmax = 0.5',
        "completeness": 'on = "touchpoints"\ncolumn = "campaign"\nmin = 0.1',
        "sql": 'on = "journeys"\nsql = "SELECT journey_id FROM journeys_at(now()::TIMESTAMP) -- all"',
    }
    text = "".join(f'[rule.a_{kind}]\nkind = "{kind}"\n{keys}\n' for kind, keys in kinds.items())
    assert {} == mistakes(text)


def test_a_config_that_is_shown_can_be_read_again(tmp_path):
    """Keys of other kinds, which have their defaults there, are no mistake; any other value is."""
    rules = {
        "fresh": {"on": "touchpoints", "kind": "freshness", "within": "6h"},
        "given": {"on": "touchpoints", "kind": "not_null", "column": "campaign", "severity": "reject"},
    }
    (tmp_path / "web.ndjson").write_text("{}\n")
    config = config_of(tmp_path / "store.duckdb", file_source(tmp_path / "web.ndjson"), rule=rules)
    assert config.rule == load_config([write_toml(config, tmp_path)], {}, {}).rule
    with pytest.raises(ValidationError, match="has no weeks"):
        config_of(tmp_path / "store.duckdb", rule={"given": rules["given"] | {"weeks": 4}})


def test_a_condition_speaks_of_the_row(mistakes):
    """One that names no column is true of every row, or of none."""
    found = mistakes(
        '[rule.r]\non = "touchpoints"\nkind = "condition"\ncondition = "1 = 2"\nseverity = "reject"'
    )
    assert "names no column of touchpoints" in found["rule > r > condition"]


def test_a_figure_that_is_wrong_itself(mistakes):
    """Of a rule on its relation nothing is said: the figure's mistake is."""
    figure = """
[figure.calls]
phase = "service"
kind = "count"
unit = "count"
label = { en = "Calls", fr = "Appels" }
explanation = { en = "Calls.", fr = "Appels." }
numerator = "calls"
rows = "SELECT nothing FROM touchpoints"
[rule.r]
on = "kpi_calls"
kind = "not_null"
column = "value"
"""
    found = mistakes(figure)
    assert {"figure > calls > rows"} == set(found), found


def test_a_mistake_elsewhere_hides_none_of_a_rule(mistakes):
    """Where another table is wrong, what is wrong with a rule is told all the same."""
    found = mistakes('[journey]\nunit = "x"\n[rule.r]\non = "visit"\nkind = "not_null"\ncolumn = "channel"')
    assert {"journey > unit", "rule > r > on"} == set(found)
    assert re.search("visits", found["rule > r > on"])
