"""The life of a mutual: who is a member, who takes part, who asks and who answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from reference.figures.advocacy import answering, firsts, scored, touchpoints
from reference.figures.awareness import THIRTY_DAYS, of
from reference.figures.loyalty import BY_MONTH, DAY, first_day, stands
from reference.figures.service import preceding
from reference.figures.tally import Fact, Twin
from reference.figures.world import World
from reference.model import Row
from reference.people import attribute
from reference.references import newest
from reference.stage_conversion import instant

TAKING_PART = ("member_voted", "meeting_attended", "panel_answered", "forum_posted")
SELLING = {
    "touch",
    "survey_sent",
    "purchase",
    "contract_signed",
    "contract_renewed",
    "contract_terminated",
}
AFTER_THE_SALE = ("service", "loyalty", "advocacy")
ENGAGEMENT = dict.fromkeys(("value", "efficiency", "trust", "consistency", "relevance", "control"), 1)
"""The surveys of the engagement index, and what each weighs."""

OF_A_CUSTOMER = ("region", "segment", "potential")
HOUR = timedelta(hours=1)


def customer_rows(world: World) -> dict[str, list[Row]]:
    """Return, per person, the rows of its customer ids; the first is the person's own."""
    by_then = [
        each for each in world.customers if each["valid_from"] is None or each["valid_from"] <= world.as_of
    ]
    found: dict[str, list[Row]] = {}
    for customer_id, row in sorted(newest(by_then, "customer_id").items()):
        found.setdefault(world.people.get(customer_id, customer_id), []).append(row)
    return {
        person: sorted(rows, key=lambda row: row["customer_id"] != person) for person, rows in found.items()
    }


def customer_of(world: World) -> dict[str, Row]:
    """Return what is known of each person as a customer."""
    return {person: of(rows[0], OF_A_CUSTOMER) for person, rows in customer_rows(world).items()}


NOTHING: Row = dict.fromkeys(OF_A_CUSTOMER)


def membership(world: World) -> dict[str, Row]:
    """Return since and until when each person is a member, and what is known of it as a customer."""
    found = {}
    for person, rows in customer_rows(world).items():
        joined = [row for row in rows if row["member_since"] is not None]
        if joined:
            last = [row["member_until"] for row in joined]
            found[person] = {
                "since": instant(min(row["member_since"] for row in joined), world.options),
                "until": None if None in last else instant(max(last) + DAY, world.options),
                **of(rows[0], OF_A_CUSTOMER),
            }
    return found


def members_at(world: World, ends: datetime) -> dict[str, Row]:
    """Return the members when a period ends."""
    return {
        person: member
        for person, member in membership(world).items()
        if member["since"] <= world.as_of and stands(member["since"], past(member["until"], world), ends)
    }


def past(at: datetime | None, world: World) -> datetime | None:
    """Return an instant; null where it is still to come."""
    return at if at is not None and at <= world.as_of else None


def members(world: World) -> Iterator[Fact]:
    """Members, as long as they are."""
    for member in membership(world).values():
        yield {"numerator": 1, **member}


def member_net_growth(world: World) -> Iterator[Fact]:
    """Members who join, less those who leave."""
    for member in membership(world).values():
        known = of(member, ("region", "segment"))
        for at, change in ((member["since"], 1), (member["until"], -1)):
            if at is not None and at >= first_day(world):
                yield {"at": at, "numerator": change, **known}


def participation(world: World, _start: date, begins: datetime, ends: datetime) -> Iterator[Fact]:
    """Members, and those who take part, each way by itself."""
    roles_of: dict[str, set[str]] = {}
    for touchpoint in world.with_role(*TAKING_PART):
        if begins <= touchpoint["occurred_at"] < ends:
            roles_of.setdefault(touchpoint["profile_id"], set()).update(
                role for role in touchpoint["roles"] if role in TAKING_PART
            )
    for person, member in members_at(world, ends).items():
        known = {"person": person, **of(member, ("region", "segment"))}
        yield {**known, "numerator": False, "role": None}
        for role in roles_of.get(person, ()):
            yield {**known, "numerator": True, "role": role}


def active_outside_sale(world: World, _start: date, begins: datetime, ends: datetime) -> Iterator[Fact]:
    """Members, and those met after a sale and about none."""
    active = {
        touchpoint["profile_id"]
        for touchpoint in world.touchpoints
        if begins <= touchpoint["occurred_at"] < ends
        and touchpoint["stage"] in AFTER_THE_SALE
        and not SELLING & set(touchpoint["roles"])
    }
    for person, member in members_at(world, ends).items():
        yield {"person": person, "numerator": person in active, **of(member, ("region", "segment"))}


def engagement_index(world: World) -> Iterator[Fact]:
    """The six scores of engagement, by their weights."""
    for survey, weight in ENGAGEMENT.items():
        for answer in engagement(survey, world):
            yield {**answer, "numerator": weight * answer["measure"], "denominator": weight}


def engagement(survey: str, world: World) -> Iterator[Fact]:
    """The scores of one element of engagement."""
    for answer in scored(world, survey):
        yield {
            "at": answer["occurred_at"],
            "measure": answer["score"],
            "channel": answer["channel"],
            "after": preceding(answer, world),
        }


