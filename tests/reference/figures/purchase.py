"""Who buys, for how much, and what it cost to win them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from reference.figures.awareness import currency_of, of, spent
from reference.figures.consideration import is_bound
from reference.figures.tally import Fact, Twin
from reference.figures.world import World
from reference.model import Row

NINETY_DAYS = timedelta(days=90)
OF_A_SIGNING = ("product", "channel", "medium")


def purchase_conversion(world: World) -> Iterator[Fact]:
    """Journeys that began below purchase, and those that entered it within 90 days."""
    journey_of = {journey["journey_id"]: journey for journey in world.journeys}
    touchpoint_of = by_id(world)
    for stay in world.stage_visits:
        if stay["position"] == 1 and stay["stage"] in ("awareness", "consideration"):
            entered, bought = stay["entered_at"], journey_of[stay["journey_id"]]["purchase_at"]
            yield {
                "at": entered,
                "numerator": bought is not None and bought <= entered + NINETY_DAYS,
                "denominator": 1,
                **of(touchpoint_of[stay["first_event_id"]], ("channel", "source", "campaign", "product")),
            }


def quote_to_bind(world: World) -> Iterator[Fact]:
    """Quotes, and those bound within 90 days."""
    for quote in world.quotes:
        yield {
            "at": quote["quoted_at"],
            "numerator": is_bound(quote, NINETY_DAYS),
            "denominator": 1,
            **of(quote, ("channel", "product")),
        }


def new_customers(world: World) -> Iterator[Fact]:
    """Persons at their first purchase."""
    for purchase in first_purchases(world):
        yield {
            "at": purchase["occurred_at"],
            "numerator": 1,
            "product": purchase["product"],
            **brought_by(purchase, world),
        }


def cost_per_acquisition(world: World) -> Iterator[Fact]:
    """What it costs to win customers, over the customers won."""
    yield from costs(world, "numerator")
    for purchase in first_purchases(world):
        yield {
            "at": purchase["occurred_at"],
            "denominator": 1,
            "currency": world.options.default_currency,
            **brought_by(purchase, world),
        }


def premium_per_euro(world: World) -> Iterator[Fact]:
    """A year's premium of contracts signed, over what it costs to win customers."""
    yield from costs(world, "denominator")
    yield from premiums_signed(world)


def return_on_investment(world: World) -> Iterator[Fact]:
    """The margin on revenue and premiums signed, less costs, over costs."""
    margin = Decimal(str(world.margin))
    for cost in costs(world, "denominator"):
        yield {**cost, "numerator": -(cost["denominator"] or 0)}
    for earned in (*premiums_signed(world), *revenue(world)):
        yield {**earned, "numerator": margin * earned["numerator"]}


def revenue(world: World) -> Iterator[Fact]:
    """What was paid for, touchpoint by touchpoint."""
    for touchpoint in world.touchpoints:
        if touchpoint["money_role"] == "revenue" and touchpoint["value"] is not None:
            yield {
                "at": touchpoint["occurred_at"],
                "numerator": touchpoint["value"],
                **of(touchpoint, ("currency", "channel", "product", "campaign", "medium")),
            }


def new_contracts(world: World) -> Iterator[Fact]:
    """Contracts when they were signed."""
    for contract in signed(world):
        yield {**contract, "numerator": 1}


def new_premium(world: World) -> Iterator[Fact]:
    """A year's premium of contracts signed."""
    for contract in signed(world):
        if contract["premium"] is not None:
            yield {**contract, "numerator": contract["premium"]}


def average_premium(world: World) -> Iterator[Fact]:
    """A year's premium of contracts signed, each for itself."""
    for contract in signed(world):
        if contract["premium"] is not None:
            yield {**contract, "measure": contract["premium"]}


def average_basket(world: World) -> Iterator[Fact]:
    """What was paid for, each for itself."""
    for sale in revenue(world):
        yield {**sale, "measure": sale["numerator"]}


def contract_value(world: World) -> Iterator[Fact]:
    """A year's premium of what is in force."""
    for version in world.premiums:
        if version["annual_premium"] is not None:
            yield {
                "since": version["from_at"],
                "until": version["until_at"],
                "numerator": version["annual_premium"],
                **of(version, ("currency", "product")),
            }


def purchase_share(world: World) -> Iterator[Fact]:
    """Purchases, by where they were made."""
    for purchase in world.with_role("purchase", "contract_signed"):
        yield {
            "at": purchase["occurred_at"],
            "numerator": 1,
            "denominator": 1,
            **of(purchase, ("medium", "channel", "product")),
        }


