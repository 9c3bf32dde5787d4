"""The rules that the rows of reference inputs must keep, in the order they are tried in.

What their conditions are made of is said in ``parcours.quality.rule``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

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
from parcours.schemas.references import DIRECTIONS, ID_TYPES, MONTHS, Reference


def reference_rules(reference: Reference) -> tuple[Rule, ...]:
    """Return the rules of one reference input in their order."""

    def of(kind: pa.DataType) -> list[str]:
        return [field.name for field in reference.fields if field.type == kind]

    name, texts = reference.name, of(pa.string())
    ids = [field for field in texts if field == "id" or field.endswith("_id")]
    return (
        tombstone(f"a row of {name} is a record with contents", f"une ligne de {name} a un contenu"),
        *map(is_text, texts),
        *(
            required(
                field,
                field if field in texts else f"{field}_given",
                f"every row of {name} has one",
                f"chaque ligne de {name} en a un",
            )
            for field in reference.required
        ),
        *map(length, ids),
        *(not_reserved(field) for field in ids if field == "customer_id"),
        *(rule for field in of(pa.date32()) for rule in _time(field, "day")),
        *(rule for field in of(pa.timestamp("us")) for rule in _time(field, "time")),
        *(rule for field in of(pa.int64()) for rule in _whole(field)),
        *(rule for field in of(pa.decimal128(18, 4)) for rule in number(field)),
        *(rule for field in of(pa.float64()) for rule in _double(field)),
        *_OWN[name](),
        is_list("attributes", "pairs of key and value, or an object", "paires clé et valeur, ou un objet"),
    )


def _time(field: str, kind: str) -> list[Rule]:
    """A contract may end in 9999 and a membership begin before any touchpoint, but no calendar is endless."""
    return [
        *readable_time(field, kind),
        Rule(
            f"{field}.range", field, "invalid_time",
            f"{field} < DATE '0001-01-01' OR {field} > DATE '9999-12-31'", f"CAST({field}_given AS VARCHAR)",
            f'{field} is "{{value}}"; years go from 1 to 9999',
            f"{field} vaut « {{value}} » ; les années vont de 1 à 9999",
            field,
        ),
    ]  # fmt: skip


def _whole(field: str) -> list[Rule]:
    return [
        *number(field)[:2],
        Rule(
            f"{field}.whole", field, "wrong_type", f"{field} IS NULL AND {field}_given IS NOT NULL",
            f"CAST({field}_given AS VARCHAR)",
            f"{field} is {{value}}; it is a whole number of at most 15 digits",
            f"{field} vaut {{value}} ; c'est un nombre entier d'au plus 15 chiffres",
            f"{field}_given",
        ),
    ]  # fmt: skip


def _double(field: str) -> list[Rule]:
    return [
        *number(field)[:2],
        Rule(
            f"{field}.range", field, "out_of_range", f"{field} IS NULL AND {field}_given IS NOT NULL",
            f"CAST({field}_given AS VARCHAR)",
            f"{field} is {{value}}; numbers are less than 1.8e308",
            f"{field} vaut {{value}} ; les nombres sont inférieurs à 1,8e308",
            f"{field}_given",
        ),
    ]  # fmt: skip


def _not_negative(field: str) -> Rule:
    return Rule(
        f"{field}.not_negative", field, "rule_failed", f"{field} < 0", f"CAST({field} AS VARCHAR)",
        f"{field} is {{value}}; it is zero or more",
        f"{field} vaut {{value}} ; c'est zéro ou plus",
        f"{field}_given",
    )  # fmt: skip


def _contract() -> list[Rule]:
    return [
        known_currency(),
        *pair("annual_premium", "annual_premium_given", "currency", "currency"),
        _not_negative("annual_premium"),
        Rule(
            "effective_to.not_before", "effective_to", "rule_failed", "effective_to < effective_from",
            "CAST(effective_to_given AS VARCHAR)",
            'effective_to is "{value}", before effective_from; a contract ends when it begins, or later',
            "effective_to vaut « {value} », avant effective_from ; un contrat finit au plus tôt à son début",
            "effective_to_given",
        ),
    ]  # fmt: skip


def _alias() -> list[Rule]:
    return [
        Rule(
            "id_type.known", "id_type", "unknown_value", f"id_type NOT IN ({listed(ID_TYPES)})", "id_type",
            f'id_type is "{{value}}"; it is {" or ".join(ID_TYPES)}',
            f"id_type vaut « {{value}} » ; c'est {' ou '.join(ID_TYPES)}",
        ),
        not_reserved("id", "id_type = 'customer_id'"),
        Rule(
            "alias.of_another", "id", "rule_failed", "id_type = 'customer_id' AND id = customer_id", "id",
            'id is "{value}", and so is customer_id; an alias is another name than the customer has',
            "id vaut « {value} », comme customer_id ; un alias est un autre nom que celui du client",
        ),
    ]  # fmt: skip


def _indicator() -> list[Rule]:
    return [
        Rule(
            f"{field}.first_day", field, "invalid_time", f"day({field}) <> 1",
            f"CAST({field}_given AS VARCHAR)",
            f'{field} is "{{value}}"; a month is written 2025-03, or by its first day',
            f"{field} vaut « {{value}} » ; un mois s'écrit 2025-03, ou par son premier jour",
            f"{field}_given",
        )
        for field in MONTHS
    ]  # fmt: skip


_DIMENSION = "total|[^=,]+=[^,]+(,[^=,]+=[^,]+)*"

_WEEKS = "weekofyear(make_date(TRY_CAST(left(period, 4) AS BIGINT), 12, 28))"
"""How many ISO weeks the year has: 28 December is always in the last one."""

_PERIOD = f"""CASE
    WHEN regexp_full_match(period, '[12][0-9]{{3}}(-Q[1-4]|-(0[1-9]|1[0-2]))?') THEN TRUE
    WHEN regexp_full_match(period, '[12][0-9]{{3}}-W(0[1-9]|[1-5][0-9])')
        THEN TRY_CAST(right(period, 2) AS BIGINT) <= {_WEEKS}
    WHEN regexp_full_match(period, '[12][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}')
        THEN TRY_CAST(period AS DATE) IS NOT NULL
    ELSE FALSE
