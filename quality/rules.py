"""The rules that a record must keep, in the order they are tried in: the first broken one is the reason.

A rule's condition is SQL over the mapped fields of ``parcours.transforms.mapping``: the fields of the
contract under their names, ``<field>_given`` (what the source gave, null where nothing), ``<text
field>_nested``, ``<number>_digits`` (its digits, null where it is not a number), ``occurred_at_uncounted``
and ``tombstone``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from parcours.quality.currencies import CURRENCIES
from parcours.schemas.config import STAGES, Validation
from parcours.schemas.touchpoint import SURVEYS

LONGEST_ID = 128
"""Unicode code points in an id."""

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


@dataclass(frozen=True)
class Rule:
    """One rule.

    ``broken`` is a condition, true where the record is bad; ``value`` an expression for the offending value;
    ``needs`` a column: where that is null or false in every row, the rule cannot be broken. In the sentences
    ``{value}`` stands for the offending value.
    """

    name: str
    field: str
    reason: str
    broken: str
    value: str
    english: str
    french: str
    needs: str | None = None


def row_rules(validation: Validation) -> tuple[Rule, ...]:
    """Return the rules in their order, with the limits that the config sets."""
    return (
        Rule(
            "record.tombstone", "record", "tombstone", "tombstone", "NULL",
            "the record says that something was deleted; a touchpoint is a record with contents",
            "l'enregistrement signale une suppression ; un point de contact a un contenu",
            "tombstone",
        ),
        *map(_is_text, _TEXTS),
        *_required(),
        *map(_length, _IDS),
        Rule(
            "customer_id.not_reserved", "customer_id", "reserved_id",
            "starts_with(customer_id, 'anon:')", "customer_id",
            'customer_id is "{value}": ids that begin with anon: are reserved for anonymous profiles',
            "customer_id vaut « {value} » : les identifiants en anon: sont réservés aux profils anonymes",
            "customer_id",
        ),
        *_time(validation.min_time.replace(tzinfo=None), validation.max_future),
        Rule(
            "stage.known", "stage", "unknown_value",
            f"stage NOT IN ({_listed(STAGES)})", "stage",
            f'stage is "{{value}}"; it is one of {", ".join(STAGES)}, or absent',
            f"stage vaut « {{value}} » ; c'est l'une des valeurs {', '.join(STAGES)}, ou rien",
            "stage",
        ),
        *_number("value"),
        Rule(
            "currency.known", "currency", "unknown_value",
            f"currency <> 'EUR' AND currency NOT IN ({_listed(sorted(CURRENCIES))})", "currency",
            'currency is "{value}"; it is a code of ISO 4217 in capital letters, such as EUR',
            "currency vaut « {value} » ; c'est un code ISO 4217 en majuscules, comme EUR",
            "currency",
        ),
        *_pair("value", "value_given", "currency", "currency"),
        *_number("cost"),
        *_survey(),
        _is_list("consent", "texts", "textes"),
        _is_list("attributes", "pairs of key and value, or an object", "paires clé et valeur, ou un objet"),
    )  # fmt: skip


def _listed(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _is_text(field: str) -> Rule:
    return Rule(
        f"{field}.text", field, "wrong_type", f"{field}_nested", field,
        f"{field} is {{value}}, an object or a list; it is a text",
        f"{field} vaut {{value}}, un objet ou une liste ; c'est un texte",
        f"{field}_nested",
    )  # fmt: skip


def _required() -> list[Rule]:
    rules = [
        Rule(
            f"{field}.required", field, "missing_field", f"{column} IS NULL", "NULL",
            f"{field} is missing; every touchpoint has one: map it with {field} = \"PATH\"",
            f"{field} manque ; chaque point de contact en a un : indiquez-le par {field} = \"CHEMIN\"",
        )
        for field, column in (
            ("event_id", "event_id"),
            ("occurred_at", "occurred_at_given"),
            ("event_type", "event_type"),
            ("channel", "channel"),
        )
    ]  # fmt: skip
    person = Rule(
        "person.required", "customer_id", "missing_field",
        "customer_id IS NULL AND anonymous_id IS NULL", "NULL",
        "customer_id and anonymous_id are both missing; a touchpoint has at least one of them",
        "customer_id et anonymous_id manquent ; un point de contact a au moins l'un des deux",
    )  # fmt: skip
    return [*rules, person]


def _length(field: str) -> Rule:
    return Rule(
        f"{field}.length", field, "too_long",
        # a text of few bytes has few characters: their number is known without reading the text
        f"strlen({field}) > {LONGEST_ID} AND length({field}) > {LONGEST_ID}", field,
        f'{field} is "{{value}}" and longer than {LONGEST_ID} characters',
        f"{field} vaut « {{value}} » et dépasse {LONGEST_ID} caractères",
        field,
    )  # fmt: skip


def _time(min_time: datetime, max_future: timedelta) -> list[Rule]:
    given = "CAST(occurred_at_given AS VARCHAR)"
    future = max_future // timedelta(microseconds=1)
    hours = f"{max_future / timedelta(hours=1):g}"
    return [
        Rule(
            "occurred_at.unit", "occurred_at", "wrong_type", "occurred_at_uncounted", given,
            "occurred_at is the number {value}; say what it counts with time_unit = \"s\", \"ms\" or \"us\"",
            "occurred_at est le nombre {value} ; dites de quoi par time_unit = \"s\", \"ms\" ou \"us\"",
            "occurred_at_uncounted",
        ),
        Rule(
            "occurred_at.readable", "occurred_at", "invalid_time",
            "occurred_at IS NULL", given,
            'occurred_at is "{value}": no time in the format of the source, or one that its clocks skipped',
            "occurred_at vaut « {value} » : pas une heure au format de la source, ou sautée par ses horloges",
        ),
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


_NOT_FINITE = "regexp_full_match(CAST({}_given AS VARCHAR), '(?i)[+-]?(nan|inf|infinity)')"


def _number(field: str) -> list[Rule]:
    given = f"CAST({field}_given AS VARCHAR)"
    unread = f"{field} IS NULL AND {field}_given IS NOT NULL"
    return [
        Rule(
            f"{field}.finite", field, "not_finite", f"{unread} AND {_NOT_FINITE.format(field)}", given,
            f"{field} is {{value}}; it is a finite number",
            f"{field} vaut {{value}} ; c'est un nombre fini",
            f"{field}_given",
        ),
        Rule(
            f"{field}.number", field, "wrong_type", f"{unread} AND {field}_digits IS NULL", given,
            f'{field} is "{{value}}", which is no number as the source writes them (see decimal_mark)',
            f"{field} vaut « {{value}} », pas un nombre comme la source les écrit (voir decimal_mark)",
            f"{field}_given",
        ),
        Rule(
            f"{field}.range", field, "out_of_range", unread, given,
            f"{field} is {{value}}; amounts have at most 14 digits before the decimal mark",
            f"{field} vaut {{value}} ; les montants ont au plus 14 chiffres avant la virgule",
            f"{field}_given",
        ),
    ]  # fmt: skip


def _pair(left: str, left_column: str, right: str, right_column: str) -> list[Rule]:
    return [
        Rule(
            f"{one}.with_{other}", one, "pair_incomplete",
            f"{one_column} IS NULL AND {other_column} IS NOT NULL", f"CAST({other_column} AS VARCHAR)",
            f"{one} is missing beside {other} {{value}}; they are given together or not at all",
            f"{one} manque à côté de {other} {{value}} ; les deux vont ensemble",
            other_column,
        )
        for one, one_column, other, other_column in (
            (left, left_column, right, right_column),
            (right, right_column, left, left_column),
        )
    ]  # fmt: skip


def _survey() -> list[Rule]:
    given = "CAST(score_given AS VARCHAR)"
    off_scale = " ".join(
        f"WHEN '{survey}' THEN score NOT BETWEEN {low} AND {high}" for survey, (low, high) in SURVEYS.items()
    )
    scales = ", ".join(f"{survey} {low}-{high}" for survey, (low, high) in SURVEYS.items())
    return [
        Rule(
            "survey.known", "survey", "unknown_value", f"survey NOT IN ({_listed(tuple(SURVEYS))})", "survey",
            f'survey is "{{value}}", which is not declared; declared are {", ".join(SURVEYS)}',
            f"survey vaut « {{value}} », qui n'est pas déclaré ; le sont {', '.join(SURVEYS)}",
            "survey",
        ),
        *_number("score")[:2],
        Rule(
            "score.whole", "score", "wrong_type", "score <> floor(score)", given,
            "score is {value}; it is a whole number",
            "score vaut {value} ; c'est un nombre entier",
            "score_given",
        ),
        *_pair("survey", "survey", "score", "score_given"),
        Rule(
            "score.scale", "score", "out_of_range",
            f"score_given IS NOT NULL AND (score IS NULL OR CASE survey {off_scale} END)", given,
            f"score is {{value}}, off its survey's scale: {scales}",
            f"score vaut {{value}}, hors de l'échelle de son enquête : {scales}",
            "score_given",
        ),
    ]  # fmt: skip


def _is_list(field: str, english: str, french: str) -> Rule:
    return Rule(
        f"{field}.list", field, "wrong_type", f"{field} IS NULL", f"CAST({field}_given AS VARCHAR)",
        f"{field} is {{value}}; it is a list of {english}",
        f"{field} vaut {{value}} ; c'est une liste de {french}",
        f"{field}_given",
    )  # fmt: skip
