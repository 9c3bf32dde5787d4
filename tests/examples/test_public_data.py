"""The examples on public data: what comes out of journey_steps is what other people's software computed."""

import csv
import gzip
import json
import threading
from pathlib import Path

import duckdb
import pytest

from parcours.kpis.funnel import funnel
from parcours.pipelines import runs
from parcours.pipelines.config import load_config
from parcours.pipelines.observe import SilentObserver

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name, test_data, folder):
    """Load one example with its own config; return what the run did, and the store, open to read."""
    overrides = {"store": {"path": str(folder / "store.duckdb")}, "gate": {"at_end": False}}
    config = load_config(
        [EXAMPLES / name / "parcours.toml"], overrides, {"PARCOURS_TEST_DATA": str(test_data)}
    )
    result = runs.run(config, observer=SilentObserver(), stop=threading.Event())
    return result, duckdb.connect(config.store.path, read_only=True)


@pytest.fixture(scope="module")
def ecom(test_data, tmp_path_factory):
    """The web shop, loaded."""
    result, store = load("ecom", test_data, tmp_path_factory.mktemp("ecom"))
    with store:
        yield result, store


@pytest.fixture(scope="module")
def traffic_fines(test_data, tmp_path_factory):
    """The fines, loaded."""
    result, store = load("traffic_fines", test_data, tmp_path_factory.mktemp("traffic_fines"))
    with store:
        yield result, store


def example_sql(path):
    """The text of a query file."""
    return (EXAMPLES / path).read_text("utf-8")


def test_every_row_of_the_shop_is_an_event(ecom):
    """30 rows are exact repeats, without ids to tell them apart: none is taken for a duplicate."""
    result, store = ecom
    assert (31_106, 31_106) == (result.read, result.loaded)
    assert [(600,)] == store.sql("SELECT count(*) FROM profiles").fetchall()
    repeats = "SELECT count(*) FROM touchpoints WHERE event_id[65:] <> ''"
    assert [(30,)] == store.sql(repeats).fetchall()


def test_event_counts_of_the_shop(ecom, test_data):
    """Each event type comes as often as the reference says."""
    expected = json.loads((test_data / "ecom" / "expected_funnel.json").read_text())["event_counts"]
    counted = "SELECT event_type, count(*) FROM journey_steps GROUP BY ALL"
    assert expected == dict(ecom[1].sql(counted).fetchall())


@pytest.mark.parametrize(
    ("count", "name", "reached"),
    [
        ("profiles", "funnel_by_user", [598, 517, 429, 329, 222, 114]),
        ("visits", "funnel_by_session", [2868, 944, 477, 194, 72, 15]),
    ],
)
def test_the_funnel_by_profile_and_by_visit(ecom, test_data, count, name, reached):
    """The funnel gives the reference's counts by user, and by session as 30-minute visits."""
    reference = json.loads((test_data / "ecom" / "expected_funnel.json").read_text())[name]["steps"]
    found = funnel(ecom[1], steps=[step["step"] for step in reference], count=count).steps
    assert reached == [step["unique_paths"] for step in reference] == found["reached"].to_pylist()


def test_directly_follows_counts_of_the_fines(traffic_fines, test_data):
    """Each pair of neighbours comes as often as pm4py says, after the same times, and no other does."""
    path = test_data / "traffic_fines" / "traffic_fines_expected_dfg_pm4py.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = traffic_fines[1].sql(example_sql("traffic_fines/directly_follows.sql")).fetchall()
    assert {(row["src"], row["dst"]): int(row["count"]) for row in rows} == {row[:2]: row[2] for row in found}
    seconds = {(row["src"], row["dst"]): (float(row["mean_s"]), float(row["median_s"])) for row in rows}
    assert {row[:2]: pytest.approx(row[3:], abs=1e-3) for row in found} == seconds


def test_neighbours_are_the_columns_beside_a_step(traffic_fines, test_data):
    """The same counts come straight from event_type and next_event_type."""
    path = test_data / "traffic_fines" / "traffic_fines_expected_dfg_pm4py.csv"
    with path.open(newline="") as file:
        expected = {(row["src"], row["dst"]): int(row["count"]) for row in csv.DictReader(file)}
    found = (
        traffic_fines[1]
        .sql(
            "SELECT event_type, next_event_type, count(*) FROM journey_steps"
            " WHERE next_event_type IS NOT NULL GROUP BY ALL"
        )
        .fetchall()
    )
    assert expected == {row[:2]: row[2] for row in found}


def test_variants_of_the_fines(traffic_fines, test_data):
    """Each way from first to last event was taken by as many cases as pm4py says, and there is no other."""
    result, store = traffic_fines
    assert (34_724, 34_724) == (result.read, result.loaded)
    path = test_data / "traffic_fines" / "traffic_fines_expected_variants_pm4py.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        expected = {row["variant"]: int(row["cases"]) for row in csv.DictReader(file)}
    assert 10_000 == sum(expected.values())
    assert expected == dict(store.sql(example_sql("traffic_fines/variants.sql")).fetchall())
