"""One mistake in a config, and the error that carries all of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_LISTED = 30
"""A longer list of allowed words is left out of the message where a near spelling was found."""


def nearest(word: object, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that is spelled most like this one, or None where none is near."""
    by_folded = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(str(word).lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a config. No part of it holds a secret.

    Attributes:
        file: the layer it stands in, ``command line`` for a flag.
        key: where in it, as ``source "crm" > formt``; empty for the file as a whole.
        problem: what is wrong, and what to do.
        value: what stands there, as it would be written in the file; null where nothing stands there.
        allowed: what may stand there, where that can be listed.
        suggestion: the near spelling of what was probably meant.
    """

    file: str
    key: str
    problem: str
    value: str | None = None
    allowed: Sequence[str] = ()
    suggestion: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        text = (
            f"{place} = {self.value}: {self.problem}"
            if self.value is not None
            else f"{place}: {self.problem}"
        )
        if self.suggestion:
            text += f'; did you mean "{self.suggestion}"?'
        if self.allowed and (len(self.allowed) <= MOST_LISTED or not self.suggestion):
            text += f" (allowed: {', '.join(self.allowed)})"
        return text


class ConfigError(Exception):
    """The config is wrong. ``mistakes`` lists everything that is, not only the first."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__("\n".join([f"the configuration has {count}:", *(f"  {m}" for m in mistakes)]))
