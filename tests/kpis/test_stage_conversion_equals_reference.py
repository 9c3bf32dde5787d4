"""The headline figure, held against the reference on generated worlds."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import compare
import reference
import strategies
from loading import Loader, config_of, hashed
from parcours.kpis.stage_conversion import create_statements

EXAMPLES = 500 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 20
DIMENSIONS = ((), ("channel",), ("medium",), ("product",), ("identified",))
KEY = ("from_stage", "to_stage", "grain", "period_start", "dimensions", "dimension_values")


@pytest.fixture(scope="module")
def loaders():
    """One store for each first day of the week: making the macro costs more than a small world."""
    made = {day: Loader() for day in ("monday", "sunday")}
    for day, loader in made.items():
        for statement in create_statements(config_of(reference.Options(week_start=day)).kpi):
            loader.connection.execute(statement)
    return made


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.worlds(), st.sampled_from(("monday", "sunday")), st.integers(-40, 2), st.data())
def test_every_row_equals_the_reference(loaders, world, week_start, days_later, data):
    """At any instant, for every pair, grain and dimension, each count, rate and time is the reference's."""
    options = replace(
        world.options, week_start=week_start, grains=("week", "month", "quarter"), dimensions=DIMENSIONS
    )
    events = hashed(world.events)
    tables = reference.build(events, options)
    anchor = data.draw(st.sampled_from(sorted({row["occurred_at"] for row in tables.touchpoints})))
    as_of = anchor + timedelta(days=days_later)

    loader = loaders[week_start]
    loader.empty()
    loader.load([events], options)
    loader.connection.execute("SET VARIABLE as_of = ?", [as_of])
    actual = compare.rows_of(
        loader.connection,
        "FROM kpi_stage_conversion_at(getvariable('as_of')) WHERE grain IN ('week', 'month', 'quarter') "
        "AND dimensions[1] IN ('total', 'channel', 'medium', 'product', 'identified')",
    )
    expected = reference.stage_conversion(tables, as_of, options)
    for row in expected:
        row["dimension_values"] = [_text(value) for value in row["dimension_values"]] or ["total"]
        counted = row["not_yet_by_stage"]
        row["not_yet_by_stage"] = {stage: counted.get(stage, 0) for stage in reference.STAGES}
    compare.assert_same_rows("kpi_stage_conversion", KEY, expected, actual)


def _text(value):
    """A dimension's value as the product writes it: texts, and null for null."""
    return value if value is None or isinstance(value, str) else str(value).lower()
