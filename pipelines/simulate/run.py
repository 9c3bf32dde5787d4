"""The simulator's whole flow: draw, spoil, sort by arrival, encode, write, account for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from parcours.pipelines.simulate.avro_records import (
    AvroDatums,
    avro_record,
    confluent_prefix,
    single_object_prefix,
)
from parcours.pipelines.simulate.behaviour import draw_chunk
from parcours.pipelines.simulate.copies import Quota, spoil
from parcours.pipelines.simulate.faults import Fault, faults
from parcours.pipelines.simulate.fields import Encoder, as_record, encode
from parcours.pipelines.simulate.files import AVRO_CODECS, LINE_SUFFIXES, FileSink
from parcours.pipelines.simulate.manifest import Manifest, Tally
from parcours.pipelines.simulate.planted import Truths
from parcours.pipelines.simulate.references import ReferenceFiles
from parcours.pipelines.simulate.rows import NONE, ROW, Rows
from parcours.pipelines.simulate.text_records import CsvLines, JsonLines, csv_record, json_record
from parcours.pipelines.simulate.words import END, START

FILE_FORMATS = ("json", "csv", "avro-file")
TOPIC_FORMATS = ("json", "avro", "avro-confluent", "avro-single-object")

SCHEMA_ID = 1
"""The id under which the touchpoint's schema is written for ``avro-confluent``."""

PERSONS_A_CHUNK = 10_000
RECORDS_A_BUCKET = 300_000
RECORDS_A_BATCH = 50_000
EVENTS_A_PERSON = 24


class Sink(Protocol):
    """Where records go."""

    @property
    def parts(self) -> dict[str, int]:
        """Records per file or partition."""
        ...

    def write(self, rows: Rows, values: pa.Array) -> None:
        """Write records in this order."""
        ...

    def close(self) -> None:
        """Finish: all records are there afterwards."""
        ...

    def abandon(self) -> None:
        """Give back what is held, after a failure."""
        ...


