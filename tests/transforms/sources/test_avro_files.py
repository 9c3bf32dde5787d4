"""Avro containers as files: every datum with its bytes, and damage that stays where it is."""

import gzip
import io
import itertools
import json

import fastavro
import pytest
import zstandard

from parcours.schemas.config import Source, Validation
from parcours.transforms.elements import RangeEnd
from parcours.transforms.sources.contract import LogStoppedError, Position, SourceUnavailableError
from parcours.transforms.sources.files import FileSource

SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "io.parcours.test.Visit",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "page", "type": ["null", "string"]},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "next", "type": ["null", "io.parcours.test.Visit"]},
            {"name": "facts", "type": {"type": "map", "values": "double"}},
        ],
    }
)
CODECS = ["null", "deflate", "snappy", "zstandard", "bzip2"]
SYNC = b"0123456789abcdef"


def visit(number):
    """Make one record; every third one holds another."""
    inner = visit(number + 1) if number % 3 == 0 else None
    page = None if number % 5 == 0 else "/page" * (number % 7)
    return {
        "id": number,
        "page": page,
        "tags": ["a"] * (number % 4),
        "next": inner,
        "facts": {"x": number / 2},
    }


def datum(record):
    """Encode one record without a container."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, SCHEMA, record)
    return file.getvalue()


def container(records, codec="null", interval=100):
    """Write a container with several blocks."""
    file = io.BytesIO()
    written = "null" if codec == "zstandard" else codec  # fastavro wants yet another library for it
    fastavro.writer(file, SCHEMA, records, codec=written, sync_interval=interval, sync_marker=SYNC)
    data = file.getvalue()
    if codec == written:
        return data
    begins = blocks_of(data)
    blocks = [b""]
    for low, high in itertools.pairwise(begins):
        places = [place for place in range(low, low + 20) if data[place] < 0x80]
        packed = zstandard.compress(data[places[1] + 1 : high - 16])
        size = io.BytesIO()
        fastavro.schemaless_writer(size, "long", len(packed))
        blocks.append(data[low : places[0] + 1] + size.getvalue() + packed + SYNC)
    return data[: begins[0]].replace(b"\x08null", b"\x12zstandard") + b"".join(blocks)


def read(path, *, records=1_000_000, bytes_=1_000_000_000, max_record_bytes=10_000_000, committed=None):
    """Plan and read until nothing is left; return values, sizes, warnings and contexts."""
    source = FileSource(
        Source(name="s", kind="file", format="avro-file", path=str(path)),
        Validation(max_record_bytes=max_record_bytes),
    )
    committed = {} if committed is None else committed
    values, sizes, warnings, contexts = [], [], [], set()
    while True:
        plan = source.plan(committed, first_id=1, records=records, bytes_=bytes_)
        for planned in plan.ranges:
            for found in source.read(planned):
                if isinstance(found, RangeEnd):
                    json.dumps(found.resume)
                    committed[planned.topic, 0] = Position(found.next_offset, found.resume)
                    warnings += found.warnings
                else:
                    assert len(values) == found.records["offset"][0].as_py()
                    values += found.records["value"].to_pylist()
                    sizes += found.records["size"].to_pylist()
                    contexts.add(found.context)
        if not plan.more:
            assert () == source.plan(committed, first_id=1, records=1, bytes_=1).ranges
            return values, sizes, warnings, contexts


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_datum_is_one_record_whatever_the_codec_and_the_slices(tmp_path, codec, limit, pack):
    """The values are the datums as a schemaless writer makes them, beside the writer schema."""
    records = [visit(number) for number in range(60)]
    (tmp_path / "a.avro").write_bytes(pack(container(records, codec)))
    values, sizes, warnings, contexts = read(tmp_path / "a.avro", records=limit)
    assert [datum(record) for record in records] == values
    assert [len(value) for value in values] == sizes
    assert [] == warnings
    (context,) = contexts
    assert "io.parcours.test.Visit" == json.loads(context)["name"]


@pytest.mark.parametrize("bytes_", [1, 300])
def test_the_byte_limit_cuts_between_records(tmp_path, bytes_):
    """The next slice goes on inside the block, at the next record."""
    records = [visit(number) for number in range(60)]
    (tmp_path / "a.avro").write_bytes(container(records))
    assert [datum(record) for record in records] == read(tmp_path / "a.avro", bytes_=bytes_)[0]


@pytest.mark.parametrize(
    "name", ["weather", "weather-deflate", "weather-snappy", "weather-zstd", "weather-sorted"]
)
def test_files_of_the_avro_project(avro_project, name):
    """Containers of other writers come apart into the records that fastavro reads from them."""
    path = avro_project / "data" / f"{name}.avro"
    values, _, warnings, (context,) = read(path)
    schema = fastavro.parse_schema(json.loads(context))
    expected = [json.loads(line) for line in (path.parent / "weather.json").read_text("utf-8").splitlines()]
    found = [fastavro.schemaless_reader(io.BytesIO(value), schema, None) for value in values]
    assert sorted(expected, key=str) == sorted(found, key=str)
    assert [] == warnings


def test_a_sync_marker_inside_the_header_is_not_one(avro_project):
    """The header may hold any bytes, the marker's included; blocks begin behind it."""
    path = avro_project / "data" / "syncInMeta.avro"
    values, _, warnings, (context,) = read(path)
    assert len(values) > 0
    for value in values:
        file = io.BytesIO(value)
        fastavro.schemaless_reader(file, json.loads(context), None)
        assert len(value) == file.tell()
    assert [] == warnings


