"""What may be asked of a funnel, checked: words, spans of time, and how many of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from parcours.schemas.config import parse_duration

ORDERS = ("ordered", "strict", "any")
TIES = ("allow", "forbid")
ENTRIES = ("best", "latest", "first", "every")
COUNTS = {"profiles": "profile_id", "journeys": "journey_id", "visits": "visit_id"}
"""What is counted, and the column that names one of it: a funnel's unit."""

_PEOPLE = dict.fromkeys(("person", "persons", "people", "customer", "customers"), "profiles")
_MEANT = {**_PEOPLE, "session": "visits", "sessions": "visits"}
"""What is counted, by words that are spelled otherwise."""

Span = str | timedelta | None


class FunnelError(ValueError):
    """A funnel that cannot be computed as asked; the message says what to write instead."""


@dataclass(frozen=True)
class Rules:
    """What makes a chain of touchpoints an attempt, and which attempts count.

    Attributes:
        steps: how many there are.
        order: one of ``ORDERS``.
        ties: one of ``TIES``.
        entry: one of ``ENTRIES``.
        window: microseconds from an attempt's first touchpoint; null: without end.
        step_windows: for each step, microseconds from the one before it; null: without end.
    """

    steps: int
    order: str = "ordered"
    ties: str = "allow"
    entry: str = "best"
    window: int | None = None
    step_windows: tuple[int | None, ...] = ()

    @property
    def allows_ties(self) -> bool:
        """Whether touchpoints of one instant may follow each other."""
        return self.ties == "allow"

    @property
    def has_step_windows(self) -> bool:
        """Whether any step has a window of its own."""
        return any(span is not None for span in self.step_windows)


def rules_of(
    steps: int, *, order: str, ties: str, entry: str, window: Span, step_window: Span | Sequence[Span]
) -> Rules:
    """Return the rules that options ask for.

    Raises:
        FunnelError: an option is none of those there are.
    """
    if isinstance(step_window, str | timedelta) or step_window is None:
        spans = [_microseconds("step_window", step_window)] * (steps - 1)
    else:
        spans = [_microseconds("step_window", span) for span in step_window]
        if len(spans) != steps - 1:
            raise FunnelError(
                f"step_window has {len(spans)} entries for {steps} steps: write one span for all, or "
                f"{steps - 1}, the first for the way from step 1 to step 2, null where there is no limit"
            )
    return Rules(
        steps,
        word("order", order, ORDERS),
        word("ties", ties, TIES),
        word("entry", entry, ENTRIES),
        _microseconds("window", window),
        (None, *spans),
    )


def word(option: str, given: object, allowed: Iterable[str]) -> str:
    """Return the word that an option was given.

    Raises:
        FunnelError: it is none of those allowed.
    """
    words = list(allowed)
    if given not in words:
        meant = _MEANT.get(str(given).lower())
        hint = f'; did you mean "{meant}"?' if meant in words else near(str(given), words)
        raise FunnelError(f'{option} = "{given}" is none of {", ".join(words)}{hint}')
    return str(given)


def near(name: str, known: Iterable[str]) -> str:
    """Return a question that names the known word spelled most like this one; nothing where none is near."""
    by_folded = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_folded, n=1)
    return f'; did you mean "{by_folded[found[0]]}"?' if found else ""


def _microseconds(option: str, span: Span) -> int | None:
    if span is None:
        return None
    try:
        found = parse_duration(span)
    except ValueError as error:
        raise FunnelError(f"{option}: {error}") from None
    except OverflowError:
        raise FunnelError(f'{option}: "{span}" is longer than any time there is') from None
    if found < timedelta(0):
        raise FunnelError(f'{option}: "{span}" is negative')
    return found // timedelta(microseconds=1)
