"""Records to a Kafka topic: all of one person's in one partition, in the order of arrival."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from parcours.pipelines.simulate.fields import mix, person_keys
from parcours.pipelines.simulate.rows import Rows
from parcours.schemas.touchpoint import avro_schema

BATCH_BYTES = 512 * 1024
"""Bytes per partition that go out together: the client's 16 kB default costs ten times the requests."""


class TopicError(Exception):
    """The broker or the topic cannot be written to."""


class TopicSink:
    """Writes to one topic. ``close`` returns once the broker has acknowledged everything."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        partitions: int | None,
        compression: str,
        settings: Mapping[str, Any],
    ) -> None:
        self._topic, self._servers = topic, bootstrap
        servers = {"bootstrap_servers": bootstrap.split(","), **settings}
        try:
            _prepare(servers, topic, partitions)
            self._producer = KafkaProducer(
                **servers,
                acks="all",
                compression_type=None if compression == "none" else compression,
                batch_size=BATCH_BYTES,
                linger_ms=50,
                allow_auto_create_topics=False,
            )
            self._partitions = sorted(self._producer.partitions_for(topic))
        except KafkaError as error:
            raise TopicError(f"cannot write to topic {topic} at {bootstrap}: {error}") from error
        if partitions is not None and partitions != len(self._partitions):
            self._producer.close()
            raise TopicError(f'topic "{topic}" has {len(self._partitions)} partitions, not {partitions}')
        self._counts = np.zeros(len(self._partitions), np.int64)
        self._failure: BaseException | None = None

    @property
    def parts(self) -> dict[str, int]:
        """Records per partition, as ``topic[partition]``."""
        counts = zip(self._partitions, self._counts.tolist(), strict=True)
        return {f"{self._topic}[{partition}]": count for partition, count in counts}

    def write(self, rows: Rows, values: pa.Array) -> None:
        """Hand records to the producer; a null is a tombstone.

        Raises:
            TopicError: the broker refused an earlier record.
        """
        place = (mix(rows["person"]) % np.uint64(len(self._partitions))).astype(np.int64)
        self._counts += np.bincount(place, minlength=len(self._counts))
        send, topic, failed = self._producer.send, self._topic, self._failed
        partitions = np.array(self._partitions)[place].tolist()
        try:
            for value, key, partition in zip(
                values.to_pylist(), person_keys(rows).to_pylist(), partitions, strict=True
            ):
                send(topic, value, key, None, partition).add_errback(failed)
        except KafkaError as error:
            self._failed(error)
        self._raise_failure()

    def close(self) -> None:
        """Wait until the broker has everything.

        Raises:
            TopicError: it refused a record.
        """
        try:
            self._producer.flush()
        except KafkaError as error:
            self._failed(error)
        self._raise_failure()
        self._producer.close()

    def abandon(self) -> None:
        """Leave without waiting for what was not sent."""
        self._producer.close(timeout=0)

    def _failed(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            message = f"topic {self._topic} at {self._servers} did not take a record: {self._failure}"
            raise TopicError(message) from self._failure


def write_schemas(out: Path, schema_id: int) -> None:
    """Write the touchpoint's schema as ``schemas/ID.avsc``, where a source's ``schemas`` finds it."""
    folder = out / "schemas"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(avro_schema(), indent=2, ensure_ascii=False) + "\n"
    (folder / f"{schema_id}.avsc").write_text(text, "utf-8")


def _prepare(servers: Mapping[str, Any], topic: str, partitions: int | None) -> None:
    """Make a missing topic, if asked to. The producer itself would wait a minute for it."""
    admin = KafkaAdminClient(**servers)
    try:
        if topic in admin.list_topics():
            return
        if partitions is None:
            place = ",".join(servers["bootstrap_servers"])
            raise TopicError(f'no topic "{topic}" at {place}: say how many partitions to make it with')
        admin.create_topics({topic: {"num_partitions": partitions}}, wait_for_metadata=True)
    finally:
        admin.close()
