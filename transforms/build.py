"""Build: the history of whole profiles in one bucket becomes the bucket's part of the journey relations."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import duckdb

from parcours.schemas.literal import literal
from parcours.transforms.journeys import JourneyRules, build_journeys
from parcours.transforms.stage import write_whole

BUILT = (
    "visits",
    "visit_changes",
    "profiles",
    "journeys",
    "journey_amounts",
    "journey_steps",
    "stage_visits",
)
"""What a bucket gives: the relations that are rebuilt, and which touchpoint belongs to which visit."""


@dataclass(frozen=True)
class BuiltBucket:
    """One bucket's files: relation to file name."""

    bucket: str
    files: dict[str, str]


class IncompleteBuildError(Exception):
    """A bucket was not built: its slice is not committed."""


def build_bucket(history: Path, folder: Path, rules: JourneyRules, threads: int) -> BuiltBucket:
    """Build the profiles of one bucket and write each relation as Parquet under ``folder``.

    Args:
        history: Parquet file or folder with the bucket's touchpoints, whole profiles only.
        folder: where the results and the bucket's manifest go.
        rules: how touchpoints are cut into journeys.
        threads: threads that DuckDB may use here.
    """
    files: dict[str, str] = {}
    with duckdb.connect(config={"threads": threads, "preserve_insertion_order": "false"}) as connection:
        source = str(history / "*.parquet") if history.is_dir() else str(history)
        connection.execute(
            f"CREATE TABLE history AS FROM read_parquet({literal(source)}, hive_partitioning = false)"
        )
        build_journeys(connection, rules)
        for relation in BUILT:
            name = f"built-{relation}-{uuid.uuid4().hex}.parquet"
            write_whole(folder / name, partial(_copy, connection, relation))
            files[relation] = name
    built = BuiltBucket(history.name, files)
    write_whole(
        _manifest(folder, history.name), lambda path: path.write_text(json.dumps(asdict(built)), "utf-8")
    )
    return built


def _copy(connection: duckdb.DuckDBPyConnection, relation: str, path: Path) -> None:
    connection.execute(f"COPY built_{relation} TO {literal(str(path))} (FORMAT parquet, COMPRESSION lz4_raw)")


def _manifest(folder: Path, bucket: str) -> Path:
    return folder / f"built-{bucket}.json"


def read_built(folder: Path, buckets: list[Path]) -> dict[str, list[Path]]:
    """Return relation to files, from the manifest of each bucket.

    Raises:
        IncompleteBuildError: a bucket has no manifest.
    """
    files: dict[str, list[Path]] = {relation: [] for relation in BUILT}
    for bucket in buckets:
        path = _manifest(folder, bucket.name)
        if not path.exists():
            raise IncompleteBuildError(f"bucket {bucket.name} was not built")
        for relation, name in json.loads(path.read_text("utf-8"))["files"].items():
            files[relation].append(folder / name)
    return files
