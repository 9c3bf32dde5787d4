"""Who stays, holds more, climbs the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction

from reference.figures.awareness import of
from reference.figures.purchase import NINETY_DAYS, first_purchases, held_before
from reference.figures.service import held_by_person, local_day
from reference.figures.tally import Fact, Twin
from reference.figures.world import World
from reference.ladder import years
from reference.model import Row
from reference.stage_conversion import instant

DAY = timedelta(days=1)
YEAR = timedelta(days=365)
GRACE = timedelta(days=60)
MICRO = timedelta(microseconds=1)

BY_MONTH = ("month", "quarter", "year")
BY_QUARTER = ("quarter", "year")


def contract_churn(world: World) -> Iterator[Fact]:
    """Contracts in force when a period begins, and those that end by its end."""
    for contract in world.contracts:
        if contract["began_at"] is not None:
            yield {
                "since": contract["began_at"],
                "until": contract["ended_at"],
                "at": contract["ended_at"],
                "numerator": contract["ended_at"] is not None,
                "denominator": 1,
                **of(contract, ("product", "initiator", "reason")),
            }


def contract_retention(world: World) -> Iterator[Fact]:
    """Contracts in force when a period begins, and those that are still when it has ended."""
    for fact in contract_churn(world):
        yield {**fact, "at": None, "numerator": 1}
        if fact["at"] is not None:
            yield {**fact, "numerator": -1, "denominator": None}


def in_force_at_end(world: World, ends: datetime) -> list[Row]:
    """Return the contracts in force when a period ends; at the instant, where the end is still to come."""
    return [
        contract
        for contract in world.contracts
        if contract["began_at"] is not None and stands(contract["began_at"], contract["ended_at"], ends)
    ]


def stands(since: datetime, until: datetime | None, ends: datetime) -> bool:
    """Say whether what stands from one instant to another (null: still) stands when a period ends."""
    return since < ends and (until is None or until >= ends)


def renewal_rate(world: World) -> Iterator[Fact]:
    """Due dates within a contract's life, and those that it outlived by the grace."""
    for contract in world.contracts:
        for due in due_dates(contract, world):
            yield {
                "at": due,
                "numerator": contract["ended_at"] is None or contract["ended_at"] > due + GRACE,
                "denominator": 1,
                "product": contract["product"],
            }


def due_dates(contract: Row, world: World) -> list[datetime]:
    """Return when a contract was due: later than its beginning, and at most a day later than its end."""
    began, ended = contract["began_at"], contract["ended_at"]
    if began is None:
        return []
    anchor = local_day(contract["due_at"] or began, world)
    found = []
    for year in range(began.year - 1, world.as_of.year + 2):
        due = instant(same_day(anchor, year), world.options)
        if began < due <= world.as_of and due >= first_day(world) and (ended is None or ended >= due - DAY):
            found.append(due)
    return found


def same_day(day: date, year: int) -> date:
    """Return the same day of another year; 28 February where there is no 29th."""
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def first_day(world: World) -> datetime:
    """Return when the first touchpoint's day began: of what was before, only those who stayed are known."""
    if not world.touchpoints:
        return datetime.max
    return instant(local_day(world.touchpoints[0]["occurred_at"], world), world.options)


