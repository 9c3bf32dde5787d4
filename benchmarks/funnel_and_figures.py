"""How long a funnel takes on ten million touchpoints, and how long ClickHouse takes on the same rows.

Run by ``make bench-kpis``. The store is made once, in some minutes, and kept in ``PARCOURS_BENCH`` (default:
``~/.cache/parcours``): a million simulated touchpoints through the pipeline, and nine copies of all that came
of them, under other ids. ClickHouse (``chdb``, in this process) has the three columns that it needs, once in
the store's order, as parcours has them, and once sorted by person and time, which is how one would lay them
out for funnels alone. All are warm and take turns; the quickest runs are compared.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from parcours.kpis import catalogue, segments, views
from parcours.kpis.ask import Question, ask
from parcours.kpis.funnel import funnel
from parcours.kpis.placing import TOTAL
from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate, taxonomy
from parcours.pipelines.store import FORMAT_VERSION, Store
from parcours.schemas.config import Config

COPIES = 10

GAP = "33d"
"""Cuts ten million simulated touchpoints into about 1.9 million journeys."""

RUNS = 5

FUNNELS = {
    "six steps to a contract": (
        "90d",
        ("ad_clicked", "site_visited", "product_viewed", "quote_created", "quote_sent", "contract_signed"),
    ),
    "the six commonest event types": (
        "30d",
        (
            "account_viewed",
            "survey_sent",
            "newsletter_delivered",
            "document_downloaded",
            "renewal_notice_sent",
            "request_opened",
        ),
    ),
}
"""Few rows fit the first, two thirds of all fit the second."""


def main() -> None:
    """Make the store, where there is none, and measure each part."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--touchpoints", type=int, default=10_000_000)
    arguments.add_argument("--part", choices=PARTS, action="append")
    asked = arguments.parse_args()
    touchpoints, parts = asked.touchpoints, asked.part or PARTS
    folder = Path(os.environ.get("PARCOURS_BENCH", Path.home() / ".cache" / "parcours"))
    folder = folder / f"format-{FORMAT_VERSION}-{touchpoints}"
    path = folder / "store.duckdb"
    if not path.exists():
        began = time.perf_counter()
        make_store(folder, path, touchpoints)
        print(f"made the store in {time.perf_counter() - began:.0f} s: {path}", flush=True)
    with Store(str(path), memory_limit="8GB", read_only=True) as store:
        counts = store.connection.execute(
            "SELECT (SELECT count(*) FROM touchpoints), (SELECT count(*) FROM journeys), "
            "(SELECT count(*) FROM profiles)"
        ).fetchone()
        assert counts is not None
        print("{:,} touchpoints, {:,} journeys, {:,} persons".format(*counts), flush=True)
        for name in parts:
            PARTS[name](store.connection, folder)


def make_store(folder: Path, path: Path, touchpoints: int) -> None:
    """Simulate and load a tenth, and copy what came of it."""
    simulate(
        events=touchpoints // COPIES,
        seed=1,
        format="avro-file",
        out=folder / "log",
        broken=0.0,
        duplicates=0.0,
    )
    made = folder / "making.duckdb"
    sources = [
        {"name": "log", "kind": "file", "format": "avro-file", "path": str(folder / "log" / "*.avro")},
        *(
            {
                "name": name,
                "loads": name,
                "kind": "file",
                "format": "csv",
                "path": str(folder / "log" / f"{name}.csv"),
            }
            for name in ("customers", "contracts", "spend", "events_held", "indicators", "targets")
        ),
    ]
    config = Config.model_validate(
        {
            "store": {"path": str(made), "memory_limit": "4GB"},
            "source": [
                source
                for source in sources
                if list(folder.glob(str(Path(source["path"]).relative_to(folder))))
            ],
            "taxonomy": taxonomy().model_dump(),
            "journey": {"gap": GAP},
            "gate": {"at_end": False},
        }
    )
    runs.run(config, observer=SilentObserver(), stop=threading.Event())
    with Store(str(made), memory_limit="8GB") as store:
        for table in ("touchpoints", *COPIED):
            store.connection.execute(f"INSERT INTO {table} {copies(store.connection, table)}")
        store.connection.execute("CHECKPOINT")
    made.rename(path)


COPIED = (
    "profiles",
    "visits",
    "journeys",
    "journey_amounts",
    "journey_steps",
    "stage_visits",
    "contracts",
    "quotes",
    "claims",
    "cases",
    "ref_customers",
    "ref_contracts",
)
"""Tables of what belongs to a person, beside touchpoints."""


