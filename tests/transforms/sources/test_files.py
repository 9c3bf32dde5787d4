"""Files as a source: real files, planned and read as a run does it."""

import gzip
import os
import time

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

BOM = b"\xef\xbb\xbf"
MANY = {"first_id": 1, "records": 1_000_000, "bytes_": 1_000_000_000}


def open_files(path, format="json", *, max_record_bytes=10_000_000, **keys):
    """Open a file source as a config would."""
    source = Source(name="s", kind="file", format=format, path=str(path), **keys)
    return FileSource(source, Validation(max_record_bytes=max_record_bytes))


class Run:
    """Plans and reads until nothing is left, keeping positions and records as a store would."""

    def __init__(self, source, **limits):
        self.source, self.limits = source, {**MANY, **limits}
        self.committed, self.records, self.sizes, self.contexts = {}, {}, {}, {}
        self.warnings, self.waiting, self.slices, self.ends = [], (), 0, {}

    def slice(self):
        """Plan once and read what was planned."""
        plan = self.source.plan(self.committed, **self.limits)
        assert sum(part.end - part.start for part in plan.ranges) <= self.limits["records"]
        self.waiting, self.ends = plan.waiting, dict(plan.ends)
        for planned in plan.ranges:
            self.read(planned)
        return plan

    def read(self, planned):
        """Read one range, hold it against the contract, and commit it."""
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
        """Return a topic's values, whose offsets are their ordinals."""
        found = self.records.get(topic, [])
        assert [offset for offset, _ in found] == list(range(len(found)))
        return [value for _, value in found]


def age(path, seconds):
    """Make a file as old as this."""
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
def test_the_byte_limit_stops_at_a_records_end(tmp_path, monkeypatch, pack):
    """About so many bytes are read in one slice, and the next one goes on behind the last record."""
    monkeypatch.setattr("parcours.transforms.sources.files.BATCH_BYTES", 500)
    lines = [b"%05d" % number * 20 for number in range(300)]
    (tmp_path / "a.json").write_bytes(pack(b"".join(line + b"\n" for line in lines)))
    run = Run(open_files(tmp_path / "a.json"), bytes_=3000)
    assert run.slice().more
    assert 30 <= len(run.values("a.json")) <= 35
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


def test_a_file_that_grew_is_read_from_where_it_stopped(tmp_path):
    """What was read is not read again; an unchanged file is not even opened again."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n2\n")
    run = Run(open_files(path)).all()
    with path.open("ab") as file:
        file.write(b"3\n")
    assert [b"1", b"2", b"3"] == run.all().values("a.json")
    assert run.slice().ranges == ()


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        (b"1\n2\n", b"1\n", "it has 2 bytes, of which 4 were read"),
        (b"1\n2\n", b"7\n8\n", "the first 4 bytes are not those that were read"),
        (b"1\n2\n", b"7\n2\n3\n", "the first 4 bytes are not those that were read"),
        (b"1\n" * 9000 + b"2\n", b"1\n" * 9000 + b"3\n4\n", "the first 18,002 bytes are not"),
        (
            gzip.compress(b"1\n", mtime=0),
            gzip.compress(b"1\n", mtime=0) + gzip.compress(b"2\n", mtime=0),
            "it was whole with 22 bytes",
        ),
        (
            gzip.compress(b"1\n2\n", mtime=0)[:20],
            gzip.compress(b"1\n2\n", mtime=0),
            "it was whole with 20 bytes",
        ),
    ],
)
def test_a_replaced_file_stops_the_run_or_is_read_again(tmp_path, before, after, difference):
    """The error names the file, what differs and what to do; with ``reload`` offsets begin at 0 again."""
    path = tmp_path / "a.json"
    path.write_bytes(before)
    run = Run(open_files(path)).all()
    path.write_bytes(after)
    with pytest.raises(LogStoppedError) as stopped:
        run.slice()
    for part in (str(path), difference, "on_replaced"):
        assert part in str(stopped.value)
    run.records.clear()
    run.source = open_files(path, on_replaced="reload")
    plain = gzip.decompress(after) if after.startswith(b"\x1f") else after
    assert plain.split(b"\n")[:-1] == run.all().values("a.json")
    assert run.slice().ranges == ()


def test_a_file_replaced_between_planning_and_reading_stops(tmp_path):
    """A plan is not carried out on other content than it was made for."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n")
    run = Run(open_files(path)).all()
    path.write_bytes(b"1\n2\n")
    plan = run.source.plan(run.committed, **MANY)
    path.write_bytes(b"7\n8\n")
    with pytest.raises(LogStoppedError, match="was replaced while it was read"):
        run.read(plan.ranges[0])