def premium_per_member(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """The annual premium of each member who pays one."""
    at_end = members_at(world, ends)
    paid: dict[tuple[str, str], Any] = {}
    for version in world.premiums:
        if (
            version["profile_id"] in at_end
            and version["annual_premium"] is not None
            and stands(version["from_at"], version["until_at"], ends)
        ):
            key = (version["profile_id"], version["currency"])
            paid[key] = paid.get(key, 0) + version["annual_premium"]
    for (person, currency), premium in paid.items():
        yield {"measure": premium, "currency": currency, **of(at_end[person], ("region", "segment"))}


def benefits_used(world: World) -> Iterator[Fact]:
    """Benefits used."""
    return touchpoints(world, "benefit_used", ("channel", "product"))


def volunteers_invited(world: World) -> Iterator[Fact]:
    """Invitations to be a volunteer."""
    return touchpoints(world, "volunteer_invited", ("channel",))


def volunteers(world: World) -> list[Row]:
    """Return since and until when persons are volunteers."""
    found: list[Row] = []
    open_of: dict[str, Row] = {}
    for touchpoint in world.with_role("volunteer_joined", "volunteer_left"):
        person, at = touchpoint["profile_id"], touchpoint["occurred_at"]
        if "volunteer_left" in touchpoint["roles"]:
            if person in open_of:
                open_of.pop(person)["until"] = at
        elif person not in open_of:
            open_of[person] = {"since": at, "until": None}
            found.append(open_of[person])
    return found


def volunteers_active(world: World) -> Iterator[Fact]:
    """Volunteers, as long as they are."""
    for volunteer in volunteers(world):
        yield {"numerator": 1, **volunteer}


def questions_per_volunteer(world: World) -> Iterator[Fact]:
    """Questions, over the volunteers there are."""
    for question in firsts(world.with_role("question_asked"), "case_id"):
        yield {"at": question["occurred_at"], "numerator": 1}
    for volunteer in volunteers(world):
        yield {"denominator": 1, **volunteer}


def theme_of(touchpoint: Row) -> str | None:
    """Return what a touchpoint is about."""
    return attribute(touchpoint, "theme") or touchpoint["product"]


def questions(world: World) -> Iterator[Fact]:
    """Questions asked."""
    for question in firsts(world.with_role("question_asked"), "case_id"):
        yield {
            "at": question["occurred_at"],
            "numerator": 1,
            "theme": theme_of(question),
            **of(question, ("channel", "product")),
        }


def answered_questions(world: World) -> Iterator[tuple[Fact, Row, list[Row]]]:
    """Return the questions that an answer can name, as facts, with their answers within 30 days."""
    answers = world.with_role("question_answered")
    for question in firsts(world.with_role("question_asked"), "case_id"):
        if question["case_id"] is not None:
            fact = {
                "at": question["occurred_at"],
                "theme": theme_of(question),
                "channel": question["channel"],
            }
            yield fact, question, answering(question, answers, "case_id", THIRTY_DAYS)


def answers_per_question(world: World) -> Iterator[Fact]:
    """How many answers questions have."""
    for fact, _question, answers in answered_questions(world):
        yield {**fact, "measure": len(answers)}


def time_to_first_answer(world: World) -> Iterator[Fact]:
    """How long questions wait for their first answer."""
    for fact, question, answers in answered_questions(world):
        if answers:
            yield {**fact, "measure": (answers[0]["occurred_at"] - question["occurred_at"]) / HOUR}


def unanswered_question_share(world: World) -> Iterator[Fact]:
    """Questions, and those that nobody answers within 30 days."""
    for fact, _question, answers in answered_questions(world):
        yield {**fact, "numerator": not answers, "denominator": 1}


def question_reminders(world: World) -> Iterator[Fact]:
    """Reminders of questions."""
    for reminder in world.with_role("question_reminded"):
        yield {
            "at": reminder["occurred_at"],
            "numerator": 1,
            "theme": theme_of(reminder),
            "channel": reminder["channel"],
        }


BY_CUSTOMER = ("region", "segment")
BY_ANSWER = ("channel", "after")
BY_THEME = ("theme", "channel")

FIGURES = {
    "members": Twin(members, "count", BY_CUSTOMER, standing="end"),
    "member_net_growth": Twin(member_net_growth, "amount", BY_CUSTOMER),
    "participation": Twin(
        participation,
        "share",
        BY_CUSTOMER,
        numerator_dimensions=("role",),
        snapshot=True,
        persons=True,
        grains=BY_MONTH,
    ),
    "active_outside_sale": Twin(
        active_outside_sale, "share", BY_CUSTOMER, snapshot=True, persons=True, grains=BY_MONTH
    ),
    "engagement_index": Twin(engagement_index, "ratio", BY_ANSWER),
    **{f"engagement_{survey}": Twin(partial(engagement, survey), "mean", BY_ANSWER) for survey in ENGAGEMENT},
    "premium_per_member": Twin(
        premium_per_member, "mean", BY_CUSTOMER, always=("currency",), snapshot=True, grains=BY_MONTH
    ),
    "benefits_used": Twin(benefits_used, "count", ("channel", "product")),
    "volunteers_invited": Twin(volunteers_invited, "count", ("channel",)),
    "volunteers_active": Twin(volunteers_active, "count", standing="end"),
    "questions_per_volunteer": Twin(questions_per_volunteer, "rate", standing="end"),
    "questions": Twin(questions, "count", ("theme", "channel", "product")),
    "answers_per_question": Twin(answers_per_question, "mean", BY_THEME, window=THIRTY_DAYS),
    "time_to_first_answer": Twin(time_to_first_answer, "median", BY_THEME, window=THIRTY_DAYS),
    "time_to_first_answer_p90": Twin(time_to_first_answer, "p90", BY_THEME, window=THIRTY_DAYS),
    "question_reminders": Twin(question_reminders, "count", BY_THEME),
    "unanswered_question_share": Twin(unanswered_question_share, "share", BY_THEME, window=THIRTY_DAYS),
}
