"""Dead letters: rejected records go to a Kafka topic too, at least once.

The commit that rejects a record puts it into an outbox, in its own transaction; after the commit, and when
the next run begins, what waits there is produced and then taken out. A run that is killed between the two
leaves records that are sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from parcours.pipelines.commit import RunInfo
from parcours.schemas.rule import DeadLetters

if TYPE_CHECKING:
    from parcours.pipelines.dead_letter_topic import DeadLetterTopic, Record

RETRY_SECONDS = 30
"""How long a broker that took nothing is left alone: asking it costs seconds, which the load waits."""

BATCH_BYTES = 4_000_000
"""Bytes of records that are held in memory and sent together, but for a single one that is longer."""

ROUND_ROWS = 10_000
"""Records whose sizes are looked up together."""

PREFIX = "parcours-"
"""What the names of our headers begin with; a record's own of such a name gives way."""


class Letter(NamedTuple):
    """A rejection that waits: which attempt of which record, what it holds, where it stood, why it failed."""

    quarantine_id: str
    attempt: int
    run_id: str
    record_key: bytes | None
    raw: bytes | None
    headers: list[dict[str, Any]] | None
    source: str
    topic: str
    partition: int
    offset: int
    form: str
    step: str
    reason: str
    rule: str | None


class _NotTakenError(Exception):
    """The broker is away, or does not take records."""


def enqueue(connection: duckdb.DuckDBPyConnection, run: RunInfo, now: datetime) -> None:
    """Put what a commit rejects into the outbox, inside its transaction."""
    connection.execute(
        "INSERT INTO internal.dead_letters SELECT quarantine_id, attempt, run_id FROM quarantine_attempts "
        "WHERE run_id = ? AND attempted_at = ?",
        [run.run_id, now],
    )


def as_record(letter: Letter) -> Record:
    """Return what is sent: the record's own key, value and headers, and ours behind them.

    A tombstone without a key, which Kafka takes from nobody, has an empty value.
    """
    from parcours.pipelines.dead_letter_topic import Record  # noqa: PLC0415, loads the client

    ours: dict[str, object] = {
        "source": letter.source,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "attempt": letter.attempt,
        "reason": letter.reason,
        "rule": letter.rule,
        "step": letter.step,
        "form": letter.form,
        "run": letter.run_id,
        "quarantine-id": letter.quarantine_id,
    }
    headers = [
        (header["key"], header["value"] or b"")
        for header in letter.headers or ()
        if not header["key"].startswith(PREFIX)
    ]
    headers += [(PREFIX + name, str(value).encode()) for name, value in ours.items() if value is not None]
    nothing = letter.raw is None and letter.record_key is None
    return Record(letter.record_key, b"" if nothing else letter.raw, headers)