def blocks_of(data):
    """Return where each block of a container begins, and where the last one ends."""
    return [place + 16 for place in range(len(data)) if data.startswith(SYNC, place)]


@pytest.mark.parametrize("damage", ["sync", "size", "count", "huge", "cut", "datum"])
def test_a_damaged_block_leaves_its_neighbours_alone(tmp_path, damage):
    """What cannot be told apart is one record with its bytes, and is told; the next block is read."""
    records = [visit(number) for number in range(60)]
    data = container(records)
    begins = blocks_of(data)
    low, high = begins[3], begins[4]
    counts = [data[begin] >> 1 for begin in begins[:-1]]
    before, bad = sum(counts[:3]), counts[3]
    damaged = {
        "sync": data[: high - 1] + b"?" + data[high:],
        "size": data[: low + 1] + b"\x02" + data[low + 2 :],
        "count": data[:low] + bytes([data[low] - 2]) + data[low + 1 :],
        "huge": data[:low] + b"\xff" * 11 + data[low + 11 :],
        "cut": data[: high - 20],
        "datum": data[: high - 16 - 9] + b"\xff" * 9 + data[high - 16 :],
    }[damage]
    (tmp_path / "a.avro").write_bytes(damaged)
    values, sizes, warnings, _ = read(tmp_path / "a.avro")
    expected = [datum(record) for record in records]
    assert expected[:before] == values[:before]
    assert [len(value) for value in values] == sizes
    assert 1 == len(warnings)
    assert f"a.avro has a damaged block at byte {low:,}" in warnings[0]
    match damage:
        case "sync":
            # The marker is gone, so the next block stands behind this one in the same piece.
            assert damaged[low : begins[5] - 16] == values[before]
            assert expected[before + bad + counts[4] :] == values[before + 1 :]
        case "size" | "huge":
            assert damaged[low : high - 16] == values[before]
            assert expected[before + bad :] == values[before + 1 :]
        case "count":
            assert expected == values
        case "cut":
            assert [damaged[low:]] == values[before:]
        case "datum":
            assert expected[before : before + bad - 1] == values[before : before + bad - 1]
            assert expected[before + bad :] == values[before + bad :]
            assert expected[before + bad - 1] != values[before + bad - 1]


