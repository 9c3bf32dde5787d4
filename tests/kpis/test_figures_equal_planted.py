"""Figures of a loaded store, against what the simulator planted: no code of the product computed that."""

from decimal import Decimal

import duckdb
import pytest

from parcours.kpis.catalogue import figures
from parcours.pipelines.simulate import simulate
from stores import config_of, file_source, load

FACTS = {
    *("spend", "claims_opened", "complaints_opened", "contracts_terminated"),
    *("nps_promoters", "nps_detractors"),
}
"""What is planted and is no figure of the catalogue, but a part of one."""

STANDING = {"members"}
"""Planted as they stand at the end: the others add up over the years."""


@pytest.fixture(scope="module", params=[1, 2])
def planted(request, tmp_path_factory):
    """What was planted with a seed, among broken and repeated records; and a store that loaded it all."""
    folder = tmp_path_factory.mktemp("planted")
    manifest = simulate(12_000, request.param, "json", folder / "in")
    sources = [
        file_source(folder / "in" / f"{name}.csv", "csv", name, loads=name) for name in manifest.references
    ]
    store = folder / "store.duckdb"
    asked = {"figures": sorted(set(manifest.planted) & set(figures()))}
    load(config_of(store, file_source(folder / "in" / "touchpoints-*.ndjson"), *sources, kpi=asked))
    with duckdb.connect(str(store), read_only=True) as connection:
        yield manifest.planted, connection


def test_figures_come_to_what_was_planted(planted):
    """Numerators and denominators, of all currencies or of each, over the two years."""
    truths, connection = planted
    built = {name for name in truths if name in figures()}
    assert len(built) >= 15
    differences = {}
    for name in sorted(built):
        rows = connection.execute(
            f"SELECT period_start, dimension_values[-1], numerator, denominator FROM kpi_{name}"
            " WHERE grain = 'year' AND dimensions IN (['total'], ['currency']) ORDER BY 1"
        ).fetchall()
        if name in STANDING:
            rows = rows[-1:]
        found = {}
        for _, by, numerator, denominator in rows:
            sums = found.setdefault(by if by in truths[name] else "total", [Decimal(0), 0])
            sums[0] += Decimal(str(numerator))
            sums[1] = None if denominator is None else sums[1] + int(denominator)
        expected = {
            by: [Decimal(str(truth["numerator"])), truth["denominator"]] for by, truth in truths[name].items()
        }
        if expected != found:
            differences[name] = (expected, found)
    assert {} == differences


def test_what_is_planted_is_a_figure_or_a_part_of_one(planted):
    """A figure that is renamed is renamed here too."""
    assert set(planted[0]) - set(figures()) - {"members", "questions"} == FACTS
