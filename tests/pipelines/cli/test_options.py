"""Options that describe a file: ``--map`` and its like."""

import click
import pytest

from parcours.pipelines.cli.options import file_source, mapping


def test_map_options_become_a_mapping():
    """Our field stands on the left; a path, a constant, several paths, a fall-back, a made id."""
    assert mapping(
        ("customer_id=user.id", "channel==web", "event_id=@hash", "product=a", "product=b", "stage=a,b",
         "source=x", "source==none", "content=a=b")
    ) == {
        "customer_id": "user.id",
        "channel": {"constant": "web"},
        "event_id": "@hash",
        "product": {"paths": ["a", "b"]},
        "stage": "a,b",
        "source": {"paths": ["x"], "constant": "none"},
        "content": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["customer_id", "=x", "customer_id="])
def test_a_malformed_map_option_is_a_usage_error(text):
    """Without a field, a sign or a path the option says how it is written."""
    with pytest.raises(click.UsageError, match="FIELD=PATH"):
        mapping((text,))


def test_a_file_needs_its_format():
    """Formats are never guessed, not even from a suffix."""
    with pytest.raises(click.UsageError, match="--format"):
        file_source("x.csv", {"delimiter": ";"})
