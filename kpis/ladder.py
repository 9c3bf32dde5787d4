"""The loyalty ladder: rungs and their conditions, as ``[ladder]`` in the config says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from parcours.kpis.conditions import check

FACTS = {
    "identified": "BOOLEAN",
    "touchpoints": "BIGINT",
    "journeys": "BIGINT",
    "purchases": "BIGINT",
    "referrals": "BIGINT",
    "good_reviews": "BIGINT",
    "last_nps": "DOUBLE",
    "contracts_in_force": "BIGINT",
    "longest_in_force_years": "DOUBLE",
    "tenure_years": "DOUBLE",
    "holds_nothing_any_more": "BOOLEAN",
}
"""What a condition may speak of, with its type: columns of ``profiles_at``; comments say the meaning."""

LOWEST = "prospect"
"""The rung of those for whom no condition holds."""


@dataclass(frozen=True)
class LadderMistake:
    """What is wrong with a rung, and the name that is no fact where it is about one."""

    rung: str
    problem: str
    unknown: str | None = None


def create_statements(ladder: Mapping[str, str]) -> list[str]:
    """Return the SQL that makes, or makes anew, the macros of the ladder in a store with the relations.

    Args:
        ladder: each rung and its condition, the lowest rung first.

    Raises:
        ValueError: a condition is none; it names all that are wrong.
    """
    wrong = [f"ladder > {mistake.rung}: {mistake.problem}" for mistake in ladder_mistakes(ladder)]
    if wrong:
        raise ValueError("; ".join(wrong))
    rungs = ", ".join(_quoted(rung) for rung in (LOWEST, *ladder))
    cases = "".join(
        f"\n    WHEN ({condition}) THEN {_quoted(rung)}" for rung, condition in reversed([*ladder.items()])
    )
    rung = f"CASE{cases}\n    ELSE {_quoted(LOWEST)}\nEND" if ladder else _quoted(LOWEST)
    return [
        f"CREATE OR REPLACE MACRO ladder_rungs() AS [{rungs}]",
        "COMMENT ON MACRO ladder_rungs IS 'The rungs of the loyalty ladder, the lowest first, as [ladder] in "
        "the config names them.'",
        f"CREATE OR REPLACE MACRO ladder_rung({', '.join(FACTS)}) AS\n{rung}",
        "COMMENT ON MACRO ladder_rung IS 'The rung of the loyalty ladder of one for whom these facts hold: "
        "the highest whose condition holds, by [ladder] in the config.'",
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ladder_mistakes(ladder: Mapping[str, str]) -> list[LadderMistake]:
    """Return everything that is wrong with the rungs of a ladder and their conditions."""
    return [mistake for rung, condition in ladder.items() for mistake in _of_rung(rung, condition)]


def _of_rung(rung: str, condition: str) -> Iterator[LadderMistake]:
    if not rung.strip() or rung == LOWEST:
        yield LadderMistake(rung, f'a rung needs a name of its own; "{LOWEST}" is who stands on none')
    # a text that is no number may fail only where it is compared, in a query and for one person alone
    for mistake in check(condition, FACTS, "fact", texts=False):
        yield LadderMistake(rung, mistake.problem, mistake.unknown)
