"""A run that is interrupted through the command line ends cleanly, and the next one goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from parcours.pipelines.simulate import simulate
from stores import assert_balanced, assert_same_stores, config_of, file_source, load, one, write_toml

RECORDS, SLICE = 3_000, 500


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Records for several slices."""
    out = tmp_path_factory.mktemp("interrupts")
    simulate(RECORDS, 41, "json", out, files=1, broken=0.05, duplicates=0.1)
    return file_source(out / "*.ndjson")


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """The store of a run that nothing happened to."""
    store = tmp_path_factory.mktemp("undisturbed") / "store.duckdb"
    load(config_of(store, source))
    return store


def interrupted(config, folder, number, times):
    """Send a signal, once or several times, after the first slice; return exit code and what was said."""
    command = [sys.executable, "-m", "parcours.pipelines.cli", "run", "--config", write_toml(config, folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "slice 1 committed" in line:
                break
        for _ in range(times):
            os.kill(process.pid, number)
            time.sleep(0.1)  # signals that wait together are delivered as one
        said += process.stderr.readlines()
    return process.returncode, "".join(said)


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)], ids=str
)
def test_interrupted_run_continues(number, times, source, undisturbed, tmp_path):
    """The first signal lets the slice end, the second stops at once: exit code 130, nothing is half done."""
    store = tmp_path / "store.duckdb"
    config = config_of(store, source, slice_records=SLICE)
    code, said = interrupted(config, tmp_path, number, times)
    assert 130 == code, said
    assert "stopping after this slice" in said
    assert "Traceback" not in said
    assert_balanced(store)
    assert SLICE <= one(store, "SELECT sum(read) FROM run_balances") < RECORDS
    assert "done" == load(config_of(store, source)).status
    assert ["interrupted", "done"] == one(store, "SELECT list(status ORDER BY started_at) FROM runs")
    assert_same_stores(undisturbed, store)
