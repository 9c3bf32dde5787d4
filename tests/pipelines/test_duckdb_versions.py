"""One store under two versions of DuckDB, its log included: killed under one, finished under the other."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest
from killing import KilledRuns

from parcours.pipelines.simulate import simulate
from stores import assert_balanced, assert_same_stores, config_of, file_source, load, write_toml

OTHER = "1.5.6" if importlib.metadata.version("duckdb").startswith("2.") else "2.0.0"
"""The version that this process does not run: the older of the two supported ones, or the newer."""


@pytest.fixture(scope="module")
def other_duckdb():
    """A folder with the other version of DuckDB, kept outside the tree."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parcours"
    folder = cache / f"duckdb-{OTHER}-py{sys.version_info.major}{sys.version_info.minor}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
            done = subprocess.run(
                [*install, f"{made}/site", f"duckdb=={OTHER}"], capture_output=True, text=True, check=False
            )
            if done.returncode:
                reason = f"duckdb {OTHER} could not be installed: {done.stderr.strip().splitlines()[-1]}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
            Path(f"{made}/site").rename(folder)
    return folder


@pytest.fixture(scope="module")
def runs(other_duckdb):
    """Runs under this process's DuckDB and under the other one, by version."""
    ours = KilledRuns()
    other = KilledRuns({**os.environ, "PYTHONPATH": str(other_duckdb)})
    assert (duckdb.__version__, OTHER) == (ours.duckdb_version, other.duckdb_version)
    yield {ours.duckdb_version: ours, other.duckdb_version: other}
    ours.close()
    other.close()


@pytest.mark.parametrize("turn", ["older first", "newer first"])
def test_killed_under_one_version_and_finished_under_the_other(turn, runs, tmp_path):
    """Slices and the log that a killed run left are read by the other version, which goes on writing."""
    first, second = sorted(runs, key=lambda text: [int(part) for part in text.split(".")])
    if turn == "newer first":
        first, second = second, first
    simulate(1_500, 51, "json", tmp_path / "in", files=1, broken=0.05, duplicates=0.1)
    source = file_source(tmp_path / "in" / "*.ndjson")
    config = config_of(tmp_path / "store.duckdb", source, slice_records=500)
    assert signal.SIGKILL == runs[first](config, "begin tell", nth=1)
    assert Path(f"{config.store.path}.wal").stat().st_size > 0
    assert signal.SIGKILL == runs[second](config, "begin tell", nth=1)
    assert Path(f"{config.store.path}.wal").stat().st_size > 0
    assert 0 == runs[first](config, None)
    assert 0 == runs[second](config, None, command="rebuild")
    undisturbed = config_of(tmp_path / "undisturbed.duckdb", source)
    load(undisturbed)
    assert_same_stores(Path(undisturbed.store.path), Path(config.store.path))
    assert_balanced(Path(config.store.path))


def test_a_store_is_checked_under_the_other_version(other_duckdb, tmp_path):
    """Every rule of the suites is evaluated on a sound store, and nothing but the result is written."""
    simulate(300, 52, "json", tmp_path / "in", files=1)
    config = config_of(tmp_path / "store.duckdb", file_source(tmp_path / "in" / "*.ndjson"))
    load(config)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "parcours.pipelines.cli", "check", "--json"),
            *("--config", str(write_toml(config, tmp_path))),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(other_duckdb)},
    )
    assert "" == done.stderr
    told = json.loads(done.stdout)["findings"]
    assert len(told) > 40
    assert [] == [found for found in told if found.get("error") or not found["passed"]]
    assert 0 == done.returncode
