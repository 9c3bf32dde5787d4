"""Decoding of JSON and CSV batches, and what holds for every format."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcours.schemas.config import Source, Validation
from parcours.schemas.touchpoint import RAW, REASONS
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import REJECT_NOTE, PlannedRange, SourceBatch
from parcours.transforms.raw_rows import RawRows, Rejects
from parcours.transforms.text_rows import decode_text


def batch(values, context=None, sizes=None):
    """Make a batch as a source would read it."""
    count = len(values)
    records = pa.RecordBatch.from_arrays(
        [
            pa.array(range(count), pa.int64()),
            pa.nulls(count, RAW.field("broker_timestamp").type),
            pa.nulls(count, pa.binary()),
            pa.nulls(count, RAW.field("headers").type),
            pa.array(values, pa.large_binary()),
            pa.array(sizes or [len(value or b"") for value in values], pa.int64()),
        ],
        schema=RAW,
    )
    return SourceBatch(PlannedRange(0, "s", "orders.csv", 0, 0, count), records, context)


def source(format_, **more):
    """Make a file source."""
    return Source(name="s", kind="file", path="x", format=format_, **more)


def decode(format_, values, context=None, validation=None, **more):
    """Decode values, and check what holds for every decoded batch."""
    decoded = make_decoder(source(format_, **more), validation or Validation()).decode(batch(values, context))
    rejects = decoded.rejects.to_pylist()
    rows = [row for part in decoded.parts for row in part.table["row"].to_pylist()]
    assert sorted(rows + [reject["row"] for reject in rejects]) == list(range(len(values)))
    assert decoded.rejects.schema.equals(REJECT_NOTE)
    for reject in rejects:
        assert reject["step"] == "decode"
        assert reject["reason"] in REASONS
        assert len(reject["value"] or "") <= 200
        assert reject["message"].startswith(reject["rule"] + ": ")
    return decoded


def reasons(decoded):
    """Give (row, reason, rule) of every reject."""
    return [(note["row"], note["reason"], note["rule"]) for note in decoded.rejects.to_pylist()]


def documents(decoded):
    """Give row → document of the only part."""
    (part,) = decoded.parts
    assert part.kind == "documents"
    return {line["row"]: line["document"] for line in part.table.to_pylist()}


def columns(decoded):
    """Give row → columns of the only part."""
    (part,) = decoded.parts
    assert part.kind == "columns"
    return {line.pop("row"): line for line in part.table.to_pylist()}


def test_tombstones_and_large_records_are_refused_in_every_format():
    """A null value is a tombstone; a record over the limit is refused by its size before any cut."""
    decoder = make_decoder(source("json"), Validation(max_record_bytes=50))
    decoded = decoder.decode(batch([None, b'{"a":1}', b'{"a":'], sizes=[0, 7, 51]))
    assert reasons(decoded) == [(0, "tombstone", "record.value"), (2, "too_large", "record.size")]
    assert decoded.rejects["value"].to_pylist() == [None, "51"]
    assert documents(decoded) == {1: '{"a":1}'}


def test_an_empty_batch_has_no_parts():
    """No rows in, no rows out, and the rejects still have their columns."""
    for format_ in ("json", "csv"):
        decoded = decode(format_, [], context=b"a,b")
        assert decoded.parts == ()
        assert len(decoded.rejects) == 0


def test_a_slice_of_a_batch_is_decoded_from_its_own_first_row():
    """Arrow slices share their buffers: rows are counted from the slice's beginning."""
    whole = batch([b'{"a":1}', b"no", b'{"a":2}', b'{"a":3}'])
    part = SourceBatch(whole.range, whole.records.slice(2))
    assert documents(make_decoder(source("json"), Validation()).decode(part)) == {0: '{"a":2}', 1: '{"a":3}'}


@pytest.mark.parametrize(
    ("value", "reason", "rule"),
    [
        (b'{"value": NaN}', "not_finite", "json.finite"),
        (b'{"a": [1, -Infinity, NaN]}', "not_finite", "json.finite"),
        (b'{"a": nan}', "undecodable", "json.valid"),
        (b'{"a": -inf}', "undecodable", "json.valid"),
        (b'{"a": NaN,}', "undecodable", "json.valid"),
        (b'{"a": 1, }', "undecodable", "json.valid"),
        (b'{"a": [1 ,\n] }', "undecodable", "json.valid"),
        (b'{"a": 1', "undecodable", "json.valid"),
        (b'{"a": 1} {"b": 2}', "undecodable", "json.valid"),
        (b"{'a': 1}", "undecodable", "json.valid"),
        (b'{"a": "\\ud800"}', "undecodable", "json.valid"),
        (b'{"a": "\x00"}', "undecodable", "json.valid"),
        (b"", "undecodable", "json.valid"),
        (b"NaN", "wrong_type", "json.object"),
        (b"[1]", "wrong_type", "json.object"),
        (b' "text"', "wrong_type", "json.object"),
        (b"null", "wrong_type", "json.object"),
        (b'{"a": "\xe9"}', "encoding", "encoding.utf-8"),
        (b'{"a": "\xed\xa0\x80"}', "encoding", "encoding.utf-8"),
        (b"[" * 100_000, "undecodable", "json.valid"),
    ],
)
def test_what_is_not_one_json_object_is_refused_alone(value, reason, rule):
    """A broken record is refused with its reason; the records beside it are decoded."""
    decoded = decode("json", [b'{"a":1}', value, b'{"b":2}'])
    assert reasons(decoded) == [(1, reason, rule)]
    assert documents(decoded) == {0: '{"a":1}', 2: '{"b":2}'}


