"""``event_id = @hash`` for files: the n-th equal row of a file is an event, however the file is cut."""

import threading
from pathlib import Path

import duckdb
import pytest

from parcours.pipelines import runs
from parcours.pipelines.observe import SilentObserver
from parcours.schemas.config import Config

HEADER = "at,who,what\n"
HELLO = "2026-03-01T10:00:00Z,ann,hello\n"
BYE = "2026-03-01T10:05:00Z,ann,bye\n"


class Folder:
    """A folder of CSV files without ids, and a store that is loaded from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store.duckdb"

    def write(self, name: str, *rows: str) -> None:
        """Write one file."""
        (self.folder / name).write_text(HEADER + "".join(rows))

    def config(self, slice_records: int) -> Config:
        """The config: every id is made of its row."""
        source = {
            "name": "s",
            "kind": "file",
            "format": "csv",
            "path": str(self.folder / "*.csv"),
            "map": {"event_id": "@hash", "occurred_at": "at", "customer_id": "who", "event_type": "what",
                    "channel": "=web"},
        }  # fmt: skip
        return Config.model_validate(
            {
                "store": {"path": str(self.store), "slice_records": slice_records},
                "source": [source],
                "gate": {"at_end": False},
            }
        )

    def run(self, slice_records: int = 1_000) -> tuple[int, int]:
        """Load what is new; return how many rows were loaded, and how many were duplicates."""
        config = self.config(slice_records)
        result = runs.run(config, observer=SilentObserver(), stop=threading.Event())
        assert result.read == result.loaded + result.duplicate
        return result.loaded, result.duplicate

    def rewind(self, to: str) -> None:
        """Let the next run read again."""
        runs.rewind(self.config(1_000), "s", to)

    def suffixes(self) -> dict[str, list[str]]:
        """What stands behind the hash in the ids, by event type."""
        with duckdb.connect(str(self.store), read_only=True) as connection:
            rows = connection.sql(
                "SELECT event_type, list(event_id[65:] ORDER BY event_id) FROM touchpoints GROUP BY ALL"
            ).fetchall()
        return dict(rows)


@pytest.fixture
def folder(tmp_path):
    """An empty folder."""
    return Folder(tmp_path)


def test_equal_rows_within_a_file_are_numbered(folder):
    """The first has the hash alone, the n-th has -n behind it; a row that differs has a hash of its own."""
    folder.write("a.csv", HELLO, HELLO, BYE, HELLO)
    assert folder.run() == (4, 0)
    assert folder.suffixes() == {"hello": ["", "-2", "-3"], "bye": [""]}


@pytest.mark.parametrize("slice_records", [1, 4])
def test_cuts_do_not_matter(folder, slice_records):
    """Equal rows of one file that fall into different slices are counted on."""
    folder.write("a.csv", HELLO, BYE, HELLO, HELLO, BYE, HELLO)
    assert folder.run(slice_records) == (6, 0)
    assert folder.suffixes() == {"hello": ["", "-2", "-3", "-4"], "bye": ["", "-2"]}


def test_a_file_that_grew_counts_on(folder):
    """What was appended between two runs goes on where the count stood."""
    folder.write("a.csv", HELLO, HELLO)
    assert folder.run() == (2, 0)
    folder.write("a.csv", HELLO, HELLO, HELLO, BYE)
    assert folder.run() == (2, 0)
    assert folder.suffixes() == {"hello": ["", "-2", "-3"], "bye": [""]}


def test_another_file_counts_from_one(folder):
    """The same row in two files is one event; only what the second repeats more often is new."""
    folder.write("a.csv", HELLO, HELLO)
    assert folder.run() == (2, 0)
    folder.write("b.csv", HELLO, HELLO, HELLO, BYE)
    assert folder.run() == (2, 2)
    assert folder.suffixes() == {"hello": ["", "-2", "-3"], "bye": [""]}


def test_two_files_in_one_slice_count_apart(folder):
    """Files that are read together are numbered as if one came after the other."""
    folder.write("a.csv", HELLO, HELLO)
    folder.write("b.csv", HELLO, HELLO, HELLO, BYE)
    assert folder.run() == (4, 2)
    assert folder.suffixes() == {"hello": ["", "-2", "-3"], "bye": [""]}


@pytest.mark.parametrize("to", ["earliest", "2"])
def test_a_rewind_loads_nothing_anew(folder, to):
    """A file read again gives the ids that it gave before, in other slices and from any record."""
    folder.write("a.csv", HELLO, BYE, HELLO, HELLO)
    assert folder.run() == (4, 0)
    folder.rewind(to)
    assert folder.run(3) == (0, 4)
    folder.write("a.csv", HELLO, BYE, HELLO, HELLO, HELLO)
    assert folder.run() == (1, 0)
    assert folder.suffixes() == {"hello": ["", "-2", "-3", "-4"], "bye": [""]}
