"""What went wrong in a worker, for the driver to read.

A runner hands on a worker's exception as text alone, and texts are for people: a worker leaves the failures
that a driver tells apart as files in the attempt's folder, beside its manifests.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from parcours.transforms.avro_schemas import RegistryUnavailableError
from parcours.transforms.sources.contract import LogStoppedError, SourceUnavailableError
from parcours.transforms.stage import write_whole

_TOLD = (LogStoppedError, SourceUnavailableError, RegistryUnavailableError)
"""The failures that are told, the one that matters most first."""


@contextmanager
def failures_told(folder: str) -> Iterator[None]:
    """Leave a file under ``folder`` where the block ends in a failure that a driver tells apart."""
    try:
        yield
    except _TOLD as error:
        kind = next(kind.__name__ for kind in _TOLD if isinstance(error, kind))
        text = json.dumps({"kind": kind, "message": str(error)})
        # what cannot be written, as a lost worker's folder, must not hide what went wrong
        with suppress(OSError):
            write_whole(
                Path(folder, f"failure-{uuid.uuid4().hex}.json"), lambda path: path.write_text(text, "utf-8")
            )
        raise


def told_failure(folder: Path) -> Exception | None:
    """Return the failure that matters most of those that workers left, or None where they left none."""
    told = [json.loads(path.read_text("utf-8")) for path in folder.glob("failure-*.json")]
    for kind in _TOLD:
        for failure in told:
            if failure["kind"] == kind.__name__:
                return kind(failure["message"])
    return None
