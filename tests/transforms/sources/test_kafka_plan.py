"""Cutting logs into ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcours.transforms.sources.kafka_plan import RANGE_OFFSETS, Log, cut, fair_shares


def log(partition=0, start=0, begin=0, end=10, first=False):
    """One partition to plan."""
    return Log("t", partition, start, begin, end, {"topic_id": "x"}, first)


def cut_ranges(*logs, records=10**9, bytes_=10**12, record_bytes=None):
    """Cut with limits that most tests do not reach."""
    return cut(logs, source="s", first_id=5, records=records, bytes_=bytes_, record_bytes=record_bytes or {})


@given(st.lists(st.integers(0, 10**7), max_size=20), st.integers(0, 10**7))
def test_shares_use_the_limit_and_are_fair(wanted, limit):
    """Nobody gets more than wanted, the limit is used up, and who is cut short has as much as any other."""
    shares = fair_shares(wanted, limit)
    assert all(0 <= share <= want for share, want in zip(shares, wanted, strict=True))
    assert sum(shares) == min(limit, sum(wanted))
    short = [share for share, want in zip(shares, wanted, strict=True) if share < want]
    assert all(share + 1 >= max(shares) for share in short)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans()),
        max_size=6,
    ),
    st.integers(1, 10**6),
)
def test_ranges_lie_end_to_end_within_the_limit(numbers, records):
    """Each log's ranges begin at its start, join, and hold no more of what is readable than the limit."""
    logs = [log(n, a, b, max(a, b) + c, first) for n, (a, b, c, first) in enumerate(numbers)]
    ranges, more = cut_ranges(*logs, records=records)
    assert [r.id for r in ranges] == list(range(5, 5 + len(ranges)))
    readable = 0
    for each in logs:
        mine = [r for r in ranges if r.partition == each.partition]
        assert [r.start for r in mine] == [each.start, *[r.end for r in mine]][: len(mine)]
        assert all(r.end - max(r.start, each.begin) <= RANGE_OFFSETS for r in mine)
        assert mine or not each.first
        readable += mine[-1].end - each.readable_from if mine else 0
    assert readable == min(records, sum(each.pending for each in logs))
    assert more == (readable < sum(each.pending for each in logs))


def test_a_long_log_is_cut_evenly():
    """300,000 offsets are two ranges of 150,000, so that two workers end together."""
    ranges, more = cut_ranges(log(end=300_000))
    assert [(r.start, r.end) for r in ranges] == [(0, 150_000), (150_000, 300_000)]
    assert not more


def test_what_was_lost_is_part_of_the_first_range():
    """The range begins at the committed offset, and says where the log begins."""
    (lost, rest), _ = cut_ranges(log(start=5, begin=100, end=400_100))
    assert (lost.start, lost.resume["log_start"]) == (5, 100)
    assert (rest.start, "log_start" in rest.resume) == (lost.end, False)


def test_an_emptied_log_still_reports_its_loss():
    """All that was to be read is gone: an empty remainder is a fact to commit."""
    (only,), _ = cut_ranges(log(start=5, begin=10, end=10))
    assert (only.start, only.end, only.resume["log_start"]) == (5, 10, 10)


@pytest.mark.parametrize(("first", "count"), [(True, 1), (False, 0)])
def test_a_log_never_read_gets_a_range_even_if_empty(first, count):
    """So that the offset where it begins is committed."""
    ranges, _ = cut_ranges(log(start=7, end=7, first=first))
    assert len(ranges) == count


def test_bytes_limit_the_ranges_as_records_do():
    """Records of 1,000 bytes and a limit of 50,000 bytes: 50 offsets, shared by two logs."""
    ranges, more = cut_ranges(log(0, end=100), log(1, end=100), bytes_=50_000, record_bytes={"t": 1_000.0})
    assert [(r.start, r.end) for r in ranges] == [(0, 25), (0, 25)]
    assert more
