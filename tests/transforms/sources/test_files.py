"""Files as a source: real files, planned and read as a run does it."""

import gzip
import os
import time
from datetime import timedelta

import fastavro
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW
from parcours.transforms.elements import RangeEnd
from parcours.transforms.sources import contract
from parcours.transforms.sources.contract import LogStoppedError, Position, SourceUnavailableError
from parcours.transforms.sources.files import FileSource

MANY = {"first_id": 1, "records": 1_000_000, "bytes_": 1_000_000_000}


def open_files(path, format="json", *, max_record_bytes=10_000_000, **keys):
    source = Source(name="s", kind="file", format=format, path=str(path), **keys)
    return FileSource(source, Validation(max_record_bytes=max_record_bytes))


class Run:
    """Plans and reads until nothing is left, keeping positions and records as a store would."""

    def __init__(self, source, **limits):
        self.source, self.limits = source, {**MANY, **limits}
        self.committed, self.records, self.sizes, self.contexts = {}, {}, {}, {}
        self.warnings, self.waiting, self.slices, self.ends = [], (), 0, {}

    def slice(self):
        plan = self.source.plan(self.committed, **self.limits)
        assert sum(part.end - part.start for part in plan.ranges) <= self.limits["records"]
        self.waiting, self.ends = plan.waiting, dict(plan.ends)
        for planned in plan.ranges:
            self.read(planned)
        return plan

    def read(self, planned):
        *batches, end = self.source.read(planned)
        assert isinstance(end, RangeEnd)
        assert end.batches == len(batches)
        assert end.read == sum(len(batch.records) for batch in batches) == end.next_offset - planned.start
        assert end.next_offset <= planned.end
        for batch in batches:
            assert batch.records.schema == RAW
            assert 0 < len(batch.records) <= contract.BATCH_RECORDS
            for row in batch.records.select(["offset", "value", "size"]).to_pylist():
                self.records.setdefault(planned.topic, []).append((row["offset"], row["value"]))
                self.sizes.setdefault(planned.topic, []).append(row["size"])
            self.contexts[planned.topic] = batch.context
        self.committed[planned.topic, 0] = Position(end.next_offset, end.resume)
        self.warnings += end.warnings

    def all(self):
        """Go on as a run does: another slice while the plan says that there is more."""
        while self.slice().more:
            self.slices += 1
            assert self.slices < 10_000
        return self

    def values(self, topic):
        found = self.records.get(topic, [])
        assert [offset for offset, _ in found] == list(range(len(found)))
        return [value for _, value in found]


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


PACKERS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "two gzip members": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
    "padded gzip": lambda data: gzip.compress(data) + bytes(100),
    "zstd": zstandard.compress,
    "two zstd frames": lambda data: zstandard.compress(data[:7]) + zstandard.compress(data[7:]),
}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_every_line_is_one_record_whatever_the_compression_and_the_slices(tmp_path, pack, limit):
    """Compression is told by the bytes, not by the name, and the limit on a slice changes nothing."""
    lines = [b'{"n":%d}' % number for number in range(20)]
    (tmp_path / "a.json").write_bytes(pack(b"".join(line + b"\n" for line in lines)))
    run = Run(open_files(tmp_path / "a.json"), records=limit).all()
    assert lines == run.values("a.json")
    assert run.slice().ranges == ()
    assert {("a.json", 0): 20} == run.ends


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_the_byte_limit_stops_at_a_records_end(tmp_path, pack):
    """At most about so many bytes are read at once, and the next slice goes on behind the last record."""
    lines = [b"%05d" % number * 20 for number in range(300)]
    (tmp_path / "a.json").write_bytes(pack(b"".join(line + b"\n" for line in lines)))
    run = Run(open_files(tmp_path / "a.json"), bytes_=1)
    run.source._framing  # noqa: B018
    assert lines == run.all().values("a.json")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"\n\na\n\r\n  \t\nb\n\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfa\nb\n", [b"a", b"b"]),
        (b" a \n\xef\xbb\xbfb\n", [b" a ", b"\xef\xbb\xbfb"]),
        (b'{"a":"x\ny"}\n', [b'{"a":"x', b'y"}']),
        (b"a\rb\n", [b"a\rb"]),
        (b"\r\r\nb\n", [b"\r", b"b"]),
    ],
)
def test_lines(tmp_path, content, expected):
    """A line is a record without its line end; blank lines and a byte order mark at the start are none."""
    expected = [line for line in expected if line.strip()]
    (tmp_path / "a.json").write_bytes(content)
    assert expected == Run(open_files(tmp_path / "a.json")).all().values("a.json")


def test_settings_of_time():
    """The least time before a last line counts as whole is a minute, and ten times ``settle``."""
    assert 60 == open_files("x", settle=timedelta(seconds=1))._final_after
    assert 100 == open_files("x", settle=timedelta(seconds=10))._final_after
