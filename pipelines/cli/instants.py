"""Instants as people name them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

AS_OF = (
    "Only what occurred until then: a date or time in ISO 8601, in the zone of [kpi] unless it says"
    " otherwise. Default: the newest touchpoint at the start of the last run."
)
"""What ``--as-of`` means, everywhere."""


def read_instant(text: str, zone: ZoneInfo, option: str = "--as-of") -> datetime:
    """Read a time as UTC without a zone; without an offset it is one of ``zone``.

    Raises:
        click.BadParameter: it is no time.
    """
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        found.astimezone(zone)  # as it is shown
        return found.replace(tzinfo=None)
    except (ValueError, OverflowError):  # in another zone, the calendar's first and last day may leave it
        raise click.BadParameter(
            f'"{text}" is no time: write one such as 2026-03-31 or 2026-03-31T18:00', param_hint=option
        ) from None


def local(instant: datetime | None, zone: ZoneInfo) -> str | None:
    """Write an instant in a zone, to the minute."""
    return None if instant is None else f"{instant.replace(tzinfo=UTC).astimezone(zone):%Y-%m-%d %H:%M}"
