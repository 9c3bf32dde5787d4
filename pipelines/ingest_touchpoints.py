"""The ingest pipeline: planned ranges in, staged Parquet and one manifest a range out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam

from parcours.pipelines.runners import pipeline_options
from parcours.schemas.config import Config
from parcours.transforms.elements import PlannedRange
from parcours.transforms.stage import Manifest, read_manifests
from parcours.transforms.steps import (
    ENDS,
    CloseRanges,
    DecodeTouchpoints,
    ReadRanges,
    StageTouchpoints,
    ValidateTouchpoints,
)


def ingest_touchpoints(
    ranges: Sequence[PlannedRange],
    config: Config,
    folder: Path,
    *,
    runner: str,
    runner_options: Sequence[str] = (),
) -> list[Manifest]:
    """Read, decode, validate and stage the ranges, and return their manifests in order.

    Args:
        ranges: what to read.
        config: sources, validation.
        folder: a fresh folder for this attempt, shared by all workers.
        runner: name of the Beam runner.
        runner_options: further options of the runner, as on its command line.

    Raises:
        IncompleteRangeError: a range has no manifest.
    """
    records = sum(planned.end - planned.start for planned in ranges)
    options = pipeline_options(runner, runner_options, elements=len(ranges), rows=records)
    with beam.Pipeline(runner=options.runner, options=options.options) as pipeline:
        read = pipeline | beam.Create(list(ranges)) | ReadRanges(config, str(folder))
        staged = (
            read.batches
            | DecodeTouchpoints(config, str(folder))
            | ValidateTouchpoints(config)
            | StageTouchpoints(str(folder))
        )
        _ = {"ends": read[ENDS], "staged": staged} | CloseRanges(str(folder))
    return read_manifests(folder, ranges)
