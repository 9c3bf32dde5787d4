"""Merge: what a slice changes, worked out beside the store in temporary tables.

Duplicates and conflicts are settled against the store and within the slice, customer ids and devices are
tied to persons, and everyone whose history changes is found (``touched``). What is small and read by later
steps is written here: the reference inputs, who is who, and links that went or were decided about.
Touchpoints, new links and all that is built are written by the commit, in the same transaction.

The temporary tables, all in the connection's own schema: ``arrivals`` (valid records), ``fates`` (of
contested ids), ``loaded``, ``demoted``, ``new_links``, ``changed_links`` (but for new ones of devices),
``changed_people`` (customer ids whose person is another), ``devices``, ``newcomers`` (person of each loaded
row), ``moved`` (stored rows that change hands), ``touched`` (profiles), ``kept`` and the view ``history``
(the touched profiles' whole history). Of the reference inputs: ``changed_INPUT`` (keys) and
``reference_fates``. Of contracts, quotes, claims and cases: ``touched_RELATION`` (keys), ``built_RELATION``
(their rows) and ``last_ends`` (terminations that leave their owner no contract).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from parcours.schemas.config import Config, Taxonomy
from parcours.schemas.literal import literal
from parcours.schemas.touchpoint import REJECTED, TOUCHPOINT
from parcours.transforms.merge_steps import sql
from parcours.transforms.people import merge_people
from parcours.transforms.references import merge_references, register_references
from parcours.transforms.stage import RANGE_BITS, Manifest

BUCKET_ROWS = 250_000
"""Touchpoints in one bucket of the build: two workers stay busy, and one bucket stays small in memory."""

BUSINESS = ("contracts", "quotes", "claims", "cases")
"""Relations with a row a business key, which the merge works out."""


def _quoted(paths: Iterable[Path]) -> str:
    return ", ".join(literal(str(path)) for path in paths)


def register_staged(
    connection: duckdb.DuckDBPyConnection,
    touchpoints: Sequence[Path],
    rejected: Sequence[Path],
    references: Mapping[str, Sequence[Path]],
) -> None:
    """Give the slice's staged files the names ``staged``, ``staged_rejected`` and ``staged_INPUT``.

    Args:
        connection: the store's.
        touchpoints: the files of valid touchpoints.
        rejected: the files of rejected records, whatever they were to be.
        references: the files of valid rows of reference inputs, by input.
    """
    register_references(connection, references)
    empty = {
        "staged": pa.schema([*TOUCHPOINT, ("rid", pa.int64())]).empty_table(),
        "staged_rejected": REJECTED.empty_table(),
    }
    for name, paths in (("staged", touchpoints), ("staged_rejected", rejected)):
        if paths:
            source = f"read_parquet([{_quoted(paths)}])"
        else:
            source = f"{name}_none"
            connection.register(source, empty[name])
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {source}")


def register_taxonomy(connection: duckdb.DuckDBPyConnection, taxonomy: Taxonomy) -> None:
    """Put the organisation's words into ``taxonomy_events`` and ``taxonomy_channels``."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE taxonomy_events"
        "(event_type VARCHAR, stage VARCHAR, roles VARCHAR[], money_role VARCHAR)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE taxonomy_channels(channel VARCHAR, medium VARCHAR, is_direct BOOLEAN)"
    )
    events = [(name, e.stage, list(e.roles), e.money_role) for name, e in taxonomy.events.items()]
    channels = [(name, c.medium, c.direct) for name, c in taxonomy.channels.items()]
    if events:
        connection.executemany("INSERT INTO taxonomy_events VALUES (?, ?, ?, ?)", events)
    if channels:
        connection.executemany("INSERT INTO taxonomy_channels VALUES (?, ?, ?)", channels)


