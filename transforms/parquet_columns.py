"""Parquet rows to columns: they keep the types that the file gives them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcours.schemas.touchpoint import INSTANT
from parcours.transforms.elements import DecodedPart
from parcours.transforms.raw_rows import RawRows, Rejects, columns_beside_row


class ParquetColumns:
    """Decodes format ``parquet``: the typed rows stand beside the raw ones."""

    def decode(self, rows: RawRows, context: bytes | None, rejects: Rejects) -> tuple[DecodedPart, ...]:
        """Decode the rows of a batch; without typed rows they say what of the file could not be read."""
        if context is None:
            for index in range(len(rows)):
                problem = rows.value(index).decode("utf-8", "replace")
                message = f"the file {problem}; write it anew, under another name"
                rejects.add(int(rows.row[index]), "undecodable", "parquet.readable", None, message)
            return ()
        if not len(rows):
            return ()
        typed = pa.ipc.open_stream(context).read_all()
        if not np.array_equal(rows.row, np.arange(typed.num_rows)):
            typed = typed.take(pa.array(rows.row))
        columns = [_readable(column) for column in typed.columns]
        names = columns_beside_row(typed.column_names)
        return (DecodedPart("columns", pa.table([pa.array(rows.row), *columns], names=names)),)


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give instants as the other formats do; a local time is text, since only the source knows its zone."""
    if not pa.types.is_timestamp(column.type):
        return column
    local = column.type.tz is None
    micros = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    return micros.cast(pa.string()) if local else micros.cast(pa.timestamp("us", "UTC")).cast(INSTANT)
