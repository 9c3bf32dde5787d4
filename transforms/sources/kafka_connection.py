"""The connections of one Kafka source: made when first needed, patient while a broker restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, RetriableError

from parcours.schemas.config import Source
from parcours.transforms.sources.contract import SourceUnavailableError
from parcours.transforms.sources.kafka_batches import whole_batches_supported, yield_whole_batches
from parcours.transforms.sources.kafka_settings import build_consumer_settings, without_secrets

CONNECT_SECONDS = 10
"""How long a first connection may take, unless the source's ``bootstrap_timeout_ms`` says otherwise."""

STALL_SECONDS = 60
"""How long a source that once answered may stay silent: a broker's restart is shorter."""

RETRY_SECONDS = 0.2

_Answer = TypeVar("_Answer")

# kafka-python's warnings would otherwise go to standard error, and its admin client logs passwords at DEBUG
logging.getLogger("kafka").addHandler(logging.NullHandler())
logging.getLogger("kafka.admin.client").setLevel(logging.INFO)


class _Admin(KafkaAdminClient):  # type: ignore[misc]  # kafka-python has no types here
    """The admin client with the one security setting that only consumers are let have."""

    DEFAULT_CONFIG = {**KafkaAdminClient.DEFAULT_CONFIG, "ssl_ciphers": None}  # noqa: RUF012


class KafkaConnection:
    """An admin client and a consumer with one source's settings, each made once.

    Args:
        source: the source's part of the config.
        whole_batches: whether the consumer is to give whole record batches; false afterwards where the
        installed
            kafka-python cannot.
        stall_seconds: how long a broker that once answered may be away.

    Raises:
        ValueError: settings that kafka-python does not know, or that are not the user's to make.
    """

    def __init__(self, source: Source, *, whole_batches: bool, stall_seconds: float) -> None:
        self.whole_batches = whole_batches
        self.stall_seconds = stall_seconds
        self.name = f'source "{source.name}"'
        self.broker = f"Kafka at {','.join(source.bootstrap)}"
        self._settings = {"bootstrap_timeout_ms": CONNECT_SECONDS * 1000, **build_consumer_settings(source)}
        self._admin: KafkaAdminClient | None = None
        self._consumer: KafkaConsumer | None = None
        self._answered = False

    def admin(self) -> KafkaAdminClient:
        """Return the admin client, connected."""
        if self._admin is None:
            known = {name: value for name, value in self._settings.items() if name in _Admin.DEFAULT_CONFIG}
            self._admin = _Admin(**{"request_timeout_ms": CONNECT_SECONDS * 1000, **known})
        return self._admin

    def consumer(self, place: TopicPartition, offset: int) -> KafkaConsumer:
        """Return the consumer, connected, at an offset of a partition."""
        if self._consumer is None:
            self._consumer = KafkaConsumer(**self._settings)
            self.whole_batches = self.whole_batches and whole_batches_supported(self._consumer)
            if self.whole_batches:
                yield_whole_batches(self._consumer)
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        return self._consumer

    def answer(self, ask: Callable[[], _Answer], where: str = "", seconds: float | None = None) -> _Answer:
        """Ask the cluster, again and again while it is away.

        Args:
            ask: what to ask, by means of :meth:`admin` or :meth:`consumer`.
            where: the place in the log, for messages. Whoever names one has it from a plan, which a broker
            answered:
                that broker is waited for as long as a restart takes.
            seconds: how long to ask at most, if neither a first connection's time nor a restart's.

        Raises:
            SourceUnavailableError: no answer in time, or a refusal.
        """
        if seconds is None:
            first = self._settings["bootstrap_timeout_ms"] / 1000
            seconds = self.stall_seconds if self._answered or where else first
        deadline = time.monotonic() + seconds
        with heard_failures() as reasons:
            while True:
                try:
                    answer = ask()
                except RetriableError as error:
                    if time.monotonic() > deadline:
                        raise self.unavailable(error, where, reasons) from error
                    time.sleep(RETRY_SECONDS)
                except (KafkaError, OSError, ValueError) as error:
                    raise self.unavailable(error, where, reasons) from error
                else:
                    self._answered = True
                    return answer

    def unavailable(
        self, error: Exception, where: str = "", reasons: dict[str, None] | None = None
    ) -> SourceUnavailableError:
        """Return the error that says which broker cannot be read, why, and what to check; without secrets."""
        text = "; ".join([named(error), *list(reasons or {})[-3:]])
        return SourceUnavailableError(
            f"{where or self.name}: {self.broker} cannot be read: {self.without_secrets(text)}."
            " Check bootstrap, and security_protocol, ssl_* and sasl_* in [source.kafka]"
        )

    def without_secrets(self, text: str) -> str:
        """Return a message with the values of secret settings blanked out."""
        return without_secrets(text, self._settings)

    def close(self) -> None:
        """Give the connections back; they are made again if needed."""
        for client in (self._admin, self._consumer):
            if client is not None:
                client.close()
        self._admin = self._consumer = None


def named(error: Exception) -> str:
    """Return an error's text with its kind in front, once: kafka-python's own errors begin with it."""
    text = str(error)
    kind = type(error).__name__
    return text if kind in text else f"{kind}: {text}"


@contextmanager
def heard_failures() -> Iterator[dict[str, None]]:
    """Collect why connections failed: kafka-python logs it, and raises no more than a timeout."""
    handler = _Reasons(logging.WARNING)
    logger = logging.getLogger("kafka.net.manager")
    logger.addHandler(handler)
    try:
        yield handler.heard
    finally:
        logger.removeHandler(handler)


class _Reasons(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.heard: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the errors that a message is about, each once; the final timeout is raised anyway."""
        for argument in record.args if isinstance(record.args, tuple) else ():
            if isinstance(argument, Exception) and not str(record.msg).startswith("Bootstrap failed"):
                self.heard[named(argument)] = None
