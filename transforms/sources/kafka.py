"""Kafka topics as a source: ranges are planned from offsets, and read with assign and seek, never in a group.

What is committed in the store is the truth. Beside each offset stand the cluster's and the topic's id: a
topic that was deleted and made again may already have grown past our offset, so a changed id stops the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    CorruptRecordError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
)

from parcours.schemas.config import Source, Validation
from parcours.transforms.elements import PlannedRange, RangeEnd, SourceBatch
from parcours.transforms.sources.contract import LogStoppedError, Plan, Position, SourceUnavailableError
from parcours.transforms.sources.kafka_batches import Assembler
from parcours.transforms.sources.kafka_connection import RETRY_SECONDS, STALL_SECONDS, KafkaConnection, named
from parcours.transforms.sources.kafka_logs import after_reset, find_logs, find_topics, topic_id
from parcours.transforms.sources.kafka_plan import Log, cut

_POLL_MS = 1_000

_SAMPLED_FROM = 1_000
"""A topic with fewer offsets to read is not measured first: its records cannot fill a slice."""


class KafkaSource:
    """The topics of one configured source. Not for several threads: each opens its own.

    Args:
        source: the source's part of the config, of kind ``kafka``.
        validation: the limits; ``max_record_bytes`` is used here.
        whole_batches: read whole record batches where the installed kafka-python allows it.
        stall_seconds: how long a read may make no progress.

    Raises:
        ValueError: settings that kafka-python does not know, or that are not the user's to make.
    """

    def __init__(
        self,
        source: Source,
        validation: Validation,
        *,
        whole_batches: bool = True,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._source = source
        self._max_bytes = validation.max_record_bytes
        self._connection = KafkaConnection(source, whole_batches=whole_batches, stall_seconds=stall_seconds)

    # planning

    def plan(
        self, committed: Mapping[tuple[str, int], Position], *, first_id: int, records: int, bytes_: int
    ) -> Plan:
        """Cut what lies between the committed offsets and the last stable ones into ranges.

        A partition that was never read gets a range in any case, an empty one if need be: so the offset
        where it begins is committed, and ``start = "latest"`` is decided once.

        Raises:
            SourceUnavailableError: no broker answers, or a topic does not exist.
            LogStoppedError: the cluster or a topic is another one than before, or lost what was not read.
        """
        logs, waiting = self._connection.answer(lambda: find_logs(self._connection, self._source, committed))
        record_bytes = self._connection.answer(lambda: self._record_bytes(logs))
        ranges, more = cut(
            logs,
            source=self._source.name,
            first_id=first_id,
            records=records,
            bytes_=bytes_,
            record_bytes=record_bytes,
        )
        taken = sum((each.end - each.start) * record_bytes.get(each.topic, 0) for each in ranges)
        return Plan(ranges, {(log.topic, log.partition): log.end for log in logs}, more, waiting, int(taken))

    def _record_bytes(self, logs: list[Log]) -> dict[str, float]:
        """Measure the mean size of the next records of each topic that has many."""
        sizes = {}
        for topic in {log.topic for log in logs}:
            log = max((log for log in logs if log.topic == topic), key=lambda log: log.pending)
            if log.pending <= _SAMPLED_FROM:
                continue
            place = TopicPartition(topic, log.partition)
            consumer = self._connection.consumer(place, log.readable_from)
            assembler = Assembler(log.readable_from, log.end, self._max_bytes)
            items = consumer.poll(timeout_ms=_POLL_MS, max_records=100).get(place, [])
            tables = [table for item in items for table in assembler.add(item)] + list(assembler.flush())
            rows = sum(table.num_rows for table in tables)
            if rows:
                sizes[topic] = sum(sum(table["size"].to_pylist()) for table in tables) / rows
        return sizes

    def rewound(
        self, committed: Mapping[tuple[str, int], Position], to: str
    ) -> dict[tuple[str, int], Position]:
        """Return earlier positions: the log's beginning, an offset, or the first record at or after a time.

        A position before what the log still has is moved to its beginning. Topics no longer configured are
        left where they are.

        Raises:
            ValueError: ``to`` is no offset and no time, or lies after what was read.
            SourceUnavailableError: no broker answers, or a topic does not exist.
        """
        places = [TopicPartition(*place) for place in committed if place[0] in self._source.topics]
        admin = self._connection.answer(self._connection.admin)
        self._connection.answer(lambda: find_topics(self._connection, self._source))
        begins = self._connection.answer(
            lambda: admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
        )
        targets: dict[TopicPartition, int]
        if to == "earliest":
            targets = dict.fromkeys(places, 0)
        elif to.isdigit():
            targets = dict.fromkeys(places, int(to))
        else:
            millis = _millis(to)
            found = self._connection.answer(
                lambda: admin.list_partition_offsets(dict.fromkeys(places, millis), "read_committed")
            )
            targets = {
                place: at.offset if at.offset >= 0 else committed[place.topic, place.partition].next_offset
                for place, at in found.items()
            }
        rewound = {}
        for place, target in targets.items():
            position = committed[place.topic, place.partition]
            if target > position.next_offset:
                raise ValueError(
                    f'"{to}" is offset {target} of {place.topic}[{place.partition}], which was read up to'
                    f" {position.next_offset} only: a rewind goes back, what lies between would be lost"
                )
            # never forward: where the log lost what was not yet read, the next plan has to see it
            readable = min(max(target, begins[place].offset), position.next_offset)
            rewound[place.topic, place.partition] = Position(readable, position.resume)
        return rewound

    # reading

    def read(self, planned: PlannedRange) -> Iterator[SourceBatch | RangeEnd]:
        """Read one range: batches in offset order, then one ``RangeEnd``.

        Raises:
            SourceUnavailableError: the broker gave nothing for ``stall_seconds``, or refuses us.
            LogStoppedError: the log is no longer the planned one, lost what was to be read, or is corrupt.
        """
        batches = read = 0
        begin = min(int(planned.resume.get("log_start", planned.start)), planned.end)
        lost = [(planned.start, begin)] if begin > planned.start else []
        assembler = Assembler(begin, planned.end, self._max_bytes)
        for items in self._polls(planned, assembler, lost):
            for table in (t for item in items for t in assembler.add(item)):
                batches, read = batches + 1, read + table.num_rows
                yield SourceBatch(planned, table)
        for table in assembler.flush():
            batches, read = batches + 1, read + table.num_rows
            yield SourceBatch(planned, table)
        gap = planned.end - planned.start - read
        yield RangeEnd(
            planned,
            batches,
            read,
            planned.end,
            gap,
            _gap_reason(gap, lost, assembler.hidden if self._connection.whole_batches else {}),
            {key: planned.resume[key] for key in ("cluster_id", "topic_id") if key in planned.resume},
        )

    def _polls(
        self, planned: PlannedRange, assembler: Assembler, lost: list[tuple[int, int]]
    ) -> Iterator[list[Any]]:
        """Yield what each poll returned until the position reaches the range's end.

        A record at ``end - 1`` may never come (aborted, compacted away, a marker): the position tells.
        """
        place = TopicPartition(planned.topic, planned.partition)
        position = assembler.start
        if position >= planned.end:
            return
        consumer = self._connection.answer(
            lambda: self._connection.consumer(place, position), _where(planned, position)
        )
        progressed = time.monotonic()
        silence = "no answer"
        while position < planned.end:
            before, items = position, []
            try:
                items = consumer.poll(timeout_ms=_POLL_MS, max_records=10_000).get(place, [])
                position = consumer.position(place, timeout_ms=_POLL_MS)
            except OffsetOutOfRangeError:
                position = self._after_gap(consumer, planned, position)
                lost.append((before, position))
                assembler.start = position
            except (CorruptRecordError, LogTruncationError) as error:
                raise LogStoppedError(
                    f"{_where(planned, position)}: {named(error)}. The log is not what the"
                    " broker stored, or not what was read before; if a replica is sound, reading again helps"
                ) from error
            except RetriableError as error:
                silence = named(error)
                time.sleep(RETRY_SECONDS)
            except KafkaError as error:
                raise self._connection.unavailable(error, _where(planned, position)) from error
            if items or position > before:
                yield items
                progressed = time.monotonic()
            elif time.monotonic() - progressed > self._connection.stall_seconds:
                with suppress(SourceUnavailableError):  # a deleted topic is a better reason than silence
                    self._same_topic(planned, seconds=0)
                silence = self._connection.without_secrets(silence)
                raise SourceUnavailableError(
                    f"{_where(planned, position)}: no progress for"
                    f" {self._connection.stall_seconds:.0f} s on the way to {planned.end} ({silence});"
                    " nothing of this range is kept, and the next run reads it again"
                )
        self._same_topic(planned)

    def _after_gap(self, consumer: KafkaConsumer, planned: PlannedRange, position: int) -> int:
        """Return where to go on after offsets that the log lost between the plan and now, and seek it."""
        self._same_topic(planned)
        place = TopicPartition(planned.topic, planned.partition)
        begin = self._connection.answer(
            lambda: consumer.beginning_offsets([place])[place], _where(planned, position)
        )
        if begin <= position:
            raise LogStoppedError(
                f"{_where(planned, position)}: the log ends before it: it was cut or made again meanwhile."
                f" {after_reset(self._source, planned.topic)}"
            )
        if self._source.on_gap == "stop":
            raise LogStoppedError(
                f"{_where(planned, position)}: the log begins at {begin} and lost what was not yet read."
                ' Set on_gap = "record" to note the gap and go on from there'
            )
        following = min(int(begin), planned.end)
        consumer.seek(place, following)
        return following

    def _same_topic(self, planned: PlannedRange, seconds: float | None = None) -> None:
        """Make sure that what was read came from the planned topic; ids never come back, so one look does.

        Raises:
            LogStoppedError: the topic was deleted, and perhaps made again, since the plan.
        """
        expected = planned.resume.get("topic_id")
        if not expected:
            return
        (topic,) = self._connection.answer(
            lambda: self._connection.admin().describe_topics([planned.topic]),
            _where(planned, planned.end),
            seconds,
        )
        if topic_id(topic) != expected:
            raise LogStoppedError(
                f"{_where(planned, planned.start)}: the topic was deleted or made again while it was read"
                f" (id {expected} at the plan, {topic_id(topic)} now); nothing of this range is kept."
                f" {after_reset(self._source, planned.topic)}"
            )

    def close(self) -> None:
        """Give back the connections; the source may be used again and then connects again."""
        self._connection.close()


def _millis(text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f'"{text}" is neither an offset nor a time: write earliest, a number, or a time as in'
            " 2026-01-31T08:00:00Z"
        ) from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)


def _where(planned: PlannedRange, offset: int) -> str:
    return f'source "{planned.source}", partition="{planned.topic}[{planned.partition}]" offset="{offset}"'


def _gap_reason(gap: int, lost: list[tuple[int, int]], hidden: Mapping[str, int]) -> str | None:
    """Say why offsets of a range gave no record, in kinds and counts; null where all did."""
    if not gap:
        return None
    reasons = [f"retention: offsets {first} to {after - 1} are gone" for first, after in lost]
    rest = gap - sum(after - first for first, after in lost) - sum(hidden.values())
    kinds = {
        "aborted": "in aborted transactions",
        "control": "transaction markers",
    }
    reasons += [f"{hidden[kind]} {text}" for kind, text in kinds.items() if hidden.get(kind)]
    if rest:
        reasons.append(f"{rest} " + ("compacted away" if hidden else "aborted, markers or compacted away"))
    return "; ".join(reasons)
