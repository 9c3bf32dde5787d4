"""Plain data as TOML."""

import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcours.pipelines.toml_text import duration_text, plain, to_toml
from parcours.schemas.config import parse_duration

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    texts | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_is_read_back(data):
    """Any nesting of tables, lists and values comes back as it was."""
    assert tomllib.loads(to_toml(data)) == data


@pytest.mark.parametrize("text", ["400d", "23h", "15m", "90s", "1.5s", "0s"])
def test_durations_are_written_as_they_are_read(text):
    """A duration's text reads as itself."""
    assert duration_text(parse_duration(text)) == text


def test_times_and_durations_become_texts():
    """What TOML or JSON cannot hold becomes a text that the config reads."""
    assert plain({"a": (timedelta(days=2), datetime(2026, 1, 2, tzinfo=UTC))}) == {
        "a": ["2d", "2026-01-02T00:00:00Z"]
    }
