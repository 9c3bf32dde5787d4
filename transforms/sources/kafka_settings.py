"""What a user may say about the connection to Kafka, and what parcours settles itself."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from kafka import KafkaConsumer
from pydantic import SecretStr

from parcours.schemas.config import Source

OURS: dict[str, Any] = {
    "auto_offset_reset": "none",  # an offset that the log does not have is an event, not a reason to jump
    "isolation_level": "read_committed",
    "enable_auto_commit": False,  # what is committed stands in the store
    "check_crcs": True,
    "group_id": None,
    "allow_auto_create_topics": False,  # a misspelt topic is not made
    "key_deserializer": None,
    "value_deserializer": None,
}
"""Consumer settings that exactly-once reading depends on."""

_DEFAULTS: dict[str, Any] = {
    "client_id": "parcours",
    "reconnect_backoff_max_ms": 2_000,  # a broker that restarts is back in seconds
    "fetch_max_bytes": 4
    * 1024
    * 1024,  # bounds what is fetched ahead; batches may be larger, once decompressed
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "fetch_max_wait_ms": 10,  # ranges end at the log's end: there is nothing to wait for
    "metrics_enabled": False,
}
_NOT_FOR_GROUPS = {
    *(
        "auto_commit_interval_ms",
        "default_offset_commit_callback",
        "group_instance_id",
        "heartbeat_interval_ms",
    ),
    *("max_poll_interval_ms", "max_poll_records", "partition_assignment_strategy", "session_timeout_ms"),
    *("consumer_timeout_ms", "exclude_internal_topics"),
}
OBJECTS = {"kafka_client", "metric_reporters", "selector", "socket_options", "ssl_context"}
"""Settings that no config file can hold."""

_SECRET_WORDS = ("password", "secret", "token", "proxy")


ALLOWED = tuple(
    sorted(set(KafkaConsumer.DEFAULT_CONFIG) - set(OURS) - _NOT_FOR_GROUPS - OBJECTS - {"bootstrap_servers"})
)
"""The settings that are the user's to make."""


def refusal(name: str) -> str:
    """Say why a setting outside ``ALLOWED`` is refused."""
    if name == "bootstrap_servers":
        return 'write bootstrap = "host:port" in [[source]] instead'
    if name in OURS:
        return f"parcours sets it to {OURS[name]!r}, which reading exactly once depends on"
    if name in _NOT_FOR_GROUPS:
        return "it is for consumer groups, and parcours reads without one"
    if name in OBJECTS:
        return "it is a Python object, which a config file cannot hold"
    return "kafka-python has no such consumer setting"


def build_consumer_settings(source: Source) -> dict[str, Any]:
    """Return kafka-python's consumer settings for a source: its own, ours, and defaults for the rest.

    ``sasl_oauth_token_provider`` is written as ``"package.module:Class"`` and made without arguments.

    Raises:
        ValueError: settings that kafka-python does not know, or that are not the user's to make; lists all.
    """
    problems = []
    for name in source.kafka:
        if name not in ALLOWED:
            near = get_close_matches(name, ALLOWED, n=2)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            problems.append(f"{name}: {refusal(name)}{hint}")
    if problems:
        raise ValueError(f'source "{source.name}", [source.kafka]: ' + "; ".join(problems))
    given = {name: setting(name, value) for name, value in source.kafka.items()}
    return {**_DEFAULTS, **given, **OURS, "bootstrap_servers": list(source.bootstrap)}


def setting(name: str, value: Any) -> Any:
    """Return a setting as kafka-python takes it: secrets in the clear, a token provider made."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if name == "api_version":
        return tuple(value)
    if name == "sasl_oauth_token_provider" and isinstance(value, str):
        return pkgutil.resolve_name(value)()
    return value


def without_secrets(text: str, settings: Mapping[str, Any]) -> str:
    """Return a message of kafka-python's with the values of secret settings blanked out."""
    for name, value in settings.items():
        if value and isinstance(value, str) and any(word in name for word in _SECRET_WORDS):
            text = text.replace(value, "***")
    return text
