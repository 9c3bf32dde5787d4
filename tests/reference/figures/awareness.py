"""Who comes, at what price, and who reacts: traffic, cost per contact, e-mails, and what others publish."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from reference.figures.tally import Fact, Twin
from reference.figures.world import World
from reference.model import Row
from reference.stage_conversion import instant

THIRTY_DAYS = timedelta(days=30)
OF_A_VISIT = ("channel", "source", "campaign", "product")


def visits(world: World) -> Iterator[Fact]:
    """Each visit, when it began, by what its first touchpoint says."""
    for visit in world.visits:
        yield {"at": visit["started_at"], "numerator": 1, **of(visit, OF_A_VISIT)}


def visitors(world: World) -> Iterator[Fact]:
    """The person of each visit."""
    for visit in world.visits:
        yield {
            "at": visit["started_at"],
            "person": visit["profile_id"],
            "numerator": True,
            **of(visit, OF_A_VISIT),
        }


def cost_per_contact(world: World) -> Iterator[Fact]:
    """What marketing costs, over its contacts."""
    yield from spent(world, "numerator")
    for touch in world.with_role("touch"):
        yield {
            "at": touch["occurred_at"],
            "numerator": touch["cost"],
            "denominator": 1,
            "currency": currency_of(touch, world),
            **of(touch, ("channel", "campaign")),
        }


def email_open_rate(world: World) -> Iterator[Fact]:
    """Messages delivered, and those opened."""
    return followed_messages(world, "email_opened")


def email_click_rate(world: World) -> Iterator[Fact]:
    """Messages delivered, and those clicked."""
    return followed_messages(world, "email_clicked")


def followed_messages(world: World, role: str) -> Iterator[Fact]:
    """Messages delivered, and those followed by another role of the same person and campaign."""
    for message, is_followed in followed(world, "email_delivered", role, "campaign"):
        yield {
            "at": message["occurred_at"],
            "numerator": is_followed,
            "denominator": 1,
            **of(message, ("campaign", "content", "source")),
        }


def indicator(world: World) -> Iterator[Fact]:
    """What others publish, by the month."""
    for row in world.indicators:
        yield {"at": instant(row["month"], world.options), "measure": row["value"], "name": row["name"]}


def of(row: Row, names: tuple[str, ...]) -> Row:
    """Return some columns of a row."""
    return {name: row[name] for name in names}


def spent(world: World, column: str, sign: int = 1) -> Iterator[Fact]:
    """Return the reference input's spend as facts, each when its day begins."""
    for row in world.spend:
        yield {
            "at": instant(row["day"], world.options),
            column: sign * row["amount"],
            "currency": row["currency"],
            **of(row, ("channel", "campaign")),
        }


def currency_of(touchpoint: Row, world: World) -> str:
    """Return the currency of a touchpoint's amounts, else the store's."""
    return touchpoint["currency"] or world.options.default_currency


def followed(world: World, role: str, by: str, key: str) -> Iterator[tuple[Row, bool]]:
    """Return the touchpoints of a role, and whether one of another role follows.

    It is of the same person and key (null equals null), at or after the first and at most 30 days later,
    and before the person's next touchpoint of the first role and that key.
    """

    def same(one: Row, other: Row) -> bool:
        return bool(one["profile_id"] == other["profile_id"] and one[key] == other[key])

    firsts, seconds = world.with_role(role), world.with_role(by)
    for place, first in enumerate(firsts):
        begins = first["occurred_at"]
        following = next((other for other in firsts[place + 1 :] if same(first, other)), None)
        yield (
            first,
            any(
                same(first, second)
                and second["event_id"] != first["event_id"]
                and begins <= second["occurred_at"] <= begins + THIRTY_DAYS
                and (following is None or second["occurred_at"] < following["occurred_at"])
                for second in seconds
            ),
        )


FIGURES = {
    "visits": Twin(visits, "count", OF_A_VISIT),
    "visitors": Twin(visitors, "count", OF_A_VISIT, persons=True),
    "cost_per_contact": Twin(cost_per_contact, "ratio", ("channel", "campaign"), always=("currency",)),
    "email_open_rate": Twin(email_open_rate, "share", ("campaign", "content", "source"), window=THIRTY_DAYS),
    "email_click_rate": Twin(
        email_click_rate, "share", ("campaign", "content", "source"), window=THIRTY_DAYS
    ),
    "indicator": Twin(indicator, "mean", always=("name",), grains=("month",)),
}
