"""What figures are computed from: the relations as they stood at an instant, as lists of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reference.model import Options, Row

At = Callable[[datetime], list[Row]]


def nothing(_instant: datetime) -> list[Row]:
    """Return no rows, whenever asked."""
    return []


@dataclass
class World:
    """Relations at an instant. Each is a list of dictionaries; arrays are lists, instants naive UTC.

    ``touchpoints``, ``visits``, ``stage_visits`` and ``journey_steps`` have only what had begun by then, the
    matters (``contracts`` to ``premiums``) are those of ``contracts_at`` and its like, and reference inputs
    are the newest version of each key; ``customers`` has every version. ``people`` has the person of each
    customer id that is another's. What is asked of other instants is asked by a function of the instant, as
    the relation of that name.
    """

    as_of: datetime
    options: Options = field(default_factory=Options)
    margin: float | None = None
    touchpoints: list[Row] = field(default_factory=list)
    visits: list[Row] = field(default_factory=list)
    journeys: list[Row] = field(default_factory=list)
    journey_steps: list[Row] = field(default_factory=list)
    stage_visits: list[Row] = field(default_factory=list)
    contracts: list[Row] = field(default_factory=list)
    quotes: list[Row] = field(default_factory=list)
    claims: list[Row] = field(default_factory=list)
    cases: list[Row] = field(default_factory=list)
    premiums: list[Row] = field(default_factory=list)
    profiles: list[Row] = field(default_factory=list)
    spend: list[Row] = field(default_factory=list)
    events_held: list[Row] = field(default_factory=list)
    indicators: list[Row] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)
    people: Mapping[str, str] = field(default_factory=dict)
    profiles_at: At = nothing
    segment_members_at: At = nothing
    value_cells_at: At = nothing

    def __post_init__(self) -> None:
        """Put the touchpoints in order."""
        self.touchpoints = in_order(self.touchpoints)

    def with_role(self, *roles: str) -> list[Row]:
        """Return the touchpoints that have one of the roles, in order."""
        return [each for each in self.touchpoints if set(roles) & set(each["roles"])]


def in_order(touchpoints: list[Row]) -> list[Row]:
    """Sort by occurred_at, then event_id."""
    return sorted(touchpoints, key=lambda row: (row["occurred_at"], row["event_id"]))
