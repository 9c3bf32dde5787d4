"""How people who need something are served: how long, how well, at what cost, and within the law."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from reference.figures.awareness import of
from reference.figures.tally import Fact, Twin
from reference.figures.world import World, in_order
from reference.model import Row
from reference.stage_conversion import instant

OF_A_CASE = ("kind", "product", "channel")
ASKING = ("question", "request", "complaint")
DAY = timedelta(days=1)


def claim_handling_time(world: World) -> Iterator[Fact]:
    """Days from a claim's opening to its first closing, when it was closed."""
    for claim in claims_opened(world):
        yield took(claim, first_from(claim["closed_at"], claim["opened_at"]), DAY)


def complaint_handling_time(world: World) -> Iterator[Fact]:
    """Days from a complaint to its first answer, when it was answered."""
    for case in cases_opened(world, "complaint"):
        yield took(case, first_from(case["answered_at"], case["opened_at"]), DAY)


def request_handling_time(world: World) -> Iterator[Fact]:
    """Days from a request to its first closing, when it was closed."""
    for case in cases_opened(world, "request"):
        yield took(case, first_from(case["closed_at"], case["opened_at"]), DAY)


def first_answer_time(world: World) -> Iterator[Fact]:
    """Hours from what is asked to the first answer, when it was answered."""
    for case in cases_opened(world, *ASKING):
        yield took(case, settled_at(case), timedelta(hours=1))


def answered_share(world: World) -> Iterator[Fact]:
    """What is asked, and what is answered within 30 days."""
    for case in cases_opened(world, *ASKING):
        yield share(case, case["opened_at"], within(settled_at(case), case["opened_at"], 30))


def unanswered_share(world: World) -> Iterator[Fact]:
    """What is asked, and what is not answered within 30 days."""
    for case in cases_opened(world, *ASKING):
        yield share(case, case["opened_at"], not within(settled_at(case), case["opened_at"], 30))


def reopened_share(world: World) -> Iterator[Fact]:
    """Claims and requests closed, and those reopened within 30 days after."""
    for matter in (*claims_opened(world), *cases_opened(world, "request")):
        closed = first_from(matter["closed_at"], matter["opened_at"])
        if closed is not None:
            again = any(at > closed and within(at, closed, 30) for at in matter["reopened_at"])
            yield share(matter, closed, again)


def first_contact_resolution(world: World) -> Iterator[Fact]:
    """Questions and requests settled, and those whose person did not have to come again within 7 days."""
    others = list(cases_opened(world, *ASKING))
    for case in cases_opened(world, "question", "request"):
        settled = settled_at(case)
        if settled is not None:
            reopened = any(at > settled and within(at, settled, 7) for at in case["reopened_at"])
            came_again = any(
                other["opened_at"] > case["opened_at"] and within(other["opened_at"], settled, 7)
                for other in others
                if other["profile_id"] == case["profile_id"] and other["case_id"] != case["case_id"]
            )
            yield share(case, settled, not reopened and not came_again)


def repeat_contact_share(world: World) -> Iterator[Fact]:
    """What is asked, and what is followed by another of the same person within 7 days."""
    others = list(cases_opened(world, *ASKING))
    for case in others:
        opened = case["opened_at"]
        again = any(
            other["opened_at"] > opened and within(other["opened_at"], opened, 7)
            for other in others
            if other["profile_id"] == case["profile_id"] and other["case_id"] != case["case_id"]
        )
        yield share(case, opened, again)


def self_service_share(world: World) -> Iterator[Fact]:
    """Touchpoints of service, and the digital ones."""
    for touchpoint in world.touchpoints:
        if touchpoint["stage"] == "service" and touchpoint["medium"] is not None:
            yield {
                "at": touchpoint["occurred_at"],
                "numerator": touchpoint["medium"] == "digital",
                "denominator": 1,
                **of(touchpoint, ("product", "event_type")),
            }


