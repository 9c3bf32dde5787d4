"""Plain data as TOML, for ``config show`` and for blocks to paste."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPANS = (("d", 86_400), ("h", 3600), ("m", 60))


def duration_text(span: timedelta) -> str:
    """Write a span of time as the config does: ``400d``, ``24h``, ``1.5s``."""
    seconds = span.total_seconds()
    for unit, size in _SPANS:
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def plain(value: Any) -> Any:
    """Return a value of a config as JSON and TOML can write it: durations and times become their texts."""
    match value:
        case Mapping():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case timedelta():
            return duration_text(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def to_toml(data: Mapping[str, Any]) -> str:
    """Write nested tables, lists of tables and plain values as TOML; nulls are left out."""
    return "\n".join(_table(data, ())).strip() + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {key: value for key, value in data.items() if isinstance(value, Mapping)}
    lists = {
        key: value
        for key, value in data.items()
        if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value)
    }
    for key, value in data.items():
        if key not in tables and key not in lists and value is not None:
            yield f"{_key(key)} = {toml_value(value)}"
    for key, value in tables.items():
        if any(not isinstance(inner, Mapping) for inner in value.values()) or not value:
            yield from ("", f"[{toml_path((*path, key))}]")
        yield from _table(value, (*path, key))
    for key, entries in lists.items():
        for entry in entries:
            yield from ("", f"[[{toml_path((*path, key))}]]")
            yield from _table(entry, (*path, key))


def toml_path(path: tuple[str, ...]) -> str:
    """Return keys as one dotted key: ``taxonomy.events."quote created"``."""
    return ".".join(_key(part) for part in path)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: Any) -> str:
    """Return a plain value as TOML writes it on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    return _string(str(value))