@pytest.mark.parametrize("codec", CODECS[1:])
def test_a_block_that_cannot_be_unpacked_is_one_record(tmp_path, codec):
    """Its packed bytes are kept, and the blocks around it are read."""
    records = [visit(number) for number in range(200)]
    data = container(records, codec, 1000)
    begins = blocks_of(data)
    middle = (begins[1] + begins[2] - 16) // 2
    (tmp_path / "a.avro").write_bytes(data[:middle] + b"\xff" * 8 + data[middle + 8 :])
    values, _, warnings, _ = read(tmp_path / "a.avro")
    expected = [datum(record) for record in records]
    first, bad = data[begins[0]] >> 1, data[begins[1]] >> 1
    assert expected[:first] + expected[first + bad :] == values[:first] + values[first + 1 :]
    assert f"it cannot be unpacked with {codec}" in warnings[0]


def test_every_single_damaged_byte_leaves_the_other_blocks_whole(tmp_path):
    """Whatever one byte of a block's data becomes, reading ends, and the blocks around it come out."""
    records = [visit(number) for number in range(20)]
    data = container(records)
    begins = blocks_of(data)
    expected = [datum(record) for record in records]
    counts = [data[begin] >> 1 for begin in begins[:-1]]
    path = tmp_path / "a.avro"
    for place, byte in itertools.product(range(begins[1], begins[2] - 16), (0x00, 0x01, 0x7F, 0xFF)):
        path.write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
        values = read(path)[0]
        assert expected[: counts[0]] == values[: counts[0]]
        rest = expected[counts[0] + counts[1] :]
        assert rest == values[len(values) - len(rest) :]


@pytest.mark.parametrize("limit", [10, 100])
def test_a_datum_over_the_limit_is_cut(tmp_path, limit):
    """``size`` tells what it was; the others are whole."""
    records = [visit(1), {**visit(2), "page": "x" * 500}, visit(4)]
    (tmp_path / "a.avro").write_bytes(container(records))
    values, sizes, _, _ = read(tmp_path / "a.avro", max_record_bytes=limit)
    expected = [datum(record) for record in records]
    assert [value[:limit] for value in expected] == values
    assert [len(value) for value in expected] == sizes


def test_what_is_no_container_is_one_bad_record(tmp_path):
    """Without a writer schema nothing can be decoded; the bytes are kept up to the limit."""
    (tmp_path / "a.avro").write_bytes(b"PAR1" + bytes(5_000_000))
    values, sizes, warnings, contexts = read(tmp_path / "a.avro", max_record_bytes=8)
    assert [b"PAR1" + bytes(4)] == values
    assert [5_000_004] == sizes
    assert ["a.avro is no Avro container"] == warnings
    assert {None} == contexts


def test_an_unknown_codec_is_told_before_reading(tmp_path):
    """The message names the codec and those that can be read."""
    data = container([visit(1)]).replace(b"\x08null", b"\x08lzma")
    (tmp_path / "a.avro").write_bytes(data)
    with pytest.raises(SourceUnavailableError, match=r'a\.avro has the Avro codec "lzma".*one of null, def'):
        read(tmp_path / "a.avro")


def test_a_container_that_changed_after_being_read_was_replaced(tmp_path):
    """One that grew while it was partly read goes on; one that was read whole stops the run."""
    path = tmp_path / "a.avro"
    path.write_bytes(container([visit(1), visit(2)]))
    committed = {}
    source = FileSource(Source(name="s", kind="file", format="avro-file", path=str(path)), Validation())
    (planned,) = source.plan(committed, first_id=1, records=1, bytes_=1000).ranges
    *_, end = source.read(planned)
    committed["a.avro", 0] = Position(end.next_offset, end.resume)
    with path.open("a+b") as file:
        fastavro.writer(file, SCHEMA, [visit(4)])
    (planned,) = source.plan(committed, first_id=1, records=10, bytes_=1000).ranges
    batch, end = source.read(planned)
    assert [datum(visit(2)), datum(visit(4))] == batch.records["value"].to_pylist()
    committed["a.avro", 0] = Position(end.next_offset, end.resume)
    with path.open("a+b") as file:
        fastavro.writer(file, SCHEMA, [visit(5)])
    with pytest.raises(LogStoppedError, match="it was whole with"):
        source.plan(committed, first_id=1, records=10, bytes_=1000)
