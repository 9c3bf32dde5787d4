"""What a slice of 1,000 events costs in a large store: it should grow with the people touched, not the store.

Run by ``make bench-slices``. Simulates and loads a tenth of the touchpoints, then all of them, each into a
store of its own, and times slices of 1,000 new events of random people in the same process, plan to commit.
The ratio of the two medians says what ten times the store costs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.runs import open_loop
from parcours.pipelines.simulate import simulate, taxonomy
from parcours.pipelines.slices import RUNNER, SliceLoop
from parcours.schemas.config import Config

SLICES, EVENTS = 7, 1_000

NEW_EVENTS = f"""
    COPY (
        SELECT 'new ' || uuid() AS event_id, occurred_at + INTERVAL 1 HOUR AS occurred_at, customer_id,
            anonymous_id, event_type, channel, product, contract_id
        FROM touchpoints USING SAMPLE reservoir({EVENTS} ROWS)
    ) TO '{{path}}' (FORMAT json)
"""
"""People at random, by how much they do, late events among them."""


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--touchpoints", type=int, default=5_000_000)
    touchpoints = arguments.parse_args().touchpoints
    medians = []
    for size in (touchpoints // 10, touchpoints):
        with tempfile.TemporaryDirectory() as folder:
            medians.append(measure(Path(folder), size))
    print(f"ten times the store costs {medians[1] / medians[0]:.1f} times as much a slice")


def measure(folder: Path, size: int) -> float:
    """Load a store of about ``size`` touchpoints; return the median seconds of a small slice in it."""
    new = folder / "new"
    new.mkdir()
    simulate(events=size, seed=1, format="avro-file", out=folder / "log", broken=0.0, duplicates=0.0)
    config = Config.model_validate(
        {
            "store": {"path": str(folder / "store.duckdb")},
            "source": [
                {
                    "name": "log",
                    "kind": "file",
                    "format": "avro-file",
                    "path": str(folder / "log" / "*.avro"),
                },
                {"name": "new", "kind": "file", "format": "json", "path": str(new / "*.json")},
            ],
            "taxonomy": taxonomy().model_dump(),
        }
    )
    (new / "first.json").touch()  # a source without a file is a mistake
    with open_loop(config, "run", SilentObserver(), RUNNER, (), apply_rules=False) as loop:
        while (done := loop.slice()) is not None and done.more:
            pass
        stored = _count(loop, "touchpoints")
        seconds = []
        for number in range(SLICES):
            loop.connection.execute(NEW_EVENTS.format(path=new / f"{number}.json"))
            began = time.perf_counter()
            loop.slice()
            seconds.append(time.perf_counter() - began)
        loaded = _count(loop, "touchpoints") - stored
    median = statistics.median(seconds)
    print(
        f"{stored:,} touchpoints: {SLICES} slices of {EVENTS:,} events ({loaded:,} loaded) in "
        f"{min(seconds):.2f} to {max(seconds):.2f} s, median {median:.2f} s",
        flush=True,
    )
    return median


def _count(loop: SliceLoop, relation: str) -> int:
    row = loop.connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
