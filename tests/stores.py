"""Configs for end-to-end tests, runs of them, and what two stores must have in common.

Two stores are compared in SQL, ``EXCEPT ALL`` both ways: what a store holds depends on its events and rules
alone, so whatever was done to one of them, nothing may be left over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import taxonomy
from parcours.pipelines.store_run import RunResult
from parcours.pipelines.toml_text import plain, to_toml
from parcours.schemas.config import Config

COORDINATES = (
    *("source_name", "source_topic", "source_partition", "source_offset", "broker_timestamp"),
    *("record_key", "headers", "schema_id", "loaded_at", "run_id"),
)
"""Columns of touchpoints outside the promise."""

AS_OF = "TIMESTAMP '2025-10-01'"
"""An instant inside the simulated two years, so that some journeys are closed and others are not."""

REFERENCES = (
    *("ref_customers", "ref_contracts", "ref_aliases"),
    *("ref_spend", "ref_events_held", "ref_indicators", "ref_targets"),
)

COMPARED = {
    "touchpoints": f"SELECT * EXCLUDE ({', '.join(COORDINATES)}) FROM touchpoints",
    **{name: f"SELECT * EXCLUDE ({', '.join(COORDINATES[:4])}, run_id) FROM {name}" for name in REFERENCES},
    "identity_links": "FROM identity_links",
    "profiles": "FROM profiles",
    "visits": "FROM visits",
    "journeys": "FROM journeys",
    "journey_steps": "FROM journey_steps",
    "stage_visits": "FROM stage_visits",
    "journey_amounts": "FROM journey_amounts",
    "contracts": "FROM contracts",
    "quotes": "FROM quotes",
    "claims": "FROM claims",
    "cases": "FROM cases",
    # which of a conflict's copies came first shows in its message
    "quarantine": "SELECT raw, step, reason, rule, field, value, status,"
    " if(step <> 'conflict', message, NULL) AS message FROM quarantine",
    "journeys_at": f"FROM journeys_at({AS_OF})",
    "contracts_at": f"FROM contracts_at({AS_OF})",
    "profiles_at": f"FROM profiles_at({AS_OF})",
    "kpi_stage_conversion_at": f"FROM kpi_stage_conversion_at({AS_OF})",
}
"""What must be equal, in the order of cause and effect."""

TABLES = tuple(name for name in COMPARED if not name.endswith("_at"))
"""Those that are stored: the others are computed from them when asked for, which takes a while."""


def config_of(
    path: Path,
    *sources: dict[str, Any],
    slice_records: int = 1_000_000,
    slice_bytes: int = 1_000_000_000,
    **tables: Any,
) -> Config:
    """Return a config with the simulator's taxonomy; ``tables`` replace or add whole tables.

    The figures' relations, two seconds' work in every new store, are left out unless ``kpi`` says otherwise,
    and runs do not check the store, which takes as long, unless ``gate`` does.
    """
    tables = {"kpi": {"figures": []}, "gate": {"at_end": False}, **tables}
    store = {"path": str(path), "slice_records": slice_records, "slice_bytes": slice_bytes}
    return Config.model_validate(
        {"store": store, "source": list(sources), "taxonomy": taxonomy().model_dump(), **tables}
    )


def write_toml(config: Config, folder: Path) -> Path:
    """Write a config as the file that commands read, and return where it is."""
    path = folder / "parcours.toml"
    path.write_text(to_toml(plain(config.model_dump(exclude_none=True))), "utf-8")
    return path


def file_source(path: Path | str, format_: str = "json", name: str = "files", **keys: Any) -> dict[str, Any]:
    """Return a source that reads files."""
    return {"name": name, "kind": "file", "format": format_, "path": str(path), **keys}


def topic_source(
    bootstrap: str, topic: str, format_: str = "json", name: str = "topic", **keys: Any
) -> dict[str, Any]:
    """Return a source that reads a topic from its beginning."""
    where = {"topics": [topic], "bootstrap": bootstrap, "start": "earliest"}
    return {"name": name, "kind": "kafka", "format": format_, **where, **keys}


def load(config: Config, observer: SilentObserver | None = None) -> RunResult:
    """Run once."""
    return runs.run(config, observer=observer or SilentObserver(), stop=threading.Event())


def rows(store: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a closed store."""
    with duckdb.connect(str(store), read_only=True) as connection:
        return connection.execute(query).fetchall()


def one(store: Path, query: str) -> Any:
    """Ask a closed store for one value."""
    return rows(store, query)[0][0]


def first_difference(expected: Path, actual: Path, relations: Iterable[str] = TABLES) -> str | None:
    """Return where two closed stores first differ, with some of the rows, or None where they do not."""
    with duckdb.connect() as connection:
        for name, store in (("expected", expected), ("actual", actual)):
            connection.execute(f"ATTACH '{store}' AS {name} (READ_ONLY)")
        for relation in relations:
            for name in ("expected", "actual"):
                connection.execute(f"USE {name}")  # macros find their tables in the store at hand
                connection.execute(f"CREATE OR REPLACE TABLE memory.main.{name} AS {COMPARED[relation]}")
            connection.execute("USE memory")
            found = []
            for name, other in (("expected", "actual"), ("actual", "expected")):
                left = connection.execute(f"FROM {name} EXCEPT ALL FROM {other}")
                names = [column[0] for column in left.description]
                extra = left.fetchall()
                found += [f"{len(extra)} rows only in {name}"] if extra else []
                found += [f"  {dict(zip(names, row, strict=True))}" for row in sorted(extra, key=repr)[:3]]
            if found:
                return "\n".join([f"{relation}:", *found])
    return None


def assert_same_stores(expected: Path, actual: Path, relations: Iterable[str] = TABLES) -> None:
    """Raise at the first difference between two closed stores."""
    difference = first_difference(expected, actual, relations)
    assert difference is None, difference


def assert_balanced(store: Path) -> None:
    """Every partition's balance closes in every slice, and the slices' sums are what the tables hold."""
    broken = rows(
        store,
        "FROM run_balances WHERE read <> loaded + duplicate + quarantined + suppressed"
        " OR (to_offset - from_offset <> read + gap"
        " AND run_id NOT IN (SELECT run_id FROM runs WHERE command = 'replay'))",
    )
    assert [] == broken
    kept = one(store, "SELECT coalesce(sum(loaded) - sum(demoted), 0) FROM run_balances")
    sizes = (f"(SELECT count(*) FROM {name})" for name in ("touchpoints", *REFERENCES))
    assert kept == one(store, f"SELECT {' + '.join(sizes)}")
