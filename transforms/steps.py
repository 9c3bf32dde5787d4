"""The four PTransforms of ingest, in the order of the flow, each thin over a pure part.

They stand together, apart from the pure parts, so that commands which need no pipeline need not import Beam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from parcours.schemas.config import Config, Source
from parcours.transforms.decode import Decoder, make_decoder
from parcours.transforms.elements import DecodedBatch, PlannedRange, RangeEnd, SourceBatch, ValidatedBatch
from parcours.transforms.failures import failures_told
from parcours.transforms.sources.contract import RangeSource
from parcours.transforms.sources.open import open_source
from parcours.transforms.stage import Progress, StagedBatch, stage_batch, write_manifest
from parcours.transforms.validate import Validator, make_validator

ENDS = "ends"
"""Tag of the output that carries each range's end."""

NAMESPACE = "parcours"


def _sources(config: Config) -> dict[str, Source]:
    return {source.name: source for source in config.source}


class _ReadFn(beam.DoFn):
    def __init__(self, config: Config, folder: str) -> None:
        self._config = config
        self._folder = folder
        self._open: dict[str, RangeSource] = {}

    def setup(self) -> None:
        self._open = {}

    def process(self, element: PlannedRange) -> Iterator[SourceBatch | TaggedOutput]:
        with failures_told(self._folder):
            yield from self._read(element)

    def _read(self, element: PlannedRange) -> Iterator[SourceBatch | TaggedOutput]:
        if element.source not in self._open:
            source = _sources(self._config)[element.source]
            self._open[element.source] = open_source(source, self._config.validation)
        records = Metrics.counter(NAMESPACE, "records-read")
        for item in self._open[element.source].read(element):
            if isinstance(item, RangeEnd):
                yield TaggedOutput(ENDS, (element.id, item))
            else:
                records.inc(item.records.num_rows)
                yield item

    def teardown(self) -> None:
        for source in self._open.values():
            source.close()


@dataclass
class ReadRanges(beam.PTransform):
    """Read planned ranges: the main output has the batches, ``ENDS`` has (range id, ``RangeEnd``)."""

    config: Config
    folder: str

    def expand(self, pcoll: beam.PCollection[PlannedRange]) -> Any:
        """Spread the ranges over the workers and read them."""
        return (
            pcoll
            | "SpreadRanges" >> beam.Reshuffle()
            | beam.ParDo(_ReadFn(self.config, self.folder)).with_outputs(ENDS, main="batches")
        )


class _DecodeFn(beam.DoFn):
    def __init__(self, config: Config, folder: str) -> None:
        self._config = config
        self._folder = folder
        self._decoders: dict[str, Decoder] = {}

    def setup(self) -> None:
        self._decoders = {}

    def process(self, element: SourceBatch) -> Iterator[DecodedBatch]:
        name = element.range.source
        with failures_told(self._folder):
            if name not in self._decoders:
                self._decoders[name] = make_decoder(_sources(self._config)[name], self._config.validation)
            yield self._decoders[name].decode(element)


@dataclass
class DecodeTouchpoints(beam.PTransform):
    """Decode each batch by its source's format; what cannot be decoded goes along with its reason."""

    config: Config
    folder: str

    def expand(self, pcoll: beam.PCollection[SourceBatch]) -> beam.PCollection[DecodedBatch]:
        """Decode batch by batch."""
        return pcoll | beam.ParDo(_DecodeFn(self.config, self.folder))


class _ValidateFn(beam.DoFn):
    def __init__(self, config: Config) -> None:
        self._config = config
        self._validators: dict[str, Validator] = {}

    def setup(self) -> None:
        self._validators = {}

    def process(self, element: DecodedBatch) -> Iterator[ValidatedBatch]:
        name = element.source.range.source
        if name not in self._validators:
            self._validators[name] = make_validator(_sources(self._config)[name], self._config)
        batch = self._validators[name].validate(element)
        Metrics.counter(NAMESPACE, "records-valid").inc(batch.touchpoints.num_rows)
        Metrics.counter(NAMESPACE, "records-rejected").inc(batch.rejected.num_rows)
        yield batch


@dataclass
class ValidateTouchpoints(beam.PTransform):
    """Map each batch to touchpoints and hold it against the rules."""

    config: Config

    def expand(self, pcoll: beam.PCollection[DecodedBatch]) -> beam.PCollection[ValidatedBatch]:
        """Validate batch by batch."""
        return pcoll | beam.ParDo(_ValidateFn(self.config))


def _stage(batch: ValidatedBatch, folder: str) -> tuple[int, StagedBatch]:
    staged = stage_batch(batch, Path(folder))
    Progress.add(folder, staged.range_id, staged.valid + staged.invalid)
    return staged.range_id, staged


@dataclass
class StageTouchpoints(beam.PTransform):
    """Write each batch's rows as Parquet under the attempt's folder: (range id, files and counts)."""

    folder: str

    def expand(self, pcoll: beam.PCollection[ValidatedBatch]) -> beam.PCollection[tuple[int, StagedBatch]]:
        """Stage batch by batch."""
        return pcoll | beam.Map(_stage, folder=self.folder)


def _close(element: tuple[int, dict[str, Any]], folder: str) -> int:
    range_id, parts = element
    write_manifest(Path(folder), parts["ends"], parts["staged"])
    return range_id


@dataclass
class CloseRanges(beam.PTransform):
    """Bring each range's end and staged batches together and write its manifest."""

    folder: str

    def expand(self, pcolls: dict[str, Any]) -> beam.PCollection[int]:
        """Group ``{"ends": …, "staged": …}`` by range id."""
        return pcolls | beam.CoGroupByKey() | beam.Map(_close, folder=self.folder)
