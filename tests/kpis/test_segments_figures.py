"""Figures of segments and cells where the config has none, and where it changes."""

import re
from datetime import datetime

import figure_worlds
import pytest

from compare import rows_of
from loading import Loader, hashed
from parcours.kpis import segments, views
from parcours.kpis.catalogue import figures
from parcours.kpis.figures import query
from parcours.kpis.scope import Scope
from parcours.schemas.config import Config
from reference import EventType, Options

OF_CONFIG = {
    "segment_customers": "config:segment",
    "segment_value": "config:segment",
    "value_cells": "config:value_cells",
    "value_cell_moves": "config:value_cells",
}
SEGMENT = {"all": {"over": "profiles", "where": "true"}, "no": {"over": "profiles", "where": "false"}}
CELLS = {"profitable": "true", "high_potential": "false"}


@pytest.fixture(scope="module")
def store():
    """A store with one person, who bought in 2025."""
    loader = Loader()
    purchase = {
        "event_id": "e",
        "occurred_at": datetime(2025, 5, 1),
        "event_type": "bought",
        "customer_id": "p",
        "channel": "site",
        "attributes": [],
        **figure_worlds.place(0),
    }
    loader.load([hashed([purchase])], Options(events={"bought": EventType("purchase", ("purchase",))}))
    return loader.connection


def config(**tables):
    """Return a config with some tables, and with the relations of these figures alone."""
    return Config.model_validate({**tables, "kpi": {"figures": [*OF_CONFIG]}})


def made(store, config):
    """Make what the config shapes; return what figures are computed with."""
    for statement in (*segments.create_statements(config), *views.create_statements(config)):
        if not statement.startswith("COMMENT"):
            store.execute(statement)
    return views.setting_of(config)


def sql(name, setting, **limits):
    """Return the SELECT of a figure's rows of the year 2025."""
    scope = Scope("TIMESTAMP '2025-12-01'", **limits)
    return query(name, figures()[name], scope, setting, grains=["year"])


def test_without_segments_and_cells_their_figures_are_not_there(store):
    """They have no rows, and the catalogue says which table of the config they ask for."""
    setting = made(store, config())
    assert [] == [row for name in OF_CONFIG for row in rows_of(store, sql(name, setting))]
    missing = store.execute(
        "SELECT kpi, missing[-1] FROM kpi_catalogue WHERE list_contains(missing, needs[-1]) "
        f"AND kpi IN {tuple(OF_CONFIG)}"
    ).fetchall()
    assert OF_CONFIG == dict(missing)


def test_a_segment_limits_segments_and_cells(store):
    """Who is asked about is counted; nobody is where the segment is empty."""
    setting = made(store, config(segment=SEGMENT, value_cells=CELLS))
    assert [["all"]] == [row["dimension_values"] for row in rows_of(store, sql("segment_customers", setting))]
    for name in ("segment_customers", "value_cells"):
        assert {1} == {row["numerator"] for row in rows_of(store, sql(name, setting, segment="all"))}
        assert [] == rows_of(store, sql(name, setting, segment="no"))


def test_rows_are_not_comparable_once_a_condition_changes():
    """Definition and options follow the conditions that a figure, or a limit, rests on: no others."""
    changed = {**SEGMENT, "all": {"over": "profiles", "where": "1 = 1"}}
    before = views.setting_of(config(segment=SEGMENT, value_cells=CELLS))
    after = views.setting_of(config(segment=changed, value_cells=CELLS))
    assert '"segment.all": "profiles: true"' in sql("segment_customers", before)
    assert '"value_cells.profitable": "true"' in sql("value_cells", before)
    for name, limits in (("segment_customers", {}), ("value_cells", {"segment": "all"})):
        assert definition(sql(name, before, **limits)) != definition(sql(name, after, **limits))
    assert definition(sql("value_cells", before)) == definition(sql("value_cells", after))


def definition(sql):
    """Return the definition that a figure's rows have."""
    return re.search("'([0-9a-f]{32})' AS definition", sql)[1]