def test_a_touched_or_copied_file_is_not_a_new_one(tmp_path):
    """Only content counts: another change time is no reason to stop."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n")
    run = Run(open_files(path)).all()
    age(path, 1000)
    assert run.slice().ranges == ()


def test_what_grows_after_planning_is_for_the_next_plan(tmp_path):
    """A range read twice gives the same records, even of a growing file."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n2")
    run = Run(open_files(path))
    plan = run.source.plan({}, **MANY)
    with path.open("ab") as file:
        file.write(b"2\n3\n")
    run.read(plan.ranges[0])
    assert [b"1"] == run.values("a.json")
    assert [b"1", b"22", b"3"] == run.all().values("a.json")


def test_a_last_line_without_its_end_waits_until_the_file_is_final(tmp_path):
    """It is held with a warning, then named in the plan, and read once the file is old enough."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n22")
    run = Run(open_files(path)).all()
    assert [b"1"] == run.values("a.json")
    assert "a.json its last 2 bytes have no line end" in run.warnings[0]
    assert run.slice().ranges == ()
    assert (
        "a.json: its last 2 bytes have no line end; they are read once the file has not changed for 60 s",
    ) == (run.waiting)
    assert run.ends == {}
    age(path, 61)
    assert [b"1", b"22"] == run.all().values("a.json")
    assert run.slice().ranges == ()
    assert {("a.json", 0): 2} == run.ends


def test_the_wait_for_a_last_line_grows_with_settle(tmp_path):
    """Files that are written slowly have a longer ``settle``; their last line waits ten times as long."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n22")
    age(path, 80)
    run = Run(open_files(path, settle="9s")).all()
    assert [b"1"] == run.values("a.json")
    assert run.source.plan(run.committed, **MANY).waiting[0].endswith("for 90 s")


def test_unfinished_files_wait(tmp_path):
    """Files too young or named as unfinished are told, shortly, and not read."""
    for name in ("a.json", "b.json.tmp", "c.part", ".d.json", ".e", "f.json"):
        (tmp_path / name).write_bytes(b"1\n")
        age(tmp_path / name, 100)
    age(tmp_path / "f.json", 5)
    run = Run(open_files(tmp_path / "*", settle="30s")).all()
    assert {"a.json": [(0, b"1")]} == run.records
    assert (
        ".d.json, .e, b.json.tmp and 1 more: the name says that it is not finished "
        "(.tmp, .part, or a leading dot)",
        "f.json: changed less than 30 s ago (settle)",
    ) == run.waiting
    age(tmp_path / "f.json", 40)
    assert [b"1"] == run.all().values("f.json")


def test_a_glob_reads_all_files_in_the_order_of_their_paths(tmp_path):
    """The topic is the path below the glob's fixed folder; two slices meet where the limit falls."""
    for name in ("2024/b.json", "2024/a.json", "2023/deep/er/z.json", "2023/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1\n2\n")
    run = Run(open_files(tmp_path / "**" / "*.json"))
    plan = run.slice()
    assert ["2023/deep/er/z.json", "2024/a.json", "2024/b.json"] == [part.topic for part in plan.ranges]
    assert [1, 2, 3] == [part.id for part in plan.ranges]
    assert not plan.more
    small = Run(open_files(tmp_path / "**" / "*.json"), records=3)
    assert small.slice().more
    assert run.records == small.all().records


