"""One rule, and the rules that many fields share: that a text is one, that a number or a time can be read.

A rule's condition is SQL over the mapped fields of ``parcours.transforms.mapping``: the fields under their
names, ``<field>_given`` (what the source gave, null where nothing), ``<text field>_nested``,
``<number>_digits`` (its digits, null where it is not a number), ``<time>_uncounted`` and ``tombstone``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parcours.quality.currencies import CURRENCIES

LONGEST_ID = 128
"""Unicode code points in an id."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    ``broken`` is a condition, true where the record is bad; ``value`` an expression for the offending value;
    ``needs`` a column: where that is null or false in every row, the rule cannot be broken; ``owner`` who is
    to be asked. In the sentences ``{value}`` stands for the offending value.
    """

    name: str
    field: str
    reason: str
    broken: str
    value: str
    english: str
    french: str
    needs: str | None = None
    owner: str = "parcours"


def listed(words: Sequence[str]) -> str:
    """Write plain words as a list of SQL literals."""
    return ", ".join(f"'{word}'" for word in words)


def tombstone(english: str, french: str) -> Rule:
    """Return the rule that a record is no deletion; the sentences say what a record is instead."""
    return Rule(
        "record.tombstone", "record", "tombstone", "tombstone", "NULL",
        f"the record says that something was deleted; {english}",
        f"l'enregistrement signale une suppression ; {french}",
        "tombstone",
    )  # fmt: skip


def is_text(field: str) -> Rule:
    """Return the rule that a field is a text."""
    return Rule(
        f"{field}.text", field, "wrong_type", f"{field}_nested", field,
        f"{field} is {{value}}, an object or a list; it is a text",
        f"{field} vaut {{value}}, un objet ou une liste ; c'est un texte",
        f"{field}_nested",
    )  # fmt: skip


def computed(field: str, value: str) -> Rule:
    """Return the rule that the mapping's expression for a field works on the record's values."""
    return Rule(
        f"{field}.sql", field, "wrong_type", f"{field}_failed AND NOT tombstone", value,
        f'{field} is "{{value}}", on which the sql of its mapping fails',
        f"{field} vaut « {{value}} », sur quoi l'expression sql de sa correspondance échoue",
    )  # fmt: skip


def required(field: str, column: str, english: str, french: str) -> Rule:
    """Return the rule that a field is given; the sentences say who has one."""
    return Rule(
        f"{field}.required", field, "missing_field", f"{column} IS NULL", "NULL",
        f"{field} is missing; {english}: map it with {field} = \"PATH\"",
        f"{field} manque ; {french} : indiquez-le par {field} = \"CHEMIN\"",
    )  # fmt: skip


def length(field: str) -> Rule:
    """Return the rule that an id is not too long."""
    return Rule(
        f"{field}.length", field, "too_long",
        # a text of few bytes has few characters: their number is known without reading the text
        f"strlen({field}) > {LONGEST_ID} AND length({field}) > {LONGEST_ID}", field,
        f'{field} is "{{value}}" and longer than {LONGEST_ID} characters',
        f"{field} vaut « {{value}} » et dépasse {LONGEST_ID} caractères",
        field,
    )  # fmt: skip


def not_reserved(field: str, condition: str = "TRUE") -> Rule:
    """Return the rule that a customer's id is not one of an anonymous profile, where a condition holds."""
    return Rule(
        f"{field}.not_reserved", field, "reserved_id",
        f"starts_with({field}, 'anon:') AND {condition}", field,
        f'{field} is "{{value}}": ids that begin with anon: are reserved for anonymous profiles',
        f"{field} vaut « {{value}} » : les identifiants en anon: sont réservés aux profils anonymes",
        field,
    )  # fmt: skip


def readable_time(field: str, kind: str = "time") -> list[Rule]:
    """Return the rules that a time is no bare number and, where it was given, can be read."""
    given = f"CAST({field}_given AS VARCHAR)"
    return [
        Rule(
            f"{field}.unit", field, "wrong_type", f"{field}_uncounted", given,
            f"{field} is the number {{value}}; say what it counts with time_unit = \"s\", \"ms\" or \"us\"",
            f"{field} est le nombre {{value}} ; dites de quoi par time_unit = \"s\", \"ms\" ou \"us\"",
            f"{field}_uncounted",
        ),
        Rule(
            f"{field}.readable", field, "invalid_time",
            f"{field} IS NULL AND {field}_given IS NOT NULL", given,
            f'{field} is "{{value}}": no {kind} in the format of the source, or one that its clocks skipped',
            f"{field} vaut « {{value}} » : illisible au format de la source, ou sauté par ses horloges",
            f"{field}_given",
        ),
    ]  # fmt: skip


_NOT_FINITE = "regexp_full_match(CAST({}_given AS VARCHAR), '(?i)[+-]?(nan|inf|infinity)')"


def number(field: str) -> list[Rule]:
    """Return the rules that a number is finite, is one, and is not too large for an amount."""
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


def pair(left: str, left_column: str, right: str, right_column: str) -> list[Rule]:
    """Return the rules that two fields are given together or not at all."""
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


def known_currency() -> Rule:
    """Return the rule that ``currency`` is a code of ISO 4217."""
    return Rule(
        "currency.known", "currency", "unknown_value",
        f"currency <> 'EUR' AND currency NOT IN ({listed(sorted(CURRENCIES))})", "currency",
        'currency is "{value}"; it is a code of ISO 4217 in capital letters, such as EUR',
        "currency vaut « {value} » ; c'est un code ISO 4217 en majuscules, comme EUR",
        "currency",
    )  # fmt: skip


def is_list(field: str, english: str, french: str) -> Rule:
    """Return the rule that a field is a list; the texts say of what."""
    return Rule(
        f"{field}.list", field, "wrong_type", f"{field} IS NULL", f"CAST({field}_given AS VARCHAR)",
        f"{field} is {{value}}; it is a list of {english}",
        f"{field} vaut {{value}} ; c'est une liste de {french}",
        f"{field}_given",
    )  # fmt: skip
