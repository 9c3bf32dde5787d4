"""Files that are no store of this version, and disks that are too full, are refused with what to do."""

import re
import shutil

import duckdb
import pytest

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.simulate import simulate
from parcours.pipelines.store import FORMAT_VERSION, DiskSpaceError, Store, StoreVersionError
from stores import assert_balanced, config_of, file_source, load, one, write_toml


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        (FORMAT_VERSION + 1, "upgrade parcours"),
        (FORMAT_VERSION - 1, "load the sources into a new store, or open it with the parcours that made it"),
    ],
    ids=["newer", "older"],
)
@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
def test_store_of_another_format(version, advice, read_only, tmp_path):
    """An older or newer store is refused, to write and to read: both numbers are named, and what to do."""
    path = tmp_path / "store.duckdb"
    with Store(path) as store:
        store.set_meta("format_version", str(version))
    with pytest.raises(StoreVersionError, match=rf"format {version}, .* format {FORMAT_VERSION}: {advice}"):
        Store(path, read_only=read_only)
    with Store(path.with_name("other.duckdb")):  # the refused one holds nothing
        assert str(version) == one(path, "SELECT value FROM internal.meta WHERE key = 'format_version'")


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
def test_duckdb_file_that_is_no_store(read_only, tmp_path):
    """Somebody else's DuckDB file is refused and left as it is."""
    path = tmp_path / "sales.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE sales AS SELECT 1 AS amount")
    with pytest.raises(StoreVersionError, match=r"no parcours store: name another file in \[store\] path"):
        Store(path, read_only=read_only)
    assert 1 == one(path, "SELECT count(*) FROM duckdb_tables()")


@pytest.mark.parametrize("name", ["touchpoints.csv", "file.json", "words.parquet", "notes.duckdb", "notes"])
@pytest.mark.parametrize("content", [b"event_id;occurred_at\n" * 500, b"x", b"", bytes(20_000)])
def test_file_of_another_kind(name, content, tmp_path):
    """A text file, rubbish or an empty file is refused by its name, and left as it is."""
    path = tmp_path / name
    path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(StoreVersionError, match=f'"{re.escape(str(path))}" is not a store'):
            Store(path, read_only=read_only)
    assert content == path.read_bytes()


def test_commands_refuse_a_file_of_another_kind(tmp_path, capsys):
    """No command takes a CSV for a store, in which what it loads would be lost; none shows a traceback."""
    path = tmp_path / "touchpoints.csv"
    path.write_bytes(b"event_id;occurred_at\n")
    simulate(10, 82, "json", tmp_path / "in", files=1)
    run = ["run", "--source", str(tmp_path / "in" / "*.ndjson"), "--format", "json"]
    for command in (["query", "FROM journeys"], ["status"], run):
        assert 1 == run_guarded(root, [*command, "--database", str(path)])
        said = capsys.readouterr().err
        assert f'error: "{path}" is not a store' in said
        assert "Traceback" not in said
    assert b"event_id;occurred_at\n" == path.read_bytes()


def test_store_that_was_not_finished(tmp_path):
    """What a run leaves that dies while it makes its store is swept by the next one."""
    path = tmp_path / "store.duckdb"
    (tmp_path / "store.duckdb.new").write_bytes(b"half a header")
    (tmp_path / "store.duckdb.new.wal").write_bytes(b"half a log")
    with Store(path) as store:
        assert str(FORMAT_VERSION) == store.meta("format_version")
    assert {"store.duckdb", "store.duckdb.lock"} == {found.name for found in tmp_path.iterdir()}


def test_log_without_its_store(tmp_path):
    """The log of a store that was removed is not replayed into a new one: it is half of the old store."""
    path, log = tmp_path / "store.duckdb", tmp_path / "store.duckdb.wal"
    with Store(path) as store:
        store.connection.execute("CHECKPOINT")
        store.set_meta("rules", "{}")
        shutil.copy(log, tmp_path / "kept")
    path.unlink()
    shutil.move(tmp_path / "kept", log)
    with pytest.raises(StoreVersionError, match=r'put "store\.duckdb" back beside it, or remove it too'):
        Store(path)
    log.unlink()
    with Store(path) as store:
        assert store.meta("rules") is None


def test_disk_too_small_for_the_slice(tmp_path, capsys):
    """A slice that would fill the disk is not begun: what it needs and what is free is said."""
    folder = tmp_path / "in"
    simulate(500, 81, "json", folder, files=1)
    store = tmp_path / "store.duckdb"
    load(config_of(store, file_source(folder / "*.ndjson")))
    # a line of two bytes takes two kilobytes while its slice is committed; the rest of the file is a hole
    big = folder / "zzz.ndjson"
    with big.open("wb") as file:
        file.write(b"1\n" * 50_000)
        file.truncate(shutil.disk_usage(tmp_path).free // 400)
    config = config_of(store, file_source(folder / "*.ndjson"), slice_records=10**12, slice_bytes=10**15)
    before = one(store, "SELECT count(*) FROM run_balances")
    with pytest.raises(DiskSpaceError, match=r"MB free and the next slice needs about [\d,]+ MB: free some"):
        load(config)
    assert before == one(store, "SELECT count(*) FROM run_balances")
    assert 1 == run_guarded(root, ["run", "--config", str(write_toml(config, tmp_path))])
    assert "lower [store] slice_records" in capsys.readouterr().err
    big.unlink()
    load(config)
    assert_balanced(store)
