"""The promise: what the store holds depends on the set of events and the rules alone."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import compare
import reference
import strategies
from loading import Loader, hashed

EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 100


@pytest.fixture(scope="module")
def loader():
    """One store for all worlds."""
    return Loader()


@st.composite
def cut_worlds(draw):
    """A world, and its records in another order and cut into slices."""
    world = draw(strategies.worlds())
    return world, draw(strategies.runs(world.events))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut_worlds())
def test_tables_equal_the_reference_however_the_log_is_cut(loader, cut):
    """Every table equals the reference's, every balance closes, and a rebuild changes nothing."""
    world, runs = cut
    events = hashed(world.events)
    order = {id(event): place for place, event in enumerate(world.events)}
    slices = [[events[order[id(event)]] for event in run] for run in runs]
    expected = reference.build(events, world.options)

    loader.empty()
    counts = loader.load(slices, world.options)
    compare.assert_same(expected, compare.normalise(loader.connection))
    assert len(events) == counts.read == counts.loaded + counts.duplicate + counts.quarantined
    assert len(expected.touchpoints) == counts.loaded - counts.demoted

    loader.rebuild(world.options)
    compare.assert_same(expected, compare.normalise(loader.connection))
