"""The rules that a touchpoint must keep, in the order they are tried in: the first broken one is the reason.

What their conditions are made of is said in ``parcours.quality.rule``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from parcours.quality.rule import (
    Rule,
    is_list,
    is_text,
    known_currency,
    length,
    listed,
    not_reserved,
    number,
    pair,
    readable_time,
    required,
    tombstone,
)
from parcours.schemas.config import STAGES, Validation
from parcours.schemas.touchpoint import SURVEYS

END_OF_TIME = datetime(2100, 1, 1)
"""The first instant that is too late."""

_IDS = (
    "event_id",
    "customer_id",
    "anonymous_id",
    "contract_id",
    "quote_id",
    "claim_id",
    "referral_id",
    "case_id",
)
_TEXTS = (
    *_IDS[:3],
    *("event_type", "stage", "channel", "source", "campaign", "content", "product"),
    *_IDS[3:],
    *("currency", "survey", "experiment", "variant"),
)


def row_rules(validation: Validation) -> tuple[Rule, ...]:
    """Return the rules in their order, with the limits that the config sets."""
    return (
        tombstone("a touchpoint is a record with contents", "un point de contact a un contenu"),
        *map(is_text, _TEXTS),
        *_required(),
        *map(length, _IDS),
        not_reserved("customer_id"),
        *_time(validation.min_time.replace(tzinfo=None), validation.max_future),
        Rule(
            "stage.known", "stage", "unknown_value",
            f"stage NOT IN ({listed(STAGES)})", "stage",
            f'stage is "{{value}}"; it is one of {", ".join(STAGES)}, or absent',
            f"stage vaut « {{value}} » ; c'est l'une des valeurs {', '.join(STAGES)}, ou rien",
            "stage",
        ),
        *number("value"),
        known_currency(),
        *pair("value", "value_given", "currency", "currency"),
        *number("cost"),
        *_survey(),
        is_list("consent", "texts", "textes"),
        is_list("attributes", "pairs of key and value, or an object", "paires clé et valeur, ou un objet"),
    )  # fmt: skip


def _required() -> list[Rule]:
    rules = [
        required(field, column, "every touchpoint has one", "chaque point de contact en a un")
        for field, column in (
            ("event_id", "event_id"),
            ("occurred_at", "occurred_at_given"),
            ("event_type", "event_type"),
            ("channel", "channel"),
        )
    ]
    person = Rule(
        "person.required", "customer_id", "missing_field",
        "customer_id IS NULL AND anonymous_id IS NULL", "NULL",
        "customer_id and anonymous_id are both missing; a touchpoint has at least one of them",
        "customer_id et anonymous_id manquent ; un point de contact a au moins l'un des deux",
    )  # fmt: skip
    return [*rules, person]


def _time(min_time: datetime, max_future: timedelta) -> list[Rule]:
    given = "CAST(occurred_at_given AS VARCHAR)"
    future = max_future // timedelta(microseconds=1)
    hours = f"{max_future / timedelta(hours=1):g}"
    return [
        *readable_time("occurred_at"),
        Rule(
            "occurred_at.range", "occurred_at", "invalid_time",
            f"occurred_at < TIMESTAMP '{min_time}' OR occurred_at >= TIMESTAMP '{END_OF_TIME}'",
            given,
            f'occurred_at is "{{value}}"; times go from min_time, {min_time}, to {END_OF_TIME:%Y-%m-%d}',
            f"occurred_at vaut « {{value}} » ; les heures vont de {min_time} à {END_OF_TIME:%Y-%m-%d}",
        ),
        Rule(
            "occurred_at.not_future", "occurred_at", "time_in_future",
            f"occurred_at > broker_timestamp + to_microseconds({future})", given,
            f'occurred_at is "{{value}}", more than {hours} h (max_future) after the broker received it',
            f"occurred_at vaut « {{value}} », plus de {hours} h (max_future) après l'arrivée au broker",
            "broker_timestamp",
        ),
    ]  # fmt: skip


def _survey() -> list[Rule]:
    given = "CAST(score_given AS VARCHAR)"
    off_scale = " ".join(
        f"WHEN '{survey}' THEN score NOT BETWEEN {low} AND {high}" for survey, (low, high) in SURVEYS.items()
    )
    scales = ", ".join(f"{survey} {low}-{high}" for survey, (low, high) in SURVEYS.items())
    return [
        Rule(
            "survey.known", "survey", "unknown_value", f"survey NOT IN ({listed(tuple(SURVEYS))})", "survey",
            f'survey is "{{value}}", which is not declared; declared are {", ".join(SURVEYS)}',
            f"survey vaut « {{value}} », qui n'est pas déclaré ; le sont {', '.join(SURVEYS)}",
            "survey",
        ),
        *number("score")[:2],
        Rule(
            "score.whole", "score", "wrong_type", "score <> floor(score)", given,
            "score is {value}; it is a whole number",
            "score vaut {value} ; c'est un nombre entier",
            "score_given",
        ),
        *pair("survey", "survey", "score", "score_given"),
        Rule(
            "score.scale", "score", "out_of_range",
            f"score_given IS NOT NULL AND (score IS NULL OR CASE survey {off_scale} END)", given,
            f"score is {{value}}, off its survey's scale: {scales}",
            f"score vaut {{value}}, hors de l'échelle de son enquête : {scales}",
            "score_given",
        ),
    ]  # fmt: skip
