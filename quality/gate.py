"""The gate: whether what a store holds may be published, by what its checks found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from parcours.quality.suites import Finding

State = Literal["open", "held"]


@dataclass(frozen=True)
class Verdict:
    """What follows from the findings of one check.

    Attributes:
        state: ``held`` where a rule of severity stop is broken, else ``open``.
        reasons: these rules, each with what was found and what is right; empty where it is open.
        warnings: how many rules of severity warn are broken.
    """

    state: State
    reasons: tuple[str, ...] = ()
    warnings: int = 0


def judge(findings: Iterable[Finding]) -> Verdict:
    """Decide by findings: a broken rule of severity stop holds, any other one warns.

    A rule that could not be evaluated counts as broken: nothing says that it holds.
    """
    broken = [found for found in findings if not found.passed]
    reasons = tuple(reason(found) for found in broken if found.rule.severity == "stop")
    return Verdict("held" if reasons else "open", reasons, len(broken) - len(reasons))


def reason(found: Finding) -> str:
    """Say in a few words which rule is broken, and how."""
    return f"{found.rule.name}: {found.observed}, expected {found.rule.expected}"
