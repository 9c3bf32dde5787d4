"""The rules that the rows of reference inputs must keep, in the order they are tried in.

What their conditions are made of is said in ``parcours.quality.rule``.
"""

from __future__ import annotations

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
from parcours.schemas.references import ID_TYPES, Reference


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
            required(field, field, f"every row of {name} has one", f"chaque ligne de {name} en a un")
            for field in reference.required
        ),
        *map(length, ids),
        *(not_reserved(field) for field in ids if field == "customer_id"),
        *(rule for field in of(pa.date32()) for rule in _time(field, "day")),
        *(rule for field in of(pa.timestamp("us")) for rule in _time(field, "time")),
        *(rule for field in of(pa.int64()) for rule in _whole(field)),
        *(rule for field in of(pa.decimal128(18, 4)) for rule in number(field)),
        *(_premium() if name == "contracts" else ()),
        *(_alias() if name == "aliases" else ()),
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


def _premium() -> list[Rule]:
    return [known_currency(), *pair("annual_premium", "annual_premium_given", "currency", "currency")]


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