def copies(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """Return the query of a table's further copies, all ids with a number after them."""
    columns = [row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall() if row[1] == "VARCHAR"]
    ids = [name for name in columns if name.endswith(("_id", "_by")) and name not in ("run_id", "ended_by")]
    replaced = ", ".join(f"{name} || '~' || copy AS {name}" for name in ids)
    return f"SELECT * EXCLUDE (copy) REPLACE ({replaced}) FROM {table}, range(1, {COPIES}) AS copies(copy)"


def funnels(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Compare funnels with ClickHouse's windowFunnel."""
    from chdb.session import Session  # noqa: PLC0415, an extra that only this part needs

    rows = folder / "funnel.parquet"
    if not rows.exists():
        connection.execute(
            f"COPY (SELECT profile_id, occurred_at, event_type FROM touchpoints) TO '{rows}' (FORMAT parquet)"
        )
    clickhouse = Session()
    clickhouse.query("CREATE DATABASE bench")
    for table, order in TABLES.items():
        clickhouse.query(
            f"CREATE TABLE bench.{table} ENGINE = MergeTree ORDER BY {order} AS SELECT "
            "assumeNotNull(profile_id) AS profile_id, assumeNotNull(occurred_at) AS occurred_at, "
            f"toLowCardinality(assumeNotNull(event_type)) AS event_type FROM file('{rows}', 'Parquet')"
        )
    for name, (window, steps) in FUNNELS.items():
        fits = ", ".join(f"event_type = '{step}'" for step in steps)
        listed = ", ".join(f"'{step}'" for step in steps)
        microseconds = int(window.removesuffix("d")) * 86_400_000_000
        queries = [
            f"SELECT level, count() FROM (SELECT windowFunnel({microseconds})("
            f"toUInt64(toUnixTimestamp64Micro(occurred_at)), {fits}) AS level FROM bench.{table} "
            f"WHERE event_type IN ({listed}) GROUP BY profile_id) GROUP BY level ORDER BY level"
            for table in TABLES
        ]
        ours, *theirs = race(
            lambda steps=steps, window=window: (
                funnel(connection, steps=steps, window=window).steps["reached"].to_pylist()
            ),
            *(lambda query=query: str(clickhouse.query(query, "CSV")) for query in queries),
        )
        print(f"{name}, {window}: parcours {ours[0]:.2f} s, reached {ours[1]}")
        for table, (seconds, result) in zip(TABLES, theirs, strict=True):
            levels = {int(level): int(count) for level, count in (line.split(",") for line in result.split())}
            reached = [
                sum(levels[level] for level in levels if level >= step) for step in range(1, len(steps) + 1)
            ]
            print(
                f"  windowFunnel, rows {table.replace('_', ' ')}: {seconds:.2f} s, ratio "
                f"{ours[0] / seconds:.2f}; {'equal counts' if ours[1] == reached else f'UNEQUAL: {reached}'}",
                flush=True,
            )


TABLES = {"in_the_order_of_the_store": "tuple()", "sorted_by_person": "(profile_id, occurred_at)"}
"""ClickHouse's tables, and what their rows are sorted by."""


def figures(connection: duckdb.DuckDBPyConnection, _: Path) -> None:
    """Time every figure by the month, or the quarter: the total and its first dimension in one answer."""
    named = catalogue.figures()
    config = Config.model_validate(
        {
            "taxonomy": taxonomy().model_dump(),
            "kpi": {"margin": 0.2},
            "segment": {"several": {"over": "profiles", "where": "contracts_in_force >= 2"}},
            "value_cells": {
                "profitable": "premium_in_force > claim_cost_to_date",
                "high_potential": "contracts_in_force = 1",
            },
        }
    )
    for statement in segments.create_statements(config):
        connection.execute(statement.replace("OR REPLACE", "OR REPLACE TEMP"))
    setting = views.setting_of(config)
    took = {}
    for name, figure in named.items():
        question = Question(
            grains=tuple(grain for grain in ("month", "quarter") if grain in figure.grains)[:1],
            by=(TOTAL, *((dimension,) for dimension in figure.dimensions[:1])),
        )
        seconds = []
        for _turn in range(3):
            began = time.perf_counter()
            rows = ask(connection, name, named, setting, question).rows.num_rows
            seconds.append(time.perf_counter() - began)
        took[name] = min(seconds), rows
        print(f"{name}: {min(seconds):.2f} s, {rows} rows", flush=True)
    slow = {name: seconds for name, (seconds, _rows) in took.items() if seconds >= 1}
    print(f"{len(took) - len(slow)} of {len(took)} figures in under a second; not {slow or 'one is slower'}")


def race(*functions: Callable[[], object]) -> list[tuple[float, object]]:
    """Let functions take turns, once to warm up; return the quickest time and the result of each."""
    best = [(float("inf"), None)] * len(functions)
    for turn in range(RUNS + 1):
        for place, function in enumerate(functions):
            began = time.perf_counter()
            result = function()
            seconds = time.perf_counter() - began
            if turn:
                best[place] = min(best[place], (seconds, result), key=lambda each: each[0])
    return best


PARTS: dict[str, Callable[[duckdb.DuckDBPyConnection, Path], None]] = {"funnels": funnels, "figures": figures}
"""What is measured on the store, one after the other."""


if __name__ == "__main__":
    main()
