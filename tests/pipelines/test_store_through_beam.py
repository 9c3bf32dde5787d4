"""The same promise through both pipelines: worlds written as real files, loaded slice after slice."""

import contextlib
import json
import os
import threading
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import compare
import reference
import strategies
from loading import config_of, hashed
from parcours.pipelines import build_journeys, runs
from parcours.pipelines.decisions import decide
from parcours.pipelines.identity import IdentityError
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.store import Store
from parcours.schemas.config import Config
from parcours.schemas.touchpoint import avro_schema
from parcours.transforms import merge

EXAMPLES = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 5

FILES = ("2", "10")
"""Names of the files of one slice after the other: by text, the later one is the smaller."""


@pytest.fixture(autouse=True)
def pipelines_for_small_slices(monkeypatch):
    """Builds run through Beam however small, in several buckets."""
    monkeypatch.setattr(build_journeys, "DIRECT_ROWS", -1)
    monkeypatch.setattr(merge, "BUCKET_ROWS", 5)


@st.composite
def written_worlds(draw):
    """Worlds cut into slices, a format of touchpoints, and an instant to ask about."""
    theme = draw(st.sampled_from(strategies.THEMES))
    world = draw(strategies.crowds(theme, 2))
    world = replace(world, decisions=world.decisions[:1], events=[_modest(event) for event in world.events])
    slices = draw(strategies.runs(world, max_runs=len(FILES)))
    return world, slices, draw(st.sampled_from(("json", "avro-file"))), draw(strategies.moments(world))


def _modest(event):
    """A double has no room for the largest amounts; a field without a value is null in a file."""
    if event.get("value", 0) > 10**9:
        event = {**event, "value": Decimal("1234567.8901")}
    pairs = [pair for pair in event.get("attributes", []) if pair["value"]]
    return {**event, "attributes": pairs} if pairs else {k: v for k, v in event.items() if k != "attributes"}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=written_worlds())
def test_both_pipelines_give_the_reference_tables(cut, tmp_path_factory):
    """Whatever the files and the runs, the tables are the reference's, and after a rebuild too."""
    world, slices, format_, as_of = cut
    folder = tmp_path_factory.mktemp("world")
    config = config_for(world.options, folder, format_)
    events, references = [], {name: [] for name in world.references}
    for name, content in zip(FILES, slices, strict=False):
        events += write_touchpoints(folder / "touchpoints", name, format_, content.events)
        for input_, records in content.references.items():
            references[input_] += write_reference(folder / input_, name, records)
        runs.run(config, observer=SilentObserver(), stop=threading.Event())
        for decided in content.decisions:
            with contextlib.suppress(IdentityError):  # nothing links the pair yet
                decide(
                    config, decided["kind"], decided["id"], decided["customer_id"], observer=SilentObserver()
                )

    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        decisions = compare.rows_of(store.connection, "FROM decisions")
    expected = reference.build(hashed(events), world.options, references, decisions)
    assert_store(expected, config, as_of, world.options)
    runs.rebuild(config, observer=SilentObserver())
    assert_store(expected, config, as_of, world.options)


def assert_store(expected, config, as_of, options):
    """Compare a closed store with the reference's tables."""
    with Store(config.store.path, memory_limit=config.store.memory_limit) as store:
        compare.assert_same(expected, compare.normalise(store.connection))
        compare.assert_same_at(expected, store.connection, as_of, options)


def config_for(options, folder, format_):
    """Return a config whose sources are the folders of touchpoints and of each reference input."""
    endings = {"json": "ndjson", "avro-file": "avro"}
    touchpoints = {"name": "world", "format": format_, "path": f"{folder}/touchpoints/*.{endings[format_]}"}
    inputs = [
        {"name": name, "format": "json", "path": f"{folder}/{name}/*.ndjson", "loads": name}
        for name in ("customers", "contracts", "aliases")
    ]
    sources = [{"kind": "file", **source} for source in (touchpoints, *inputs)]
    for source in sources:
        folder.joinpath(source["name"] if "loads" in source else "touchpoints").mkdir()
    rules = config_of(options).model_dump(exclude={"source", "store"})
    return Config.model_validate(
        {
            **rules,
            "store": {"path": str(folder / "store.duckdb")},
            "source": sources,
            "gate": {"at_end": False},
        }
    )


def write_touchpoints(folder, name, format_, events):
    """Write a slice's touchpoints as one file, and return them with where they stand in it."""
    plain = [
        {key: value for key, value in event.items() if key in reference.FIELDS and value is not None}
        for event in events
    ]
    if format_ == "json":
        path = folder / f"{name}.ndjson"
        path.write_text("".join(json.dumps(row, default=_text) + "\n" for row in plain), "utf-8")
    else:
        path = folder / f"{name}.avro"
        schema = fastavro.parse_schema(avro_schema())
        with path.open("wb") as file:
            fastavro.writer(file, schema, [_avro(row) for row in plain])
    return placed(events, "world", path)


def write_reference(folder, name, records):
    """Write a slice's records of one reference input as one file, and return them likewise."""
    path = folder / f"{name}.ndjson"
    lines = []
    for record in records:
        row = {key: value for key, value in record.items() if not key.startswith("source_") and value}
        row |= {pair["key"]: pair["value"] for pair in row.pop("attributes", []) if pair["value"]}
        lines.append(json.dumps(row, default=_text) + "\n")
    path.write_text("".join(lines), "utf-8")
    kept = [
        {**record, "attributes": [pair for pair in record.get("attributes", []) if pair["value"]]}
        for record in records
    ]
    return placed(kept, folder.name, path)


def placed(records, source, path):
    """Return records as read from a file."""
    return [
        {
            **r,
            "source_name": source,
            "source_topic": path.name,
            "source_partition": 0,
            "source_offset": offset,
        }
        for offset, r in enumerate(records)
    ]


def _text(value):
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else float(value)


def _avro(row):
    def plain(value):
        if isinstance(value, datetime):
            return (value - datetime(1970, 1, 1)) // strategies.MICRO
        return float(value) if isinstance(value, Decimal) else value

    whole = {"consent": [], "attributes": [], **row}
    return {key: plain(value) for key, value in whole.items()}