@pytest.mark.parametrize(
    "text",
    [
        '{"note": "is NaN, or [-inf]"}',
        '{"note": "a list: [1, 2, ] \\", nan"}',
        '{"a": 1e999, "b": 12345678901234567890123}',
        ' {"a": null}\r\n',
        '{"a": 1, "a": 2}',
        '{"n\\u0000": "é"}',
        "{}",
        '{"a":' + "[" * 10_000 + "]" * 10_000 + "}",
    ],
)
def test_valid_objects_are_kept_as_they_are(text):
    """Text that only looks like NaN or a trailing comma inside a string is no reason to refuse a record."""
    assert documents(decode("json", [text.encode()])) == {0: text}


def test_a_byte_order_mark_is_dropped():
    """Some producers begin every UTF-8 record with one."""
    decoded = decode("json", [b'\xef\xbb\xbf{"a":1}', b'{"a":2}', b"\xef\xbb\xbf", b"\xef\xbb"])
    assert documents(decoded) == {0: '{"a":1}', 1: '{"a":2}'}
    assert [reason for _, reason, _ in reasons(decoded)] == ["undecodable", "encoding"]


@pytest.mark.parametrize("large", [False, True])
def test_a_character_cut_by_the_edge_of_a_record_breaks_both(large):
    """Two records that are UTF-8 only when joined are both refused, also with a third between them."""
    values = [b"a,\xc3", b"x" * 99, b"\xa9,b"] if large else [b"a,\xc3", b"\xa9,b"]
    decoded = decode("csv", [b"1,2", *values, b"3,4"], b"a,b", Validation(max_record_bytes=50))
    assert [row for row, reason, _ in reasons(decoded) if reason == "encoding"] == [1, len(values)]
    assert sorted(columns(decoded)) == [0, len(values) + 1]


@given(st.lists(st.binary(max_size=3) | st.sampled_from(["é".encode(), "€".encode(), b"ab"]), max_size=70))
def test_rows_are_judged_one_by_one(values):
    """A row is refused exactly if Python cannot decode it, whatever stands beside it."""

    def is_utf8(value):
        try:
            value.decode()
        except UnicodeDecodeError:
            return False
        return True

    rejects = Rejects()
    rows, texts = decode_text(RawRows.of(pa.array(values, pa.large_binary())), "utf-8", rejects)
    kept = {row: value for row, value in enumerate(values) if is_utf8(value)}
    assert dict(zip(rows.row.tolist(), texts.to_pylist(), strict=True)) == {
        row: value.decode().removeprefix("\ufeff") for row, value in kept.items()
    }
    assert [note[0] for note in rejects.notes] == [row for row in range(len(values)) if row not in kept]


def test_single_byte_encodings_are_read_and_their_holes_refused():
    """cp1252 has five bytes without a meaning: only the record that holds one is refused."""
    values = ['{"a":"5 €, œuvre"}'.encode("cp1252"), b'{"a":"\x81"}', '{"a":"é"}'.encode("cp1252")]
    decoded = decode("json", values, encoding="cp1252")
    assert documents(decoded) == {0: '{"a":"5 €, œuvre"}', 2: '{"a":"é"}'}
    assert reasons(decoded) == [(1, "encoding", "encoding.cp1252")]
    assert documents(decode("json", ['{"a":"€"}'.encode("iso-8859-15")], encoding="iso-8859-15")) == {
        0: '{"a":"€"}'
    }


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.text(), JSON_VALUES, max_size=4).map(json.dumps) | st.text(), max_size=8))
def test_json_is_judged_as_the_standard_library_does(texts):
    """A record is kept exactly if Python's parser, NaN and lone surrogates forbidden, reads an object."""

    def is_object(text):
        def refuse(token):
            raise ValueError(token)

        try:
            value = json.loads(text, parse_constant=refuse)
            json.dumps(value, ensure_ascii=False).encode()
        except ValueError:
            return False
        return isinstance(value, dict)

    texts = [text for text in texts if not text.startswith("\ufeff") and text.isprintable()]
    decoded = decode("json", [text.encode("utf-8", "surrogatepass") for text in texts])
    kept = {row for part in decoded.parts for row in part.table["row"].to_pylist()}
    assert kept == {row for row, text in enumerate(texts) if is_object(text)}


