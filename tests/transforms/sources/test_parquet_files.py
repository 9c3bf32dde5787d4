"""Parquet as files: rows with their types, JSON for the quarantine, and damage that stays where it is."""

import json
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from parcours.schemas.config import Config, Source, Validation
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import RangeEnd
from parcours.transforms.sources.contract import LogStoppedError, Position
from parcours.transforms.sources.files import FileSource
from parcours.transforms.validate import make_validator
from stores import assert_balanced, config_of, file_source, load, rows

ROWS = 60
VISITS = pa.table(
    {
        "event_id": [f"e{number}" for number in range(ROWS)],
        "occurred_at": pa.array([datetime(2025, 3, 1, 10, number, tzinfo=UTC) for number in range(ROWS)]),
        "customer_id": pa.array([f"C{number % 7}" for number in range(ROWS)]).dictionary_encode(),
        "event_type": ["seen"] * ROWS,
        "channel": ["site"] * ROWS,
    }
)


def source_of(path, **keys):
    """A source of Parquet files."""
    return Source(name="visits", kind="file", format="parquet", path=str(path), **keys)


def read(path, *, records=10**6, bytes_=10**9, limit=10**6, **keys):
    """Read all slices of a file: valid rows, rejected rows, warnings, the number of slices."""
    source = source_of(path, **keys)
    validation = Validation(max_record_bytes=limit)
    decoder, validator = make_decoder(source, validation), make_validator(source, Config(source=(source,)))
    committed, valid, rejected, warnings, slices = {}, [], [], [], 0
    with closing(FileSource(source, validation)) as opened:
        while ranges := opened.plan(committed, first_id=0, records=records, bytes_=bytes_).ranges:
            slices += 1
            for planned in ranges:
                *batches, end = opened.read(planned)
                assert isinstance(end, RangeEnd)
                assert (
                    end.read
                    == sum(batch.records.num_rows for batch in batches)
                    == end.next_offset - planned.start
                )
                committed[planned.topic, 0] = Position(end.next_offset, end.resume)
                warnings += end.warnings
                for batch in batches:
                    found = validator.validate(decoder.decode(batch))
                    valid += found.touchpoints.to_pylist()
                    rejected += found.rejected.to_pylist()
    return valid, rejected, warnings, slices


@pytest.mark.parametrize("limits", [{}, {"records": 7}, {"bytes_": 900}])
def test_every_row_is_one_record_whatever_the_slices(tmp_path, limits):
    """Slices end and begin anywhere, within a row group as well; offsets count rows."""
    pq.write_table(VISITS, tmp_path / "a.parquet", row_group_size=25)
    valid, rejected, warnings, slices = read(tmp_path / "a.parquet", **limits)
    assert ([], []) == (rejected, warnings)
    assert list(range(ROWS)) == [row["source_offset"] for row in valid]
    assert VISITS["event_id"].to_pylist() == [row["event_id"] for row in valid]
    assert VISITS["customer_id"].to_pylist() == [row["customer_id"] for row in valid]
    assert (slices > 1) == bool(limits)


