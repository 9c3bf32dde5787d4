"""The rules of a config that reject: part of the row filter of each source that loads their relation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parcours.quality.queries import broken
from parcours.quality.row_ids import identifier
from parcours.quality.rule import Rule
from parcours.quality.sentences import wrong
from parcours.schemas.config import Config
from parcours.schemas.references import REFERENCES, fields_of
from parcours.schemas.rule import Rule as UserRule

REJECTING = {"touchpoints": "touchpoints", **{entry.relation: name for name, entry in REFERENCES.items()}}
"""The relations that records are loaded into, each with what such a source ``loads``."""

_LATE = ("event_id", "attributes")
"""Fields that may be made of other than what is mapped to them: no mapping shows them to be empty."""

_WORDS = re.compile(r"""'[^']*'|"(?P<quoted>[^"]*)"|(?P<bare>[^\W\d]\w*)""")


def reject_rules(config: Config, loads: str) -> tuple[Rule, ...]:
    """Return the rules of a config that reject records, in its order, for the row filter.

    Args:
        config: its rules were found right.
        loads: what the source loads.
    """
    fields = fields_of(loads).names
    return tuple(
        _reject_rule(name, rule, fields)
        for name, rule in config.rule.items()
        if rule.severity == "reject" and REJECTING[rule.on] == loads
    )


def _reject_rule(name: str, rule: UserRule, fields: Sequence[str]) -> Rule:
    columns = [rule.column] if rule.column else columns_in(rule.condition or "", fields)
    field = columns[0] if len(columns) == 1 else "record"
    missing = rule.kind == "not_null"
    english, french = wrong(rule, field, shown=not missing)
    null_passes = rule.kind in ("in_set", "regex", "range") and rule.column not in _LATE
    return Rule(
        name=name,
        field=field,
        reason="rule_failed",
        broken=broken(rule),
        value="NULL" if missing else _value(columns),
        english=english,
        french=french,
        needs=rule.column if null_passes else None,
        owner=rule.owner,
    )


def columns_in(condition: str, fields: Sequence[str]) -> list[str]:
    """Return the fields that a condition names, in its order."""
    words = (found["quoted"] or found["bare"] or "" for found in _WORDS.finditer(condition))
    by_folded = {field.lower(): field for field in fields}
    return list(dict.fromkeys(by_folded[word.lower()] for word in words if word.lower() in by_folded))


def _value(columns: Sequence[str]) -> str:
    """Return the SQL of the offending value: of several columns, each with its name."""
    texts = [f"CAST({identifier(column)} AS VARCHAR)" for column in columns]
    if len(texts) == 1:
        return texts[0]
    named = (f"'{column} ' || coalesce({text}, 'null')" for column, text in zip(columns, texts, strict=True))
    return f"concat_ws(', ', {', '.join(named)})"
