"""What can be wrong with ``[dead_letters]`` beyond its shape: topic, addresses, settings, a loop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parcours.pipelines.layers import is_path
from parcours.pipelines.segment_checks import Found

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def dead_letter_mistakes(resolved: Mapping[Any, Any]) -> Iterator[Found]:
    """Give what is wrong with the dead-letter topic and the way to it.

    Args:
        resolved: the merged config with variables and paths resolved, sources by name, whether or not models
            can be made of it; what these say of a key is not said again.
    """
    given = resolved.get("dead_letters")
    if not isinstance(given, Mapping):
        return
    topic, addresses = given.get("topic"), _addresses(given.get("bootstrap"))
    if "bootstrap" in given and not addresses:
        yield Found(("dead_letters", "bootstrap"), 'names no broker: write "HOST:PORT"')
    if isinstance(topic, str):
        if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
            yield Found(
                ("dead_letters", "topic"),
                "is no name of a Kafka topic: write 1 to 249 letters, digits, dots, hyphens or underscores",
            )
        for name, source in resolved.get("source", {}).items():
            if (
                isinstance(source, Mapping)
                and topic in _words(source.get("topics"))
                and addresses & _addresses(source.get("bootstrap"))
            ):
                yield Found(
                    ("dead_letters", "topic"),
                    f'source "{name}" reads this topic: each record that it rejects would be read again, and '
                    "rejected again, for ever; name another topic",
                )
    yield from _of_settings(given.get("kafka"))


def _of_settings(settings: object) -> Iterator[Found]:
    if not isinstance(settings, Mapping) or not settings:
        return
    from parcours.pipelines.dead_letter_topic import ALLOWED, refusal  # noqa: PLC0415, loads the client

    for key, value in settings.items():
        place = ("dead_letters", "kafka", key)
        if key not in ALLOWED:
            yield Found(place, refusal(key), key, ALLOWED)
        elif is_path(place) and isinstance(value, str) and not Path(value).exists():
            yield Found(place, "there is no such file")


def _words(value: object) -> list[str]:
    """Return a list of the config, which may be written as one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    return [part.strip() for part in parts if isinstance(part, str) and part.strip()]


def _addresses(value: object) -> set[str]:
    return {address.lower() for address in _words(value)}
