"""References: what a slice brings for customers, contracts and aliases, merged straight into their tables.

They are small and later steps of the merge read them, so they are written here and not by the commit; both
stand in one transaction. Which row stands for a key and a ``valid_from`` depends on the places of the records
alone, never on the order in which they arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from parcours.schemas.config import Config
from parcours.schemas.literal import literal
from parcours.schemas.references import REFERENCES, Reference
from parcours.transforms.merge_steps import sql
from parcours.transforms.stage import Manifest

_PLACE = ("source_name", "source_topic", "source_partition", "source_offset")


def register_references(connection: duckdb.DuckDBPyConnection, staged: Mapping[str, Sequence[Path]]) -> None:
    """Give the slice's staged files of each reference input the name ``staged_INPUT``; some may have none."""
    for name, reference in REFERENCES.items():
        paths = staged.get(name, ())
        if paths:
            source = f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"
        else:
            source = f"staged_{name}_none"
            connection.register(source, reference.rows.empty_table())
        connection.execute(f"CREATE OR REPLACE TEMP VIEW staged_{name} AS SELECT * FROM {source}")


def merge_references(
    connection: duckdb.DuckDBPyConnection, config: Config, manifests: Sequence[Manifest], run_id: str
) -> None:
    """Merge what arrived into the tables ``ref_INPUT``, inside the caller's transaction.

    Expects ``staged_INPUT`` of every input, ``staged_rejected`` and ``standing``. Leaves the temporary tables
    ``changed_INPUT`` (the keys whose rows say something else than before), ``reference_fates`` (source,
    topic, partition, fate, rows) and ``reference_arrivals`` (where valid records stood), empty where nothing
    arrived.

    Args:
        connection: the store's.
        config: says which source loads which input.
        manifests: what was read.
        run_id: the run that loads.
    """
    sources = {source.name: source for source in config.source}
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE reference_fates"
        "(source VARCHAR, topic VARCHAR, partition INTEGER, fate VARCHAR, rows BIGINT)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE reference_arrivals"
        "(source_name VARCHAR, source_topic VARCHAR, source_partition INTEGER, source_offset BIGINT)"
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE reloaded(source_name VARCHAR, source_topic VARCHAR)")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE ended(source_name VARCHAR, source_topic VARCHAR, next_offset BIGINT)"
    )
    arrived = set()
    for manifest in manifests:
        source = sources.get(manifest.source)
        if source is not None and source.loads in REFERENCES:
            arrived.add(source.loads)
            place = [manifest.source, manifest.topic]
            if source.kind == "file" and manifest.from_start:
                connection.execute("INSERT INTO reloaded VALUES (?, ?)", place)
            if manifest.resume.get("state") == "done":
                connection.execute("INSERT INTO ended VALUES (?, ?, ?)", [*place, manifest.next_offset])
    for name, reference in REFERENCES.items():
        key = ", ".join(f"{column} VARCHAR" for column in reference.key)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE changed_{name}({key})")
        if name in arrived:
            connection.execute(_merge_sql(reference, run_id))


def _merge_sql(reference: Reference, run_id: str) -> str:
    text = sql("reference")
    for name, value in {
        "$relation": reference.relation,
        "$staged": f"staged_{reference.name}",
        "$changed": f"changed_{reference.name}",
        "$columns": ", ".join((*reference.fields.names, *_PLACE)),
        "$fields": ", ".join(reference.fields.names),
        "$key": ", ".join(reference.key),
        "'$run_id'": literal(run_id),
    }.items():
        text = text.replace(name, value)
    return text