def complaint_rate(world: World) -> Iterator[Fact]:
    """Complaints, over the persons with a contract in force when the period begins."""
    for case in cases_opened(world, "complaint"):
        yield {"at": case["opened_at"], "numerator": 1, **of(case, ("product", "channel"))}
    for stretches in held_by_person(world).values():
        for since, until in stretches:
            yield {"since": since, "until": until, "denominator": 1}


def complaint_acknowledged_on_time(world: World) -> Iterator[Fact]:
    """Complaints, and those acknowledged or answered within 10 working days."""
    for case in cases_opened(world, "complaint"):
        replies = sorted([*filter(None, [case["acknowledged_at"]]), *case["answered_at"]])
        reply = first_from(replies, case["opened_at"])
        last = nth_working_day_after(local_day(case["opened_at"], world), 10)
        yield share(case, case["opened_at"], reply is not None and local_day(reply, world) <= last)


def complaint_answered_on_time(world: World) -> Iterator[Fact]:
    """Complaints, and those answered within two months."""
    for case in cases_opened(world, "complaint"):
        answer = first_from(case["answered_at"], case["opened_at"])
        last = two_months_after(local_day(case["opened_at"], world))
        yield share(case, case["opened_at"], answer is not None and local_day(answer, world) <= last)


def average_claim_cost(world: World) -> Iterator[Fact]:
    """What each claim costs to date, reserves included, when it was opened."""
    costs_of = claim_costs(world)
    for claim in claims_opened(world):
        for currency, cost in costs_of.get(claim["claim_id"], {world.options.default_currency: 0}).items():
            yield {
                "at": claim["opened_at"],
                "measure": cost,
                "currency": currency,
                "product": claim["product"],
            }


def loss_ratio(world: World) -> Iterator[Fact]:
    """What claims cost to date, over the premium earned day by day."""
    costs_of = claim_costs(world)
    for claim in claims_opened(world):
        for currency, cost in costs_of.get(claim["claim_id"], {}).items():
            yield {
                "at": claim["opened_at"],
                "numerator": cost,
                "currency": currency,
                "product": claim["product"],
            }
    first_day = local_day(min((t["occurred_at"] for t in world.touchpoints), default=world.as_of), world)
    in_force: dict[tuple[date, str, str | None], Decimal] = {}
    for version in world.premiums:
        if version["annual_premium"] is None:
            continue
        day, until = max(first_day, local_day(version["from_at"], world)), local_day(world.as_of, world) + DAY
        if version["until_at"] is not None:
            until = min(until, local_day(version["until_at"], world))
        while day < until:
            key = (day, version["currency"], version["product"])
            in_force[key] = in_force.get(key, Decimal(0)) + version["annual_premium"]
            day += DAY
    for (day, currency, product), premium in in_force.items():
        yield {
            "at": instant(day, world.options),
            "denominator": Fraction(premium) / days_in(day),
            "currency": currency,
            "product": product,
        }


def csat(world: World) -> Iterator[Fact]:
    """Answers to csat, and those of 4 or 5."""
    return at_least(world, "csat", 4)


def csat_mean(world: World) -> Iterator[Fact]:
    """Scores of csat."""
    return answers(world, "csat")


def ces_easy(world: World) -> Iterator[Fact]:
    """Answers to ces, and those of 5 to 7."""
    return at_least(world, "ces", 5)


def ces_mean(world: World) -> Iterator[Fact]:
    """Scores of ces."""
    return answers(world, "ces")


def at_least(world: World, survey: str, score: int) -> Iterator[Fact]:
    """Return the answers to a survey, and those of at least a score."""
    for answer in answers(world, survey):
        yield {**answer, "numerator": answer["measure"] >= score, "denominator": 1}


def answers(world: World, survey: str) -> Iterator[Fact]:
    """Return the scores of a survey, by where, about what and after what they were given."""
    for answer in world.touchpoints:
        if answer["survey"] == survey and answer["score"] is not None:
            yield {
                "at": answer["occurred_at"],
                "measure": answer["score"],
                "after": preceding(answer, world),
                **of(answer, ("channel", "product")),
            }


