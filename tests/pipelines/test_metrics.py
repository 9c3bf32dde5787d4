"""Metrics of a run that follows: scraped over HTTP, and equal to what its store says."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from topics import produce

from parcours.pipelines.metrics import Metrics
from parcours.pipelines.observe import COUNTS
from parcours.pipelines.simulate import simulate
from stores import config_of, one, rows, topic_source, write_toml

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def scraped(port):
    """Return the samples that a scrape gives: name and labels to value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples, name, label):
    """Return one metric's values by one of its labels."""
    return {dict(labels)[label]: value for (found, *labels), value in samples.items() if found == name}


@pytest.mark.kafka
def test_a_scrape_says_what_the_store_says(kafka, tmp_path):
    """Counts by fate, quarantine by reason, newest event and last commit; SIGTERM ends it all cleanly."""
    kafka.create_topic("measured", 2)
    simulate(600, 21, "json", tmp_path / "out", files=1, broken=0.1, duplicates=0.1)
    lines = (tmp_path / "out" / "touchpoints-0000.ndjson").read_bytes().splitlines()
    produce(kafka, "measured", lines)
    store = tmp_path / "store.duckdb"
    config = write_toml(
        config_of(store, topic_source(kafka.bootstrap, "measured"), slice_records=300), tmp_path
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--follow", "--config", config, "--metrics-port", str(port), "--log-format", "json"]
    with subprocess.Popen(
        [sys.executable, "-m", "parcours.pipelines.cli", "run", *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            for line in process.stderr:
                if json.loads(line)["event"] == "slice_committed" and json.loads(line)["slices"] == 2:
                    break
            deadline = time.monotonic() + 30
            samples = scraped(port)
            while set(of(samples, "parcours_lag_records", "partition").values()) != {0}:
                assert time.monotonic() < deadline, samples
                time.sleep(0.1)
                samples = scraped(port)
        finally:
            process.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in process.stderr]
    assert 130 == process.returncode, rest
    assert ["stopping", "run_ended", "message"] == [event["event"] for event in rest]
    with pytest.raises(OSError, match="refused"):
        scraped(port)

    sums = ", ".join(f"sum({name})::INTEGER" for name in COUNTS)
    assert dict(zip(COUNTS, rows(store, f"SELECT {sums} FROM run_balances")[0], strict=True)) == of(
        samples, "parcours_records_total", "fate"
    )
    assert len(lines) == samples["parcours_records_total", ("fate", "read"), ("source", "topic")]
    assert {"0": 0, "1": 0} == of(samples, "parcours_lag_records", "partition")
    reasons = "SELECT reason, count(*) FROM quarantine WHERE status = 'open' GROUP BY ALL"
    assert dict(rows(store, reasons)) == of(samples, "parcours_quarantine_open_records", "reason")
    newest = one(store, "SELECT epoch(max(occurred_at)) FROM touchpoints")
    assert {"topic": newest} == of(samples, "parcours_newest_event_timestamp_seconds", "source")
    committed = one(store, "SELECT epoch(max(committed_at)) FROM run_balances")
    assert committed == samples["parcours_last_commit_timestamp_seconds",]
    assert abs(committed - time.time()) < 60
    assert 2 == samples["parcours_slice_seconds_count",]
    assert {2} == set(of(samples, "parcours_step_seconds_count", "step").values())
    assert samples["parcours_slice_seconds_sum",] >= sum(
        of(samples, "parcours_step_seconds_sum", "step").values()
    )


def served(tmp_path):
    """Return the metrics of a config with a topic and a file."""
    sources = [
        topic_source("localhost:9", "t", name="shop"),
        {"name": "crm", "kind": "file", "format": "json", "path": "x.ndjson", "loads": "customers"},
    ]
    return Metrics(config_of(tmp_path / "s.duckdb", *sources), 0)


def test_lag_and_gate_are_what_was_told_last(tmp_path):
    """A partition that is gone is gone from the metrics too; a file has no lag; no check, no gate."""
    with served(tmp_path) as metrics:
        before = scraped(metrics.port)
        metrics.planned({("shop", "t", 0): 5, ("shop", "t", 1): 7, ("crm", "x.ndjson", 0): 9})
        metrics.told("check", {"state": "held", "since": datetime(2026, 1, 1)})
        held = scraped(metrics.port)
        metrics.planned({("shop", "t", 1): 0})
        metrics.told("check", {"state": "open", "since": datetime(2026, 1, 2)})
        opened = scraped(metrics.port)
    assert not [name for name, *_ in before if name.startswith(("parcours_lag", "parcours_gate"))]
    assert {"0": 5, "1": 7} == of(held, "parcours_lag_records", "partition")
    assert {"1": 0} == of(opened, "parcours_lag_records", "partition")
    since = ("parcours_gate_since_timestamp_seconds",)
    assert (0, 1_767_225_600) == (held["parcours_gate_open",], held[since])
    assert (1, 1_767_312_000) == (opened["parcours_gate_open",], opened[since])


def test_counters_stand_at_zero_before_anything_is_read(tmp_path):
    """A rate needs a first value: every source has each of its counters from the start."""
    with served(tmp_path) as metrics:
        samples = scraped(metrics.port)
    for source in ("shop", "crm"):
        for fate in COUNTS:
            assert 0 == samples["parcours_records_total", ("fate", fate), ("source", source)]


def test_the_page_has_every_metric(tmp_path):
    """The table of docs/operations.md names what is served, with its type; alerts use nothing else."""
    written = dict(re.findall(r"^\| `(parcours_\w+)` \| (\w+) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    metrics = served(tmp_path)
    there = {}
    for family in metrics.registry.collect():
        if family.name.startswith("parcours_"):
            name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
            there[name] = family.type if family.type != "info" else "gauge"
            assert family.documentation.endswith(".")
    assert there == written
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        assert isinstance(yaml.safe_load(block), dict)
    named = set(re.findall(r"parcours_[a-z_]+(?=[ ){\[`])", PAGE.read_text("utf-8")))
    assert named == set(there)
