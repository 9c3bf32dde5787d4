"""Parquet files: rows with their types, and beside each row the JSON of it that the quarantine would keep.

What cannot be read, all of a file or the rest of a row group, is one record that says why; the rows around it
are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from parcours.transforms.sources.contract import BATCH_BYTES, BATCH_RECORDS
from parcours.transforms.sources.pieces import Piece, Reading

_SAMPLE = 100
"""Rows from which the bytes of all others are guessed."""

_GUESS = 500
"""Bytes of a row where none can be read."""


def read_parquet(path: Path, row: int, limit: int, reading: Reading) -> Iterator[Piece]:
    """Read a file's rows, row group by row group.

    A piece's ``byte`` counts rows here: those of the file before the place where reading can go on.

    Args:
        path: the file.
        row: the first row to read, by its place in the file.
        limit: longer JSON is cut to this many bytes.
        reading: receives warnings.

    Raises:
        OSError: the file cannot be opened.
        ValueError: a column has a type that cannot be read.
    """
    file = _open(path)
    if isinstance(file, str):
        reading.warnings.append(file)
        yield _damaged(file, row + 1)
        return
    end = 0
    with file, _connect() as connection:
        for group in range(file.num_row_groups):
            at, end = end, end + file.metadata.row_group(group).num_rows
            if end <= row:
                continue
            try:
                for batch in _batches(file, group):
                    wanted = batch.slice(max(row - at, 0))
                    at += batch.num_rows
                    if wanted.num_rows:
                        yield _piece(connection, wanted, at, limit)
            except (pa.ArrowException, OSError) as error:
                rows = f"rows {at:,} to {end - 1:,}, which cannot be read"
                problem = f"has a damaged row group: {rows}: {_first_line(error)}"
                reading.warnings.append(problem)
                yield _damaged(problem, end)


def estimate_rows(path: Path, row: int, margin: float) -> tuple[int, int, bool]:
    """Say how many rows follow a row at most, guess their bytes as JSON, and tell whether these are bounds.

    Args:
        path: the file.
        row: rows of the file before.
        margin: by how much the guess is to be on the large side.
    """
    file = _open(path)
    if isinstance(file, str):
        return 1, max(path.stat().st_size, 1), True
    with file, _connect() as connection:
        left = file.metadata.num_rows - row
        groups = [group for group in range(file.num_row_groups) if file.metadata.row_group(group).num_rows]
        try:
            sample = next(file.iter_batches(batch_size=_SAMPLE, row_groups=groups, use_threads=False), None)
            each = 1 if sample is None else _piece(connection, sample, 0, BATCH_BYTES).sizes.mean()
        except (pa.ArrowException, OSError):
            each = _GUESS
    return max(left, 1), int(each * max(left, 1) * margin) + 1, False


def as_context(rows: pa.RecordBatch) -> bytes:
    """Return typed rows as what stands beside a batch's raw ones."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _open(path: Path) -> pq.ParquetFile | str:
    """Open a file, or say why it is none.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        return f"is no Parquet file: {_first_line(error)}"
    names = file.schema_arrow.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        file.close()
        return f"names the column {', '.join(twice)} twice; every column has its own name"
    return file


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _batches(file: pq.ParquetFile, group: int) -> Iterator[pa.RecordBatch]:
    """Read one row group in batches of about the size of a source's."""
    about = file.metadata.row_group(group)
    fitting = BATCH_BYTES * about.num_rows // max(about.total_byte_size, 1)
    size = min(max(fitting, 1), BATCH_RECORDS)
    yield from file.iter_batches(batch_size=size, row_groups=[group], use_threads=False)


def _piece(connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatch, end: int, limit: int) -> Piece:
    """Make a piece of rows, the last of which stands before row ``end`` of the file."""
    connection.register("part", pa.Table.from_batches([rows]))
    try:
        texts = connection.sql("SELECT CAST(to_json(part) AS VARCHAR) AS text FROM part").to_arrow_table()
    except duckdb.Error as error:
        raise ValueError(f"a column has a type that cannot be read: {_first_line(error)}") from error
    values = texts["text"].combine_chunks().cast(pa.binary()).cast(pa.large_binary())
    sizes = pc.binary_length(values).to_numpy().astype(np.int64)
    if sizes.max() > limit:
        values = pa.array([value[:limit] for value in values.to_pylist()], pa.large_binary())
    count = rows.num_rows
    places = np.arange(end - count + 1, end + 1, dtype=np.int64)
    return Piece(values, sizes, places, np.zeros(count, np.int64), end, rows)


def _damaged(problem: str, end: int) -> Piece:
    """Make the one record that stands for what cannot be read; reading goes on at row ``end``."""
    value = problem.encode()
    sizes, places = np.array([len(value)]), np.array([end])
    return Piece(pa.array([value], pa.large_binary()), sizes, places, np.zeros(1, np.int64), end)
