"""Every figure of the catalogue, held against its twin on simulated data, at two instants."""

import csv
from collections import defaultdict
from decimal import Decimal
from math import isclose
from pathlib import Path

import figure_worlds
import pytest

from compare import assert_same_rows, rows_of
from loading import Loader, config_of
from parcours.kpis import segments, views
from parcours.kpis.catalogue import figures
from parcours.schemas.config import Config, Kpi
from reference.figures import FIGURES
from reference.figures.tally import rows_of as twin_rows

CATALOGUE = Path(__file__).parents[2] / "docs" / "catalogue.csv"
KEY = ("kpi", "grain", "period_start", "dimensions", "dimension_values")
MARGIN = 0.2


def test_catalogue_twins_and_product_name_the_same_figures():
    """What the list calls built is in the product and has a twin; what it does not is not in the product."""
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        status = {row["name"]: row["status"] for row in csv.DictReader(file)}
    assert {"built", "not begun"} >= set(status.values())
    assert {name for name, word in status.items() if word == "built"} == set(figures())
    assert set(figures()) <= set(FIGURES) <= set(status)


def test_records_say_what_the_twins_say():
    """Kind, dimensions, grains and what is standing or counts persons are those of the twin."""
    for name, figure in figures().items():
        twin = FIGURES[name]
        for field in ("kind", "dimensions", "numerator_dimensions", "always", "grains", "persons", "parts"):
            assert getattr(twin, field) == getattr(figure, field), f"{name}: {field}"


@pytest.fixture(scope="module")
def loader():
    """One store for all seeds, with every figure's relations."""
    made = Loader()
    plain = config_of(figure_worlds.OPTIONS)
    kpi = Kpi.model_validate({"margin": MARGIN} if "margin" in Kpi.model_fields else {})
    config = Config.model_validate({**plain.model_dump(), "kpi": kpi})
    for statement in (*segments.create_statements(config), *views.create_statements(config)):
        made.connection.execute(statement)
    return made


@pytest.mark.parametrize("seed", range(10))
def test_every_figure_equals_its_twin(loader, tmp_path, seed):
    """Each row of month, year and one more grain, at the newest instant and at one in the middle."""
    loader.empty()
    loader.load([figure_worlds.simulated(seed, tmp_path / "in")], figure_worlds.OPTIONS)
    instants = [
        row["at"]
        for row in rows_of(loader.connection, "SELECT occurred_at AS at FROM touchpoints ORDER BY 1")
    ]
    grains = ("month", "year", ("day", "week", "quarter", "week", "quarter")[seed % 5])
    differences = []
    for as_of in (instants[-1], instants[len(instants) // 2]):
        world = figure_worlds.world_at(loader.connection, as_of, MARGIN)
        for name, figure in figures().items():
            actual = [
                {key: float(value) if isinstance(value, Decimal) else value for key, value in row.items()}
                for row in rows_of(
                    loader.connection, f"FROM kpi_{name}_at(TIMESTAMP '{as_of}') WHERE grain IN {grains}"
                )
            ]
            try:
                assert_same_rows(name, KEY, twin_rows(name, FIGURES[name], world, grains), actual)
                assert_adds_up(name, figure.always, actual)
            except AssertionError as difference:
                differences.append(f"at {as_of}: {difference}")
    assert not differences, "\n\n".join(differences)


def assert_adds_up(name, always, rows):
    """Raise where the groups of a dimension do not add up to the total of an additive figure."""
    sums = defaultdict(float)
    for row in rows:
        if row["additive"]:
            cut = row["dimensions"][: len(row["dimensions"]) - len(always)]
            rest = row["dimension_values"][len(cut) :]
            sums[row["grain"], row["period_start"], tuple(rest) if always else (), tuple(cut)] += row[
                "numerator"
            ]
    for (grain, start, values, cut), sum_ in sums.items():
        total = sums[grain, start, values, () if always else ("total",)]
        assert isclose(total, sum_, rel_tol=1e-9, abs_tol=1e-9), (
            f"{name}: {cut} of {grain} {start} {values} add up to {sum_}, the total is {total}"
        )
