"""The one list of row rules: what it promises to people and to the filter."""

from parcours.quality.rules import row_rules
from parcours.schemas.config import Validation
from parcours.schemas.touchpoint import FIELDS, REASONS

RULES = row_rules(Validation())


def test_every_rule_has_its_own_name_a_known_reason_and_a_field():
    """A rule is found by its name; its reason is one that the quarantine knows; its field is one of ours."""
    assert len(RULES) == len({rule.name for rule in RULES})
    assert {rule.reason for rule in RULES} <= set(REASONS)
    assert {rule.field for rule in RULES} <= {*FIELDS.names, "record"}


def test_every_reason_that_validation_may_give_has_a_rule():
    """All reasons but those of decoding, of user-declared rules and of conflicts have a rule."""
    decoding = {"undecodable", "encoding", "unknown_schema", "schema_mismatch", "too_large"}

    assert set(REASONS) - decoding - {"rule_failed", "conflicting_duplicate"} == {
        rule.reason for rule in RULES
    }


def test_sentences_show_the_value_in_both_languages_or_in_neither():
    """English and French say the same: both name the field, and show the value where there is one."""
    for rule in RULES:
        assert ("{value}" in rule.english) == ("{value}" in rule.french) == (rule.value != "NULL"), rule.name
        assert rule.english != rule.french
        if rule.field != "record":
            assert rule.field in rule.english
            assert rule.field in rule.french
