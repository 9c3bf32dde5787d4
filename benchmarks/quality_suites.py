"""How long a check of ten million touchpoints takes, and how long the same rules take as plain SQL.

Run by ``make bench-quality``, on the store that ``make bench-kpis`` makes. A process checks as one does that
follows a log: Great Expectations is loaded once, which is told apart, and the first check warms the file. The
rules as plain SQL are one query each, which counts the rows that break it; figures are computed once, too.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from funnel_and_figures import make_store

from parcours.pipelines.simulate import taxonomy
from parcours.pipelines.store import FORMAT_VERSION, Store
from parcours.quality.standing import checked_rows, standing_rules
from parcours.quality.suites import run_suites
from parcours.schemas.config import Config

TOUCHPOINTS = 10_000_000

RUNS = 3


def main() -> None:
    """Make the store, where there is none, and measure."""
    folder = Path(os.environ.get("PARCOURS_BENCH", Path.home() / ".cache" / "parcours"))
    folder = folder / f"format-{FORMAT_VERSION}-{TOUCHPOINTS}"
    path = folder / "store.duckdb"
    if not path.exists():
        make_store(folder, path, TOUCHPOINTS)
    began = time.perf_counter()
    importlib.import_module("parcours.quality.checkpoint")
    print(f"loading Great Expectations: {time.perf_counter() - began:.1f} s")
    config = Config.model_validate({"taxonomy": taxonomy().model_dump()})
    with Store(str(path), memory_limit="4GB", read_only=True) as store, tempfile.TemporaryDirectory() as made:
        connection = store.connection
        relations = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
        now = datetime.now(UTC).replace(tzinfo=None)
        rules = standing_rules(config, now=now, relations=relations)
        suites = Counter(rule.relation for rule in rules)
        print(f"{len(rules)} rules in {len(suites)} suites", flush=True)
        took: dict[str, list[float]] = {"suites": [], "plain SQL": []}
        for _turn in range(RUNS):
            began = time.perf_counter()
            findings = run_suites(connection, rules, Path(made), name="bench")
            took["suites"].append(time.perf_counter() - began)
            began = time.perf_counter()
            with connection.cursor() as cursor:
                for figure in (relation for relation in suites if relation.startswith("kpi_")):
                    cursor.execute(f"CREATE TEMP TABLE {figure} AS {checked_rows(figure, rules)}")
                for rule in rules:
                    cursor.execute(f"SELECT count(*) FROM ({rule.failing}\n)").fetchall()
            took["plain SQL"].append(time.perf_counter() - began)
        for name, seconds in took.items():
            told = ", ".join(f"{each:.1f}" for each in seconds)
            print(f"{name}: {told} s")
        suites_took, plain_took = (min(seconds) for seconds in took.values())
        print(
            f"suites: {suites_took:.1f} s, {suites_took / plain_took:.2f} times plain SQL; wanted: under 15 s"
        )
        broken = [found for found in findings if not found.passed]
        print(f"{len(broken)} rules broken: {', '.join(found.rule.name for found in broken) or 'none'}")


if __name__ == "__main__":
    main()