class Outbox:
    """Sends what waits, over one connection to the broker, made when it is first needed.

    Args:
        connection: the store's, outside any transaction when something is sent.
        config: where to; null where nothing is ever sent.
        warn: tells a person of what stops nothing.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, config: DeadLetters | None, warn: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._config = config
        self._warn = warn
        self._topic: DeadLetterTopic | None = None
        self._not_before = 0.0
        self._warned = False

    def send(self) -> None:
        """Send what waits. Where the broker does not take it, say so once, and try again later."""
        if self._config is None or time.monotonic() < self._not_before:
            return
        too_large: list[str] = []
        try:
            for batch in self._batches():
                too_large += self._deliver(batch, self._config)
                self._warned = False
        except _NotTakenError as error:
            self._not_before = time.monotonic() + RETRY_SECONDS
            if not self._warned:
                self._warned = True
                waiting = self._waiting()
                self._warn(
                    f"{waiting:,} rejected {'record waits' if waiting == 1 else 'records wait'} for the "
                    f'topic "{self._config.topic}" at {",".join(self._config.bootstrap)}: {error}. Check '
                    "[dead_letters]; the quarantine has them all the same, and they are sent after a later "
                    "commit, or when the next run begins"
                )
        if too_large:
            self._warn(
                f"too large for the dead-letter topic, and not sent: {len(too_large):,} rejected records, "
                f"such as {too_large[0]}. The quarantine has them; for later ones, raise max_request_size in "
                "[dead_letters.kafka], and the topic's max.message.bytes"
            )

    def close(self) -> None:
        """Give the connection back."""
        if self._topic is not None:
            self._topic.close()

    def _batches(self) -> Iterator[list[tuple[str, int]]]:
        """Give ids and attempts of what waits, by source and place, until nothing waits."""
        while waiting := self._connection.execute(
            f"""
            SELECT d.quarantine_id, d.attempt, coalesce(octet_length(q.raw), 0)
            FROM internal.dead_letters AS d LEFT JOIN quarantine AS q USING (quarantine_id)
            ORDER BY q.source, q.source_topic, q.source_partition, q.source_offset, d.attempt
            LIMIT {ROUND_ROWS}
            """
        ).fetchall():
            batch: list[tuple[str, int]] = []
            held = 0
            for quarantine_id, attempt, size in waiting:
                if batch and held + size > BATCH_BYTES:
                    yield batch
                    batch, held = [], 0
                batch.append((quarantine_id, attempt))
                held += size
            yield batch

    def _waiting(self) -> int:
        (found,) = self._connection.execute("SELECT count(*) FROM internal.dead_letters").fetchall()
        return int(found[0])

    def _deliver(self, batch: Sequence[tuple[str, int]], config: DeadLetters) -> list[str]:
        """Send a batch and take it out of the outbox, with what was erased since.

        Returns:
            Where the records stood that are too large.

        Raises:
            _NotTakenError: the broker did not take all of it; what it took is out.
        """
        if self._topic is None:
            from parcours.pipelines.dead_letter_topic import DeadLetterTopic  # noqa: PLC0415, loads the client

            self._topic = DeadLetterTopic(config)
        letters = self._letters(batch)
        there = {letter[:2] for letter in letters}
        self._take_out([each for each in batch if each not in there])
        return self._send(self._topic, letters)

    def _send(self, topic: DeadLetterTopic, letters: Sequence[Letter]) -> list[str]:
        """Send records and take them out; one too large is sought out, told, and taken out too.

        A producer that met one refuses whatever was sent with it: that is sent again, in halves until the
        culprit is alone.
        """
        done = topic.produce([as_record(letter) for letter in letters])
        self._take_out([letters[place][:2] for place in done.taken])
        if done.failure:
            raise _NotTakenError(done.failure)
        refused = [letters[place] for place in done.refused]
        if len(refused) > 1:
            half = len(refused) // 2
            return self._send(topic, refused[:half]) + self._send(topic, refused[half:])
        self._take_out([letter[:2] for letter in refused])
        return [
            f'source "{each.source}" partition="{each.topic}[{each.partition}]" offset="{each.offset}"'
            for each in refused
        ]

    def _letters(self, batch: Sequence[tuple[str, int]]) -> list[Letter]:
        rows = self._connection.execute(
            """
            SELECT d.quarantine_id, d.attempt, d.run_id, q.record_key, q.raw, q.headers, q.source,
                q.source_topic, q.source_partition, q.source_offset, q.form, a.step, a.reason, a.rule
            FROM (SELECT unnest($ids) AS quarantine_id, unnest($attempts) AS attempt) AS b
            JOIN internal.dead_letters AS d USING (quarantine_id, attempt)
            JOIN quarantine_attempts AS a USING (quarantine_id, attempt)
            JOIN quarantine AS q USING (quarantine_id)
            ORDER BY q.source, q.source_topic, q.source_partition, q.source_offset, d.attempt
            """,
            _lists(batch),
        ).fetchall()
        return [Letter(*row) for row in rows]

    def _take_out(self, places: Sequence[tuple[str, int]]) -> None:
        if places:
            self._connection.execute(
                "DELETE FROM internal.dead_letters AS d "
                "USING (SELECT unnest($ids) AS quarantine_id, unnest($attempts) AS attempt) AS sent "
                "WHERE d.quarantine_id = sent.quarantine_id AND d.attempt = sent.attempt",
                _lists(places),
            )


def _lists(places: Sequence[tuple[str, int]]) -> dict[str, list[Any]]:
    return {"ids": [each for each, _ in places], "attempts": [attempt for _, attempt in places]}
