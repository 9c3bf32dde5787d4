"""From whole profiles to visits, journeys, steps and stage visits: one SQL script over one bucket of history.

A profile is always built whole, so what comes out depends on the set of events alone: not on the order of the
rows, nor on how they arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import Literal, get_args

import duckdb

from parcours.schemas import config

Unit = Literal["profile", "product", "contract", "claim"]

BUILT = ("visits", "profiles", "journeys", "journey_amounts", "journey_steps", "stage_visits")
"""The relations that are built: ``build_journeys`` leaves each as ``built_NAME``."""

LONGEST_GAP = timedelta(days=365_000)
"""A thousand years: further, and the instant at which a journey closes is no longer an instant."""


@dataclass(frozen=True)
class JourneyRules:
    """How touchpoints are cut into journeys.

    ``unit`` says whose touchpoints are one sequence: the profile's, or the profile's for one product,
    contract or claim. Neighbours further apart than ``gap`` are in different journeys; null: never.
    ``end_on`` lists event types and roles that close a journey; the word ``last_contract_ended`` among them
    stands for the termination that leaves the person no contract. ``currency`` (ISO 4217) is that of costs
    that name none.

    Raises:
        ValueError: the unit is not one of the four, or the gap is negative or beyond ``LONGEST_GAP``.
    """

    unit: Unit = "profile"
    gap: timedelta | None = timedelta(days=400)
    end_on: tuple[str, ...] = (config.LAST_CONTRACT_ENDED,)
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f'journey.unit is "{self.unit}"; allowed: {", ".join(get_args(Unit))}')
        if self.gap is not None and not timedelta(0) <= self.gap <= LONGEST_GAP:
            raise ValueError(
                f'journey.gap is {self.gap}; allowed: 0 to {LONGEST_GAP.days} days, or "none" for never'
            )

    @classmethod
    def of(cls, journey: config.Journey, currency: str = "EUR") -> JourneyRules:
        """Take the rules from the config's ``[journey]``, with the store's currency."""
        gap = None if journey.gap == "none" else journey.gap
        return cls(unit=journey.unit, gap=gap, end_on=journey.end_on, currency=currency)


def build_journeys(connection: duckdb.DuckDBPyConnection, rules: JourneyRules) -> None:
    """Build what is derived from the touchpoints of whole profiles.

    Args:
        connection: has a table or view ``history``, one row per touchpoint and every touchpoint of each
            profile in it: ``rid BIGINT`` (distinct), ``profile_id, identified, event_id, occurred_at,
            event_type, roles, stage, channel, medium, source, campaign, content, product, contract_id,
            claim_id, case_id, money_role, value, currency, cost``, typed as in the relation touchpoints,
            ``visit_id VARCHAR`` as stored (null: not yet) and ``ends_holding BOOLEAN``: the termination that
            leaves the person no contract. It is read several times. On return the connection holds one
            temporary table ``built_NAME`` per relation in ``BUILT``, with that relation's columns, and
            ``built_visit_changes(rid BIGINT, visit_id VARCHAR)``: the touchpoints whose visit is not the
            stored one, null where they have none any more; earlier ones are replaced.
        rules: how journeys are cut.
    """
    gap = None if rules.gap is None else rules.gap // timedelta(microseconds=1)
    connection.execute("SET VARIABLE journey_unit = ?", [rules.unit])
    connection.execute("SET VARIABLE journey_gap = CAST(? AS BIGINT)", [gap])
    connection.execute("SET VARIABLE journey_ends = CAST(? AS VARCHAR[])", [list(rules.end_on)])
    connection.execute("SET VARIABLE store_currency = ?", [rules.currency])
    connection.execute(resources.files(__package__).joinpath("journeys.sql").read_text("utf-8"))
