"""What goes in beside the events (``Options``) and what comes out (``Tables``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

Row = dict[str, Any]

STAGES = ("awareness", "consideration", "purchase", "service", "loyalty", "advocacy")

FIELDS = (
    "event_id",
    "occurred_at",
    "customer_id",
    "anonymous_id",
    "event_type",
    "stage",
    "channel",
    "source",
    "campaign",
    "content",
    "product",
    "contract_id",
    "quote_id",
    "claim_id",
    "referral_id",
    "case_id",
    "value",
    "currency",
    "cost",
    "survey",
    "score",
    "consent",
    "experiment",
    "variant",
    "attributes",
)
"""The fields of a touchpoint. An event may leave out those that are null or empty."""

COORDINATES = ("source_name", "source_topic", "source_partition", "source_offset")

UNIT_COLUMN = {
    "profile": "profile_id",
    "product": "product",
    "contract": "contract_id",
    "claim": "claim_id",
}
"""The column that, with the profile, says which journeys a touchpoint can be in."""

UNITS_THAT_NEED_THEIR_KEY = ("contract", "claim")
"""Touchpoints without these keys are in no journey; touchpoints without a product share the product null."""

VISIT_GAP = timedelta(minutes=30)


@dataclass(frozen=True)
class EventType:
    """What the taxonomy says about an event type."""

    stage: str | None = None
    roles: tuple[str, ...] = ()
    money_role: str | None = None


@dataclass(frozen=True)
class Channel:
    """What the taxonomy says about a channel."""

    medium: str
    direct: bool = False


@dataclass(frozen=True)
class Options:
    """The rules that the tables depend on, beside the events."""

    events: Mapping[str, EventType] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    unit: str = "profile"
    gap: timedelta | None = timedelta(days=400)  # None: never
    end_on: tuple[str, ...] = ()  # event types or roles
    max_customers_per_device: int = 3
    unlinked: frozenset[tuple[str, str]] = frozenset()  # (anonymous_id, customer_id)
    default_currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    week_start: str = "monday"
    grains: tuple[str, ...] = ("day", "week", "month", "quarter", "year")
    dimensions: tuple[tuple[str, ...], ...] = ((),)  # () is the total
    unlimited_window: bool = False  # "to date" instead of each pair's default window

    def event_type(self, name: str) -> EventType:
        """Return what the taxonomy says about an event type; nothing, if it is not listed."""
        return self.events.get(name, EventType())


@dataclass
class Tables:
    """The relations, each a list of rows; ``counts`` for what is counted on the way."""

    touchpoints: list[Row] = field(default_factory=list)
    profiles: list[Row] = field(default_factory=list)
    identity_links: list[Row] = field(default_factory=list)
    visits: list[Row] = field(default_factory=list)
    journeys: list[Row] = field(default_factory=list)
    journey_amounts: list[Row] = field(default_factory=list)
    journey_steps: list[Row] = field(default_factory=list)
    stage_visits: list[Row] = field(default_factory=list)
    conflicts: list[Row] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def rank(stage: str | None) -> int:
    """Return 1 for awareness up to 6 for advocacy, 0 for no stage."""
    return 0 if stage is None else STAGES.index(stage) + 1
