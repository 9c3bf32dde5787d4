"""The column-wise record parser against kafka-python's own, record by record."""

import struct

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.util import calc_crc32c, decode_varint

from parcours.schemas.touchpoint import RAW
from parcours.transforms.sources import kafka_batches
from parcours.transforms.sources.kafka_batches import Assembler, Hidden, _WholeBatches
from parcours.transforms.sources.kafka_columns import columns_of_records

PLACE = TopicPartition("t", 0)

SIZES = st.one_of(st.integers(0, 20), st.sampled_from([63, 64, 127, 128, 8191, 8192, 20_000]))
BYTES = st.none() | st.builds(lambda n, b: b.ljust(n, b"x")[:n], SIZES, st.binary(max_size=20))
RECORDS = st.lists(
    st.tuples(
        st.integers(-(2**40), 2**41) | st.integers(0, 200),  # time after the batch's first
        st.integers(1, 5) | st.just(10_000),  # offsets since the record before
        BYTES,
        BYTES,
        st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=200)), max_size=3),
    ),
    min_size=1,
    max_size=30,
)
BATCHES = st.lists(st.tuples(RECORDS, st.integers(0, 4), st.booleans()), min_size=1, max_size=4)

NOW = 1_790_000_000_000


def encode(base_offset, records, codec=0, append_time=False, **producer):
    """One v2 batch as a broker stores it."""
    who = {
        "is_transactional": False,
        "producer_id": -1,
        "producer_epoch": -1,
        "base_sequence": -1,
        **producer,
    }
    builder = DefaultRecordBatchBuilder(magic=2, compression_type=codec, batch_size=1 << 30, **who)
    delta = -1
    for position, (time, step, key, value, headers) in enumerate(records):
        delta += step if position else 1
        builder.append(delta, NOW + (time if position else 0), key, value, headers)
    buffer = bytearray(builder.build())
    if append_time:
        reseal(buffer, attributes=8)
    struct.pack_into(">q", buffer, 0, base_offset)
    return bytes(buffer), base_offset + delta + 1


def reseal(buffer, attributes=0):
    """Set attribute bits and make the checksum right again."""
    (before,) = struct.unpack_from(">h", buffer, 21)
    struct.pack_into(">h", buffer, 21, before | attributes)
    struct.pack_into(">I", buffer, 17, calc_crc32c(memoryview(buffer)[21:]))


def encode_all(batches):
    """Several batches end to end, and the offset after them."""
    offset, parts = 1_000, []
    for records, codec, append_time in batches:
        part, offset = encode(offset, records, codec, append_time)
        parts.append(part)
    return b"".join(parts), offset


def partition_records(kind, data, fetch_offset=0, aborted=()):
    """One partition's part of a fetch response, as the fetcher unpacks it."""
    return kind(
        fetch_offset,
        PLACE,
        MemoryRecords(data),
        isolation_level=IsolationLevel.READ_COMMITTED,
        aborted_transactions=aborted,
    )


def taken(part):
    """All that a fetcher would get out of one response, and the position afterwards."""
    items = []
    while part and (some := part.take(7)):
        items += some
    return items, part.next_fetch_offset


def assembled(items, start, end, max_bytes=10**9):
    """What the assembler makes of the items, every table checked."""
    assembler = Assembler(start, end, max_bytes)
    tables = [table for item in items for table in assembler.add(item)]
    tables += list(assembler.flush())
    for table in tables:
        table.validate(full=True)
    return pa.Table.from_batches(tables, schema=RAW), assembler


def assert_alike(data, start=0, end=2**60, max_bytes=10**9, aborted=()):
    """Both ways of reading one response give one table and one position."""
    records, position = taken(partition_records(Fetcher.PartitionRecords, data, start, aborted))
    batches, batch_position = taken(partition_records(_WholeBatches, data, start, aborted))
    expected = pa.Table.from_batches([columns_of_records(records, start, end, max_bytes)])
    found, assembler = assembled(batches, start, end, max_bytes)
    assert found.combine_chunks() == expected.combine_chunks()
    assert batch_position == position
    return found, assembler