def test_types_are_kept(tmp_path):
    """Instants of any unit, local times, days, decimals, lists and structs come as they are stored."""
    instant, local = datetime(2025, 7, 1, 10, tzinfo=UTC), datetime(2025, 7, 1, 10)
    table = pa.table(
        {
            "event_id": ["a", "b"],
            "occurred_at": pa.array([instant, instant], pa.timestamp("ns", "America/New_York")),
            "customer_id": ["Ann", None],
            "device": [{"id": "d1"}, {"id": "d2"}],
            "event_type": pa.array(["seen", "seen"], pa.large_string()),
            "channel": ["site", "site"],
            "value": pa.array([Decimal("12.34567"), None], pa.decimal128(30, 5)),
            "currency": ["EUR", None],
            "score": pa.array([9, None], pa.int8()),
            "survey": ["nps", None],
            "consent": pa.array([["marketing"], None]),
            "row": [1.5, float("nan")],
            "opened": pa.array([local, None], pa.timestamp("ms")),
            "born": pa.array([date(1980, 2, 29), None]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    mapping = {"anonymous_id": "device.id"}
    (first, second), rejected, _, _ = read(tmp_path / "a.parquet", map=mapping, time_zone="Europe/Paris")
    assert [] == rejected
    assert {instant.replace(tzinfo=None)} == {first["occurred_at"], second["occurred_at"]}
    assert ("Ann", "d1", Decimal("12.3457"), 9, ["marketing"]) == tuple(
        first[name] for name in ("customer_id", "anonymous_id", "value", "score", "consent")
    )
    assert {"born": "1980-02-29", "opened": "2025-07-01 10:00:00.000000", "row_": "1.5"} == {
        pair["key"]: pair["value"] for pair in first["attributes"]
    }
    late = table.set_column(1, "occurred_at", pa.array([local, local], pa.timestamp("us")))
    pq.write_table(late, tmp_path / "b.parquet")
    (first, _), _, _, _ = read(tmp_path / "b.parquet", map=mapping, time_zone="Europe/Paris")
    assert datetime(2025, 7, 1, 8) == first["occurred_at"]


def test_a_row_that_breaks_a_rule_is_kept_as_json(tmp_path):
    """Its neighbours are valid; what is over the limit is cut."""
    table = VISITS.set_column(3, "event_type", [["seen"] * 30 + [None] + ["long" * 100] + ["seen"] * 28])
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=25)
    valid, (missing, large), _, _ = read(tmp_path / "a.parquet", limit=300)
    assert ROWS - 2 == len(valid)
    assert (30, "missing_field", "event_type") == tuple(
        missing[name] for name in ("source_offset", "reason", "field")
    )
    assert "e30" == json.loads(missing["raw"])["event_id"]
    assert "2025-03-01 10:30:00+00" == json.loads(missing["raw"])["occurred_at"]
    assert (31, "too_large", 300) == (large["source_offset"], large["reason"], len(large["raw"]))


def damaged(path, place):
    """Write the visits in three row groups, and spoil the bytes of a column of one of them."""
    pq.write_table(VISITS, path, row_group_size=25, write_page_checksum=True, compression="none")
    column = pq.ParquetFile(path).metadata.row_group(place).column(0)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + 30] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("records", [10**6, 8])
def test_a_damaged_row_group_leaves_its_neighbours_alone(tmp_path, records):
    """What cannot be read of it is one record that says so; the next row group is read."""
    damaged(tmp_path / "a.parquet", 1)
    valid, (bad,), warnings, _ = read(tmp_path / "a.parquet", records=records)
    assert [f"e{number}" for number in (*range(25), *range(50, 60))] == [row["event_id"] for row in valid]
    assert list(range(36)) == sorted([*(row["source_offset"] for row in valid), bad["source_offset"]])
    assert ("undecodable", "parquet.readable", 25) == (bad["reason"], bad["rule"], bad["source_offset"])
    assert "rows 25 to 49, which cannot be read" in bad["message"]
    assert "write it anew" in bad["message"]
    assert len(warnings) == 1


@pytest.mark.parametrize("content", ["cut", "text", "magic", "columns"])
def test_a_file_that_is_no_parquet_is_one_record_that_says_so(tmp_path, content):
    """A file that was not written to its end, or is something else; other files are read."""
    path = tmp_path / "a.parquet"
    pq.write_table(VISITS, path)
    if content == "columns":
        pq.write_table(pa.table([[1], [2]], names=["x", "x"]), path)
    else:
        path.write_bytes(
            {"cut": path.read_bytes()[:-40], "text": b"event_id\ne1\n", "magic": b"PAR1PAR1"}[content]
        )
    pq.write_table(VISITS.slice(0, 3), tmp_path / "b.parquet")
    valid, (bad,), warnings, _ = read(tmp_path / "*.parquet")
    assert 3 == len(valid)
    assert ("undecodable", "parquet.readable", "a.parquet") == (
        bad["reason"],
        bad["rule"],
        bad["source_topic"],
    )
    assert ("names the column x twice" if content == "columns" else "is no Parquet file") in bad["message"]
    assert len(warnings) == 1


def test_files_without_rows_are_told(tmp_path):
    """No row, and no byte."""
    pq.write_table(VISITS.slice(0, 0), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").touch()
    valid, rejected, warnings, _ = read(tmp_path / "*.parquet")
    assert ([], []) == (valid, rejected)
    assert ["a.parquet holds no record", "b.parquet is empty"] == warnings


def test_a_file_that_was_read_is_not_to_change(tmp_path):
    """Parquet is written once: more rows under the same name are another file."""
    path = tmp_path / "a.parquet"
    pq.write_table(VISITS.slice(0, 10), path)
    source = FileSource(source_of(path), Validation())
    (planned,) = source.plan({}, first_id=0, records=100, bytes_=10**6).ranges
    *_, end = source.read(planned)
    pq.write_table(VISITS, path)
    with pytest.raises(LogStoppedError, match="was replaced"):
        source.plan(
            {("a.parquet", 0): Position(end.next_offset, end.resume)}, first_id=0, records=1, bytes_=1
        )


def test_a_run_over_touchpoints_and_spend(tmp_path):
    """Both are loaded once, in slices; the quarantine keeps rejected rows, and the ledger is balanced."""
    pq.write_table(VISITS, tmp_path / "visits.parquet", row_group_size=25)
    spend = pa.table(
        {
            "day": pa.array([date(2025, 3, 1), date(2025, 3, 2), None]),
            "campaign": ["spring", "spring", "spring"],
            "channel": ["search"] * 3,
            "amount": pa.array([Decimal("12.5"), Decimal("1.25"), Decimal("9")], pa.decimal128(9, 2)),
            "currency": ["EUR"] * 3,
        }
    )
    pq.write_table(spend, tmp_path / "spend.parquet")
    store = tmp_path / "store.duckdb"
    config = config_of(
        store,
        file_source(tmp_path / "visits.parquet", "parquet"),
        file_source(tmp_path / "spend.parquet", "parquet", "spend", loads="spend"),
        slice_records=40,
    )
    result = load(config)
    assert (63, 62, 1) == (result.read, result.loaded, result.quarantined)
    assert load(config).nothing_to_do
    assert_balanced(store)
    spent = rows(store, "SELECT day, amount FROM ref_spend_now ORDER BY day")
    assert [(date(2025, 3, 1), Decimal("12.5")), (date(2025, 3, 2), Decimal("1.25"))] == spent
    ((rule, raw),) = rows(store, "SELECT rule, raw FROM quarantine")
    assert ("day.required", "spring") == (rule, json.loads(raw)["campaign"])
