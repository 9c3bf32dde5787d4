"""What members do for one another, and the events where they meet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from reference.figures.advocacy import answering, firsts
from reference.figures.awareness import THIRTY_DAYS, of
from reference.figures.members import membership, theme_of
from reference.figures.tally import Fact, Twin
from reference.figures.world import World
from reference.model import Row
from reference.stage_conversion import instant


def listings_offered(world: World) -> Iterator[Fact]:
    """Offers among members."""
    return listings(world, "listing_offered")


def listings_asked(world: World) -> Iterator[Fact]:
    """Demands among members."""
    return listings(world, "listing_asked")


def listings(world: World, role: str) -> Iterator[Fact]:
    """Return the listings of one kind, a fact each."""
    for listing in world.with_role(role):
        yield {
            "at": listing["occurred_at"],
            "numerator": 1,
            "theme": theme_of(listing),
            **of(listing, ("channel", "product")),
        }


def matched(world: World) -> Iterator[tuple[Fact, Row, list[Row]]]:
    """Return the listings that a match can name, as facts, with their matches within 30 days."""
    matches = world.with_role("listing_matched")
    for listing in firsts(world.with_role("listing_offered", "listing_asked"), "case_id"):
        if listing["case_id"] is not None:
            fact = {
                "at": listing["occurred_at"],
                "listing": "offered" if "listing_offered" in listing["roles"] else "asked",
                "theme": theme_of(listing),
                "channel": listing["channel"],
            }
            yield fact, listing, answering(listing, matches, "case_id", THIRTY_DAYS)


def listing_match_rate(world: World) -> Iterator[Fact]:
    """Listings, and those that find somebody within 30 days."""
    for fact, _listing, matches in matched(world):
        yield {**fact, "numerator": bool(matches), "denominator": 1}


def time_to_match(world: World) -> Iterator[Fact]:
    """How long listings wait for somebody."""
    for fact, listing, matches in matched(world):
        if matches:
            wait = matches[0]["occurred_at"] - listing["occurred_at"]
            yield {**fact, "measure": wait / timedelta(days=1)}


def events_held(world: World) -> Iterator[Fact]:
    """Events that took place."""
    for held in world.events_held:
        yield {"at": instant(held["date"], world.options), "numerator": 1, **of(held, ("channel", "event"))}


def event_attendance(world: World) -> Iterator[Fact]:
    """Heads counted at events."""
    for held in world.events_held:
        if held["headcount"] is not None:
            yield {
                "at": instant(held["date"], world.options),
                "numerator": held["headcount"],
                **of(held, ("channel", "event")),
            }


def digital_event_share(world: World) -> Iterator[Fact]:
    """Attendances, and those from afar."""
    for attended in world.with_role("event_attended"):
        if attended["medium"] is not None:
            yield {
                "at": attended["occurred_at"],
                "numerator": attended["medium"] == "digital",
                "denominator": 1,
                **of(attended, ("product", "campaign")),
            }


def member_attendance_share(world: World) -> Iterator[Fact]:
    """Attendances, and those of members."""
    members = membership(world)
    for attended in world.with_role("event_attended"):
        member, at = members.get(attended["profile_id"]), attended["occurred_at"]
        yield {
            "at": at,
            "numerator": member is not None
            and member["since"] <= at
            and (member["until"] is None or at < member["until"]),
            "denominator": 1,
            **of(attended, ("channel", "campaign")),
        }


BY_LISTING = ("listing", "theme", "channel")

FIGURES = {
    "listings_offered": Twin(listings_offered, "count", ("theme", "channel", "product")),
    "listings_asked": Twin(listings_asked, "count", ("theme", "channel", "product")),
    "listing_match_rate": Twin(listing_match_rate, "share", BY_LISTING, window=THIRTY_DAYS),
    "time_to_match": Twin(time_to_match, "median", BY_LISTING, window=THIRTY_DAYS),
    "events_held": Twin(events_held, "count", ("channel", "event")),
    "event_attendance": Twin(event_attendance, "amount", ("channel", "event")),
    "digital_event_share": Twin(digital_event_share, "share", ("product", "campaign")),
    "member_attendance_share": Twin(member_attendance_share, "share", ("channel", "campaign")),
}
