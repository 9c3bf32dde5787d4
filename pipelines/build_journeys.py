"""The build pipeline: buckets of whole profiles in, staged journey relations out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parcours.transforms.build import build_bucket, read_built
from parcours.transforms.journeys import JourneyRules

DIRECT_ROWS = 50_000
"""Up to this many touchpoints the build runs without a pipeline, which would take longer to start."""


def build_journeys(
    buckets: Sequence[Path],
    rows: int,
    rules: JourneyRules,
    folder: Path,
    *,
    runner: str,
    runner_options: Sequence[str] = (),
) -> dict[str, list[Path]]:
    """Build each bucket and return relation to files.

    Args:
        buckets: one Parquet file or folder each, with whole profiles.
        rows: touchpoints in all buckets.
        rules: how touchpoints are cut into journeys.
        folder: a folder for the results, shared by all workers.
        runner: name of the Beam runner.
        runner_options: further options of the runner, as on its command line.

    Raises:
        IncompleteBuildError: a bucket was not built.
    """
    if rows <= DIRECT_ROWS:
        for bucket in buckets:
            build_bucket(bucket, folder, rules, threads=1)
        return read_built(folder, list(buckets))

    import apache_beam as beam  # noqa: PLC0415  small slices start without it

    from parcours.pipelines.runners import pipeline_options  # noqa: PLC0415

    options = pipeline_options(runner, runner_options, elements=len(buckets), rows=rows)
    with beam.Pipeline(runner=options.runner, options=options.options) as pipeline:
        _ = (
            pipeline
            | "Buckets" >> beam.Create([str(bucket) for bucket in buckets])
            | "SpreadBuckets" >> beam.Reshuffle()
            | "BuildJourneys"
            >> beam.Map(lambda path: build_bucket(Path(path), folder, rules, threads=1).bucket)
        )
    return read_built(folder, list(buckets))
