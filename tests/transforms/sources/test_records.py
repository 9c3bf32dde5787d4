"""Where records begin and end in text."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcours.transforms.sources.records import Framing, gather, split_records

LINES = Framing(b"", b",", 1000, blank_is_white=True)
QUOTED = Framing(b'"', b",", 1000, blank_is_white=False)


def pieces(text, framing, *, last):
    """Return the records of a text, and what was not understood yet."""
    found = split_records(text, framing, last=last)
    values = [text[start:stop] for start, stop in zip(found.starts, found.stops, strict=True)]
    assert values == gather(text, found.starts, found.stops).to_pylist()
    return values, text[found.consumed :]


@pytest.mark.parametrize(
    ("text", "framing", "records", "rest"),
    [
        (b"", LINES, [], b""),
        (b"a", LINES, [], b"a"),
        (b"\n", LINES, [], b""),
        (b"a\r\n\r\nb\nc", LINES, [b"a", b"b"], b"c"),
        (b" \t\n a\n", LINES, [b" a"], b""),
        (b" \t\n a\n", QUOTED, [b" \t", b" a"], b""),
        (b'1,"a\nb"\n2,"c', QUOTED, [b'1,"a\nb"'], b'2,"c'),
        (b'1,"a\nb"\n2,"c\nd', QUOTED, [b'1,"a\nb"'], b'2,"c\nd'),
        (b'"a""\n","b\n","""\n"\nx\n', QUOTED, [b'"a""\n","b\n","""\n"', b"x"], b""),
        (b'a"b\nc"d\n', QUOTED, [b'a"b', b'c"d'], b""),
        (b'"a\n' + b"x" * 995 + b'"\nb\n', QUOTED, [b'"a\n' + b"x" * 995 + b'"', b"b"], b""),
        (b'"a\n' + b"x" * 998 + b'"\nb\n', QUOTED, [b'"a', b"x" * 998 + b'"', b"b"], b""),
        (b'"a\n' + b"\n" * 990 + b'"\nb\n', QUOTED, [b'"a\n' + b"\n" * 990 + b'"', b"b"], b""),
    ],
)
def test_split(text, framing, records, rest):
    """A record ends at a line end outside quotes; what has no end yet stays."""
    assert (records, rest) == pieces(text, framing, last=False)


def test_a_quote_that_is_never_closed_is_a_record_of_one_line_at_the_end():
    """The lines behind it are records of their own."""
    assert ([b'1,"a', b"2,b", b"3"], b"") == pieces(b'1,"a\n2,b\n3', QUOTED, last=True)


value = st.text(alphabet='a,"\n é;', max_size=6)


@given(rows=st.lists(st.lists(value, min_size=2, max_size=4), max_size=8), cut=st.integers(0, 200))
def test_what_a_csv_writer_wrote_comes_apart_as_it_was_written(rows, cut):
    """Python's csv module is the oracle; a text cut anywhere gives the same records in two steps."""
    texts = []
    for row in rows:
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerow(row)
        texts.append(file.getvalue().encode())
    text = b"".join(texts)
    first, rest = pieces(text[:cut], QUOTED, last=False)
    second, rest = pieces(rest + text[cut:], QUOTED, last=True)
    assert [record.removesuffix(b"\n") for record in texts] == first + second
    assert b"" == rest


def test_gather_of_nothing():
    """No records make an empty column."""
    found = split_records(b"", LINES, last=True)
    assert pa.array([], pa.large_binary()) == gather(b"", found.starts, found.stops)