def test_csv_columns_are_text_and_empty_values_stay_empty():
    """Nothing is guessed: numbers, dates, NA and blanks stay the text that they are."""
    decoded = decode(
        "csv", [b"1;NA;", b'"a;b";"say ""hi""";"x\r\ny"', b"1 234,50;;\r"], b"a;b;c\r\n", delimiter=";"
    )
    assert columns(decoded) == {
        0: {"a": "1", "b": "NA", "c": ""},
        1: {"a": "a;b", "b": 'say "hi"', "c": "x\r\ny"},
        2: {"a": "1 234,50", "b": "", "c": ""},
    }


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (b"1", "csv.columns"),
        (b"", "csv.columns"),
        (b"1,2,3", "csv.columns"),
        (b'"1,2', "csv.quotes"),
        (b'1,"2', "csv.quotes"),
        (b'1,"2""', "csv.quotes"),
        (b'"', "csv.quotes"),
        (b"1,2\n3,4", "csv.quotes"),
        (b"1,2\r3,4", "csv.quotes"),
    ],
)
def test_a_broken_csv_record_spoils_only_itself(value, rule):
    """Too few or too many values, or a quote that is never closed: the neighbours are decoded."""
    decoded = decode("csv", [b"a,b", value, b'"c",d'], b"x,y")
    assert reasons(decoded) == [(1, "undecodable", rule)]
    assert columns(decoded) == {0: {"x": "a", "y": "b"}, 2: {"x": "c", "y": "d"}}


def test_a_quote_inside_a_value_is_a_character():
    """Inches and feet are not quotes: only a quote at a value's start opens one."""
    decoded = decode("csv", [b'5" pipe,1', b'6",2', b'"a"b,c'], b"x,y")
    assert columns(decoded) == {
        0: {"x": '5" pipe', "y": "1"},
        1: {"x": '6"', "y": "2"},
        2: {"x": "ab", "y": "c"},
    }


def test_csv_without_quoting():
    """With an empty quote setting a quote is a character like any other."""
    decoded = decode("csv", [b'"a,b', b'"c","d'], b"x,y", quote="")
    assert columns(decoded) == {0: {"x": '"a', "y": "b"}, 1: {"x": '"c"', "y": '"d'}}


def test_a_csv_file_as_french_offices_write_it():
    """cp1252 with semicolons, header included."""
    lines = ["Élodie;5 €", "Zoë;7"]
    decoded = decode(
        "csv",
        [line.encode("cp1252") for line in lines],
        "prénom;coût".encode("cp1252"),
        encoding="cp1252",
        delimiter=";",
    )
    assert columns(decoded) == {0: {"prénom": "Élodie", "coût": "5 €"}, 1: {"prénom": "Zoë", "coût": "7"}}


def test_a_column_that_is_called_row_stands_beside_ours():
    """The row's place keeps its name; the file's own column gets an underscore, or as many as it takes."""
    decoded = decode("csv", [b"7,8,9"], b"ROW,row_,x")
    assert columns(decoded) == {0: {"ROW__": "7", "row_": "8", "x": "9"}}


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"a,b,a", "names a twice"),
        (b"a,,b", "without a name"),
        (b"", "without a name"),
        (b"\xe9,b", "is not utf-8"),
    ],
)
def test_an_unusable_header_names_the_file_and_the_columns(header, problem):
    """A header that cannot tell columns apart stops the file, with its name in the message."""
    with pytest.raises(ValueError, match=f"orders.csv: .*{problem}"):
        decode("csv", [b"1,2,3"], header)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet='ab,"\n\ré\0 ', max_size=12), max_size=8), st.integers(1, 3))
def test_csv_records_never_touch_their_neighbours(texts, width):
    """However broken the records, each is decoded as it is when it stands alone in a batch."""
    header = ",".join(f"c{index}" for index in range(width)).encode()
    together = decode("csv", [text.encode() for text in texts], header)
    kept = columns(together) if together.parts else {}
    for row, text in enumerate(texts):
        alone = decode("csv", [text.encode()], header)
        assert kept.get(row) == (columns(alone)[0] if alone.parts else None)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.text(alphabet='ab,"\n\ré; ', max_size=6), min_size=3, max_size=3), min_size=1, max_size=6
    )
)
def test_csv_values_survive_the_standard_writer(lines):
    """What Python's csv module writes is read back, embedded line ends included."""

    def written(line):
        out = io.StringIO()
        csv.writer(out).writerow(line)
        return out.getvalue().removesuffix("\r\n").encode()

    decoded = decode("csv", [written(line) for line in lines], b"a,b,c")
    assert columns(decoded) == {row: dict(zip("abc", line, strict=True)) for row, line in enumerate(lines)}


def test_one_percent_of_broken_records_leaves_the_rest():
    """Breaks of all kinds in one batch: as many rejects as were planted, at the places where they were."""
    values = [json.dumps({"id": number, "note": "é"}, ensure_ascii=False).encode() for number in range(5_000)]
    planted = np.arange(0, 5_000, 100)
    breaks = [b"\xff", b"{", b"[]", b'{"v":NaN}']
    for number, row in enumerate(planted):
        values[row] = breaks[number % len(breaks)]
    decoded = decode("json", values)
    assert decoded.rejects["row"].to_pylist() == planted.tolist()
    assert documents(decoded)[4_999] == '{"id": 4999, "note": "é"}'
