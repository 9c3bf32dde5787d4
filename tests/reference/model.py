"""What goes in beside the events (``Options``) and what comes out (``Tables``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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

LAST_CONTRACT_ENDED = "last_contract_ended"
"""The word in ``end_on`` for the termination that leaves its profile no contract."""

SINCE_EVER = datetime(2000, 1, 1)
"""Where a device's alias without ``valid_from`` stands in time: the earliest instant of a touchpoint."""

REFERENCE_KEYS = {
    "customers": ("customer_id",),
    "contracts": ("contract_id",),
    "aliases": ("id_type", "id"),
}
"""What names a row of each reference input, beside ``valid_from``."""

REFERENCE_FIELDS = {
    "customers": (
        "customer_id",
        "valid_from",
        "member_since",
        "member_until",
        "region",
        "birth_year",
        "segment",
        "potential",
        "attributes",
    ),
    "contracts": (
        "contract_id",
        "valid_from",
        "customer_id",
        "product",
        "effective_from",
        "effective_to",
        "due_at",
        "annual_premium",
        "currency",
        "attributes",
    ),
    "aliases": ("id_type", "id", "valid_from", "customer_id", "attributes"),
}
"""The fields of each reference input. A row may leave out those that are null or empty."""


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


Condition = Callable[[Mapping[str, Any]], bool]


def _recommends(facts: Mapping[str, Any]) -> bool:
    last_nps = facts["last_nps"]
    return bool(facts["referrals"] or facts["good_reviews"] or (last_nps is not None and last_nps >= 9))


LADDER: Mapping[str, Condition] = {
    "consumer": lambda facts: facts["purchases"] >= 1,
    "customer": lambda facts: facts["purchases"] >= 2 or facts["longest_in_force_years"] > 1,
    "loyal customer": lambda facts: facts["contracts_in_force"] >= 2 or facts["tenure_years"] >= 3,
    "advocate": lambda facts: (
        facts["purchases"] >= 1 and not facts["holds_nothing_any_more"] and _recommends(facts)
    ),
}
"""The rungs above prospect, lowest first, and who stands on each."""


@dataclass(frozen=True)
class Options:
    """The rules that the tables depend on, beside the events."""

    events: Mapping[str, EventType] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    unit: str = "profile"
    gap: timedelta | None = timedelta(days=400)  # None: never
    end_on: tuple[str, ...] = (LAST_CONTRACT_ENDED,)  # event types, roles, or that word
    max_customers_per_device: int = 3
    ladder: Mapping[str, Condition] = field(default_factory=lambda: LADDER)
    ladder_as_written: Mapping[str, str] | None = None  # for the product: the reference does not read it
    default_currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    week_start: str = "monday"
    grains: tuple[str, ...] = ("day", "week", "month", "quarter", "year")
    dimensions: tuple[tuple[str, ...], ...] = ((),)  # () is the total
    unlimited_window: bool = False  # "to date" instead of each pair's default window

    def rungs(self) -> list[str]:
        """Return the names of the rungs, lowest first."""
        return ["prospect", *self.ladder]

    def event_type(self, name: str) -> EventType:
        """Return what the taxonomy says about an event type; nothing, if it is not listed."""
        return self.events.get(name, EventType())


@dataclass
class Tables:
    """The relations, each a list of rows; ``counts`` for what is counted on the way."""

    ref_customers: list[Row] = field(default_factory=list)
    ref_contracts: list[Row] = field(default_factory=list)
    ref_aliases: list[Row] = field(default_factory=list)
    people: list[Row] = field(default_factory=list)  # ids whose person is another id
    touchpoints: list[Row] = field(default_factory=list)
    contracts: list[Row] = field(default_factory=list)
    quotes: list[Row] = field(default_factory=list)
    claims: list[Row] = field(default_factory=list)
    cases: list[Row] = field(default_factory=list)
    profiles: list[Row] = field(default_factory=list)
    identity_links: list[Row] = field(default_factory=list)
    visits: list[Row] = field(default_factory=list)
    journeys: list[Row] = field(default_factory=list)
    journey_amounts: list[Row] = field(default_factory=list)
    journey_steps: list[Row] = field(default_factory=list)
    stage_visits: list[Row] = field(default_factory=list)
    conflicts: list[Row] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    enders: set[str] = field(default_factory=set)  # event_ids that end a journey
    newest_contracts: dict[str, Row] = field(default_factory=dict)  # newest reference row of each contract


def rank(stage: str | None) -> int:
    """Return 1 for awareness up to 6 for advocacy, 0 for no stage."""
    return 0 if stage is None else STAGES.index(stage) + 1