def preceding(answer: Row, world: World) -> str | None:
    """Return the event type of the person's last touchpoint before one that is about no survey."""
    before = [
        touchpoint
        for touchpoint in world.touchpoints
        if touchpoint["profile_id"] == answer["profile_id"]
        and (touchpoint["occurred_at"], touchpoint["event_id"]) < (answer["occurred_at"], answer["event_id"])
        and not {"survey_sent", "survey_answered"} & set(touchpoint["roles"])
    ]
    return in_order(before)[-1]["event_type"] if before else None


def claims_opened(world: World) -> Iterator[Row]:
    """Return the claims whose opening was seen, with the channel of that opening."""
    channel_of = {touchpoint["event_id"]: touchpoint["channel"] for touchpoint in world.touchpoints}
    for claim in world.claims:
        if claim["opened_at"] is not None:
            yield {**claim, "kind": "claim", "channel": channel_of[claim["opened_by"]]}


def cases_opened(world: World, *kinds: str) -> Iterator[Row]:
    """Return the cases of some kinds whose opening was seen."""
    return (case for case in world.cases if case["kind"] in kinds and case["opened_at"] is not None)


def first_from(instants: list[datetime], opened: datetime) -> datetime | None:
    """Return the first of some instants that is not before the opening."""
    return min((at for at in instants if at >= opened), default=None)


def settled_at(case: Row) -> datetime | None:
    """Return when a case was first answered or closed."""
    return first_from([*case["answered_at"], *case["closed_at"]], case["opened_at"])


def took(matter: Row, ended: datetime | None, unit: timedelta) -> Fact:
    """Return how long something took, as a fact at its end; one without an end counts nowhere."""
    measure = None if ended is None else (ended - matter["opened_at"]) / unit
    return {"at": ended, "measure": measure, **of(matter, OF_A_CASE)}


def within(at: datetime | None, since: datetime, days: int) -> bool:
    """Say whether an instant is at most some days after another."""
    return at is not None and at <= since + timedelta(days=days)


def share(matter: Row, at: datetime, is_counted: bool) -> Fact:
    """Return a matter as a fact of a share."""
    return {"at": at, "numerator": is_counted, "denominator": 1, **of(matter, OF_A_CASE)}


def held_by_person(world: World) -> dict[str, list[tuple[datetime, datetime | None]]]:
    """Return when each person had a contract in force: stretches that neither meet nor overlap."""
    found: dict[str, list[tuple[datetime, datetime | None]]] = {}
    begun = [contract for contract in world.contracts if contract["began_at"] is not None]
    for contract in sorted(begun, key=lambda row: row["began_at"]):
        since, until = contract["began_at"], contract["ended_at"]
        if until is not None and until <= since:
            continue
        stretches = found.setdefault(contract["profile_id"], [])
        if stretches and (stretches[-1][1] is None or since <= stretches[-1][1]):
            last_since, last_until = stretches.pop()
            if last_until is None or until is None:
                stretches.append((last_since, None))
            else:
                stretches.append((last_since, max(last_until, until)))
        else:
            stretches.append((since, until))
    return found


def claim_costs(world: World) -> dict[str, dict[str, Any]]:
    """Return what each claim cost to date, reserves included, by currency."""
    found: dict[str, dict[str, Any]] = {}
    for touchpoint in world.touchpoints:
        if touchpoint["money_role"] in ("claim_paid", "claim_reserve") and touchpoint["value"] is not None:
            costs = found.setdefault(touchpoint["claim_id"], {})
            costs[touchpoint["currency"]] = costs.get(touchpoint["currency"], 0) + touchpoint["value"]
    return found


def local_day(at: datetime, world: World) -> date:
    """Return the day that it is in the configured time zone."""
    zone = ZoneInfo(world.options.time_zone)
    return at.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone).date()


def days_in(day: date) -> int:
    """Return how many days a day's calendar year has."""
    return (date(day.year + 1, 1, 1) - date(day.year, 1, 1)).days


