"""Who recommends: scores, referrals, reviews."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from reference.figures.awareness import THIRTY_DAYS, of
from reference.figures.purchase import NINETY_DAYS, first_purchases
from reference.figures.service import preceding
from reference.figures.tally import Fact, Twin
from reference.figures.world import World
from reference.model import Row

WORD_OF_MOUTH_SOURCES = ("word_of_mouth", "referral")
PROMOTER, DETRACTOR = 9, 6


def nps(world: World) -> Iterator[Fact]:
    """Answers to the question of recommending: promoters up, detractors down."""
    for answer in scored(world, "nps"):
        yield {
            "at": answer["occurred_at"],
            "numerator": 1 if answer["score"] >= PROMOTER else -1 if answer["score"] <= DETRACTOR else 0,
            "denominator": 1,
            "after": preceding(answer, world),
            **of(answer, ("stage", "channel", "product")),
        }


def scored(world: World, survey: str) -> list[Row]:
    """Return the answers to a survey."""
    return [each for each in world.touchpoints if each["survey"] == survey and each["score"] is not None]


def nps_response_rate(world: World) -> Iterator[Fact]:
    """Questions of recommending that were sent, and those that were answered."""
    sendings = [each for each in world.with_role("survey_sent") if each["content"] == "nps"]
    for place, sending in enumerate(sendings):
        following = next((each for each in sendings[place + 1 :] if is_same(each, sending)), None)
        answered = [
            answer
            for answer in scored(world, "nps")
            if is_same(answer, sending)
            and answer["event_id"] != sending["event_id"]
            and is_soon(answer, sending, THIRTY_DAYS)
            and (following is None or answer["occurred_at"] < following["occurred_at"])
        ]
        yield {
            "at": sending["occurred_at"],
            "numerator": bool(answered),
            "denominator": 1,
            **of(sending, ("channel", "campaign")),
        }


def is_same(one: Row, other: Row) -> bool:
    """Say whether two touchpoints are of one person and case; no case is a case."""
    return (one["profile_id"], one["case_id"]) == (other["profile_id"], other["case_id"])


def is_soon(later: Row, earlier: Row, within: timedelta) -> bool:
    """Say whether a touchpoint is at another's instant or at most a while after it."""
    at: datetime = earlier["occurred_at"]
    return at <= later["occurred_at"] <= at + within


def recommend_probability(world: World) -> Iterator[Fact]:
    """How likely people say they are to recommend."""
    for answer in scored(world, "recommend"):
        yield {
            "at": answer["occurred_at"],
            "measure": answer["score"] / 10,
            "after": preceding(answer, world),
            **of(answer, ("channel", "product")),
        }


def referrals(world: World) -> Iterator[Fact]:
    """Referrals made."""
    return touchpoints(world, "referral_made", ("channel", "product", "campaign"))


def touchpoints(world: World, role: str, names: tuple[str, ...]) -> Iterator[Fact]:
    """Return the touchpoints with a role, a fact each."""
    for touchpoint in world.with_role(role):
        yield {"at": touchpoint["occurred_at"], "numerator": 1, **of(touchpoint, names)}


def firsts(named: list[Row], key: str) -> list[Row]:
    """Return the first touchpoint of each key, of some in order; and each that has none."""
    seen = set()
    found = []
    for touchpoint in named:
        if touchpoint[key] is None or touchpoint[key] not in seen:
            found.append(touchpoint)
        seen.add(touchpoint[key])
    return found


def answering(first: Row, others: list[Row], key: str, within: timedelta) -> list[Row]:
    """Return the touchpoints, of some in order, that name a touchpoint's key soon after it."""
    return [
        other
        for other in others
        if first[key] is not None
        and other[key] == first[key]
        and other["event_id"] != first["event_id"]
        and is_soon(other, first, within)
    ]


def referred_customers(world: World) -> Iterator[Fact]:
    """Referrals that brought a customer."""
    for converted in firsts(world.with_role("referral_converted"), "referral_id"):
        yield {"at": converted["occurred_at"], "numerator": 1, **of(converted, ("channel", "product"))}


def referral_conversion(world: World) -> Iterator[Fact]:
    """Referrals, and those that brought a customer within 90 days."""
    converted = world.with_role("referral_converted")
    for referral in firsts(world.with_role("referral_made"), "referral_id"):
        yield {
            "at": referral["occurred_at"],
            "numerator": bool(answering(referral, converted, "referral_id", NINETY_DAYS)),
            "denominator": 1,
            **of(referral, ("channel", "product", "campaign")),
        }


def reviews(world: World) -> Iterator[Fact]:
    """Reviews posted."""
    return touchpoints(world, "review_posted", ("channel", "product"))


def review_score(world: World) -> Iterator[Fact]:
    """What reviews give, of five."""
    for review in scored(world, "review"):
        yield {
            "at": review["occurred_at"],
            "measure": review["score"],
            **of(review, ("channel", "product")),
        }


def references_willing(world: World) -> Iterator[Fact]:
    """Persons who let themselves be named."""
    for willing in world.with_role("reference_willing"):
        yield {
            "at": willing["occurred_at"],
            "person": willing["profile_id"],
            "numerator": True,
            **of(willing, ("channel", "product")),
        }


def word_of_mouth_share(world: World) -> Iterator[Fact]:
    """New customers, and those whom somebody had told."""
    for purchase in first_purchases(world):
        told = any(
            touchpoint["profile_id"] == purchase["profile_id"]
            and touchpoint["occurred_at"] <= purchase["occurred_at"]
            and "referral_made" not in touchpoint["roles"]
            and (touchpoint["referral_id"] is not None or touchpoint["source"] in WORD_OF_MOUTH_SOURCES)
            for touchpoint in world.touchpoints
        )
        yield {
            "at": purchase["occurred_at"],
            "numerator": told,
            "denominator": 1,
            **of(purchase, ("product", "channel")),
        }


WHERE = ("channel", "product")

FIGURES = {
    "nps": Twin(nps, "nps", ("stage", "channel", "product", "after")),
    "nps_response_rate": Twin(nps_response_rate, "share", ("channel", "campaign"), window=THIRTY_DAYS),
    "recommend_probability": Twin(recommend_probability, "mean", ("channel", "product", "after")),
    "referrals": Twin(referrals, "count", ("channel", "product", "campaign")),
    "referred_customers": Twin(referred_customers, "count", WHERE),
    "referral_conversion": Twin(
        referral_conversion, "share", ("channel", "product", "campaign"), window=NINETY_DAYS
    ),
    "reviews": Twin(reviews, "count", WHERE),
    "review_score": Twin(review_score, "mean", WHERE),
    "references_willing": Twin(references_willing, "count", WHERE, persons=True),
    "word_of_mouth_share": Twin(word_of_mouth_share, "share", ("product", "channel")),
}
