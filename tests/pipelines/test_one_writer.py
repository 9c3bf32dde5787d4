"""One process writes at a time, whatever it opened and closed, and everyone else is told who it is."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from hashlib import sha256

import pytest

from parcours.pipelines.lock import StoreHeldError, lock_path, read_owner
from parcours.pipelines.simulate import simulate
from parcours.pipelines.status import store_status
from parcours.pipelines.store import Store
from stores import config_of, file_source, load

OTHER = """
import sys
import duckdb
from parcours.pipelines.lock import StoreHeldError
from parcours.pipelines.store import Store
try:
    with Store(sys.argv[1], read_only=sys.argv[2] == "read") as store:
        if sys.argv[2] == "hold":
            print("holding", flush=True)
            sys.stdin.read()
        print("opened", store.connection.execute("SELECT count(*) FROM touchpoints").fetchone()[0])
except StoreHeldError as error:
    print("held", error)
except duckdb.Error as error:
    print("duckdb", error)
"""


def other_process(store, how):
    """What another process says that opens the store to ``write`` or to ``read``."""
    command = [sys.executable, "-c", OTHER, str(store), how]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A folder with a store that was loaded and closed."""
    folder = tmp_path_factory.mktemp("loaded")
    simulate(300, 31, "json", folder / "in", files=1)
    load(config_of(folder / "store.duckdb", file_source(folder / "in" / "*.ndjson")))
    return folder


@pytest.fixture
def store(loaded, tmp_path):
    """A closed store with some touchpoints, for one test."""
    shutil.copytree(loaded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "store.duckdb"


def test_no_second_writer_whatever_the_first_opened_and_closed(store, tmp_path):
    """Closing the file in Python drops DuckDB's own lock; ours still keeps others out and names its owner."""
    with Store(store) as held:
        held.connection.execute("CREATE TABLE proof AS SELECT 1")
        owner = read_owner(store)
        assert (os.getpid(), socket.gethostname()) == (owner["pid"], owner["host"])
        name = f"held by process {owner['pid']} on {owner['host']} since {owner['started_at']}"
        for touch in (
            lambda: store.open("rb").close(),
            lambda: sha256(store.read_bytes()).hexdigest(),
            lambda: shutil.copy(store, tmp_path / "copy.duckdb"),
            lambda: lock_path(store).read_text(),
        ):
            touch()
            for how in ("write", "read"):
                said = other_process(store, how)
                assert said.startswith("held ")
                assert name in said
        assert 1 == held.connection.execute("SELECT count(*) FROM proof").fetchone()[0]
    assert "opened" in other_process(store, "write")


def test_lock_left_by_a_killed_process(store):
    """A lock file whose process was killed stops nobody, though it still names that process."""
    held = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(store), "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert b"holding\n" == held.stdout.readline()
    with pytest.raises(StoreHeldError, match=f"process {held.pid} on "):
        Store(store)
    held.send_signal(signal.SIGKILL)
    held.communicate()
    assert held.pid == json.loads(lock_path(store).read_text())["pid"]
    assert read_owner(store) is None
    with Store(store) as taken:
        assert os.getpid() == read_owner(store)["pid"]
        assert taken.meta("format_version") is not None


def test_lock_left_with_our_own_pid(store):
    """In a new container the same pid comes again: a lock file that names it is no lock."""
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": "2026-01-01T00:00:00+00:00"}
    lock_path(store).write_text(json.dumps(owner))
    with Store(store):
        assert owner["started_at"] != read_owner(store)["started_at"]


@pytest.mark.parametrize("left", ["", "{", "not json at all", '{"pid": 1}'])
def test_lock_file_that_says_nothing(left, store):
    """A lock file that was written half, or by something else, stops nobody."""
    lock_path(store).write_text(left)
    with Store(store):
        assert os.getpid() == read_owner(store)["pid"]


def test_readers_share_and_keep_writers_out(store):
    """Several processes read side by side; a writer beside them is told that the store is read."""
    with Store(store, read_only=True):
        assert "opened" in other_process(store, "read")
        said = other_process(store, "write")
    assert said.startswith("held ")
    assert "another process that reads it" in said


def test_status_and_query_say_who_holds_the_store(store, tmp_path):
    """While the store is held, ``status`` shows its last commit and holder, ``query`` exits with 4."""
    config = config_of(store, file_source(tmp_path / "in" / "*.ndjson"))
    before = store_status(config)
    assert before["holder"] is None
    with Store(store):
        held = store_status(config)
        command = [sys.executable, "-m", "parcours.pipelines.cli"]
        status, query = (
            subprocess.run(
                [*command, *arguments, "--database", str(store)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            for arguments in (["status"], ["query", "FROM runs"])
        )
    name = f"held by process {os.getpid()} on {socket.gethostname()}"
    assert os.getpid() == held["holder"]["pid"]
    assert before["offsets"] == held["offsets"]
    assert before["relations"] == held["relations"]
    assert (0, 4) == (status.returncode, query.returncode)
    assert name in status.stdout
    assert name in query.stderr
    assert "Traceback" not in query.stderr