def two_months_after(day: date) -> date:
    """Return the same day two months later, or the month's last where it has no such day."""
    months = day.year * 12 + day.month - 1 + 2
    year, month = months // 12, months % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - DAY).day
    return date(year, month, min(day.day, last))


def nth_working_day_after(day: date, count: int) -> date:
    """Return the n-th French working day after a day, which itself does not count."""
    while count:
        day += DAY
        if day.weekday() < 5 and day not in holidays(day.year):
            count -= 1
    return day


def holidays(year: int) -> set[date]:
    """Return the French public holidays of a year."""
    sunday = easter(year)
    fixed = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
    return {
        *(date(year, month, day) for month, day in fixed),
        sunday + 1 * DAY,  # Easter Monday
        sunday + 39 * DAY,  # Ascension
        sunday + 50 * DAY,  # Whit Monday
    }


def easter(year: int) -> date:
    """Return Easter Sunday, by the church's own rule: the Sunday after the full moon from 21 March on.

    The full moon is the one of the tables of the Gregorian calendar (epact and its two corrections).
    """
    century = year // 100 + 1
    golden = year % 19 + 1
    solar, lunar = 3 * century // 4 - 12, (8 * century + 5) // 25 - 5
    epact = (11 * golden + 20 + lunar - solar) % 30
    if epact == 24 or (epact == 25 and golden > 11):
        epact += 1
    moon = 44 - epact
    full = date(year, 3, 1) + timedelta(days=(moon if moon >= 21 else moon + 30) - 1)
    return full + timedelta(days=7 - (full.weekday() + 1) % 7)


CASES, MATTERS = OF_A_CASE, ("product", "channel")
ANSWERS = ("channel", "product", "after")
MONEY = ("currency",)
WEEK, MONTH = timedelta(days=7), timedelta(days=30)

FIGURES = {
    "claim_handling_time": Twin(claim_handling_time, "median", MATTERS),
    "claim_handling_time_p90": Twin(claim_handling_time, "p90", MATTERS),
    "complaint_handling_time": Twin(complaint_handling_time, "median", MATTERS),
    "complaint_handling_time_p90": Twin(complaint_handling_time, "p90", MATTERS),
    "request_handling_time": Twin(request_handling_time, "median", MATTERS),
    "request_handling_time_p90": Twin(request_handling_time, "p90", MATTERS),
    "first_answer_time": Twin(first_answer_time, "median", CASES),
    "first_answer_time_p90": Twin(first_answer_time, "p90", CASES),
    "answered_share": Twin(answered_share, "share", CASES, window=MONTH),
    "unanswered_share": Twin(unanswered_share, "share", CASES, window=MONTH),
    "reopened_share": Twin(reopened_share, "share", CASES, window=MONTH),
    "first_contact_resolution": Twin(first_contact_resolution, "share", CASES, window=WEEK),
    "repeat_contact_share": Twin(repeat_contact_share, "share", CASES, window=WEEK),
    "self_service_share": Twin(self_service_share, "share", ("product", "event_type")),
    "complaint_rate": Twin(complaint_rate, "rate", numerator_dimensions=MATTERS, standing="start"),
    "complaint_acknowledged_on_time": Twin(
        complaint_acknowledged_on_time, "share", MATTERS, window=timedelta(days=21)
    ),
    "complaint_answered_on_time": Twin(
        complaint_answered_on_time, "share", MATTERS, window=timedelta(days=63)
    ),
    "average_claim_cost": Twin(
        average_claim_cost, "mean", ("product",), always=MONEY, window=timedelta(days=365)
    ),
    "loss_ratio": Twin(loss_ratio, "ratio", ("product",), always=MONEY, window=timedelta(days=365)),
    "csat": Twin(csat, "share", ANSWERS),
    "csat_mean": Twin(csat_mean, "mean", ANSWERS),
    "ces_easy": Twin(ces_easy, "share", ANSWERS),
    "ces_mean": Twin(ces_mean, "mean", ANSWERS),
}