def phygital_share(world: World) -> Iterator[Fact]:
    """Journeys that bought, and those that began digital and bought from a person or in a place."""
    touchpoint_of = by_id(world)
    first_of = {
        step["journey_id"]: touchpoint_of[step["event_id"]]
        for step in world.journey_steps
        if step["position"] == 1
    }
    entry_of: dict[str, Row] = {}
    for stay in sorted(world.stage_visits, key=lambda row: row["position"]):
        if stay["stage"] == "purchase":
            entry_of.setdefault(stay["journey_id"], touchpoint_of[stay["first_event_id"]])
    for journey in world.journeys:
        if journey["purchase_at"] is not None:
            first, entry = first_of[journey["journey_id"]], entry_of[journey["journey_id"]]
            yield {
                "at": journey["purchase_at"],
                "numerator": first["medium"] == "digital" and entry["medium"] in ("physical", "human"),
                "denominator": 1,
                **of(entry, ("product", "channel")),
            }


def by_id(world: World) -> dict[str, Row]:
    """Return the touchpoints by their event_id."""
    return {touchpoint["event_id"]: touchpoint for touchpoint in world.touchpoints}


def first_purchases(world: World) -> list[Row]:
    """Return the first purchase of each person who held no contract before it."""
    first_of: dict[str, Row] = {}
    for purchase in world.with_role("purchase", "contract_signed"):
        first_of.setdefault(purchase["profile_id"], purchase)
    return [purchase for purchase in first_of.values() if not held_before(purchase, world)]


def held_before(purchase: Row, world: World) -> bool:
    """Say whether the person of a purchase had held a contract before it."""
    at: datetime = purchase["occurred_at"]
    for contract in world.contracts:
        if contract["profile_id"] == purchase["profile_id"]:
            known = [each for each in (contract["held_from"], contract["effective_from"]) if each is not None]
            signed_at = contract["signed_at"]
            if (signed_at is None or signed_at < at) and known and min(known) < at:
                return True
    return False


def brought_by(touchpoint: Row, world: World) -> Row:
    """Return channel and campaign of the last touch up to 90 days before a touchpoint; nulls for none."""
    at: datetime = touchpoint["occurred_at"]
    touches = [
        touch
        for touch in world.with_role("touch")
        if touch["profile_id"] == touchpoint["profile_id"]
        and touch["event_id"] != touchpoint["event_id"]
        and at - NINETY_DAYS <= touch["occurred_at"] <= at
    ]
    return of(touches[-1], ("channel", "campaign")) if touches else {"channel": None, "campaign": None}


def costs(world: World, column: str) -> Iterator[Fact]:
    """Return what was spent to win customers, as facts."""
    yield from spent(world, column)
    for touchpoint in world.touchpoints:
        if (
            touchpoint["stage"] in ("awareness", "consideration", "purchase")
            and touchpoint["cost"] is not None
        ):
            yield {
                "at": touchpoint["occurred_at"],
                column: touchpoint["cost"],
                "currency": currency_of(touchpoint, world),
                **of(touchpoint, ("channel", "campaign")),
            }


def signed(world: World) -> Iterator[Fact]:
    """Return the contracts signed, by where they were."""
    touchpoint_of = by_id(world)
    for contract in world.contracts:
        if contract["signed_at"] is not None:
            yield {
                "at": contract["signed_at"],
                "product": contract["product"],
                "currency": contract["currency"],
                "premium": contract["annual_premium"],
                "by": contract["signed_by"],
                **of(touchpoint_of[contract["signed_by"]], ("channel", "medium")),
            }


def premiums_signed(world: World) -> Iterator[Fact]:
    """Return a year's premium of contracts signed, by the touch that brought them."""
    touchpoint_of = by_id(world)
    for contract in new_premium(world):
        yield {**contract, **brought_by(touchpoint_of[contract["by"]], world)}


ENTERED = ("channel", "source", "campaign", "product")
BROUGHT = ("channel", "campaign")
MONEY = ("currency",)

FIGURES = {
    "purchase_conversion": Twin(purchase_conversion, "share", ENTERED, window=NINETY_DAYS),
    "quote_to_bind": Twin(quote_to_bind, "share", ("channel", "product"), window=NINETY_DAYS),
    "new_customers": Twin(new_customers, "count", (*BROUGHT, "product")),
    "cost_per_acquisition": Twin(cost_per_acquisition, "ratio", BROUGHT, always=MONEY),
    "premium_per_euro": Twin(premium_per_euro, "ratio", BROUGHT, always=MONEY),
    "return_on_investment": Twin(return_on_investment, "ratio", BROUGHT, always=MONEY),
    "revenue": Twin(revenue, "amount", ("channel", "product", "campaign", "medium"), always=MONEY),
    "new_contracts": Twin(new_contracts, "count", OF_A_SIGNING),
    "new_premium": Twin(new_premium, "amount", OF_A_SIGNING, always=MONEY),
    "average_premium": Twin(average_premium, "mean", OF_A_SIGNING, always=MONEY),
    "average_basket": Twin(average_basket, "mean", ("channel", "product", "medium"), always=MONEY),
    "contract_value": Twin(contract_value, "amount", ("product",), always=MONEY, standing="end"),
    "purchase_share": Twin(purchase_share, "share", ("product",), numerator_dimensions=("medium", "channel")),
    "phygital_share": Twin(phygital_share, "share", ("product", "channel")),
}