@settings(deadline=None, max_examples=150)
@given(BATCHES)
def test_columns_equal_records(batches):
    """Keys, values, headers, times and offsets of generated batches, in every codec, nulls and gaps too."""
    found, _ = assert_alike(encode_all(batches)[0])
    assert found.num_rows == sum(len(records) for records, _, _ in batches)


@settings(deadline=None, max_examples=80)
@given(BATCHES, st.data())
def test_a_range_may_begin_and_end_inside_batches(batches, data):
    """Records outside the range are dropped; long values are cut, and their size is not."""
    encoded, after = encode_all(batches)
    records, _ = taken(partition_records(Fetcher.PartitionRecords, encoded))
    places = st.sampled_from([r.offset for r in records]) | st.integers(1_000, after)
    start, end = sorted([data.draw(places), data.draw(places)])
    found, _ = assert_alike(encoded, start, end, max_bytes=data.draw(st.sampled_from([1, 10, 10_000])))
    offsets = found["offset"].to_pylist()
    assert offsets == sorted(offsets)
    assert not offsets or start <= offsets[0] <= offsets[-1] < end


@settings(deadline=None, max_examples=500)
@given(RECORDS, st.data())
def test_bytes_that_are_no_records_are_refused_not_trusted(records, data):
    """A batch whose bytes are wrong under a right checksum: refused where kafka-python does, else alike."""
    encoded = bytearray(encode(0, records)[0])
    fields = []
    position = DefaultRecordBatch.HEADER_STRUCT.size
    while position < len(encoded):
        start = position
        length, position = decode_varint(encoded, position)
        # all but the attributes byte, which means nothing and which kafka-python reads as a number
        fields += [*range(start, position), *range(position + 1, position + length)]
        position += length
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(fields) | st.sampled_from(fields[:12]))
        encoded[place] = data.draw(st.sampled_from([0, 1, 2, 3, 4, 0x7F, 0x80, 0xFE, 0xFF]))
    try:
        expected = columns_of_records(list(DefaultRecordBatch(encoded)), 0, 2**60, 10**9)
    except (CorruptRecordError, OverflowError) as error:
        if "UnicodeDecodeError" in str(error):
            return  # a header's name that is not UTF-8 is kept as well as it can be
        with pytest.raises(CorruptRecordError):
            assembled([DefaultRecordBatch(encoded)], 0, 2**60)
    else:
        found, _ = assembled([DefaultRecordBatch(encoded)], 0, 2**60)
        assert found.combine_chunks() == pa.Table.from_batches([expected]).combine_chunks()


@pytest.mark.parametrize(
    "body",
    [
        [13, 0, 0, 0, 1, 1, 0],  # a length below zero
        [14, 0, 0, 0, 1, 1, 0, 0],  # a byte after the last field
        [12, 0, 0, 0, 1, 1, 1],  # fewer headers than none
        [12, 0, 0, 0, 1, 1, 0, 0],  # a byte after the last record
        [16, 0, 0, 0, 1, 1, 2, 1, 1],  # a header without a name
        [255, 255, 255],  # a number that never ends
    ],
)
def test_a_record_that_does_not_add_up_is_refused(body):
    """Where a batch's bytes and its records disagree, nothing of it is believed."""
    sound = encode(0, [(0, 1, None, None, [])])[0]
    header = sound[: DefaultRecordBatch.HEADER_STRUCT.size]
    assert sound == header + bytes([12, 0, 0, 0, 1, 1, 0])
    with pytest.raises(CorruptRecordError):
        assembled([DefaultRecordBatch(header + bytes(body))], 0, 10)


def simple(count, tag=b"v"):
    """Numbered records."""
    return [(0, 1, b"k", tag + b"%d" % n, []) for n in range(count)]


def marker(offset, producer_id, commit):
    """A control batch that ends a transaction."""
    buffer, following = encode(
        offset,
        [(0, 1, struct.pack(">hh", 0, int(commit)), b"\0" * 6, [])],
        is_transactional=True,
        producer_id=producer_id,
        producer_epoch=0,
    )
    buffer = bytearray(buffer)
    reseal(buffer, attributes=0x20)
    return bytes(buffer), following


class Aborted:
    """What a fetch response says about an aborted transaction."""

    def __init__(self, producer_id, first_offset):
        self.producer_id, self.first_offset = producer_id, first_offset


