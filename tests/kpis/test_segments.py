"""Segments and cells as macros: whatever names and conditions hold, and a store without any."""

from datetime import datetime

import pytest

from loading import Loader, hashed
from parcours.kpis.segments import create_statements
from parcours.schemas.config import Config
from reference import Options

AT = "(TIMESTAMP '2026-02-01')"


@pytest.fixture(scope="module")
def connection():
    """A store with two persons, of four touchpoints and one."""
    loader = Loader()
    rows = [
        {
            "event_id": f"e{n}",
            "occurred_at": datetime(2026, 1, 1 + n),
            "customer_id": "ada" if n else "bob",
            "event_type": "seen",
            "channel": "site",
            "source_name": "world",
            "source_topic": "touchpoints",
            "source_partition": 0,
            "source_offset": n,
        }
        for n in range(5)
    ]
    loader.load([hashed(rows)], Options())
    return loader.connection


def make(connection, **tables):
    """Make the macros of a config."""
    for statement in create_statements(Config.model_validate(tables)):
        connection.execute(statement)


def members(connection):
    """Who is in which segment."""
    query = f"SELECT segment, profile_id FROM segment_members_at{AT} ORDER BY ALL"
    return connection.execute(query).fetchall()


def test_without_any(connection):
    """The relations are there, and empty."""
    make(connection)
    for relation in (
        f"segment_members_at{AT}",
        "segment_members_now",
        f"segment_moves(TIMESTAMP '2026-01-01', {AT})",
        f"segment_history_at{AT}",
        f"value_cells_at{AT}",
        "value_cells_now",
        f"value_cell_moves(TIMESTAMP '2026-01-01', {AT})",
    ):
        assert [] == connection.execute(f"FROM {relation}").fetchall()


def test_names_and_texts_may_hold_anything(connection):
    """Quotes, dollars, and what parts statements in SQL."""
    where = "coalesce(region, 'x;\n\ny') = 'x;\n\ny' AND profile_id <> '$cells' AND touchpoints > 1"
    make(connection, segment={"l'été; $1\n\n--": {"over": "profiles", "where": where}})
    assert [("l'été; $1\n\n--", "ada")] == members(connection)


def test_what_cannot_be_computed_does_not_hold(connection):
    """A row that is too great for a cast stops no query."""
    segment = {"over": "profiles", "where": "(touchpoints * 64)::TINYINT % 3 >= 0"}
    make(connection, segment={"small": segment})
    assert [("small", "bob")] == members(connection)


def test_a_config_that_nobody_checked(connection):
    """Everything that is wrong is said, and nothing is made."""
    with pytest.raises(
        ValueError, match=r'segment > a: "x" is no column; value_cells > profitable: it is empty'
    ):
        make(
            connection,
            segment={"a": {"over": "quotes", "where": "x > 1"}},
            value_cells={"profitable": "", "high_potential": "is_customer"},
        )
