"""OpenLineage run events: what a run read, what it wrote, and what a check of the store found.

The client's transports are used by themselves: events go where ``[lineage]`` says, and none of the client's
environment variables or files (``OPENLINEAGE_URL``, ``openlineage.yml``) sends them elsewhere.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import pyarrow.parquet as pq
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.facet_v2 import (
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    processing_engine_run,
    tags_run,
)
from openlineage.client.generated.data_quality_assertions_dataset import (
    Assertion,
    DataQualityAssertionsDatasetFacet,
)
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider
from openlineage.client.transport.transport import Transport

from parcours.pipelines.observe import SilentObserver
from parcours.schemas.config import Config, Source
from parcours.schemas.references import REFERENCES
from parcours.schemas.rule import Lineage as Where

SECONDS = 3.0
"""How long an event may take to be delivered: a load never waits longer for it."""

RUNNING_SECONDS = 600.0
"""How often a run that goes on tells what it has read and written so far."""

PRODUCER = f"urn:parcours:{version('parcours')}"

BUILT = ("profiles", "visits", "journeys", "journey_steps", "journey_amounts", "stage_visits")
"""Tables that are built from touchpoints."""

UNCOUNTED = ("identity_links", "contracts", "quotes", "claims", "cases")
"""Tables that are written with them, whose rows nobody counts on the way."""

READ_BY = {"rebuild": "touchpoints", "replay": "quarantine"}
"""What is read by commands that read no source; they tell no counts."""

SEVERITIES = {"stop": "error", "warn": "warn"}
"""Ours in the words of the standard."""


class Lineage(SilentObserver):
    """Sends a START when a run begins, and a COMPLETE, FAIL or ABORT when it ends.

    Args:
        config: has ``[lineage]``, and names the sources and the store.
        mask: hides secrets.
        warn: takes what a person should know; an event that cannot be delivered stops nothing.
    """

    def __init__(self, config: Config, mask: Callable[[str], str], warn: Callable[[str], None]) -> None:
        where = config.lineage
        assert where is not None  # noqa: S101  the caller asks for lineage where it is configured
        set_producer(PRODUCER)
        self._namespace = where.namespace
        self._sources = {source.name: source for source in config.source}
        self._store = f"duckdb://{Path(config.store.path).absolute()}"
        self._transports = list(_transports(where))
        self._mask = mask
        self._warn = warn
        self._run_id = ""
        self._job = ""
        self._read: Counter[tuple[str, str]] = Counter(dict.fromkeys(self._places(), 0))
        self._written: Counter[str] = Counter()
        self._told_at = time.monotonic()
        self._refused: set[str] = set()

    def slice_done(self, summary: Mapping[str, Any]) -> None:
        """Count what was read and written; tell it now and then while a run goes on."""
        for balance in summary["balances"]:
            source = self._sources.get(balance["source"])
            if source is not None:
                self._read[_dataset(source, balance["topic"])] += balance["read"]
                loads = "touchpoints" if source.loads == "touchpoints" else REFERENCES[source.loads].relation
                self._written[loads] += balance["loaded"]
                self._written["quarantine"] += balance["quarantined"]
        for relation in BUILT:
            files = summary["files"].get(relation, ())
            self._written[relation] += sum(pq.read_metadata(file).num_rows for file in files)
        if time.monotonic() - self._told_at >= RUNNING_SECONDS:
            self._emit_run(RunState.RUNNING)

    def told(self, event: str, fields: Mapping[str, Any]) -> None:
        """Send what belongs to the event."""
        match event:
            case "run_started":
                self._run_id = fields["run_id"]
                self._job = fields["command"] if fields["command"] in READ_BY else "run"
                self._emit_run(RunState.START)
            case "run_ended":
                interrupted = fields["status"] == "interrupted"
                self._emit_run(RunState.ABORT if interrupted else RunState.COMPLETE)
            case "run_failed":
                self._emit_run(RunState.FAIL, f"{fields['error']}: {fields['message']}")
            case "check":
                self._emit_check(fields["run_id"], fields["findings"])

    def _places(self) -> Iterator[tuple[str, str]]:
        for source in self._sources.values():
            for topic in source.topics or ("",):
                yield _dataset(source, topic)

    def _tables(self) -> list[str]:
        """Return the tables that the run writes, by what its sources load."""
        if self._job == "rebuild":
            return [*BUILT, *UNCOUNTED]
        loads = {source.loads for source in self._sources.values()}
        references = [REFERENCES[name].relation for name in REFERENCES if name in loads]
        return ["touchpoints", *references, "quarantine", *BUILT, *UNCOUNTED]

    def _emit_run(self, state: RunState, error: str | None = None) -> None:
        """Send an event of the run; with counts, once it has begun, of what it counts."""
        self._told_at = time.monotonic()
        within = READ_BY.get(self._job)
        counts = state is not RunState.START and within is None
        read = self._read if within is None else Counter({(self._store, within): 0})
        facets: dict[str, Any] = {}
        if error is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(self._mask(error), "Python")
        self._send(
            state,
            Run(_uuid(self._run_id), {**_run_facets(self._run_id), **facets}),
            self._job,
            [
                InputDataset(*place, inputFacets=_rows_read(rows) if counts else {})
                for place, rows in read.items()
            ],
            [
                OutputDataset(
                    self._store,
                    name,
                    outputFacets=_rows_written(self._written[name])
                    if counts and name not in UNCOUNTED
                    else {},
                )
                for name in self._tables()
            ],
        )

    def _emit_check(self, run_id: str, findings: Sequence[Mapping[str, Any]]) -> None:
        """Send a check as a run of its own, which reads the tables: each has there what was found on it."""
        by_relation: dict[str, list[Assertion]] = {}
        for finding in findings:
            by_relation.setdefault(finding["relation"], []).append(
                Assertion(
                    assertion=finding["rule"],
                    success=finding["passed"],
                    column=finding["column"],
                    severity=SEVERITIES[finding["severity"]],
                    expected=self._mask(finding["expected"]),
                    actual=self._mask(finding["observed"]),
                )
            )
        inputs = [
            InputDataset(
                self._store,
                name,
                inputFacets={"dataQualityAssertions": DataQualityAssertionsDatasetFacet(all_)},
            )
            for name, all_ in by_relation.items()
        ]
        # a run that follows is checked many times
        run = Run(_uuid(f"{run_id}/check/{datetime.now(UTC).isoformat()}"), _run_facets(run_id))
        self._send(
            RunState.START, run, "check", inputs=[InputDataset(self._store, name) for name in by_relation]
        )
        self._send(RunState.COMPLETE, run, "check", inputs=inputs)

    def _send(
        self,
        state: RunState,
        run: Run,
        job: str,
        inputs: list[InputDataset],
        outputs: Sequence[OutputDataset] = (),
    ) -> None:
        event = RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(timespec="milliseconds"),
            run=run,
            job=Job(
                self._namespace,
                f"parcours.{job}",
                {"jobType": job_type_job.JobTypeJobFacet("BATCH", "PARCOURS", "JOB")},
            ),
            inputs=inputs,
            outputs=list(outputs),
        )
        for name, transport in self._transports:
            problem = _within(SECONDS, partial(transport.emit, event))
            if problem is not None and name not in self._refused:
                self._refused.add(name)
                self._warn(f"{name} did not take a lineage event: {problem}; the run goes on without")


def _transports(where: Where) -> Iterator[tuple[str, Transport]]:
    """Give the ways that events go, each with its name for a warning: of an address, no path and no query."""
    if where.url is not None:
        address = urlsplit(where.url)
        path = address.path.strip("/") or "api/v1/lineage"
        yield (
            f"{address.scheme}://{address.hostname}" + (f":{address.port}" if address.port else ""),
            HttpTransport(
                HttpConfig(
                    url=f"{address.scheme}://{address.netloc}",
                    endpoint=f"/{path}" + (f"?{address.query}" if address.query else ""),
                    timeout=SECONDS,
                    auth=ApiKeyTokenProvider({"api_key": where.api_key})
                    if where.api_key
                    else TokenProvider({}),
                    retry={"total": 0},
                )
            ),
        )
    if where.file is not None:
        yield f'the file "{where.file}"', FileTransport(FileConfig(where.file, append=True))


def _within(seconds: float, work: Callable[[], object]) -> str | None:
    """Do a piece of work in at most so many seconds; return what went wrong, without what it quotes.

    A time limit of the client alone does not bound the look-up of a name, nor an answer that drips.
    """
    problems: list[str] = []

    def guarded() -> None:
        try:
            work()
        except Exception as error:  # of any kind: the events are no part of the load
            status = getattr(getattr(error, "response", None), "status_code", None)
            cause = error.__cause__ or error
            problems.append(f"it answered {status}" if status else type(cause).__name__)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds + 0.5)
    return f"no answer in {seconds:.0f} s" if thread.is_alive() else next(iter(problems), None)


def _dataset(source: Source, topic: str) -> tuple[str, str]:
    """Return the namespace and name of what a source reads, as the standard has them; files by their glob."""
    if source.kind == "kafka":
        return f"kafka://{source.bootstrap[0]}", topic
    return "file", str(Path(source.path or "").absolute())


def _uuid(text: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"parcours:{text}"))


def _run_facets(run_id: str) -> dict[str, Any]:
    """Return what every run has: its id in our ledger, and who ran it."""
    return {
        "tags": tags_run.TagsRunFacet([tags_run.TagsRunFacetFields("run_id", run_id, "parcours")]),
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(version("parcours"), "parcours"),
    }


def _rows_read(rows: int) -> dict[str, Any]:
    return {"inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rows)}


def _rows_written(rows: int) -> dict[str, Any]:
    return {"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rows)}
