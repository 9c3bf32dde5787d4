"""What is secret in a config, and how it is kept out of everything that is printed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MASK = "****"

_SECRET_KEY = re.compile(
    r"passw|secret|token|credential|private_key|api_?key|passphrase|webhook", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^/\s\"']+@")


def looks_secret(key: str) -> bool:
    """Say whether a key's value is to be hidden: by its name, a slip of the pen included (``pasword``)."""
    if _SECRET_KEY.search(key):
        return True
    words = re.split(r"[_\-.\s]+", key.lower())
    return any(
        difflib.get_close_matches(word, ("password", "passwd", "secret", "token"), 1, 0.8) for word in words
    )


class Secrets:
    """The secret values met so far, and the masking of any text that may hold them."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, values: Iterable[object]) -> None:
        """Remember values, each line of a long one too: an error message may quote a single line."""
        for value in values:
            text = str(value)
            self._values.update(part for part in (text, *text.splitlines()) if part.strip())

    def mask(self, text: str) -> str:
        """Return the text with every known secret, and the user part of every URL, replaced by ``****``."""
        for value in sorted(self._values, key=len, reverse=True):
            if len(value) >= 4:
                text = text.replace(value, MASK)
            else:  # a one-letter password must not turn every such letter of a message into stars
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text)
        return _USERINFO.sub(f"{MASK}@", text)
