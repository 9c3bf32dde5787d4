"""Who compares and asks for a price, and who gives up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from reference.figures.awareness import OF_A_VISIT, THIRTY_DAYS, followed, of
from reference.figures.tally import Fact, Twin
from reference.figures.world import World


def quote_rate(world: World, _start: date, begins: datetime, ends: datetime) -> Iterator[Fact]:
    """The visitors of a period, and those of them who asked for a quote in it."""
    asked = {
        quote["profile_id"]
        for quote in world.with_role("quote_created")
        if begins <= quote["occurred_at"] < ends
    }
    for visit in world.visits:
        if begins <= visit["started_at"] < ends:
            person = visit["profile_id"]
            yield {"person": person, "numerator": person in asked, **of(visit, OF_A_VISIT)}


def quote_abandonment(world: World) -> Iterator[Fact]:
    """Quotes, and those not bound within 30 days."""
    for quote in world.quotes:
        yield {
            "at": quote["quoted_at"],
            "numerator": not is_bound(quote, timedelta(days=30)),
            "denominator": 1,
            **of(quote, ("channel", "product")),
        }


def cart_abandonment(world: World) -> Iterator[Fact]:
    """Carts, and those whose owner bought nothing within 30 days."""
    purchases = world.with_role("purchase", "contract_signed")
    for cart in world.with_role("cart_created"):
        bought = any(
            purchase["profile_id"] == cart["profile_id"]
            and purchase["event_id"] != cart["event_id"]
            and cart["occurred_at"] <= purchase["occurred_at"] <= cart["occurred_at"] + THIRTY_DAYS
            for purchase in purchases
        )
        yield {
            "at": cart["occurred_at"],
            "numerator": not bought,
            "denominator": 1,
            **of(cart, ("channel", "product", "campaign")),
        }


def survey_response_rate(world: World) -> Iterator[Fact]:
    """Surveys sent, and those answered."""
    for sending, is_answered in followed(world, "survey_sent", "survey_answered", "case_id"):
        yield {
            "at": sending["occurred_at"],
            "numerator": is_answered,
            "denominator": 1,
            **of(sending, ("channel", "content", "campaign")),
        }


def is_bound(quote: dict[str, datetime | None], within: timedelta) -> bool:
    """Say whether a quote was bound in time; one that was bound before it was seen is."""
    bound, quoted = quote["bound_at"], quote["quoted_at"]
    return bound is not None and quoted is not None and bound <= quoted + within


FIGURES = {
    "quote_rate": Twin(quote_rate, "share", OF_A_VISIT, snapshot=True, persons=True),
    "quote_abandonment": Twin(quote_abandonment, "share", ("channel", "product"), window=THIRTY_DAYS),
    "cart_abandonment": Twin(
        cart_abandonment, "share", ("channel", "product", "campaign"), window=THIRTY_DAYS
    ),
    "survey_response_rate": Twin(
        survey_response_rate, "share", ("channel", "content", "campaign"), window=THIRTY_DAYS
    ),
}
