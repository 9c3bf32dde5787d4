"""``parcours profile`` on a real store: table, JSON, what it keeps, and what it refuses."""

import json
import shutil
from datetime import datetime

import pytest

from parcours.pipelines.checks import GateState
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.publication import publish_copy
from parcours.pipelines.store import Store
from parcours.schemas.config import Config

ROWS = """
INSERT INTO ref_indicators (name, month, value, attributes, source_name, source_topic, source_partition,
    source_offset, run_id)
SELECT 'awareness', DATE '2026-01-01' + INTERVAL (i) MONTH, i / 10, [], 'file', 'indicators.csv', 0, i, 'run'
FROM range({}, {}) AS t(i)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with three rows of a reference input."""
    path = tmp_path_factory.mktemp("made") / "parcours.duckdb"
    add(path, 1, 4)
    return path


@pytest.fixture
def store(made, tmp_path):
    """A copy of it, where the commands look for one."""
    return shutil.copy(made, tmp_path)


def add(path, first, end):
    """Add months to the indicators."""
    with Store(path) as store:
        store.connection.execute(ROWS.format(first, end))


def told(ran):
    """The one relation that a command's JSON tells of, and its columns by name."""
    assert ran.code == 0, ran.err
    (relation,) = json.loads(ran.out)["relations"]
    return relation, {column["column"]: column for column in relation["columns"]}


def test_json_and_what_changed(parcours, store):
    """Each profile is kept, and the next one says what changed; --no-save only looks."""
    relation, columns = told(parcours("profile", "--json"))
    assert (relation["relation"], relation["rows"], relation["before"]) == ("ref_indicators", 3, None)
    assert columns["value"] == {
        "column": "value",
        "type": "DOUBLE",
        "nulls": 0,
        "null_share": 0.0,
        "distinct": 3,
        "least": "0.1",
        "greatest": "0.3",
        "change": None,
        "top": [{"value": "0.1", "rows": 1}, {"value": "0.2", "rows": 1}, {"value": "0.3", "rows": 1}],
    }
    add(store, 4, 6)
    for _ in range(2):
        relation, columns = told(parcours("profile", "ref_indicators", "--no-save", "--json"))
        assert (relation["rows"], relation["before"]["rows"], relation["before"]["gone_columns"]) == (
            5,
            3,
            [],
        )
        assert columns["value"]["change"] == {
            "null_share": 0.0,
            "distinct": 2,
            "least_before": "0.1",
            "greatest_before": "0.3",
            "new_top": ["0.4", "0.5"],
            "gone_top": [],
        }
    parcours("profile")
    relation, columns = told(parcours("profile", "--json"))
    assert relation["before"]["rows"] == 5
    assert columns["value"]["change"]["distinct"] == 0


def test_the_table(parcours, store):
    """People see rows, shares, ranges with frequent values, and what is new since they last looked."""
    first = parcours("profile").out
    assert "ref_indicators: 3 rows\n" in first
    assert "since" not in first
    add(store, 4, 6)
    second = parcours("profile").out
    assert "ref_indicators: 5 rows, +2 since 20" in second
    (line,) = (line for line in second.splitlines() if line.startswith("value "))
    values, change = "0.1 to 0.5; 0.1 (1), 0.2 (1), 0.3 (1), …", "distinct +2; to 0.3 before; new: 0.4, 0.5"
    assert " ".join(line.split()) == f"value 0.0% 5 {values} {change}"


def test_what_cannot_be_profiled(parcours, store, tmp_path):
    """A relation that is not there is a wrong command line, and a store that is not there is not made."""
    ran = parcours("profile", "ref_indicator")
    assert ran.code == 2
    assert 'did you mean "ref_indicators"?' in ran.err
    ran = parcours("profile", "--database", tmp_path / "none.duckdb")
    assert (ran.code, (tmp_path / "none.duckdb").exists()) == (1, False)
    assert "there is no store" in ran.err


def test_a_relation_without_rows(parcours, store):
    """Named, it is told to be empty; unnamed, it is left out."""
    assert parcours("profile", "touchpoints").out.strip() == "touchpoints: 0 rows"
    assert "journeys" not in parcours("profile").out


def test_beside_a_run(parcours, store):
    """While another process holds the store, nothing can be kept; the published copy can be looked at."""
    with Store(store) as held:
        for arguments in (["profile"], ["profile", "--no-save"]):
            ran = parcours(*arguments)
            assert (ran.code, "is held" in ran.err) == (4, True)
        config = Config.model_validate({"store": {"path": str(store)}})
        gate = GateState("open", (), datetime(2026, 1, 1), datetime(2026, 1, 1), "run")
        publish_copy(held, config, gate, SilentObserver())
        ran = parcours("profile", "--no-save")
        assert "ref_indicators: 3 rows" in ran.out
        assert "this is the copy published" in ran.err
