"""The rules that stored tables depend on: their text, their fingerprint, and what a change of them is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from parcours.pipelines.moves import Moves
from parcours.pipelines.toml_text import duration_text, toml_path, toml_value
from parcours.schemas.config import Config

MOST_LINES = 40
"""Changes that are listed for people; the others are counted, and JSON has all of them."""

MOST_VALUES = 8
"""Values of a list that are shown for people."""

_DURATIONS = {("journey", "gap")}
"""Keys whose value is kept as an ISO 8601 duration, and written as ``400d`` in the config."""


@dataclass(frozen=True)
class Change:
    """One key of the config whose rule changed.

    Attributes:
        key: where it stands, as a dotted TOML key: ``taxonomy.events.quote_created.stage``.
        before: what the store was built with, as the config writes it; null where nothing stood there.
        after: what stands there now; null where nothing does.
    """

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {shown(self.before)} -> {shown(self.after)}"


class RulesChangedError(Exception):
    """The store was built with other rules.

    Attributes:
        details: the changes and what they would move, as JSON has them.
    """

    def __init__(self, store: str, changes: Sequence[Change], moves: Moves | None) -> None:
        self.details = {
            "rule_changes": [asdict(change) for change in changes],
            "moves": None if moves is None else asdict(moves),
        }
        told = "what they would move was not counted" if moves is None else f"they would move {moves}"
        lines = (
            f'the rules are not those that "{store}" was built with:',
            *(f"  {line}" for line in change_lines(changes)),
            f"{told}.",
            "Take the change back, or apply it to everything that is stored: parcours run --apply-rules, "
            "or parcours rebuild",
        )
        super().__init__("\n".join(lines))


def rules_of(config: Config) -> str:
    """Return the text of the rules that stored tables depend on."""
    rules = config.model_dump(mode="json", include={"taxonomy", "journey", "identity"})
    return json.dumps(rules, sort_keys=True, ensure_ascii=False)


def fingerprint(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def difference(before: str, after: str) -> tuple[Change, ...]:
    """Return what differs between two texts of rules, key by key, in the order of the keys.

    Args:
        before: the text that a store keeps.
        after: the text of a config's rules.
    """
    return tuple(differences((), json.loads(before), json.loads(after)))


def differences(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Change]:
    """Give the changes between two values of the rules, as JSON has them, below one key."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from differences((*path, key), before.get(key), after.get(key))
    elif before != after:
        yield Change(toml_path(path), _written(path, before), _written(path, after))


def _written(path: tuple[str, ...], value: Any) -> Any:
    """Return a value as the config writes it; of a table, what says something."""
    if isinstance(value, Mapping):
        return {key: inner for key, inner in value.items() if inner not in (None, [], False)}
    if path in _DURATIONS and value not in (None, "none"):
        return duration_text(TypeAdapter(timedelta).validate_python(value))
    return value


def change_lines(changes: Sequence[Change]) -> list[str]:
    """Return a line for each change, as people read it; what is past ``MOST_LINES`` is counted."""
    lines = [str(change) for change in changes[:MOST_LINES]]
    left = len(changes) - len(lines)
    return [*lines, f"and {left:,} more; --json has all of them"] if left else lines


def shown(value: Any) -> str:
    """Return one side of a change as people read it: as TOML, a long list cut."""
    if value is None:
        return "(none)"
    if isinstance(value, list) and len(value) > MOST_VALUES:
        return f"{toml_value(value[:MOST_VALUES])[:-1]}, … {len(value)} in all]"
    return toml_value(value)
