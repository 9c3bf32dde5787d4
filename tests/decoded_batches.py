"""Decoded batches for tests: records as JSON documents, as texts of a CSV file, or as typed columns."""

import json
from functools import cache

import pyarrow as pa

from parcours.schemas.config import Config, Source
from parcours.schemas.touchpoint import RAW, REJECTED, TOUCHPOINT
from parcours.transforms.elements import REJECT_NOTE, DecodedBatch, DecodedPart, PlannedRange, SourceBatch
from parcours.transforms.validate import make_validator

RANGE = PlannedRange(1, "web", "visits.ndjson", 3, 100, 10_000)
GOOD = {
    "event_id": "e1",
    "occurred_at": "2025-03-04T10:11:12.123456Z",
    "customer_id": "C1",
    "event_type": "site_visit",
    "channel": "site",
}


def source(**keys):
    """Return a file source with these keys."""
    return Source.model_validate({"name": "web", "kind": "file", "format": "json", "path": "x", **keys})


def validator(**keys):
    """Open the validator of a source with these keys."""
    return make_validator(source(**keys), Config())


@cache
def _shared(keys):
    return make_validator(source(**json.loads(keys)), Config())


def raw(count, broker_timestamp=None):
    """Return so many raw records: offsets 100, 102 …, bytes, key and header of each."""
    return pa.RecordBatch.from_pydict(
        {
            "offset": [100 + 2 * place for place in range(count)],
            "broker_timestamp": [broker_timestamp] * count,
            "record_key": [f"k{place}".encode() for place in range(count)],
            "headers": [[("h", b"v")]] * count,
            "value": [f"raw {place}".encode() for place in range(count)],
            "size": [5] * count,
        },
        schema=RAW,
    )


def decoded(kind, table, broker_timestamp=None):
    """Return a batch whose rows were all decoded into one part."""
    rows = pa.array(range(table.num_rows), pa.int32())
    part = DecodedPart(kind, table.append_column("row", rows))
    batch = SourceBatch(RANGE, raw(table.num_rows, broker_timestamp))
    return DecodedBatch(batch, (part,), REJECT_NOTE.empty_table())


def documents(records, broker_timestamp=None):
    """The records as JSON documents; a text is one already."""
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    return decoded("documents", pa.table({"document": pa.array(texts, pa.large_string())}), broker_timestamp)


def text_columns(records, broker_timestamp=None):
    """The records as a CSV file has them: every value a text."""
    names = dict.fromkeys(name for record in records for name in record)
    columns = {
        name: pa.array([as_text(record.get(name)) for record in records], pa.string()) for name in names
    }
    return decoded("columns", pa.table(columns), broker_timestamp)


def as_text(value):
    """Return a value as a CSV file would have it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def judge(checked, batch):
    """Validate a batch; return touchpoints and rejected rows, which together are all its rows."""
    result = checked.validate(batch)
    assert TOUCHPOINT == result.touchpoints.schema
    assert REJECTED == result.rejected.schema
    assert batch.source.records.num_rows == result.touchpoints.num_rows + result.rejected.num_rows
    return result.touchpoints.to_pylist(), result.rejected.to_pylist()


def one(record, broker_timestamp=None, shape=documents, **keys):
    """Validate one record; return its touchpoint, or (reason, field) of its rejection."""
    good, bad = judge(_shared(json.dumps(keys)), shape([record], broker_timestamp))
    return good[0] if good else (bad[0]["reason"], bad[0]["field"])