def merge(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    manifests: Sequence[Manifest],
    run_id: str,
    decided: Sequence[tuple[str, str, str]] = (),
) -> None:
    """Work out what the staged slice, or a decision about who is who, changes.

    Expects what ``register_staged`` names, the taxonomy tables, and the store as the connection's database.
    Must run in the same transaction as the commit: stored rows are named by their rowid.

    Args:
        connection: the store's.
        config: the limit of persons per device, and what each source loads.
        manifests: what was read.
        run_id: the run that loads.
        decided: kind, id and customer id of rows that this transaction put into ``decisions``.
    """
    _run(connection, "standing")
    _run(connection, "breakers")
    connection.execute(sql("arrivals"))
    hashed = [source.name for source in config.source if source.numbers_rows]
    _list(connection, "hashed_sources", ("source_name",), [(name,) for name in hashed])
    restarted = {(manifest.source, manifest.topic) for manifest in manifests if manifest.from_start}
    _list(connection, "restarted", ("source", "topic"), sorted(restarted))
    _name_ranges(connection, manifests)
    _run(connection, "row_numbers", range_bits=RANGE_BITS)
    _run(connection, "fates", range_bits=RANGE_BITS)
    merge_references(connection, config, manifests, run_id)
    _list(connection, "decided", ("kind", "id", "customer_id"), decided)
    _run(connection, "decisions")
    _run(connection, "links")
    _run(connection, "new_links")
    _run(connection, "seeds")
    merge_people(connection)
    _run(connection, "old_links")
    _run(connection, "devices")
    _run(connection, "relinked")
    _settle(connection, config)
    _run(connection, "business_keys")
    _derive_business(connection)


def _list(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> None:
    typed = ", ".join(f"{column} VARCHAR" for column in columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name}({typed})")
    if rows:
        marks = ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)


def _name_ranges(connection: duckdb.DuckDBPyConnection, manifests: Sequence[Manifest]) -> None:
    """Fill ``named_ranges``: those of contents that are tried again, whose ids are theirs already.

    And ``forgotten_ranges``: those of records of a log that a run forgot.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE named_ranges(range_id BIGINT)")
    named = [[manifest.range_id] for manifest in manifests if manifest.replays == "contents"]
    if named:
        connection.executemany("INSERT INTO named_ranges VALUES (?)", named)
    connection.execute("CREATE OR REPLACE TEMP TABLE forgotten_ranges(range_id BIGINT, run_id VARCHAR)")
    forgotten = [[each.range_id, each.forgotten_by] for each in manifests if each.forgotten_by]
    if forgotten:
        connection.executemany("INSERT INTO forgotten_ranges VALUES (?, ?)", forgotten)


def merge_everything(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Work out what a rebuild changes: nothing arrives, all devices are resolved anew, all are touched."""
    register_staged(connection, [], [], {})
    _run(connection, "standing")
    _run(connection, "breakers")
    _run(connection, "arrivals")
    _list(connection, "hashed_sources", ("source_name",), [])
    _list(connection, "restarted", ("source", "topic"), [])
    _name_ranges(connection, [])
    _run(connection, "row_numbers", range_bits=RANGE_BITS)
    _run(connection, "fates", range_bits=RANGE_BITS)
    merge_references(connection, config, [], "")
    _run(connection, "decisions")
    _run(connection, "everything")
    _run(connection, "new_links")
    _run(connection, "everyone")
    merge_people(connection)
    _run(connection, "everywhere")
    _run(connection, "devices")
    _settle(connection, config)
    connection.execute(
        "INSERT INTO touched SELECT DISTINCT profile_id FROM touchpoints ANTI JOIN touched USING (profile_id)"
    )
    _run(connection, "business_keys_everything")
    _derive_business(connection)


def _settle(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    _run(connection, "resolve", max_customers_per_device=config.identity.max_customers_per_device)
    _run(connection, "touched")


def _derive_business(connection: duckdb.DuckDBPyConnection) -> None:
    """Work out the rows of contracts, quotes, claims and cases of the touched keys, and the last ends."""
    keys = " UNION ALL ".join(f"(SELECT 1 FROM touched_{relation} LIMIT 1)" for relation in BUSINESS)
    if connection.execute(keys).fetchone():
        _run(connection, "business")
    else:
        for relation in BUSINESS:
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE built_{relation} AS FROM {relation} WHERE false"
            )
    _run(connection, "last_ends")


def collect_history(connection: duckdb.DuckDBPyConnection) -> int:
    """Make the view ``history`` and its ``buckets``; return how many touchpoints it has."""
    _run(connection, "history", bucket_rows=BUCKET_ROWS)
    row = connection.execute(
        "SELECT (SELECT count(*) FROM kept) + (SELECT count(*) FROM newcomers)"
    ).fetchone()
    return int(row[0]) if row else 0


def _run(connection: duckdb.DuckDBPyConnection, name: str, **parameters: int) -> None:
    """Run a step's statements; integer parameters are written into the text, as DDL takes no others."""
    text = sql(name)
    for key, value in parameters.items():
        text = text.replace(f"${key}", str(int(value)))
    connection.execute(text)
