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

BATCH_ROWS = 5_000
"""Most records of a batch."""

PREFIX = "parcours-"
"""What the names of our headers begin with; a record's own of such a name gives way."""


class Letter(NamedTuple):
    """A rejection that waits: which attempt of which record, why it failed, what it holds, where it stood."""

    quarantine_id: str
    attempt: int
    run_id: str
    step: str
    reason: str
    rule: str | None
    record_key: bytes | None
    raw: bytes | None
    headers: list[dict[str, Any]] | None
    source: str
    topic: str
    partition: int
    offset: int
    form: str


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
            for letters in self._batches():
                too_large += self._send(letters, self._config)
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

    def _waiting(self) -> int:
        (found,) = self._connection.execute("SELECT count(*) FROM internal.dead_letters").fetchall()
        return int(found[0])

    def _batches(self) -> Iterator[list[Letter]]:
        """Give what waits, by source and place, until nothing does; what was erased since is taken out."""
        if self._waiting():
            self._connection.execute(
                """
                DELETE FROM internal.dead_letters WHERE rowid IN (
                    SELECT d.rowid FROM internal.dead_letters AS d
                    LEFT JOIN quarantine AS q USING (quarantine_id)
                    LEFT JOIN quarantine_attempts AS a USING (quarantine_id, attempt)
                    WHERE q.source IS NULL OR a.step IS NULL
                )
                """
            )
        while self._waiting():
            self._connection.execute("BEGIN")  # rows keep their numbers until its end
            letters = self._letters()
            self._connection.execute("COMMIT")
            yield letters

    def _letters(self) -> list[Letter]:
        """Return what is sent next, looked up by row: else all bytes of the quarantine would be read."""
        waiting = self._connection.execute(
            f"""
            SELECT q.rowid, d.quarantine_id, d.attempt, d.run_id, a.step, a.reason, a.rule
            FROM internal.dead_letters AS d
            JOIN quarantine_attempts AS a USING (quarantine_id, attempt)
            JOIN quarantine AS q USING (quarantine_id)
            ORDER BY q.source, q.source_topic, q.source_partition, q.source_offset, d.attempt
            LIMIT {BATCH_ROWS}
            """
        ).fetchall()
        sizes = self._by_row("octet_length(raw)", [row for row, *_ in waiting])
        batch: list[tuple[Any, ...]] = []
        total = 0
        for found in waiting:
            (size,) = sizes[found[0]]
            total += size or 0
            if batch and total > BATCH_BYTES:
                break
            batch.append(found)
        held = self._by_row(
            "record_key, raw, headers, source, source_topic, source_partition, source_offset, form",
            [row for row, *_ in batch],
        )
        return [Letter(*attempt, *held[row]) for row, *attempt in batch]

    def _by_row(self, columns: str, rows: Sequence[int]) -> dict[int, tuple[Any, ...]]:
        found = self._connection.execute(
            f"SELECT rowid, {columns} FROM quarantine WHERE rowid IN (SELECT unnest($rows))", {"rows": rows}
        )
        return {row: tuple(values) for row, *values in found.fetchall()}

    def _send(self, letters: Sequence[Letter], config: DeadLetters) -> list[str]:
        """Send records and take them out; return where those stood that are too large, taken out too.

        A producer that met one too large refuses whatever was sent with it: that is sent again, in halves
        until the culprit is alone.

        Raises:
            _NotTakenError: the broker did not take all; what it took is out.
        """
        if self._topic is None:
            from parcours.pipelines.dead_letter_topic import DeadLetterTopic  # noqa: PLC0415, loads the client

            self._topic = DeadLetterTopic(config)
        done = self._topic.produce([as_record(letter) for letter in letters])
        self._take_out([letters[place][:2] for place in done.taken])
        if done.failure:
            raise _NotTakenError(done.failure)
        refused = [letters[place] for place in done.refused]
        if len(refused) > 1:
            half = len(refused) // 2
            return self._send(refused[:half], config) + self._send(refused[half:], config)
        self._take_out([letter[:2] for letter in refused])
        return [
            f'source "{each.source}" partition="{each.topic}[{each.partition}]" offset="{each.offset}"'
            for each in refused
        ]

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
