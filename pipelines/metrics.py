"""Prometheus metrics of a run that follows its sources, served over HTTP.

What the store says is read in the run's own thread when the store was opened or committed to, and kept as
numbers: a scrape never waits for the store, and the store's connection is never shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import duckdb
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from parcours.pipelines.observe import COUNTS, SilentObserver
from parcours.schemas.config import Config

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Bounds of the histograms: a small slice takes a second, a large one minutes."""

GAUGES = {
    "parcours_lag_records": (
        ("source", "topic", "partition"),
        "Records that a topic-partition holds past what was read, when it was last asked.",
        None,
    ),
    "parcours_quarantine_open_records": (
        ("reason",),
        "Records in quarantine that are neither replayed nor discarded.",
        "SELECT reason, count(*) FROM quarantine WHERE status = 'open' GROUP BY ALL",
    ),
    "parcours_newest_event_timestamp_seconds": (
        ("source",),
        "When the newest event that was loaded from a source happened, in seconds since 1970, UTC.",
        "SELECT source_name, epoch(max(occurred_at)) FROM touchpoints GROUP BY ALL",
    ),
    "parcours_last_commit_timestamp_seconds": (
        (),
        "When the store was last committed to, in seconds since 1970, UTC.",
        "SELECT epoch(max(committed_at)) FROM run_balances HAVING count(*) > 0",
    ),
    "parcours_gate_open": (
        (),
        "1 where the last check lets the store be published, 0 where it holds it back.",
        "SELECT (state = 'open')::INTEGER FROM gate ORDER BY decided_at DESC LIMIT 1",
    ),
    "parcours_gate_since_timestamp_seconds": (
        (),
        "Since when the gate is in its state, in seconds since 1970, UTC.",
        "SELECT epoch(since) FROM gate ORDER BY decided_at DESC LIMIT 1",
    ),
}
"""By name: its labels, what it says, and the query for label values and value; None: told, not asked."""

Samples = list[tuple[tuple[str, ...], float]]


class Metrics(SilentObserver, Collector):
    """Counts what a run does, and serves it while it is open.

    Args:
        config: names the sources, so that their counters stand at 0 before anything is read.
        port: where to serve; 0 takes a free one, which ``port`` then says.
        address: the address of this machine to serve at.

    Raises:
        OSError: on entering, the port is taken.
    """

    def __init__(self, config: Config, port: int, address: str = "127.0.0.1") -> None:
        self.port = port
        self._address = address
        self._topics = {source.name for source in config.source if source.kind == "kafka"}
        self._samples: dict[str, Samples] = {}
        # when a counter was made is when the process began
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        Info("parcours_build", "The version of parcours.", registry=self.registry).info(
            {"version": version("parcours")}
        )
        self._records = Counter(
            "parcours_records",
            "Records by what became of them: read is the sum of loaded, duplicate, quarantined and"
            " suppressed; demoted were loaded before.",
            ["source", "fate"],
            registry=self.registry,
        )
        for source in config.source:
            for fate in COUNTS:
                self._records.labels(source.name, fate)
        self._steps = Histogram(
            "parcours_step_seconds",
            "Seconds that a committed slice spent in a step.",
            ["step"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._slices = Histogram(
            "parcours_slice_seconds",
            "Seconds that a committed slice took, from its plan to the status file.",
            buckets=SECONDS,
            registry=self.registry,
        )

    def __enter__(self) -> Self:
        self._server, self._thread = start_http_server(self.port, self._address, self.registry)
        self.port = self._server.server_port
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterator[Metric]:
        """Give the numbers that the store had when it was last looked at; called for each scrape."""
        for name, (labels, says, _) in GAUGES.items():
            family = GaugeMetricFamily(name, says, labels=labels)
            for values, value in self._samples.get(name, ()):
                family.add_metric(values, value)
            yield family

    def planned(self, lag: Mapping[tuple[str, str, int], int]) -> None:
        """Keep the lag of topics; a file has none that means anything, and there may be thousands."""
        self._samples["parcours_lag_records"] = [
            ((source, topic, str(partition)), records)
            for (source, topic, partition), records in lag.items()
            if source in self._topics
        ]

    def look(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Ask the store for what it alone knows."""
        for name, (_, _, query) in GAUGES.items():
            if query is not None:
                rows = connection.execute(query).fetchall()
                self._samples[name] = [(tuple(row[:-1]), float(row[-1])) for row in rows]

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Count a slice's records and seconds."""
        for balance in summary["balances"]:
            for fate in COUNTS:
                self._records.labels(balance["source"], fate).inc(balance[fate])
        for step, seconds in summary["steps"].items():
            self._steps.labels(step).observe(seconds)
        self._slices.observe(summary["seconds"])

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Keep what a check says of the gate: it is not looked at again before the next commit."""
        if event == "check":
            since = fields["since"].replace(tzinfo=UTC).timestamp()
            self._samples["parcours_gate_open"] = [((), float(fields["state"] == "open"))]
            self._samples["parcours_gate_since_timestamp_seconds"] = [((), since)]