END"""


def _target() -> list[Rule]:
    return [
        Rule(
            "dimension.known", "dimension", "rule_failed",
            f"NOT regexp_full_match(dimension, '{_DIMENSION}')", "dimension",
            'dimension is "{value}"; write total, channel=site or channel=site,product=auto',
            "dimension vaut « {value} » ; écrivez total, channel=site ou channel=site,product=auto",
        ),
        Rule(
            "period.known", "period", "rule_failed", f"NOT {_PERIOD}", "period",
            'period is "{value}"; write 2025, 2025-Q1, 2025-03, 2025-W12 or 2025-03-14',
            "period vaut « {value} » ; écrivez 2025, 2025-Q1, 2025-03, 2025-W12 ou 2025-03-14",
        ),
        Rule(
            "direction.known", "direction", "unknown_value",
            f"direction NOT IN ({listed(DIRECTIONS)})", "direction",
            f'direction is "{{value}}"; it is {" or ".join(DIRECTIONS)}',
            f"direction vaut « {{value}} » ; c'est {' ou '.join(DIRECTIONS)}",
        ),
    ]  # fmt: skip


_OWN: dict[str, Callable[[], Sequence[Rule]]] = {
    "customers": tuple,
    "contracts": _contract,
    "aliases": _alias,
    "spend": lambda: [known_currency()],
    "events_held": lambda: [_not_negative("headcount")],
    "indicators": _indicator,
    "targets": _target,
}
"""The rules that one reference input alone has."""
