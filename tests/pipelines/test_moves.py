"""What other rules would move is counted exactly, whatever the rules and whoever the people are."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moved import moved_between

import strategies
from loading import Loader, hashed
from parcours.pipelines.moves import count_moves

RELATIONS = ("touchpoints", "profiles", "journeys", "journey_steps", "stage_visits", "journey_amounts")


class CountingLoader(Loader):
    """Counts what each build moves, where a rebuild does: before anything is written."""

    def _build(self, config):
        super()._build(config)
        self.moves = count_moves(self.connection)


@pytest.fixture(scope="module")
def loader():
    """One store for all worlds."""
    return CountingLoader()


def keep(connection, schema):
    """Keep the tables as they are in a schema."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for name in RELATIONS:
        connection.execute(f"CREATE OR REPLACE TABLE {schema}.{name} AS FROM main.{name}")


@st.composite
def changed_options(draw, options):
    """Other rules: of journeys and persons, and a taxonomy that lacks some of its words."""
    other = draw(strategies.options())
    lacking = draw(st.sets(st.sampled_from(sorted(options.events)), max_size=3))
    channels = draw(st.sets(st.sampled_from(sorted(options.channels)), max_size=1))
    return replace(
        other,
        events={name: event for name, event in options.events.items() if name not in lacking},
        channels={name: channel for name, channel in options.channels.items() if name not in channels},
    )


def test_moves_are_counted_exactly(loader):
    """The count is what comparing the tables before and after the rebuild finds; again, nothing moves."""

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data):
        world = data.draw(strategies.crowds(strategies.EVERYTHING, 4))
        options = data.draw(changed_options(world.options))
        loader.empty()
        whole = strategies.Slice(hashed(world.events), world.references, world.decisions)
        loader.load([whole], world.options)
        keep(loader.connection, "old")

        loader.rebuild(options)
        moves = loader.moves
        keep(loader.connection, "new")
        assert moved_between(loader.connection) == moves

        loader.rebuild(options)
        again = loader.moves
        assert (0, 0, 0, 0) == (
            again.touchpoints_moved,
            again.journeys_changed + again.journeys_gone + again.journeys_new,
            again.journeys_closing,
            again.profiles_moved,
        )

    holds()