def test_aborted_transactions_and_markers_are_hidden():
    """Two producers interleaved: one aborts and then commits, the other commits; markers are no records."""
    parts, offset = [], 0
    for who, tag in [(1, b"lost"), (2, b"kept"), (1, b"lost")]:
        part, offset = encode(
            offset, simple(3, tag), is_transactional=True, producer_id=who, producer_epoch=0
        )
        parts.append(part)
    for who, commit in [(1, False), (2, True)]:
        part, offset = marker(offset, who, commit)
        parts.append(part)
    part, offset = encode(offset, simple(2, b"kept"), is_transactional=True, producer_id=1, producer_epoch=0)
    parts.append(part)
    part, offset = marker(offset, 1, True)
    found, assembler = assert_alike(b"".join([*parts, part]), aborted=[Aborted(1, 0)])
    assert [value[:4] for value in found["value"].to_pylist()] == [b"kept"] * 5
    assert assembler.hidden == {"aborted": 6, "control": 3}


def test_hidden_offsets_are_counted_only_inside_the_range():
    """A range that ends inside an aborted batch owns only its own part of it."""
    assembler = Assembler(5, 10, 100)
    assert list(assembler.add(Hidden("aborted", 0, 20))) == []
    assert assembler.hidden == {"aborted": 5, "control": 0}


def test_a_batch_emptied_by_compaction_moves_the_position():
    """The broker keeps an empty batch's header: nothing to read, but the position passes it."""
    whole, following = encode(10, simple(4))
    empty = bytearray(whole[: DefaultRecordBatch.HEADER_STRUCT.size])
    struct.pack_into(">i", empty, 8, len(empty) - 12)
    struct.pack_into(">i", empty, 57, 0)
    reseal(empty)
    found, _ = assert_alike(bytes(empty))
    assert found.num_rows == 0
    assert taken(partition_records(_WholeBatches, bytes(empty)))[1] == following


def test_a_wrong_checksum_stops_the_read_at_its_batch():
    """What stands before it is given; then the error names the offset."""
    sound, offset = encode(0, simple(3))
    broken = bytearray(encode(offset, simple(3))[0])
    broken[-1] ^= 1
    part = partition_records(_WholeBatches, sound + bytes(broken))
    assert len(part.take(10)) == 1
    with pytest.raises(CorruptRecordError, match="offset 3"):
        part.take(10)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats_are_read_record_by_record(magic):
    """Formats 0 and 1, which old brokers still store, and a mix with format 2."""
    builder = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=1 << 20)
    for offset in range(5):
        builder.append(
            offset, timestamp=NOW + offset, key=b"k" if offset % 2 else None, value=b"v%d" % offset
        )
    data = bytes(builder.build()) + encode(5, simple(3))[0]
    found, _ = assert_alike(data, start=2)
    assert found["offset"].to_pylist() == [2, 3, 4, 5, 6, 7]


def test_batches_keep_to_their_limits(monkeypatch):
    """Small Kafka batches are put together, large ones are cut, by records and by bytes."""
    monkeypatch.setattr(kafka_batches, "BATCH_RECORDS", 10)
    monkeypatch.setattr(kafka_batches, "BATCH_BYTES", 1_000)
    offset, items = 0, []
    for count in (3, 4, 5, 25, 1):
        part, offset = encode(offset, simple(count))
        items.append(DefaultRecordBatch(part))
    part, offset = encode(offset, [(0, 1, None, b"x" * 400, [])] * 5 + [(0, 1, None, b"x" * 3_000, [])])
    items.append(DefaultRecordBatch(part))
    assembler = Assembler(0, offset, 10**9)
    tables = [table for item in items for table in assembler.add(item)] + list(assembler.flush())
    assert [table.num_rows for table in tables] == [7, 5, 10, 10, 5, 1, 2, 2, 1, 1]


def test_times_that_are_none_become_null():
    """A producer may write no time (−1) or a nonsense one; neither is an instant."""
    records = [(0, 1, None, b"v", []), (2**62 - NOW, 1, None, b"v", []), (-1 - NOW, 1, None, b"v", [])]
    found, _ = assert_alike(encode(0, records)[0])
    assert [time is None for time in found["broker_timestamp"].to_pylist()] == [False, True, True]
