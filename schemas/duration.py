"""Spans of time as configs write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONG_UNITS = {"second", "minute", "hour", "day", "week"}


def parse_duration(text: object) -> timedelta:
    """Read ``"90s"``, ``"24h"``, ``"14 days"``… as a span of time.

    Raises:
        ValueError: the text is not a number followed by a unit.
    """
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", str(text).lower())
    unit = found[2] if found else ""
    for name in (unit, unit[:1]):
        if found and name in _UNITS and (name == unit or unit.rstrip("s") in _LONG_UNITS):
            return timedelta(seconds=float(found[1]) * _UNITS[name])
    raise ValueError(f'"{text}" is not a duration: write a number and a unit, as in 30s, 15m, 24h, 400d, 2w')


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
