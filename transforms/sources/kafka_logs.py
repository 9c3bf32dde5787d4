"""What a cluster says of a source's topics, held against what the store says was read of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import for_code

from parcours.schemas.config import Source
from parcours.transforms.sources.contract import LogStoppedError, Position, SourceUnavailableError
from parcours.transforms.sources.kafka_connection import KafkaConnection
from parcours.transforms.sources.kafka_plan import Log


def find_logs(
    connection: KafkaConnection, source: Source, committed: Mapping[tuple[str, int], Position]
) -> tuple[list[Log], tuple[str, ...]]:
    """Return every partition of the configured topics as planned, and what waits for a transaction.

    Raises:
        SourceUnavailableError: a topic does not exist.
        LogStoppedError: the cluster or a topic is another one than before, or lost what was not read.
    """
    admin = connection.admin()
    cluster_id = admin.describe_cluster()["cluster_id"]
    topics = find_topics(connection, source)
    places = [TopicPartition(name, n) for name, topic in topics.items() for n in _partitions(topic)]
    begins = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST), "read_committed")
    tails = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    waiting = tuple(
        f"{place.topic}[{place.partition}]: {tails[place].offset - ends[place].offset} offsets wait for a"
        " transaction to end"
        for place in places
        if tails[place].offset > ends[place].offset
    )
    seen = {topic for topic, _ in committed}
    starts = _starts(admin, source.start, [place for place in places if place.topic not in seen])
    logs = []
    for place in places:
        resume = {"cluster_id": cluster_id, "topic_id": topic_id(topics[place.topic])}
        begin, end = begins[place].offset, ends[place].offset
        position = committed.get((place.topic, place.partition))
        # a partition added after the topic's first run was not skipped by choice: it begins at its beginning
        start = position.next_offset if position else min(max(starts.get(place, begin), begin), end)
        logs.append(Log(place.topic, place.partition, start, begin, end, resume, position is None))
        if position is not None:
            _same_log(source, position, logs[-1])
    for topic, partition in sorted(place for place in committed if place[0] in topics):
        if TopicPartition(topic, partition) not in places:
            raise LogStoppedError(
                f'source "{source.name}", partition="{topic}[{partition}]" was read before and no longer'
                " exists: the topic was made again with fewer partitions, and the committed offsets belong"
                f" to the old one. {after_reset(source, topic)}"
            )
    return logs, waiting


def find_topics(connection: KafkaConnection, source: Source) -> dict[str, Any]:
    """Describe the configured topics.

    Raises:
        SourceUnavailableError: some cannot be read; names every one.
    """
    admin = connection.admin()
    described = {topic["name"]: topic for topic in admin.describe_topics(list(source.topics))}
    problems = []
    existing: list[str] | None = None
    for name in source.topics:
        error = for_code(described[name]["error_code"])
        if error.errno == 0:
            continue
        if error.__name__ != "UnknownTopicOrPartitionError":
            problems.append(f'topic "{name}" cannot be read: {error.__name__}')
            continue
        existing = admin.list_topics() if existing is None else existing
        near = get_close_matches(name, existing, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        problems.append(f'topic "{name}" does not exist on {connection.broker}{hint}')
    if problems:
        raise SourceUnavailableError(f"{connection.name}: " + "; ".join(problems))
    return {name: described[name] for name in source.topics}


def topic_id(topic: Mapping[str, Any]) -> str | None:
    """Return a topic's id as text; null from brokers older than 2.8, which have none."""
    return str(topic["topic_id"]) if topic.get("topic_id") else None


def after_reset(source: Source, topic: str | None = None) -> str:
    """Say how another log than the one that was read can be read: all of a source's, or one topic's."""
    only = f" --topic {shlex.quote(topic)}" if topic else ""
    return (
        f"To read the log that is there now, run: parcours source reset {shlex.quote(source.name)}{only}"
        " (what is loaded stays)"
    )


def _partitions(topic: Mapping[str, Any]) -> list[int]:
    return sorted(partition["partition_index"] for partition in topic["partitions"])


def _starts(
    admin: KafkaAdminClient, start: datetime | str | None, places: list[TopicPartition]
) -> dict[TopicPartition, int]:
    """Where the first run of a topic begins; places without an answer begin at their beginning."""
    if not places or start == "earliest":
        return {}
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST), "read_committed")
    if isinstance(start, datetime):
        millis = int(start.timestamp() * 1000)
        found = admin.list_partition_offsets(dict.fromkeys(places, millis), "read_committed")
        # no record is as young as that: begin with the next one to come
        return {p: f.offset if f.offset >= 0 else ends[p].offset for p, f in found.items()}
    return {place: end.offset for place, end in ends.items()}


def _same_log(source: Source, position: Position, log: Log) -> None:
    """Hold a committed position against the log as it is.

    Raises:
        LogStoppedError: it is another log, or the offset is not in it.
    """
    where = f'source "{source.name}", partition="{log.topic}[{log.partition}]"'
    for key, what, topic in (("cluster_id", "cluster", None), ("topic_id", "topic", log.topic)):
        before = position.resume.get(key)
        if before and log.resume[key] and before != log.resume[key]:
            raise LogStoppedError(
                f"{where}: the {what} has another id than when offset {position.next_offset} was committed"
                f" ({before} then, {log.resume[key]} now): the committed offsets belong to another {what}."
                f" Point the source at the {what} that was read before. {after_reset(source, topic)}"
            )
    if position.next_offset > log.end:
        raise LogStoppedError(
            f"{where}: offset {position.next_offset} is committed and the log ends at {log.end}: it was cut"
            f" or made again, and the committed offsets belong to another log."
            f" {after_reset(source, log.topic)}"
        )
    if position.next_offset < log.begin and source.on_gap == "stop":
        raise LogStoppedError(
            f"{where}: offsets {position.next_offset} to {log.begin - 1} were not yet read and are gone."
            ' Set on_gap = "record" to note the gap and go on from there'
        )
