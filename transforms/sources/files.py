"""Files as a source: which there are, what is new in them, and their records with ordinals as offsets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW
from parcours.transforms.elements import PlannedRange, RangeEnd, SourceBatch
from parcours.transforms.sources.avro_blocks import read_avro
from parcours.transforms.sources.avro_container import estimate_records, read_container
from parcours.transforms.sources.contract import (
    BATCH_BYTES,
    BATCH_RECORDS,
    LogStoppedError,
    Plan,
    Position,
    SourceUnavailableError,
)
from parcours.transforms.sources.listing import File, Listing
from parcours.transforms.sources.parquet_rows import as_context, estimate_rows, read_parquet
from parcours.transforms.sources.pieces import Piece, Reading, read_header, read_lines
from parcours.transforms.sources.records import Framing
from parcours.transforms.sources.streams import Stream

FINAL_AFTER = 60.0
"""Seconds without a change after which a last line without its line end is taken as whole, at the least."""

_PRINT = 4096
_SAMPLE = 64 * 1024
_MARGIN = 1.25


class FileSource:
    """One path or glob; each file is a topic with one partition, each record's offset its ordinal.

    What is committed beside an offset is where in the content the next record begins (``byte``, the ordinal
    of the record there in ``record``), the file's ``size`` and change time, the SHA-256 over the first and
    last 4 KiB of its first ``of`` bytes, and the ``state``: ``part`` (cut by a limit), ``held`` (a last line
    waits), ``done``.
    """

    def __init__(self, source: Source, validation: Validation) -> None:
        self._source = source
        self._max_bytes = validation.max_record_bytes
        self._listing = Listing(source)
        self._final_after = max(10 * source.settle.total_seconds(), FINAL_AFTER)
        is_csv = source.format == "csv"
        self._framing = Framing(
            quote=source.quote.encode(source.encoding) if is_csv else b"",
            delimiter=source.delimiter.encode(source.encoding),
            max_bytes=self._max_bytes,
            blank_is_white=not is_csv,
        )

    def close(self) -> None:
        """Nothing is kept open."""

    def plan(
        self, committed: Mapping[tuple[str, int], Position], *, first_id: int, records: int, bytes_: int
    ) -> Plan:
        """Plan one range a file that has something unread, in the order of their paths.

        A range's ``end`` is a bound that is estimated from a sample of the file; where it may fall short of
        the file's end, ``more`` is true, and the next plan goes on from where reading stopped. ``ends`` names
        only files that are read to their end: nobody knows how many records the others have.

        Raises:
            SourceUnavailableError: no file is there and none was ever read, or one cannot be opened.
            LogStoppedError: a file that was read was replaced, and ``on_replaced`` is ``error``.
        """
        try:
            files, waiting = self._listing.find(committed)
            ranges: list[PlannedRange] = []
            ends: dict[tuple[str, int], int] = {}
            more = False
            for file in files:
                known = committed.get((file.topic, 0), Position(0))
                state = self._compare(file, known)
                if state == "done":
                    ends[file.topic, 0] = known.next_offset
                elif state == "held":
                    waiting.append(self._held(file.topic, file.size - known.resume["byte"]))
                elif records < 1 or bytes_ < 1:
                    more = True
                else:
                    if state == "replaced":
                        known = Position(0)
                    planned, certain = self._range(file, known, first_id + len(ranges), records, bytes_)
                    more |= not certain
                    records -= planned.end - planned.start
                    bytes_ -= planned.resume["bytes"]
                    ranges.append(planned)
        except OSError as error:
            raise SourceUnavailableError(
                f'source "{self._source.name}" cannot read {error.filename}: {error.strerror}; '
                "make it readable, or change the source's path"
            ) from error
        taken = sum(planned.resume["bytes"] for planned in ranges)
        return Plan(tuple(ranges), ends, more, tuple(waiting), taken)

    def _compare(self, file: File, known: Position) -> str:
        """Hold a file against what is committed: ``done``, ``held``, ``unread`` or ``replaced``.

        Raises:
            LogStoppedError: it was replaced, and that is an error.
        """
        note = known.resume
        if not note:
            return "unread"
        if (file.size, file.changed_ns) != (note["size"], note["changed_ns"]) and (
            difference := self._difference(file, note)
        ):
            if self._source.on_replaced == "reload":
                return "replaced"
            raise LogStoppedError(
                f'source "{self._source.name}": {file.path} was replaced after it was read: {difference}. '
                'Put the new content under a new name, or set on_replaced = "reload" to read the file again '
                "from its start"
            )
        if file.size != note["size"] or note["state"] == "part":
            return "unread"
        if note["state"] == "held":
            return "unread" if file.age >= self._final_after else "held"
        return "done"

    def _difference(self, file: File, note: Mapping[str, Any]) -> str | None:
        if file.size < note["of"]:
            return f"it has {file.size:,} bytes, of which {note['of']:,} were read"
        if _fingerprint(file.path, note["of"]) != note["sha256"]:
            return f"the first {note['of']:,} bytes are not those that were read"
        if note["container"] and note["state"] == "done" and file.size != note["size"]:
            return f"it was whole with {note['size']:,} bytes and now has {file.size:,}"
        return None

    def _held(self, topic: str, held: int) -> str:
        return (
            f"{topic}: its last {held:,} bytes have no line end; they are read once the file has not changed "
            f"for {self._final_after:g} s"
        )

    def _range(
        self, file: File, known: Position, id_: int, records: int, bytes_: int
    ) -> tuple[PlannedRange, bool]:
        """Plan one file; tell whether it will surely be read to its end."""
        byte, record = known.resume.get("byte", 0), known.resume.get("record", 0)
        left_records, left_bytes, certain = self._estimate(file, byte)
        cap_records, cap_bytes = min(records, left_records), min(bytes_, left_bytes)
        resume = {
            "byte": byte,
            "record": record,
            "size": file.size,
            "changed_ns": file.changed_ns,
            "final": file.age >= self._final_after,
            "bytes": cap_bytes,
            "of": known.resume.get("of", 0),
            "sha256": known.resume.get("sha256"),
        }
        start = known.next_offset
        planned = PlannedRange(id_, self._source.name, file.topic, 0, start, start + cap_records, resume)
        return planned, certain and cap_records == left_records and cap_bytes == left_bytes

    def _estimate(self, file: File, byte: int) -> tuple[int, int, bool]:
        """Guess how many records and bytes follow ``byte``, from a sample; tell whether that bounds them."""
        if self._source.format == "parquet" and file.size:
            return estimate_rows(file.path, byte, _MARGIN)
        with Stream(file.path, file.size) as stream:
            if self._source.format == "avro-file":
                with Stream(file.path, file.size) as beginning:
                    container = read_container(beginning)
                    left = int(file.size * beginning.ratio)
                left -= max(byte, container.length if container else 0)
                return (
                    estimate_records(container, stream, byte, left, _MARGIN)
                    if container
                    else (1, file.size, True)
                )
            if stream.codec == "plain":
                stream.skip(byte)
                sample, left = stream.read(_SAMPLE), file.size - byte
            else:
                sample = stream.read(_SAMPLE)
                left = (
                    len(sample) if len(sample) < _SAMPLE else int(file.size * stream.ratio * _MARGIN) - byte
                )
        lines = sample.count(b"\n") + 1
        if left <= len(sample):
            return lines, max(left, 1), True
        return int(lines / len(sample) * left * _MARGIN) + 1, left, False

    def rewound(
        self, committed: Mapping[tuple[str, int], Position], to: str
    ) -> dict[tuple[str, int], Position]:
        """Set every file that was read that far back to record ``to``, or all of them to the first.

        Where equal rows are told apart by their number, a file is read again from its first record:
        numbers are counted from there.

        Raises:
            ValueError: ``to`` is neither ``earliest`` nor a record's ordinal, or no file was read that far.
        """
        if to != "earliest" and not to.isdecimal():
            raise ValueError(
                f'source "{self._source.name}" cannot rewind to "{to}": files have no times; write '
                "earliest, or a record's ordinal in its file, from 0"
            )
        ordinal = 0 if to == "earliest" else int(to)
        begin = 0 if self._source.numbers_rows else ordinal
        back = {key: Position(begin) for key, known in committed.items() if known.next_offset >= ordinal}
        if ordinal and not back:
            raise ValueError(
                f'source "{self._source.name}" cannot rewind to {ordinal:,}: no file was read that far; '
                f"the most is {max((known.next_offset for known in committed.values()), default=0):,}"
            )
        return back

    def read(self, planned: PlannedRange) -> Iterator[SourceBatch | RangeEnd]:
        """Read one file from where it stopped, up to the planned size: what came later is for the next plan.

        Raises:
            SourceUnavailableError: the file cannot be opened any more.
            LogStoppedError: it was replaced since the range was planned.
        """
        note = planned.resume
        path = self._listing.root / planned.topic
        try:
            if path.stat().st_size < note["size"] or (
                note["sha256"] and _fingerprint(path, note["of"]) != note["sha256"]
            ):
                raise LogStoppedError(
                    f'source "{self._source.name}": {path} was replaced while it was read; run again'
                )
            with Stream(path, note["size"]) as stream:
                yield from self._read(planned, path, stream)
        except OSError as error:
            raise SourceUnavailableError(
                f'source "{self._source.name}" cannot read {path}: {error.strerror}; it was there when the '
                "range was planned"
            ) from error

    def _read(self, planned: PlannedRange, path: Path, stream: Stream) -> Iterator[SourceBatch | RangeEnd]:
        note = planned.resume
        byte, ordinal, budget = note["byte"], note["record"], note["bytes"]
        at, batches, spent, state = planned.start, 0, 0, "done"
        reading = Reading()
        context, pieces = self._pieces(path, stream, note, reading)
        for piece in pieces:
            first = min(max(planned.start - ordinal, 0), len(piece.values))
            stop = min(planned.end - ordinal, len(piece.values))
            for low, high in _batches(piece, first, stop):
                if spent >= budget:
                    stop = low
                    break
                spent += int(piece.sizes[low:high].sum())
                batches += 1
                typed = None if piece.rows is None else as_context(piece.rows.slice(low, high - low))
                yield SourceBatch(planned, _raw(piece, low, high, ordinal + low), typed or context)
            at = max(at, ordinal + stop)
            if stop < len(piece.values):
                state = "part"
                if stop:
                    byte, ordinal = int(piece.byte[stop - 1]), ordinal + stop - int(piece.back[stop - 1])
                break
            byte, ordinal = piece.end, ordinal + len(piece.values)
        if reading.held:
            state = "held"
            reading.warnings.append(
                self._held(planned.topic, reading.held).removeprefix(f"{planned.topic}: ")
            )
        container = self._source.format in ("avro-file", "parquet") or stream.codec != "plain"
        if state == "done" and not at and not planned.start:
            reading.warnings.append("is empty" if not note["size"] else "holds no record")
        of = note["size"] if container else byte
        resume = {
            "byte": byte,
            "record": ordinal,
            "size": note["size"],
            "changed_ns": note["changed_ns"],
            "container": container and note["size"] > 0,
            "of": of,
            "sha256": _fingerprint(path, of),
            "state": state,
        }
        warnings = tuple(f"{planned.topic} {warning}" for warning in reading.warnings)
        yield RangeEnd(planned, batches, at - planned.start, at, resume=resume, warnings=warnings)

    def _pieces(
        self, path: Path, stream: Stream, note: Mapping[str, Any], reading: Reading
    ) -> tuple[bytes | None, Iterator[Piece]]:
        """Return what the decoder needs beside the values, and the records from the noted place on."""
        byte = note["byte"]
        if self._source.format == "parquet":
            return None, read_parquet(path, byte, self._max_bytes, reading) if note["size"] else iter(())
        if self._source.format == "avro-file":
            with Stream(path, note["size"]) as beginning:
                container = read_container(beginning)
            schema = container.schema.encode() if container else None
            return schema, read_avro(container, stream, byte, self._max_bytes, reading)
        hold = stream.codec == "plain" and not note["final"]
        header = None
        if self._source.format == "csv":
            with Stream(path, note["size"]) as beginning:
                header, begin = read_header(beginning, self._framing, last=not hold) or (None, 0)
            byte = max(byte, begin)
        return header, read_lines(stream, self._framing, byte, hold=hold, reading=reading)


def _batches(piece: Piece, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut records ``first`` to ``stop`` into batches that are within the limits of one."""
    edges = np.concatenate([[0], np.cumsum(np.minimum(piece.sizes, BATCH_BYTES))])
    while first < stop:
        within = int(np.searchsorted(edges, edges[first] + BATCH_BYTES, "right")) - 1
        last = min(max(within, first + 1), first + BATCH_RECORDS, stop)
        yield first, last
        first = last


def _raw(piece: Piece, low: int, high: int, offset: int) -> pa.RecordBatch:
    count = high - low
    columns = {
        "offset": pa.array(np.arange(offset, offset + count, dtype=np.int64)),
        "value": piece.values.slice(low, count),
        "size": pa.array(piece.sizes[low:high]),
    }
    return pa.record_batch(
        [columns.get(column.name, pa.nulls(count, column.type)) for column in RAW], schema=RAW
    )


def _fingerprint(path: Path, of: int) -> str:
    """Hash the first and the last 4 KiB of a file's first ``of`` bytes."""
    with path.open("rb") as file:
        head = file.read(min(_PRINT, of))
        file.seek(max(of - _PRINT, 0))
        return hashlib.sha256(head + file.read(min(_PRINT, of))).hexdigest()
