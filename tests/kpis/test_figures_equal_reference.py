"""Every figure of the catalogue, held against its twin on simulated data, at two instants."""

import csv
import os
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from math import isclose
from pathlib import Path

import figure_worlds
import pytest

from compare import assert_same_rows, rows_of
from loading import Loader, config_of, hashed
from parcours.kpis import segments, views
from parcours.kpis.catalogue import figures
from parcours.schemas.config import Config
from reference import FIELDS
from reference.figures import FIGURES
from reference.figures.experiments import COMPARED
from reference.figures.service import nth_working_day_after, two_months_after
from reference.figures.tally import GRAINS
from reference.figures.tally import rows_of as twin_rows

CATALOGUE = Path(__file__).parents[2] / "docs" / "catalogue.csv"
KEY = ("kpi", "grain", "period_start", "dimensions", "dimension_values")
NOT_COLUMNS = ("is_control", "is_small")
MARGIN = 0.2
MINIMUM_SAMPLE = 20
THIRD_GRAINS = (("day",), ("week",), ("quarter",), *[()] * 7)
"""Beside month and year: each figure has each of them at one seed, of ten in the nightly profile."""

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def test_catalogue_twins_and_product_name_the_same_figures():
    """What the list calls built is in the product and has a twin; what it does not is not in the product."""
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        status = {row["name"]: row["status"] for row in csv.DictReader(file)}
    assert {"built", "not begun"} >= set(status.values())
    assert {name for name, word in status.items() if word == "built"} == set(figures())
    assert set(figures()) <= {*FIGURES, *COMPARED} <= set(status)


def test_records_say_what_the_twins_say():
    """Kind, dimensions, grains and what is standing or counts persons are those of the twin."""
    for name, twin in FIGURES.items():
        figure = figures()[name]
        for field in ("kind", "dimensions", "numerator_dimensions", "always", "grains", "parts"):
            assert getattr(twin, field) == getattr(figure, field), f"{name}: {field}"


@pytest.fixture(scope="module")
def loader():
    """One store for all seeds, with every figure's relations."""
    made = Loader()
    config = configured(config_of(figure_worlds.OPTIONS))
    for statement in (*segments.create_statements(config), *views.create_statements(config)):
        made.connection.execute(statement)
    return made


def configured(plain):
    """A config with what figures ask for beside inputs: a margin, segments and cells."""
    return Config.model_validate(
        {
            **plain.model_dump(),
            "kpi": {**plain.kpi.model_dump(), "margin": MARGIN},
            "segment": {
                "holders of several": {"over": "profiles", "where": "contracts_in_force >= 2"},
                "asking": {"over": "cases", "where": "is_open"},
            },
            "experiment": {
                name: {"minimum_sample": MINIMUM_SAMPLE} for name in ("quote_form", "welcome_series")
            },
            "value_cells": {"profitable": "premium_in_force > 500", "high_potential": "potential = 'high'"},
        }
    )


@pytest.mark.parametrize("seed", range(10 if LONG else 4))
def test_every_figure_equals_its_twin(loader, tmp_path, seed):
    """Each row is the twin's, and groups add up where they say so.

    Over four seeds each figure is asked at the newest instant and at one in the middle, in turn, by month, by
    year, and at one seed each by day, week and quarter. The long run asks all of it of ten.
    """
    loader.empty()
    loader.load([figure_worlds.simulated(seed, tmp_path / "in")], figure_worlds.OPTIONS)
    newest, middle = rows_of(
        loader.connection,
        "SELECT unnest([max(occurred_at), quantile_disc(occurred_at, 0.5)]) AS at FROM touchpoints",
    )
    worlds = [figure_worlds.world_at(loader.connection, row["at"], MARGIN) for row in (newest, middle)]
    differences = []
    for number, (name, figure) in enumerate(figures().items()):
        grains = GRAINS if LONG else ("month", "year", *THIRD_GRAINS[(seed + number) % 10])
        for world in worlds if LONG else [worlds[(seed + number // 10) % 2]]:
            query = f"FROM kpi_{name}_at(TIMESTAMP '{world.as_of}') WHERE grain IN {(*grains, 'all')}"
            actual = [
                {key: float(value) if isinstance(value, Decimal) else value for key, value in row.items()}
                for row in rows_of(loader.connection, query)
            ]
            try:
                assert_same_rows(name, KEY, expected_rows(name, figure, world, grains), actual)
                assert_adds_up(name, figure.always, actual)
            except AssertionError as difference:
                differences.append(f"at {world.as_of}: {difference}")
    assert not differences, "\n\n".join(differences)


def expected_rows(name, figure, world, grains):
    """The twin's rows of a figure."""
    if name in FIGURES:
        return twin_rows(name, FIGURES[name], world, grains)
    return [
        {
            "kpi": name,
            "dimensions": list(figure.always),
            "dimension_values": [row[each] for each in figure.always],
            **{key: value for key, value in row.items() if key not in (*figure.always, *NOT_COLUMNS)},
        }
        for row in COMPARED[name](world, minimum=MINIMUM_SAMPLE)
    ]


def assert_adds_up(name, always, rows):
    """Raise where the groups of a dimension do not add up to the total of an additive figure."""
    sums = defaultdict(float)
    for row in rows:
        if row["additive"]:
            width = len(row["dimensions"]) - len(always)
            cut, kept = row["dimensions"][:width], row["dimension_values"][width:]
            sums[tuple(cut), row["grain"], row["period_start"], tuple(kept) if always else ()] += row[
                "numerator"
            ]
    total = () if always else ("total",)
    for (cut, *place), sum_ in list(sums.items()):
        assert isclose(sums[total, *place], sum_, rel_tol=1e-9, abs_tol=1e-9), (
            f"{name}: {cut} of {place} add up to {sum_}, the total is {sums[total, *place]}"
        )


def test_deadlines_of_complaints_on_every_day_of_four_years(loader):
    """Of two complaints a day one has its answer in the last second in time, the other a second later."""
    for figure, last_day in (
        ("complaint_acknowledged_on_time", lambda day: nth_working_day_after(day, 10)),
        ("complaint_answered_on_time", two_months_after),
    ):
        events = []
        for number in range(4 * 365):
            day = date(2023, 1, 1) + timedelta(days=number)
            over = figure_worlds.paris(last_day(day) + timedelta(days=1))
            for late in (0, 1):
                case = f"{number}-{late}"
                reply = over - timedelta(seconds=1 - late)
                events += [
                    complaint(case, "complaint_opened", figure_worlds.paris(day) + timedelta(hours=12)),
                    complaint(case, "complaint_answered", reply),
                ]
        loader.empty()
        loader.load([hashed(events)], figure_worlds.OPTIONS)
        found = rows_of(
            loader.connection,
            f"FROM kpi_{figure}_at(TIMESTAMP '2028-01-01') WHERE grain = 'day' AND dimensions = ['total']",
        )
        wrong = [row["period_start"] for row in found if (row["numerator"], row["denominator"]) != (1, 2)]
        assert (4 * 365, []) == (len(found), wrong)


def complaint(case_id, event_type, at):
    """One step of a complaint."""
    return {
        **dict.fromkeys(FIELDS),
        "event_id": f"{case_id} {event_type}",
        "occurred_at": at,
        "customer_id": "m",
        "event_type": event_type,
        "channel": "mail",
        "case_id": case_id,
        "consent": [],
        "attributes": [],
        **figure_worlds.place(0),
    }
