"""What a rule says in English and French where nobody wrote a sentence for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from parcours.schemas.rule import Rule


def right(rule: Rule) -> tuple[str, str]:
    """Return what is right by a rule, in English and in French: the user's words, else some made of it."""
    english, french = _BY_KIND[rule.kind](rule)
    if rule.where:
        english, french = f"{english}, where {rule.where}", f"{french}, là où {rule.where}"
    return rule.english or english, rule.french or french


def wrong(rule: Rule, field: str, *, shown: bool) -> tuple[str, str]:
    """Return what a rejected record is told, in English and in French.

    Args:
        rule: one that rejects.
        field: what the value is of.
        shown: whether there is a value: ``{value}`` stands for it.
    """
    english, french = right(rule)
    value, valeur = (' is "{value}"', " vaut « {value} »") if shown else (" is missing", " manque")
    return (
        english if "{value}" in english else f"{field}{value}: {english}",
        french if "{value}" in french else f"{field}{valeur} : {french}",
    )


def percent(share: float) -> str:
    """Write a share as a percentage, without digits that say nothing."""
    return f"{100 * share:.10g} %"


def plain(bound: float | str) -> str:
    """Write a bound: a whole number without a decimal mark."""
    return f"{bound:.15g}" if isinstance(bound, float) else bound


def bounds(low: str | None, high: str | None) -> tuple[str, str]:
    """Say within what something is (``est`` in French), at least one of both ends being given."""
    if low is None:
        return f"at most {high}", f"d'au plus {high}"
    if high is None:
        return f"at least {low}", f"d'au moins {low}"
    return f"from {low} to {high}", f"de {low} à {high}"


def _range(rule: Rule) -> tuple[str, str]:
    ends = (None if end is None else plain(end) for end in (rule.min, rule.max))
    english, french = bounds(*ends)
    return f"{rule.column} is {english}", f"{rule.column} est {french}"


def _share(rule: Rule) -> tuple[str, str]:
    ends = (None if end is None else percent(float(end)) for end in (rule.min, rule.max))
    english, french = bounds(*ends)
    return (
        f'the share of rows whose {rule.column} is "{rule.value}" is {english}',
        f"la part des lignes dont {rule.column} vaut « {rule.value} » est {french}",
    )


def _completeness(rule: Rule) -> tuple[str, str]:
    least = percent(float(rule.min or 0))
    return (
        f"{rule.column} is given in at least {least} of the rows of each {rule.by}",
        f"{rule.column} est renseigné dans au moins {least} des lignes de chaque {rule.by}",
    )


def _freshness(rule: Rule) -> tuple[str, str]:
    english, french = (
        (f'source "{rule.source}" has', f"la source « {rule.source} » a")
        if rule.source
        else ("each source has", "chaque source a")
    )
    hours = f"{(rule.within or timedelta()) / timedelta(hours=1):g} h"
    return (
        f"{english} an event that is at most {hours} old",
        f"{french} un événement qui date d'au plus {hours}",
    )


def _volume(rule: Rule) -> tuple[str, str]:
    return (
        f"the last whole day has as many rows as that weekday had in the {rule.weeks} weeks before, within "
        f"{rule.deviations:g} standard deviations",
        f"le dernier jour entier a autant de lignes que ce jour des {rule.weeks} semaines précédentes, à "
        f"{rule.deviations:g} écarts types près",
    )


_BY_KIND: dict[str, Callable[[Rule], tuple[str, str]]] = {
    "not_null": lambda rule: (f"every row has {rule.column}", f"chaque ligne a {rule.column}"),
    "in_set": lambda rule: (
        f"{rule.column} is one of {', '.join(rule.values)}",
        f"{rule.column} est l'une des valeurs {', '.join(rule.values)}",
    ),
    "regex": lambda rule: (
        f"{rule.column} fits {rule.pattern}",
        f"{rule.column} correspond à {rule.pattern}",
    ),
    "range": _range,
    "condition": lambda rule: (f"this is true: {rule.condition}", f"ceci est vrai : {rule.condition}"),
    "unique": lambda rule: (
        f"no two rows of {rule.on} have the same {', '.join(rule.columns)}",
        f"deux lignes de {rule.on} n'ont jamais {'le même' if len(rule.columns) == 1 else 'les mêmes'} "
        + ", ".join(rule.columns),
    ),
    "reference": lambda rule: (
        f"{rule.column} of {rule.on} is one of {rule.to}",
        f"{rule.column} de {rule.on} figure dans {rule.to}",
    ),
    "order": lambda rule: (
        f"{rule.after} is not before {rule.before}",
        f"{rule.after} ne précède pas {rule.before}",
    ),
    "freshness": _freshness,
    "volume": _volume,
    "share": _share,
    "completeness": _completeness,
    "sql": lambda _: ("the query of the rule finds nothing", "la requête de la règle ne trouve rien"),
}
