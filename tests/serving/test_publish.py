"""The published copy: whole, readable by others while the store is held, and replaced at once."""

import resource
import subprocess
import sys
from datetime import datetime, timedelta

import duckdb
import pytest

from parcours.pipelines.simulate import simulate
from parcours.pipelines.store import Store
from parcours.serving.publish import PublishError, publish
from stores import config_of, file_source, load, one, rows

NOW = datetime(2026, 3, 1, 12)

OBJECTS = """
    SELECT 'table' AS kind, table_name AS name, comment FROM duckdb_tables() WHERE schema_name = 'main'
    UNION ALL SELECT 'view', view_name, comment FROM duckdb_views() WHERE NOT internal
    UNION ALL SELECT 'column', table_name || '.' || column_name, comment FROM duckdb_columns()
        WHERE NOT internal AND schema_name = 'main'
    UNION ALL SELECT DISTINCT 'macro', function_name, comment FROM duckdb_functions() WHERE NOT internal
    ORDER BY ALL
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An open store with figures, as a run leaves it."""
    folder = tmp_path_factory.mktemp("publish")
    simulate(400, 31, "json", folder / "in", files=1)
    load(
        config_of(
            folder / "store.duckdb",
            file_source(folder / "in" / "*.ndjson"),
            kpi={"figures": ["contract_churn"]},
        )
    )
    with Store(folder / "store.duckdb") as opened:
        yield opened


def test_a_copy_has_all_that_is_for_readers(store, tmp_path):
    """Tables with their rows, views, macros and every comment; of what is internal, what views read."""
    link = tmp_path / "shop.published.duckdb"
    copy = publish(store.connection, link, run_id="check", now=NOW, keep=2)
    assert store.connection.execute(OBJECTS).fetchall() == rows(link, OBJECTS)
    for (name,) in rows(link, "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"):
        if name != "publications":
            query = f"SELECT count(*), sum(hash({name})) FROM {name}"
            assert store.connection.execute(query).fetchall() == rows(link, query)
    internal = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'internal'"
    assert [("people",)] == rows(link, internal)
    told = [(NOW, "check", str(link.readlink()), copy.touchpoints, copy.newest_at)]
    assert told == rows(link, "FROM publications")
    assert (one(link, "SELECT count(*) FROM touchpoints"), copy.file) == (copy.touchpoints, link.resolve())


def test_relations_answer_inside_the_copy(store, tmp_path):
    """Every view and figure, and macros at an instant, give in the copy what they give in the store."""
    link = tmp_path / "shop.published.duckdb"
    publish(store.connection, link, run_id="check", now=NOW, keep=2)
    for query in (
        "SELECT count(*), sum(touchpoints) FROM journeys_now",
        "SELECT count(*), sum(touchpoints) FROM profiles_at(TIMESTAMP '2025-06-01')",
        "SELECT count(*), sum(numerator) FROM kpi_stage_conversion WHERE grain = 'year'",
        "SELECT count(*), sum(denominator) FROM kpi_contract_churn_at(TIMESTAMP '2025-06-01')",
        "SELECT count(*) FROM kpi_catalogue WHERE available",
    ):
        assert store.connection.execute(query).fetchall() == rows(link, query), query


def test_others_read_the_copy_while_the_store_is_held(store, tmp_path):
    """Another process opens the copy, beside a reader here; to write, nobody opens it."""
    link = tmp_path / "shop.published.duckdb"
    copy = publish(store.connection, link, run_id="check", now=NOW, keep=2)
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print(c.sql(sys.argv[2]))"
    with duckdb.connect(str(link), read_only=True):
        command = [sys.executable, "-c", script, str(link), "SELECT command FROM runs"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "│ run " in done.stdout
    assert 0 == copy.file.stat().st_mode & 0o222


def test_an_old_driver_reads_the_copy(store, jdbc, tmp_path):
    """A JDBC driver of DuckDB 1.3, which BI tools bring, reads rows, figures, macros and comments of it."""
    link = tmp_path / "shop.published.duckdb"
    copy = publish(store.connection, link, run_id="check", now=NOW, keep=2)
    queries = (
        "SELECT count(*) FROM touchpoints",
        "SELECT sum(denominator)::BIGINT FROM kpi_stage_conversion WHERE grain = 'year'",
        "SELECT count(*) FROM journeys_at(TIMESTAMP '2025-06-01')",
        "SELECT comment FROM duckdb_tables() WHERE table_name = 'journeys'",
    )
    expected = [str(store.connection.execute(query).fetchone()[0]) for query in queries]
    assert expected == jdbc(link, *queries)
    assert str(copy.touchpoints) == expected[0]


def test_the_newest_copies_stay(store, tmp_path):
    """The link moves to each new copy; so many stay as are asked for, and a reader keeps the one it has."""
    link = tmp_path / "shop.published.duckdb"
    first = publish(store.connection, link, run_id="1", now=NOW, keep=2)
    with duckdb.connect(str(link), read_only=True) as reader:
        copies = [
            publish(store.connection, link, run_id="n", now=NOW + timedelta(minutes=n), keep=2)
            for n in range(1, 4)
        ]
        assert first.touchpoints == reader.execute("SELECT count(*) FROM touchpoints").fetchone()[0]
    assert link.resolve() == copies[-1].file
    assert sorted([link, copies[-2].file, copies[-1].file]) == sorted(tmp_path.iterdir())


def test_only_its_own_copies_are_removed(store, tmp_path):
    """Whatever has a longer name stays, another link's copies among it; and so does the new one, set back."""
    link, other = tmp_path / "shop.duckdb", tmp_path / "shop-eu.duckdb"
    (tmp_path / "shop-backup.duckdb").write_text("mine")
    publish(store.connection, other, run_id="1", now=NOW, keep=1)
    for hours in (0, 1, -1):
        publish(store.connection, link, run_id="2", now=NOW + timedelta(hours=hours), keep=1)
        assert link.exists()
    assert other.exists()
    assert "mine" == (tmp_path / "shop-backup.duckdb").read_text()
    assert 5 == len(list(tmp_path.iterdir()))


def test_a_file_in_the_place_of_the_link_is_left_alone(store, tmp_path):
    """What is no link was not made here: it is refused, and says what to do."""
    link = tmp_path / "mine.duckdb"
    link.write_text("mine")
    with pytest.raises(PublishError, match="move it away, or name another"):
        publish(store.connection, link, run_id="check", now=NOW, keep=2)
    assert "mine" == link.read_text()


def test_a_copy_that_fails_leaves_the_old_one(store, tmp_path):
    """Where the copy cannot be written the link stays; what is left of it is swept by the next one."""
    link = tmp_path / "shop.published.duckdb"
    first = publish(store.connection, link, run_id="1", now=NOW, keep=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (first.size // 2, hard))
    try:
        with pytest.raises(duckdb.Error):
            publish(store.connection, link, run_id="2", now=NOW + timedelta(hours=1), keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert link.resolve() == first.file
    assert first.touchpoints == one(link, "SELECT count(*) FROM touchpoints")
    assert len(list(tmp_path.iterdir())) > 2
    third = publish(store.connection, link, run_id="3", now=NOW + timedelta(hours=2), keep=1)
    assert sorted([link, third.file]) == sorted(tmp_path.iterdir())
