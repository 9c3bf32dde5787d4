"""The promise: what the store holds depends on the records, the rules and the decisions alone."""

import os
from dataclasses import replace
from math import ceil
from statistics import mean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import compare
import reference
import strategies
from loading import Loader, hashed

WORLDS = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 200
"""Of all themes together."""

AT_ONCE = (1, 4, 7)
"""Worlds in one example: planning the SQL takes most of the time, whether of one world or of several."""

THEMES = {
    "everything": strategies.EVERYTHING,
    "people": strategies.PEOPLE,
    "contracts": strategies.CONTRACTS,
    "service": strategies.SERVICE,
}


@pytest.fixture(scope="module")
def loader():
    """One store for all worlds."""
    return Loader()


@st.composite
def cut_worlds(draw, theme):
    """Worlds, what they hold in another order and cut into slices, and two instants to ask about."""
    world = draw(strategies.crowds(theme, draw(st.sampled_from(AT_ONCE))))
    world = replace(world, events=hashed(world.events))
    instants = st.lists(strategies.moments(world), min_size=2, max_size=2)
    return world, draw(strategies.runs(world, max_runs=3)), sorted(draw(instants))


@pytest.mark.parametrize("theme", THEMES)
def test_tables_equal_the_reference_however_the_log_is_cut(loader, theme):
    """Every table equals the reference's, every balance closes, a rebuild changes nothing, at any instant."""
    examples = ceil(WORLDS / len(THEMES) / mean(AT_ONCE))

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cut_worlds(THEMES[theme]))
    def holds(cut):
        world, slices, (before, as_of) = cut
        expected = reference.build(world.events, world.options, world.references, world.decisions)

        loader.empty()
        counts = loader.load(slices, world.options)
        compare.assert_same(expected, compare.normalise(loader.connection))
        compare.assert_same_at(expected, loader.connection, as_of, world.options, before)
        read = len(world.events) + sum(len(records) for records in world.references.values())
        assert read == counts.read == counts.loaded + counts.duplicate + counts.quarantined
        kept = ("touchpoints", "ref_customers", "ref_contracts", "ref_aliases")
        assert sum(len(getattr(expected, name)) for name in kept) == counts.loaded - counts.demoted

        loader.rebuild(world.options)
        compare.assert_same(expected, compare.normalise(loader.connection))

    holds()