def multi_holding(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """Persons with a contract in force, and those with two or more."""
    held = in_force_at_end(world, ends)
    counts = per_person(held)
    for contract in held:
        person = contract["profile_id"]
        yield {"person": person, "numerator": counts[person] >= 2, "product": contract["product"]}


def contracts_per_customer(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """How many contracts each person with one has."""
    for count in per_person(in_force_at_end(world, ends)).values():
        yield {"measure": count}


def per_person(contracts: list[Row]) -> dict[str, int]:
    """Return how many of some contracts each person has."""
    counts: dict[str, int] = {}
    for contract in contracts:
        counts[contract["profile_id"]] = counts.get(contract["profile_id"], 0) + 1
    return counts


def cross_sell(world: World) -> Iterator[Fact]:
    """First signings of new customers, and those followed by another product within a year."""
    signings = world.with_role("contract_signed")
    first_of: dict[str, Row] = {}
    for signing in signings:
        first_of.setdefault(signing["profile_id"], signing)
    for first in first_of.values():
        if not held_before(first, world):
            others = followers(first, signings, YEAR)
            yield {
                "at": first["occurred_at"],
                "numerator": any(is_other_product(first, other) for other in others),
                "denominator": 1,
                **of(first, ("product", "channel")),
            }


def is_other_product(one: Row, other: Row) -> bool:
    """Say whether two touchpoints are about two products, both known."""
    return None not in (one["product"], other["product"]) and one["product"] != other["product"]


def followers(touchpoint: Row, others: list[Row], within: timedelta) -> list[Row]:
    """Return the person's other touchpoints, of some, from a touchpoint's instant to a while after it."""
    at: datetime = touchpoint["occurred_at"]
    return [
        other
        for other in others
        if other["profile_id"] == touchpoint["profile_id"]
        and other["event_id"] != touchpoint["event_id"]
        and at <= other["occurred_at"] <= at + within
    ]


def tenure(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """For how many years without a break each customer has had a contract in force."""
    for stretches in held_by_person(world).values():
        for since, until in stretches:
            if stands(since, until, ends):
                yield {"measure": years(since, min(ends, world.as_of))}


def value_to_date(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """What each person has paid and earned in premium, by currency."""
    found: dict[tuple[str, str], Fraction] = {}
    for sale in world.touchpoints:
        if sale["money_role"] == "revenue" and sale["value"] is not None and sale["occurred_at"] < ends:
            key = (sale["profile_id"], sale["currency"])
            found[key] = found.get(key, Fraction(0)) + Fraction(sale["value"])
    for version in world.premiums:
        if version["annual_premium"] is not None and version["from_at"] < ends:
            key = (version["profile_id"], version["currency"])
            last = min(at for at in (ends, world.as_of, version["until_at"]) if at is not None)
            years_of_365 = Fraction((last - version["from_at"]) // MICRO, YEAR // MICRO)
            earned = Fraction(version["annual_premium"]) * years_of_365
            found[key] = found.get(key, Fraction(0)) + earned
    for (_person, currency), amount in found.items():
        yield {"measure": amount, "currency": currency}


def last_instant(ends: datetime, world: World) -> datetime:
    """Return the last instant of a period that has been."""
    return min(ends - MICRO, world.as_of)


def ladder_population(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """The persons known when a period ends, by the rung that they stand on."""
    for profile in world.profiles_at(last_instant(ends, world)):
        yield {"numerator": 1, **of(profile, ("rung", "identified"))}


def ladder_moves(world: World, _start: date, begins: datetime, ends: datetime) -> Iterator[Fact]:
    """The persons known when a period ends, by where they stood when it began."""
    rungs = world.options.rungs()
    rung_before = {row["profile_id"]: row["rung"] for row in world.profiles_at(begins - MICRO)}
    for profile in world.profiles_at(last_instant(ends, world)):
        before, after = rung_before.get(profile["profile_id"]), profile["rung"]
        move = "new"
        if before is not None:
            steps = rungs.index(after) - rungs.index(before)
            move = "up" if steps > 0 else "down" if steps < 0 else "same"
        yield {"numerator": 1, "move": move, "rung_before": before, "rung_after": after}


def onboarding(world: World) -> Iterator[Fact]:
    """New customers, and those who used a digital service within 90 days."""
    served = [each for each in world.touchpoints if (each["stage"], each["medium"]) == ("service", "digital")]
    for purchase in first_purchases(world):
        yield {
            "at": purchase["occurred_at"],
            "numerator": bool(followers(purchase, served, NINETY_DAYS)),
            "denominator": 1,
            **of(purchase, ("product", "channel")),
        }


def loyalty_take_up(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """Persons with a contract in force, and those who have joined the loyalty programme."""
    joined = {
        touchpoint["profile_id"]
        for touchpoint in world.with_role("loyalty_joined")
        if touchpoint["occurred_at"] < ends
    }
    for contract in in_force_at_end(world, ends):
        yield {"person": contract["profile_id"], "numerator": contract["profile_id"] in joined}


OF_A_FIRST = ("product", "channel")

FIGURES = {
    "contract_churn": Twin(
        contract_churn,
        "share",
        ("product",),
        numerator_dimensions=("initiator", "reason"),
        standing="start",
    ),
    "contract_retention": Twin(contract_retention, "share", ("product",), standing="start"),
    "renewal_rate": Twin(renewal_rate, "share", ("product",), window=GRACE),
    "multi_holding": Twin(multi_holding, "share", ("product",), snapshot=True, persons=True, grains=BY_MONTH),
    "contracts_per_customer": Twin(contracts_per_customer, "mean", snapshot=True, grains=BY_MONTH),
    "cross_sell": Twin(cross_sell, "share", OF_A_FIRST, window=YEAR),
    "tenure": Twin(tenure, "mean", snapshot=True, grains=BY_MONTH),
    "value_to_date": Twin(value_to_date, "mean", always=("currency",), snapshot=True, grains=BY_MONTH),
    "ladder_population": Twin(
        ladder_population, "count", ("rung", "identified"), snapshot=True, grains=BY_QUARTER
    ),
    "ladder_moves": Twin(
        ladder_moves, "count", ("move", "rung_before", "rung_after"), snapshot=True, grains=BY_QUARTER
    ),
    "onboarding": Twin(onboarding, "share", OF_A_FIRST, window=NINETY_DAYS),
    "loyalty_take_up": Twin(loyalty_take_up, "share", snapshot=True, persons=True, grains=BY_MONTH),
}
