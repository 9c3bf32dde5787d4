"""What commands say of the gate and of published copies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parcours.pipelines.checks import GateState


def gate_text(gate: Mapping[str, Any]) -> str:
    """Say in a line whether publication is open or held, since when, and why, by a row of ``gate``."""
    reasons = f": {'; '.join(gate['reasons'])}" if gate["reasons"] else ""
    return f"publication is {gate['state']} since {minute(gate['since'])}{reasons}"


def state_text(gate: GateState) -> str:
    """Say the same of what a check decided."""
    return gate_text({"state": gate.state, "since": gate.since, "reasons": gate.reasons})


def touchpoints(count: int) -> str:
    """Write how many touchpoints a copy has."""
    return f"{count:,} touchpoint{'' if count == 1 else 's'}"


def minute(instant: datetime | str) -> str:
    """Write an instant of the store to the minute."""
    return f"{datetime.fromisoformat(str(instant)):%Y-%m-%d %H:%M} UTC"


def second(instant: str) -> str:
    """Write an instant of the status file, which has its offset, to the second."""
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(instant: datetime | str) -> str:
    """Say how long ago an instant of the store was, in its largest unit."""
    then = datetime.fromisoformat(str(instant)).replace(tzinfo=UTC)
    seconds = max(0, int((datetime.now(UTC) - then).total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = seconds // length
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "less than a minute ago"