def test_files_moved_away_are_fine_and_new_ones_come_in(tmp_path):
    """A loaded file may leave; its position stays with the store."""
    for pattern in ("*.json", "a.json"):
        path = tmp_path / "a.json"
        path.write_bytes(b"1\n")
        run = Run(open_files(tmp_path / pattern)).all()
        path.unlink()
        assert run.slice().ranges == ()
    (tmp_path / "b.json").write_bytes(b"2\n")
    run.source = open_files(tmp_path / "*.json")
    assert [b"2"] == run.all().values("b.json")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("event.json", ["there is no file", "event.json", "did you mean", "events.json"]),
        ("datas/*.json", ["no file matches", "did you mean", "data?"]),
        ("data", ["is a folder", "data/*"]),
        ("data/*.json", ["no file matches", "looked in"]),
        ("nowhere/at/all.json", ["there is no file", "nowhere/at/all.json"]),
    ],
)
def test_a_path_without_files_is_told_with_the_near_spelling(tmp_path, name, told):
    """The first run names the path that it looked for, and what it may have meant."""
    (tmp_path / "events.json").write_bytes(b"1\n")
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceUnavailableError) as missing:
        open_files(tmp_path / name).plan({}, **MANY)
    for part in told:
        assert part in str(missing.value)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    """A link into nothing is no file; a file that left after planning is unavailable."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n")
    source = open_files(path)
    plan = source.plan({}, **MANY)
    path.unlink()
    with pytest.raises(SourceUnavailableError, match=r"a\.json"):
        list(source.read(plan.ranges[0]))


@pytest.mark.parametrize(
    ("content", "format", "warning"),
    [
        (b"", "json", "a is empty"),
        (b"", "csv", "a is empty"),
        (b"", "avro-file", "a is empty"),
        (gzip.compress(b"", mtime=0), "json", "a holds no record"),
        (b"\n\n", "json", "a holds no record"),
        (b"id,x\n", "csv", "a holds no record"),
    ],
)
def test_an_empty_file_has_one_line_in_the_ledger(tmp_path, content, format, warning):
    """It gives a range without records and a warning, once; later content is read from its beginning."""
    path = tmp_path / "a"
    path.write_bytes(content)
    run = Run(open_files(path, format)).all()
    assert [warning] == run.warnings
    assert Position(0, run.committed["a", 0].resume) == run.committed["a", 0]
    assert run.slice().ranges == ()


def test_an_empty_file_may_become_a_compressed_one(tmp_path):
    """A file that was seen at its birth is not called replaced once it has content."""
    path = tmp_path / "a"
    path.write_bytes(b"")
    run = Run(open_files(path)).all()
    path.write_bytes(gzip.compress(b"1\n", mtime=0))
    assert [b"1"] == run.all().values("a")


@pytest.mark.parametrize("packer", [gzip.compress, zstandard.compress])
def test_a_cut_off_compressed_file_gives_the_records_that_can_be_read(tmp_path, packer):
    """The whole lines are records, the torn one is not, and a warning tells it."""
    lines = [os.urandom(50).hex().encode() for _ in range(9000)]
    whole = packer(b"".join(line + b"\n" for line in lines))
    (tmp_path / "a.json").write_bytes(whole[: len(whole) // 2])
    run = Run(open_files(tmp_path / "a.json")).all()
    values = run.values("a.json")
    assert 1000 < len(values) < 9000
    assert lines[: len(values)] == values
    assert "a.json is cut off" in run.warnings[0]


def test_damage_inside_a_gzip_file_is_told(tmp_path):
    """What came before the damage is read; what follows cannot be."""
    whole = bytearray(gzip.compress(b"".join(os.urandom(50).hex().encode() + b"\n" for _ in range(9000))))
    whole[-40_000:-39_900] = bytes(100)
    (tmp_path / "a.json").write_bytes(whole)
    run = Run(open_files(tmp_path / "a.json")).all()
    assert 1000 < len(run.values("a.json")) < 9000
    assert "a.json is damaged" in run.warnings[0]


@pytest.mark.parametrize("extra", [0, 1, 30 * 1024 * 1024])
def test_a_record_over_the_limit_is_cut_and_its_neighbours_are_not(tmp_path, extra):
    """``size`` tells what it was, whether or not it fits into what is held in memory."""
    limit = 1000
    long = b"x" * (limit + extra)
    (tmp_path / "a.json").write_bytes(b"1\n" + long + b"\r\n2\n" + long)
    age(tmp_path / "a.json", 100)
    run = Run(open_files(tmp_path / "a.json", max_record_bytes=limit)).all()
    assert [b"1", long[:limit], b"2", long[:limit]] == run.values("a.json")
    assert [1, limit + extra, 1, limit + extra] == run.sizes["a.json"]


def test_a_long_line_without_its_end_waits_too(tmp_path):
    """Being over the limit does not make a line whole."""
    path = tmp_path / "a.json"
    path.write_bytes(b"1\n" + b"x" * 20_000_000)
    run = Run(open_files(path, max_record_bytes=10)).all()
    assert [b"1"] == run.values("a.json")
    assert "have no line end" in run.warnings[0]
    with path.open("ab") as file:
        file.write(b"x\n2\n")
    assert [b"1", b"x" * 10, b"2"] == run.all().values("a.json")
    assert [1, 20_000_001, 1] == run.sizes["a.json"]


def test_batches_are_full_and_within_their_limits(tmp_path):
    """Short records make batches of the most records, long ones of the most bytes."""
    (tmp_path / "short").write_bytes(b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 420_000)
    (tmp_path / "long").write_bytes((b"x" * 999_999 + b"\n") * 50)
    source = open_files(tmp_path / "*")
    plan = source.plan({}, **MANY)
    long, short = (
        [batch.records for batch in source.read(part) if not isinstance(batch, RangeEnd)]
        for part in plan.ranges
    )
    assert [50_000] * 8 + [20_001] == [len(batch) for batch in short]
    assert 50 == sum(len(batch) for batch in long)
    assert all(batch["value"].nbytes <= contract.BATCH_BYTES + 8 * 20 for batch in long)
    assert all(len(batch) > 7 for batch in long[:-1])


def test_rewinding_reads_from_an_ordinal_again(tmp_path):
    """Earlier positions know only the offset; reading finds the record by counting."""
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b"".join(b"%d\n" % number for number in range(100))))
    run = Run(open_files(path), records=30).all()
    for to, first in (("earliest", 0), ("0", 0), ("77", 77), ("100", 100)):
        run.committed = run.source.rewound(run.committed, to)
        run.records.clear()
        run.all()
        assert [(n, b"%d" % n) for n in range(first, 100)] == run.records.get("a.json", [])
    for to in ("101", "2024-01-01", "-1"):
        with pytest.raises(ValueError, match="cannot rewind"):
            run.source.rewound(run.committed, to)


CSV = [
    (b"id;x\r\n1;a\r\n2;b\r\n", b"id;x", [b"1;a", b"2;b"]),
    (b"\xef\xbb\xbfid;x\n1;a\n", b"id;x", [b"1;a"]),
    (b'\n\n"id\n1";x\n\n1;a\n', b'"id\n1";x', [b"1;a"]),
    (b'id;x\n1;"a\n\nb"\n2;"c ""d"" \r\n"\n', b"id;x", [b'1;"a\n\nb"', b'2;"c ""d"" \r\n"']),
    (b'id;x\n1;5" pipe\n2;b\n3;6" pipe\n', b"id;x", [b'1;5" pipe', b"2;b", b'3;6" pipe']),
    (b'id;x\n1;"lone\n2;b\n3;c\n', b"id;x", [b'1;"lone', b"2;b", b"3;c"]),
    (
        b'id;x\n1;"lone\n' + b"2;b\n" * 1000 + b'3;"c\nd"\n',
        b"id;x",
        [b'1;"lone', *[b"2;b"] * 1000, b'3;"c\nd"'],
    ),
    (b'id;x\n1;"lone\n' + b"2;b\n" * 998 + b'3;"', b"id;x", [b'1;"lone\n' + b"2;b\n" * 998 + b'3;"']),
    (b'id;x\n1;"lone\n' + b"2;b\n" * 999 + b'3;"', b"id;x", [b'1;"lone', *[b"2;b"] * 999, b'3;"']),
    (b'id;x\n1;"' + b"y" * 90 + b'\n2;b\n3;"c\n', b"id;x", [b'1;"' + b"y" * 90, b"2;b", b'3;"c']),
]


@pytest.mark.parametrize(("content", "header", "expected"), CSV)
@pytest.mark.parametrize("limit", [1, 1000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_csv(tmp_path, content, header, expected, limit, pack):  # noqa: PLR0917  one table
    """Quoted line ends are content, the header is no record but always given, a lone quote harms its line."""
    (tmp_path / "a.csv").write_bytes(pack(content))
    age(tmp_path / "a.csv", 100)
    keys = {"delimiter": ";", "max_record_bytes": 5000 if len(content) > 300 else 100}
    run = Run(open_files(tmp_path / "a.csv", "csv", **keys), records=2000 if limit > len(expected) else limit)
    if limit == 1 and len(expected) > 100:
        run.limits["records"] = 400
    assert expected == run.all().values("a.csv")
    assert {"a.csv": header} == run.contexts


def test_csv_without_quotes(tmp_path):
    """With ``quote`` empty every line is a record."""
    (tmp_path / "a.csv").write_bytes(b'id,x\n1,"a\n2,b"\n')
    run = Run(open_files(tmp_path / "a.csv", "csv", quote="")).all()
    assert [b'1,"a', b'2,b"'] == run.values("a.csv")


def test_a_growing_csv_file_keeps_its_header_and_waits_for_an_open_quote(tmp_path):
    """An open quote at the end may be closed by what is written next."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,")
    run = Run(open_files(path, "csv")).all()
    assert {} == run.records
    for piece in (b"x\n1,", b'"a\n', b"b\n", b'c"', b"\n2,b\n"):
        with path.open("ab") as file:
            file.write(piece)
        run.all()
    assert [b'1,"a\nb\nc"', b"2,b"] == run.values("a.csv")
    assert b"id,x" == run.contexts["a.csv"]


