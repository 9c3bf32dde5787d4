"""``parcours source reset``: what is forgotten, and what is not."""

import io
import json

import pytest

from stores import assert_same_stores, config_of, file_source, load, one, rows, write_toml

ROW = '{"at": "2025-06-15T12:00:00Z", "who": "%s", "type": "seen"}\n'
MAP = {
    "event_id": "@hash",
    "occurred_at": "at",
    "customer_id": "who",
    "event_type": "type",
    "channel": "=site",
}
STATE = "SELECT source, topic, next_offset FROM internal.offsets ORDER BY ALL"


@pytest.fixture
def loaded(tmp_path):
    """A config of two sources whose files were read; equal rows of a file are events of their own."""
    for name, people in (("a", ["ada", "ada", "bob"]), ("b", ["cy"])):
        (tmp_path / f"{name}.ndjson").write_text("".join(ROW % who for who in people))
    sources = [file_source(tmp_path / f"{name}.ndjson", name=name, map=MAP) for name in "ab"]
    config = config_of(tmp_path / "store.duckdb", *sources)
    write_toml(config, tmp_path)
    load(config)
    return config


def test_a_reset_forgets_what_was_read_and_keeps_what_was_loaded(parcours, loaded, tmp_path):
    """The other source goes on; the file is read anew, and its equal rows get their old numbers."""
    reset = parcours("source", "reset", "a", "--yes", "--json")
    told = json.loads(reset.out)
    assert (0, "a", 0) == (reset.code, told["source"], told["exit_code"])
    assert [{"topic": "a.ndjson", "partition": 0, "next_offset": 3}] == told["forgotten"]
    assert [("b", "b.ndjson", 1)] == rows(loaded.store.path, STATE)
    assert [("b",)] == rows(loaded.store.path, "SELECT DISTINCT source FROM internal.row_hashes")
    ledger = rows(loaded.store.path, "SELECT run_id, status FROM runs WHERE command = 'reset'")
    assert [(told["run_id"], "done")] == ledger
    fresh = config_of(tmp_path / "fresh.duckdb", *(source.model_dump() for source in loaded.source))
    load(fresh)
    again = load(loaded)
    assert (3, 3, 0) == (again.read, again.duplicate, again.loaded)
    assert_same_stores(tmp_path / "fresh.duckdb", loaded.store.path)


def test_a_reset_asks_first(parcours, loaded, monkeypatch):
    """What would be forgotten is shown; without a yes nothing is, nor is anything written in the ledger."""
    before = rows(loaded.store.path, STATE)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = parcours("source", "reset", "a")
    assert 130 == asked.code
    assert "a.ndjson" in asked.out
    assert "reads the files from their beginning" in asked.out
    assert before == rows(loaded.store.path, STATE)
    assert 1 == one(loaded.store.path, "SELECT count(*) FROM runs")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert 0 == parcours("source", "reset", "a", "--topic", "a.ndjson").code
    assert before[1:] == rows(loaded.store.path, STATE)


def test_a_reset_that_cannot_be(parcours, loaded, tmp_path):
    """The message names what was read; nothing is forgotten, and no store is made."""
    before = rows(loaded.store.path, STATE)
    for arguments, code, said in (
        (["c", "--yes"], 2, 'nothing of source "c" was read: there is nothing to forget; read was a, b'),
        (["a", "--topic", "zz", "--yes"], 2, 'topic "zz", was read: there is nothing to forget; read was a.'),
        (["a", "--json"], 2, "add --yes"),
        (["a", "--yes", "--database", "none.duckdb"], 1, "there is nothing to forget"),
    ):
        ran = parcours("source", "reset", *arguments)
        assert (code, True) == (ran.code, said in " ".join(ran.err.split())), ran.err
    assert before == rows(loaded.store.path, STATE)
    assert not (tmp_path / "none.duckdb").exists()
