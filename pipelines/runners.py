"""Which Beam runner runs a pipeline, and with how many workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner

EMBEDDED = "FnApiRunner"
"""The in-process runner. Named, because Beam's default first tries to download another one."""

PARALLEL_ROWS = 100_000
"""Below this many rows a second worker costs more start-up than it saves."""


class Runner(NamedTuple):
    """A runner and the options it is run with."""

    runner: PipelineRunner | str
    options: PipelineOptions


def pipeline_options(runner: str, further: Sequence[str], *, elements: int, rows: int) -> Runner:
    """Choose workers for a pipeline over ``elements`` pieces of work with ``rows`` rows in all.

    The options never come from ``sys.argv``: they are those given here.
    """
    if runner != EMBEDDED:
        return Runner(runner, PipelineOptions([f"--runner={runner}", *further]))
    workers = min(os.cpu_count() or 1, elements) if rows >= PARALLEL_ROWS else 1
    if workers == 1:
        return Runner(FnApiRunner(), PipelineOptions([*further]))
    return Runner(
        FnApiRunner(),
        PipelineOptions(
            [f"--direct_num_workers={workers}", "--direct_running_mode=multi_threading", *further]
        ),
    )
