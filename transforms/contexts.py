"""What a rejected record needs to be read again and stands once in its file, not in its own bytes.

That is the header of a CSV file, the schema of an Avro container, and of Parquet, whose rows have no bytes of
their own, the rejected rows with their types. It is known by the hash of its bytes.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcours.transforms.elements import SourceBatch

_OFFSETS = b"parcours.offsets"


def context_id(context: bytes) -> str:
    """Return the name of a context."""
    return hashlib.sha256(context).hexdigest()[:32]


def kept_context(format_: str, batch: SourceBatch, offsets: pa.ChunkedArray) -> bytes | None:
    """Return what is kept beside the rejected records of a batch; null where they need nothing.

    Args:
        format_: the source's format.
        batch: the batch as read.
        offsets: the rejected records' offsets.
    """
    if batch.context is None or not len(offsets):
        return None
    if format_ != "parquet":
        return batch.context
    rows = pa.ipc.open_stream(batch.context).read_all()
    rejected = rows.take(pc.index_in(offsets, value_set=batch.records["offset"]))
    noted = {_OFFSETS: offsets.to_numpy().astype("<i8").tobytes()}
    return _written(rejected.replace_schema_metadata(noted))


def context_of(format_: str, kept: bytes | None, offsets: pa.Array) -> bytes | None:
    """Return the context of a batch of some rejected records, as their source gave it.

    Args:
        format_: the source's format.
        kept: what ``kept_context`` returned when they were rejected.
        offsets: the records' offsets.
    """
    if kept is None or format_ != "parquet":
        return kept
    rows = pa.ipc.open_stream(kept).read_all()
    places = pa.array(np.frombuffer(rows.schema.metadata[_OFFSETS], "<i8"))
    return _written(rows.take(pc.index_in(offsets, value_set=places)))


def _written(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content
