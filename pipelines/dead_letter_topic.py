"""The dead-letter topic: what a user may say about the way to it, and a producer that never waits long."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from parcours.schemas.rule import DeadLetters
from parcours.transforms.sources.kafka_connection import heard_failures, named
from parcours.transforms.sources.kafka_settings import OBJECTS, setting, without_secrets

PATIENCE_MS = 3_000
"""How long a broker may take to answer, in milliseconds: the load waits meanwhile."""

_OURS: dict[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "max_in_flight_requests_per_connection": 5,  # the most that an idempotent producer allows
    "retries": float("inf"),  # within delivery_timeout_ms
    "transactional_id": None,
    "allow_auto_create_topics": False,  # a misspelt topic is not made
    "key_serializer": None,
    "value_serializer": None,
    "bootstrap_timeout_ms": PATIENCE_MS,
    "max_block_ms": PATIENCE_MS,
    "request_timeout_ms": PATIENCE_MS,
    "linger_ms": 20,
    "delivery_timeout_ms": PATIENCE_MS + 100,
}
_DEFAULTS: dict[str, Any] = {
    "client_id": "parcours",
    "reconnect_backoff_max_ms": 500,
    "metrics_enabled": False,
}
_NOT_IN_FILES = OBJECTS | {"partitioner", "transaction_timeout_ms", "api_version"}

ALLOWED = tuple(
    sorted(set(KafkaProducer.DEFAULT_CONFIG) - set(_OURS) - _NOT_IN_FILES - {"bootstrap_servers"})
)
"""The settings that are the user's to make."""


def refusal(name: str) -> str:
    """Say why a setting outside ``ALLOWED`` is refused."""
    if name == "bootstrap_servers":
        return 'write bootstrap = "host:port" in [dead_letters] instead'
    if name in _OURS:
        return f"parcours sets it to {_OURS[name]!r}, so that nothing is lost and no run waits long"
    if name in _NOT_IN_FILES:
        return "it is not for a config file"
    return "kafka-python has no such producer setting"


class Record(NamedTuple):
    """What is sent."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Produced(NamedTuple):
    """What became of records, by their places in what was given.

    Attributes:
        taken: those that the broker has.
        refused: those among which at least one is too large; the others may be sent again.
        failure: why the rest was not taken; null where there is no rest.
    """

    taken: list[int]
    refused: list[int]
    failure: str | None


class _NoTopicError(Exception):
    """The brokers answer, but not for this topic."""


class DeadLetterTopic:
    """A producer to the topic, connected when first needed."""

    def __init__(self, config: DeadLetters) -> None:
        self._topic = config.topic
        given = {name: setting(name, value) for name, value in config.kafka.items()}
        self._settings = {**_DEFAULTS, **given, **_OURS, "bootstrap_servers": list(config.bootstrap)}
        self._client: KafkaProducer | None = None

    def produce(self, records: Sequence[Record]) -> Produced:
        """Send records, and wait a few seconds at most until the broker has them."""
        taken: list[int] = []
        refused: list[int] = []
        failed: list[int] = []
        failure = None
        met_limit = False
        with heard_failures() as reasons:
            try:
                client = self._connected()
                sent = []
                for place, (key, value, headers) in enumerate(records):
                    try:
                        sent.append((place, client.send(self._topic, value, key, headers)))
                    except MessageSizeTooLargeError:  # by the client's own limit: the others are not touched
                        refused.append(place)
                until = time.monotonic() + self._settings["delivery_timeout_ms"] / 1000 + 1
                for place, future in sent:
                    try:
                        future.get(timeout=max(0, until - time.monotonic()))
                        taken.append(place)
                    except Exception as error:
                        failed.append(place)
                        met_limit = met_limit or isinstance(error, MessageSizeTooLargeError)
                        failure = failure or named(error)
            except _NoTopicError as error:
                failure = str(error)
            except Exception as error:  # whatever the client meets, the load goes on
                failure = named(error)
        if failure:
            self.close()
        if met_limit or not failure:
            return Produced(taken, sorted([*refused, *failed]), None)
        reason = "; ".join([failure, *list(reasons)[-3:]])
        return Produced(taken, [], without_secrets(reason, self._settings))

    def _connected(self) -> KafkaProducer:
        if self._client is None:
            self._client = KafkaProducer(**self._settings)
            try:
                self._client.partitions_for(self._topic)
            except KafkaTimeoutError as error:
                raise _NoTopicError("there is no such topic, and parcours makes none") from error
        return self._client

    def close(self) -> None:
        """Give the connection back without waiting; it is made again if needed."""
        if self._client is not None:
            self._client.close(timeout=0)
            self._client = None
