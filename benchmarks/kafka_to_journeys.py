"""How long a million Avro events take from a Kafka broker to committed journey tables, part by part.

Run by ``make bench``. Starts a broker, fills a topic of four partitions from the simulator (no broken
records, no duplicates), loads a small topic first so that the process is warm, then times one run. The parts
of ingest are timed apart, one after the other on one thread. What people write by hand, a loop of
``consumer.poll()`` and ``fastavro.schemaless_reader`` that only counts, is timed beside them over a tenth of
the events: the ratio says more than the seconds, which depend on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
from kafka import KafkaConsumer, TopicPartition

from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.runs import run
from parcours.pipelines.simulate import taxonomy
from parcours.schemas.config import Config
from parcours.schemas.touchpoint import avro_schema
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import SourceBatch
from parcours.transforms.sources.contract import BATCH_RECORDS
from parcours.transforms.sources.open import open_source
from parcours.transforms.stage import stage_batch
from parcours.transforms.validate import make_validator

ROOT = Path(__file__).parents[1]
PARTITIONS = 4


@contextlib.contextmanager
def broker_at(bootstrap: str | None) -> Iterator[str]:
    """Use a running broker, or start one for the time being."""
    if bootstrap:
        yield bootstrap
        return
    spec = importlib.util.spec_from_file_location("kafka_service", ROOT / "tests" / "services" / "kafka.py")
    assert spec is not None and spec.loader is not None  # the file is part of the checkout
    service = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = service
    spec.loader.exec_module(service)
    with service.KafkaBroker() as broker:
        yield broker.bootstrap


def fill(bootstrap: str, topic: str, events: int) -> None:
    """Simulate in a process of its own: its memory is not the run's."""
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "parcours.pipelines.cli",
                "simulate",
                "--events",
                str(events),
                "--seed",
                "1",
            ),
            *(
                "--format",
                "avro",
                "--topic",
                topic,
                "--bootstrap",
                bootstrap,
                "--partitions",
                str(PARTITIONS),
            ),
            *("--broken", "0", "--duplicates", "0"),
        ],
        check=True,
    )


class Stopwatch(SilentObserver):
    """Adds up the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def begin(self, step: str) -> None:
        """Start a step's watch."""
        self._began[step] = time.perf_counter()

    def end(self, step: str) -> None:
        """Stop it."""
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - self._began[step]


def config_for(folder: Path, bootstrap: str, topic: str, schema: Path) -> Config:
    """A config that loads one topic into a store of its own."""
    return Config.model_validate(
        {
            "store": {"path": str(folder / f"{topic}.duckdb")},
            "source": [
                {
                    "name": "bench",
                    "kind": "kafka",
                    "topics": [topic],
                    "bootstrap": bootstrap,
                    "format": "avro",
                    "start": "earliest",
                    "writer_schema": str(schema),
                }
            ],
            "taxonomy": taxonomy().model_dump(),
            "gate": {"at_end": False},
        }
    )


def load(config: Config) -> tuple[float, dict[str, float], int]:
    """Run once; return wall seconds, seconds by step, and events loaded."""
    watch = Stopwatch()
    began = time.perf_counter()
    result = run(config, observer=watch, stop=threading.Event())
    return time.perf_counter() - began, watch.seconds, result.loaded


def parts(config: Config, folder: Path) -> dict[str, float]:
    """Time each part of ingest alone, on one thread, over the whole topic."""
    source = config.source[0]
    opened = open_source(source, config.validation)
    decoder, validator = make_decoder(source, config.validation), make_validator(source, config)
    seconds = dict.fromkeys(("read", "decode", "validate", "stage"), 0.0)

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        seconds[name] += time.perf_counter() - began
        return result

    plan = opened.plan({}, first_id=0, records=100_000_000, bytes_=1 << 40)
    for planned in plan.ranges:
        items = opened.read(planned)
        while (item := timed("read", lambda items=items: next(items, None))) is not None:
            if isinstance(item, SourceBatch):
                decoded = timed("decode", lambda item=item: decoder.decode(item))
                validated = timed("validate", lambda decoded=decoded: validator.validate(decoded))
                timed("stage", lambda validated=validated: stage_batch(validated, folder))
    opened.close()
    return seconds


def by_hand(bootstrap: str, topic: str, records: int) -> float:
    """Return records a second of the loop that people write: poll, decode one by one, only count."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    schema = fastavro.parse_schema(avro_schema())
    seen = 0
    began = time.perf_counter()
    while seen < records:
        for batch in consumer.poll(1000, max_records=10_000).values():
            for record in batch:
                fastavro.schemaless_reader(io.BytesIO(record.value), schema)
                seen += 1
    rate = seen / (time.perf_counter() - began)
    consumer.close()
    return rate


def report(events: int, wall: float, steps: dict[str, float], alone: dict[str, float], hand: float) -> None:
    """Print what was measured."""
    print(
        f"{events:,} events from the broker to committed journey tables: {wall:.1f} s, "
        f"{events / wall:,.0f} a second"
    )
    print("  " + ", ".join(f"{step} {seconds:.1f} s" for step, seconds in steps.items()))
    print(f"parts of ingest alone, on one thread, in batches of up to {BATCH_RECORDS:,}:")
    print(
        "  "
        + ", ".join(f"{part} {seconds:.1f} s ({events / seconds:,.0f}/s)" for part, seconds in alone.items())
    )
    print(f"a loop of poll() and schemaless_reader that only counts: {hand:,.0f}/s")
    print(f"  parcours, whole way / that loop, reading alone: {events / wall / hand:.1f} times as fast")


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--bootstrap", help="a running broker; default: start one")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        schema = ROOT / "schemas" / "avro" / "touchpoint.avsc"
        with broker_at(chosen.bootstrap) as bootstrap:
            for topic, events in (("warm", 20_000), ("full", chosen.events)):
                fill(bootstrap, topic, events)
            load(config_for(folder, bootstrap, "warm", schema))
            full = config_for(folder, bootstrap, "full", schema)
            wall, steps, loaded = load(full)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            staging = folder / "staging"
            staging.mkdir()
            alone = parts(full, staging)
            report(loaded, wall, steps, alone, by_hand(bootstrap, "full", chosen.events // 10))
            print(f"peak memory of the run's process: {peak / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
