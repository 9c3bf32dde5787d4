"""The rules that stored tables depend on: their text, their fingerprint, and what a change of them is."""

from __future__ import annotations

import hashlib
import json

from parcours.schemas.config import Config


class RulesChangedError(Exception):
    """The store was built with other rules."""


def rules_of(config: Config) -> str:
    """Return the text of the rules that stored tables depend on."""
    rules = config.model_dump(mode="json", include={"taxonomy", "journey", "identity"})
    return json.dumps(rules, sort_keys=True, ensure_ascii=False)


def fingerprint(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