# No value begins like a compressed file.
values = (
    st.binary(max_size=12)
    .filter(lambda value: value[:1] not in b"\x1f\x28\x50")
    .map(lambda value: value.replace(b"\n", b"").replace(b"\r", b"").replace(b'"', b""))
)
csv_values = st.one_of(
    values.map(lambda value: value.replace(b",", b"")),
    st.lists(st.sampled_from([b"a", b"\n", b'""', b",", b"\r\n"]), max_size=6).map(
        lambda parts: b'"' + b"".join(parts) + b'"'
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), format=st.sampled_from(["json", "csv"]), block=st.sampled_from([1, 7, 64, 4096]))
def test_records_come_out_once_however_they_are_written_and_read(tmp_path, monkeypatch, data, format, block):
    """Random records, appended in random pieces, read with random limits and block sizes."""
    if format == "csv":
        records = data.draw(
            st.lists(st.lists(csv_values, min_size=2, max_size=3).map(b",".join), max_size=12)
        )
        begin = b"id,x\n"
    else:
        records = data.draw(st.lists(values.filter(lambda value: value.strip(b" \t\r")), max_size=12))
        begin = b""
    ends = data.draw(
        st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n"]), min_size=len(records), max_size=len(records))
    )
    content = begin + b"".join(record + end for record, end in zip(records, ends, strict=True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    for module in ("pieces", "files"):
        monkeypatch.setattr(f"parcours.transforms.sources.{module}.BATCH_BYTES", block)
        monkeypatch.setattr(f"parcours.transforms.sources.{module}.BATCH_RECORDS", 3)
    path = tmp_path / "a"
    path.write_bytes(b"")
    run = Run(
        open_files(path, format), records=data.draw(st.integers(1, 5)), bytes_=data.draw(st.integers(1, 50))
    )
    for low, high in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as file:
            file.write(content[low:high])
        run.all()
    if content.startswith(BOM):
        records[0] = records[0].removeprefix(BOM)
    assert [record for record in records if record.strip(b" \t")] == run.values("a")
    assert run.slice().ranges == ()
