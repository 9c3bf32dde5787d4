"""Rules over the store: what a check holds every relation against, the built-in rules and the user's.

The built-in rules are records like a user's, in ``built_in.toml``; those that stand for several rules (one a
figure, one a source) are spread here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from string import Template
from typing import Any, Literal

from parcours.quality import sentences
from parcours.quality.queries import Query, query_of
from parcours.quality.row_ids import identifier
from parcours.schemas.config import STAGES, Config
from parcours.schemas.literal import literal
from parcours.schemas.rule import Rule, RuleKind

OWNER = "parcours"
"""Who owns the built-in rules."""


@dataclass(frozen=True)
class StandingRule:
    """What must be true of a relation of the store.

    Attributes:
        name: of a built-in rule with a dot, as ``journeys.journey_id_unique``; of a user's without.
        relation: what it is about; the suite that it belongs to.
        kind: as a user's rule says it.
        severity: whether a failure warns or stops publication.
        owner: who is to be asked.
        english: what is right, in a sentence.
        french: the same in French.
        failing: SQL of the failures, one a row; its first column is ``id``, a VARCHAR.
        observed: SQL of one VARCHAR that says more than a number of rows; null: there is none.
        expected: what is right, beside what is observed.
        native: the expectation of Great Expectations that means exactly the same, with its arguments; null
            where there is none.
    """

    name: str
    relation: str
    kind: RuleKind
    severity: Literal["warn", "stop"]
    owner: str
    english: str
    french: str
    failing: str
    observed: str | None
    expected: str
    native: tuple[str, Mapping[str, Any]] | None


def standing_rules(config: Config, *, now: datetime, relations: Collection[str]) -> tuple[StandingRule, ...]:
    """Return the rules that a store is held against: the built-in ones, then the config's.

    Args:
        config: whose rules, limits, taxonomy and sources count.
        now: the instant that deliveries and freshness are measured from, UTC without a zone.
        relations: what the store has; a built-in rule about another is left out.
    """
    words = _words(config)
    found = [
        _built_in(name, record, {**words, **more}, config, now)
        for name, record, more in _spread(config, now)
        if _relation(name, record, more) in relations
    ]
    own = [
        _standing(name, rule, query_of(rule, config, now), rule.owner) for name, rule in config.rule.items()
    ]
    return (*found, *own)


def checked_rows(relation: str, rules: Sequence[StandingRule]) -> str:
    """Return the SQL of the rows of a view that rules are held against, to be computed once for all of them.

    All rows; but of stage conversion the totals by month, unless a user's rule reads it: every pair of stages
    by every dimension and grain takes minutes in a store of ten million touchpoints.
    """
    built_in = all("." in rule.name for rule in rules if relation in rule.failing)
    totals = " WHERE grain = 'month' AND dimensions = ['total']"
    return f"FROM {identifier(relation)}{totals if built_in and relation == 'kpi_stage_conversion' else ''}"


@cache
def _records() -> dict[str, dict[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("built_in.toml").read_text("utf-8"))


def _spread(config: Config, now: datetime) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Give each built-in rule with its name and what its texts say beside the config's words."""
    for name, record in _records().items():
        if name.startswith("kpi."):
            for figure in config.gate.figures:
                keys = "from_stage, to_stage" if figure == "stage_conversion" else ""
                yield f"kpi_{figure}.{name[4:]}", record, {"figure": figure, "more_keys": keys}
        elif name == "source.late":
            for source in config.source:
                if source.expected_every is not None:
                    since = f"{now - source.expected_every:%Y-%m-%d %H:%M:%S}"
                    told = {"source": source.name, "source_text": literal(source.name), "since": since}
                    yield f"source.{source.name}.late", record, told
        else:
            yield name, record, {}


def _relation(name: str, record: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return f"kpi_{words['figure']}" if "figure" in words else str(record.get("on", name.partition(".")[0]))


def _words(config: Config) -> dict[str, str]:
    """Return what the texts of built-in rules take from the config."""
    gate = config.gate
    shares = {
        source.name: source.quarantine_share
        for source in config.source
        if source.quarantine_share is not None
    }
    cases = " ".join(f"WHEN {literal(name)} THEN {share}" for name, share in shares.items())
    return {
        "stages": f"[{', '.join(map(literal, STAGES))}]",
        "min_time": f"{config.validation.min_time:%Y-%m-%d %H:%M:%S}",
        "event_types": ", ".join(map(literal, ["", *config.taxonomy.events])),
        "channels": ", ".join(map(literal, ["", *config.taxonomy.channels])),
        "least": str(gate.quarantine_least),
        "far_past": str(gate.far_past.total_seconds()),
        "far_past_text": f"{gate.far_past / timedelta(days=1):g}",
        "limit": f"CASE source {cases} ELSE {gate.quarantine_share} END"
        if cases
        else str(gate.quarantine_share),
        "limit_text": sentences.percent(gate.quarantine_share) + (", or its own share," if cases else ""),
    }


def _built_in(
    name: str, record: Mapping[str, Any], words: Mapping[str, str], config: Config, now: datetime
) -> StandingRule:
    told = {key: _filled(value, words) for key, value in record.items()}
    observed, expected, counted = (told.pop(key, None) for key in ("observed", "expected", "counted"))
    told["on"] = _relation(name, record, words)
    rule = Rule.model_validate(told)
    query = query_of(rule, config, now)
    if counted:
        observed = f"SELECT count(*) || ' {counted}' FROM ({query.failing})"
        expected = f"0 {counted}"
    query = replace(query, observed=observed or query.observed, expected=expected or query.expected)
    return _standing(name, rule, query, OWNER)


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    """Put words in the place of their names; a text in a list may stand for several."""
    if isinstance(value, list):
        return [part for each in value for part in _filled(each, words).split(", ") if part]
    return Template(value).substitute(words) if isinstance(value, str) else value


def _standing(name: str, rule: Rule, query: Query, owner: str) -> StandingRule:
    # of many rows there is no one value to show
    english, french = (text.replace("{value}", rule.column or "") for text in sentences.right(rule))
    return StandingRule(
        name=name,
        relation=rule.on,
        kind=rule.kind,
        # what is loaded was loaded before the rule was there: parcours quarantine revalidate moves it
        severity="warn" if rule.severity == "reject" else rule.severity,
        owner=owner,
        english=english,
        french=french,
        failing=query.failing,
        observed=query.observed,
        expected=query.expected,
        native=query.native,
    )
