"""The difference between two configs' rules, in the words of the config."""

import pytest

from parcours.pipelines.rules import Change, RulesChangedError, change_lines, difference, rules_of
from parcours.schemas.config import Config


def changes(before, after):
    """What differs between two configs, as (key, before, after)."""
    texts = [rules_of(Config.model_validate(tables)) for tables in (before, after)]
    return [(change.key, change.before, change.after) for change in difference(*texts)]


def events(**named):
    """A config with these event types."""
    return {"taxonomy": {"events": named}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"kpi": {"week_start": "sunday"}}, {"validation": {"max_future": "1h"}}, []),
        ({}, {"journey": {"gap": "36h"}}, [("journey.gap", "400d", "36h")]),
        ({"journey": {"gap": "none"}}, {}, [("journey.gap", "none", "400d")]),
        ({"journey": {"gap": "48h"}}, {"journey": {"gap": "2d"}}, []),
        (
            {"journey": {"end_on": ["a"]}, "identity": {"max_customers_per_device": 2}},
            {"journey": {"end_on": ["a", "b"]}},
            [("identity.max_customers_per_device", 2, 3), ("journey.end_on", ["a"], ["a", "b"])],
        ),
        (
            events(quote={"stage": "purchase"}),
            events(quote={"roles": ["quote_created"]}),
            [
                ("taxonomy.events.quote.roles", [], ["quote_created"]),
                ("taxonomy.events.quote.stage", "purchase", None),
            ],
        ),
        (
            events(old={"stage": "service"}),
            events(**{"new one": {}}),
            [
                ('taxonomy.events."new one"', None, {}),
                ("taxonomy.events.old", {"stage": "service"}, None),
            ],
        ),
    ],
    ids=["none", "views", "gap", "no-gap", "same-gap", "lists", "keys", "added-and-removed"],
)
def test_difference(before, after, expected):
    """Each changed key is named by its TOML path, with what stood and what stands there."""
    assert expected == changes(before, after)


def test_lines():
    """People read a line a key; long lists and long differences are cut, with a count."""
    assert 'journey.end_on: [] -> ["a"]' == str(Change("journey.end_on", [], ["a"]))
    assert 'x: (none) -> { stage = "service" }' == str(Change("x", None, {"stage": "service"}))
    assert str(Change("x", [], [f"e{n}" for n in range(30)])).endswith('"e7", … 30 in all]')
    many = change_lines([Change(f"k{n}", 1, 2) for n in range(50)])
    assert ["k39: 1 -> 2", "and 10 more; --json has all of them"] == many[-2:]


def test_the_error_says_what_to_do():
    """Without a count of what would move, the difference and the ways out are said all the same."""
    error = RulesChangedError("a.duckdb", [Change("journey.gap", "400d", "1d")], None)
    assert '  journey.gap: "400d" -> "1d"' in str(error)
    assert "--apply-rules" in str(error)
    assert {"rule_changes": [{"key": "journey.gap", "before": "400d", "after": "1d"}], "moves": None} == (
        error.details
    )