def simulate(
    events: int,
    seed: int,
    format: str,
    out: Path | None = None,
    *,
    files: int = 4,
    bootstrap: str | None = None,
    topic: str | None = None,
    partitions: int | None = None,
    broken: float = 0.01,
    duplicates: float = 0.02,
    late: float = 0.03,
    compression: str | None = None,
    kafka: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Write a mutual insurer's touchpoints of 2024 and 2025, and say what was planted.

    The same arguments give the same records, to files the same bytes. Records stand in the order of their
    arrival over the two years. Memory does not grow with ``events``; the system's temporary folder takes 122
    bytes a record.

    Args:
        events: records written in all: distinct good events, duplicates and broken ones together.
        seed: not negative.
        format: json, csv or avro-file to files; json, avro, avro-confluent or avro-single-object to a topic.
        out: a folder without earlier output. It receives the files, the reference inputs as CSV
            (``contracts``, ``customers``, ``aliases``, ``spend``, ``events_held``, ``indicators``,
            ``targets``), ``manifest.json``, and for a topic's Avro formats ``schemas/1.avsc``. Needed for
            files and for avro-confluent.
        files: how many files of equal size.
        bootstrap: the broker, ``host:port``; with ``topic``, records go there instead of to files.
        topic: the topic.
        partitions: makes the topic with that many partitions if it is not there.
        broken: share of broken records, dealt in turn over all kinds that the format can carry; about as
            many rows of each reference input are broken too.
        duplicates: share of duplicates; one in seven has other content under the same id.
        late: share of events that arrive hours to weeks after they occurred.
        compression: gzip or zstd for lines; null, deflate (default) or zstandard for containers; lz4
            (default), zstd, gzip, snappy or none for a topic.
        kafka: further settings of the producer, security above all.
        on_progress: is told the records written so far.

    Returns:
        The manifest, which is also written to ``out``.

    Raises:
        ValueError: an argument is wrong, or two do not go together.
        FileExistsError: ``out`` holds earlier output.
        TopicError: the broker or the topic cannot be written to.
    """
    _check(
        events,
        seed,
        format,
        out,
        files=files,
        bootstrap=bootstrap,
        topic=topic,
        broken=broken,
        duplicates=duplicates,
        late=late,
        compression=compression,
    )
    arguments = {
        "events": events,
        "seed": seed,
        "format": format,
        "files": None if topic else files,
        "topic": topic,
        "broken": broken,
        "duplicates": duplicates,
        "late": late,
        "compression": compression,
    }
    kinds = faults(format, topic=topic is not None)
    bad, twice = round(events * broken), round(events * duplicates)
    quota = Quota(events - bad - twice, twice - twice // 7, twice // 7, bad)
    truths = Truths()
    tally = Tally(arguments, kinds, truths)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    references: ReferenceFiles | None = None
    sink: Sink
    if topic is not None and bootstrap is not None:
        # The client takes a while to import, and files do not need it.
        from parcours.pipelines.simulate.topic import TopicSink, write_schemas  # noqa: PLC0415

        sink = TopicSink(
            bootstrap, topic, partitions=partitions, compression=compression or "lz4", settings=kafka or {}
        )
        if out is not None and format != "json":
            write_schemas(out, SCHEMA_ID)
    else:
        assert out is not None  # noqa: S101 - checked above; tells the type checker
        sink = FileSink(out, format, events, files=files, compression=compression, seed=seed)
    try:
        written = 0
        with ExitStack() as held:
            folder = held.enter_context(tempfile.TemporaryDirectory(prefix="parcours-simulate-"))
            if out is not None:
                references = held.enter_context(ReferenceFiles(out, seed, broken, truths))
            for rows in _in_order_of_arrival(
                quota,
                seed,
                kinds=len(kinds),
                late=late,
                tally=tally,
                references=references,
                folder=Path(folder),
            ):
                sink.write(rows, _values(rows, seed, format, kinds))
                written += len(rows)
                if on_progress is not None:
                    on_progress(written)
            if references is not None:
                references.finish(events)
        sink.close()
    except BaseException:
        sink.abandon()
        raise
    manifest = tally.finish(sink.parts, references.counts if references else {})
    if out is not None:
        manifest.write(out / "manifest.json")
    return manifest


def _check(
    events: int,
    seed: int,
    format_: str,
    out: Path | None,
    *,
    files: int,
    bootstrap: str | None,
    topic: str | None,
    broken: float,
    duplicates: float,
    late: float,
    compression: str | None,
) -> None:
    formats = FILE_FORMATS if topic is None else TOPIC_FORMATS
    if format_ not in formats:
        place = "files" if topic is None else "a topic"
        raise ValueError(f'"{format_}" is not a format for {place}: choose one of {", ".join(formats)}')
    if (topic is None) != (bootstrap is None):
        raise ValueError("a topic needs its broker, and a broker a topic: give both or neither")
    if out is None and (topic is None or format_ == "avro-confluent"):
        raise ValueError(f'"{format_}" needs an output folder' + (" for its schemas" if topic else ""))
    if events < 1 or seed < 0 or files < 1:
        raise ValueError(f"events ({events}) and files ({files}) begin at 1, the seed ({seed}) at 0")
    if not (0 <= broken <= 0.3 and 0 <= duplicates <= 0.3 and 0 <= late <= 1):
        raise ValueError(
            f"shares are between 0 and 1, broken and duplicates at most 0.3: {broken}, {duplicates}, {late}"
        )
    allowed = _compressions(format_, topic)
    if compression is not None and compression not in allowed:
        raise ValueError(f'"{compression}" does not compress {format_}: choose one of {", ".join(allowed)}')
    if out is not None and out.exists():
        left = next(
            (path.name for pattern in ("touchpoints-*", "manifest.json") for path in out.glob(pattern)), None
        )
        if left:
            raise FileExistsError(f"{out} holds earlier output ({left}): remove it or choose another folder")


def _compressions(format_: str, topic: str | None) -> list[str]:
    if topic is not None:
        return ["none", "lz4", "zstd", "gzip", "snappy"]
    return [name for name in (AVRO_CODECS if format_ == "avro-file" else LINE_SUFFIXES) if name]


def _in_order_of_arrival(
    quota: Quota,
    seed: int,
    *,
    kinds: int,
    late: float,
    tally: Tally,
    references: ReferenceFiles | None,
    folder: Path,
) -> Iterator[Rows]:
    """Draw all records, and return them in batches ordered by arrival.

    People are drawn chunk by chunk, each over the whole two years, so the order comes from a bucket sort on
    disk: a bucket is a stretch of time.
    """
    total = quota.good + quota.exact + quota.conflicting + quota.broken
    buckets = min(max(1, total // RECORDS_A_BUCKET), 500)
    person = 0
    while quota.done < quota.good:
        left = quota.good - quota.done
        count = min(PERSONS_A_CHUNK, left // EVENTS_A_PERSON + 20)
        chunk = draw_chunk(seed, person, count)
        drawn = chunk.events[:left]
        if references is not None:
            references.add(chunk, drawn)
        rng = np.random.Generator(np.random.PCG64([seed, person, 1]))
        person += count
        records = spoil(drawn, quota, kinds, late, rng)
        tally.add(drawn, records)
        bucket = np.clip((records["arrival"] - START) * buckets // (END - START), 0, buckets - 1)
        records = records[np.argsort(bucket, kind="stable")]
        edges = np.searchsorted(np.sort(bucket), np.arange(buckets + 1))
        for number in range(buckets):
            with (folder / f"{number}").open("ab") as file:
                file.write(records[edges[number] : edges[number + 1]].tobytes())
    for number in range(buckets):
        path = folder / f"{number}"
        rows = np.fromfile(path, ROW)
        path.unlink()
        rows = rows[np.lexsort((rows["copy"], rows["seq"], rows["arrival"]))]
        for start in range(0, len(rows), RECORDS_A_BATCH):
            yield rows[start : start + RECORDS_A_BATCH]


def _values(rows: Rows, seed: int, format_: str, kinds: tuple[Fault, ...]) -> pa.Array:
    """Return one binary value a row: good ones column by column, broken ones one by one."""
    good = rows["fault"] == NONE
    bad = [_broken(row, seed, format_, kinds[row["fault"]]) for row in rows[~good]]
    values = pa.concat_arrays([encode(rows[good], seed, _encoder(format_)), pa.array(bad, pa.binary())])
    place = np.empty(len(rows), np.int64)
    place[good], place[~good] = np.arange(good.sum()), good.sum() + np.arange(len(bad))
    return values.take(pa.array(place))


def _prefix(format_: str) -> bytes:
    if format_ == "avro-confluent":
        return confluent_prefix(SCHEMA_ID)
    return single_object_prefix() if format_ == "avro-single-object" else b""


def _encoder(format_: str) -> Encoder:
    if format_ == "json":
        return JsonLines()
    return CsvLines() if format_ == "csv" else AvroDatums(_prefix(format_))


def _broken(row: np.void, seed: int, format_: str, fault: Fault) -> bytes | None:
    record = as_record(row, seed)
    if fault.change is not None:
        fault.change(record)
    write = {"json": json_record, "csv": csv_record}.get(format_, avro_record)
    data = _prefix(format_) + write(record)
    return data if fault.damage is None else fault.damage(data)
