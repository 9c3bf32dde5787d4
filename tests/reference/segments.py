"""Segments: what is known of persons and of what is theirs at an instant, and whom a predicate fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from reference.at_instant import (
    cases_at,
    contract_premiums_at,
    contracts_at,
    journeys_at,
    profiles_at,
    quotes_at,
)
from reference.contracts import by_time, with_role
from reference.ladder import years_before
from reference.model import Options, Row, Tables

Predicate = Callable[[Mapping[str, Any]], bool]

DAY = timedelta(days=1)

KEYS = {
    "profiles": "profile_id",
    "contracts": "contract_id",
    "journeys": "journey_id",
    "quotes": "quote_id",
    "cases": "case_id",
}
"""What names a row of each kind that a segment may be over."""

DECLARED = ("region", "birth_year", "segment", "potential", "member_since", "member_until")


def facts_at(tables: Tables, over: str, as_of: datetime, options: Options) -> list[Row]:
    """Return the rows of one kind, with all that a condition may speak of."""
    facts = {
        "profiles": profile_facts,
        "contracts": contract_facts,
        "journeys": journey_facts,
        "quotes": quote_facts,
        "cases": case_facts,
    }
    return facts[over](tables, as_of, options)


def members_at(
    tables: Tables, segments: Mapping[str, tuple[str, Predicate]], as_of: datetime, options: Options
) -> list[Row]:
    """Return who is in which segment: one of theirs fits; and the keys of those that do."""
    rows = []
    for name, (over, fits) in segments.items():
        matters: dict[str, list[str]] = {}
        for row in facts_at(tables, over, as_of, options):
            if fits(row):
                matters.setdefault(row["profile_id"], []).append(row[KEYS[over]])
        for profile_id, keys in matters.items():
            rows.append(
                {"segment": name, "profile_id": profile_id, "over": over, "matter": sorted(keys, key=repr)}
            )
    return rows


def history_at(
    tables: Tables, segments: Mapping[str, tuple[str, Predicate]], as_of: datetime, options: Options
) -> list[Row]:
    """Return the stays of each person in each segment, as the ends of months that are over show them."""
    zone = ZoneInfo(options.time_zone)
    seen = [row["occurred_at"] for row in tables.touchpoints if row["occurred_at"] <= as_of]
    months: list[tuple[date, set[tuple[str, str]]]] = []
    first = local_day(min(seen), options).replace(day=1) if seen else date.max
    while first <= local_day(as_of, options):
        following = (first + 31 * DAY).replace(day=1)
        over = datetime(following.year, following.month, 1, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
        if over > as_of:
            break
        rows = members_at(tables, segments, over - timedelta(microseconds=1), options)
        months.append((following - DAY, {(row["segment"], row["profile_id"]) for row in rows}))
        first = following
    stays: list[Row] = []
    open_stays: dict[tuple[str, str], Row] = {}
    for ends_on, members in months:
        for place in [*open_stays]:
            if place not in members:
                open_stays.pop(place)["left_on"] = ends_on
        for segment, profile_id in members - open_stays.keys():
            stay = {"segment": segment, "profile_id": profile_id, "entered_on": ends_on, "left_on": None}
            stays.append(stay)
            open_stays[segment, profile_id] = stay
    return stays


def cells_at(
    tables: Tables, profitable: Predicate, high_potential: Predicate, as_of: datetime, options: Options
) -> list[Row]:
    """Return the cell of each customer."""
    return [
        {
            "profile_id": row["profile_id"],
            "profitable": profitable(row),
            "potential": high_potential(row),
            "cell": f"{'' if profitable(row) else 'not '}profitable, "
            f"{'high' if high_potential(row) else 'low'} potential",
        }
        for row in profile_facts(tables, as_of, options)
        if row["is_customer"]
    ]


def profile_facts(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the persons that had a touchpoint, with all that is known of them."""
    contracts = contracts_at(tables, as_of)
    premiums = contract_premiums_at(tables, as_of)
    quotes, cases = quote_facts(tables, as_of, options), case_facts(tables, as_of, options)
    rows = []
    for profile in profiles_at(tables, as_of, options):
        person = profile["profile_id"]
        history = by_time(
            [
                touchpoint
                for touchpoint in tables.touchpoints
                if touchpoint["profile_id"] == person and touchpoint["occurred_at"] <= as_of
            ]
        )
        own = [contract for contract in contracts if contract["profile_id"] == person]
        last_nps_at = last(touchpoint for touchpoint in history if touchpoint["survey"] == "nps")
        last_touch_at = last(with_role(history, "touch"))
        rows.append(
            {
                **profile,
                "days_since_last": days(profile["last_at"], as_of),
                "last_nps_at": last_nps_at,
                "days_since_nps": days(last_nps_at, as_of),
                "last_human_at": last(t for t in history if t["medium"] == "human"),
                "last_touch_at": last_touch_at,
                "days_since_touch": days(last_touch_at, as_of),
                "consent": next((t["consent"] for t in reversed(history) if t["consent"]), []),
                "is_customer": profile["purchases"] >= 1
                or any(each["held_from"] or each["began_at"] for each in own),
                "products_in_force": sorted(
                    {each["product"] for each in own if each["in_force"] and each["product"] is not None}
                ),
                "premium_in_force": sum(
                    (
                        each["annual_premium"]
                        for each in premiums
                        if each["profile_id"] == person
                        and each["until_at"] is None
                        and each["currency"] == options.default_currency
                    ),
                    Decimal(0),
                ),
                "revenue_to_date": money(history, options, "revenue"),
                "claim_cost_to_date": money(history, options, "claim_paid", "claim_reserve"),
                "unbound_quotes": sum(
                    quote["profile_id"] == person and not quote["bound"] for quote in quotes
                ),
                "open_complaints": sum(
                    case["profile_id"] == person and case["kind"] == "complaint" and case["is_open"]
                    for case in cases
                ),
                **declared(tables, person, as_of),
            }
        )
    return rows


def contract_facts(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the contracts, and when those in force are next due."""
    today = local_day(as_of, options)
    rows = []
    for contract in contracts_at(tables, as_of):
        next_due_on = None
        if contract["in_force"]:
            due_on = local_day(contract["due_at"] or contract["began_at"], options)
            next_due_on = due_on
            while next_due_on < today:
                years = next_due_on.year - due_on.year + 1
                next_due_on = years_before(datetime.combine(due_on, datetime.min.time()), -years).date()
        rows.append(
            {
                **contract,
                "next_due_on": next_due_on,
                "days_until_due": None if next_due_on is None else (next_due_on - today).days,
                "days_in_force": days(contract["in_force_since"], as_of),
            }
        )
    return rows


def journey_facts(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the journeys, and how long ago the last touchpoint of each was."""
    return [
        {**journey, "days_since_last": days(journey["last_at"], as_of)}
        for journey in journeys_at(tables, as_of, options)
    ]


def quote_facts(tables: Tables, as_of: datetime, _options: Options) -> list[Row]:
    """Return the quotes that were made, and what became of them."""
    held = {(row["profile_id"], row["product"]) for row in contracts_at(tables, as_of) if row["in_force"]}
    return [
        {
            **quote,
            "bound": quote["bound_at"] is not None,
            "days_since_quoted": days(quote["quoted_at"], as_of),
            "holds_product": quote["product"] is not None and (quote["profile_id"], quote["product"]) in held,
        }
        for quote in quotes_at(tables, as_of)
        if quote["quoted_at"] is not None
    ]


def case_facts(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the cases that were opened, whether they still are, and when complaints are to be answered."""
    rows = []
    for case in cases_at(tables, as_of):
        if case["opened_at"] is None:
            continue
        opened = max([case["opened_at"], *case["reopened_at"]])
        settled = [at for at in case["answered_at"] + case["closed_at"] if at >= case["opened_at"]]
        due = None
        if case["kind"] == "complaint":
            due = two_months_on(local_day(case["opened_at"], options))
        rows.append(
            {
                **case,
                "is_open": not settled or max(settled) < opened,
                "days_since_opened": days(case["opened_at"], as_of),
                "answer_due_on": due,
                "days_until_answer_due": None if due is None else (due - local_day(as_of, options)).days,
            }
        )
    return rows


def declared(tables: Tables, person: str, as_of: datetime) -> Row:
    """Return what the reference input says of a person: of their own id, else of the smallest that it has."""
    person_of = {row["customer_id"]: row["profile_id"] for row in tables.people}
    valid = [row for row in tables.ref_customers if row["valid_from"] is None or row["valid_from"] <= as_of]
    theirs = [row for row in valid if person_of.get(row["customer_id"], row["customer_id"]) == person]
    if not theirs:
        return dict.fromkeys(DECLARED)
    own = [row for row in theirs if row["customer_id"] == person]
    smallest = person if own else min(row["customer_id"] for row in theirs)
    newest = max(
        (row for row in theirs if row["customer_id"] == smallest),
        key=lambda row: row["valid_from"] or datetime.min,
    )
    return {name: newest.get(name) for name in DECLARED}


def last(touchpoints: Any) -> datetime | None:
    """Return when the last of them occurred."""
    return max((touchpoint["occurred_at"] for touchpoint in touchpoints), default=None)


def money(history: list[Row], options: Options, *roles: str) -> Decimal:
    """Return the sum of the amounts of some money roles in the store's currency."""
    return sum(
        (
            touchpoint["value"]
            for touchpoint in history
            if touchpoint["money_role"] in roles
            and touchpoint["value"] is not None
            and touchpoint["currency"] == options.default_currency
        ),
        Decimal(0),
    )


def days(since: datetime | None, until: datetime) -> float | None:
    """Return the days of 24 hours from one instant to another."""
    return None if since is None else (until - since) / DAY


def local_day(instant: datetime, options: Options) -> date:
    """Return the day of an instant in the configured zone."""
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(options.time_zone)).date()


def two_months_on(day: date) -> date:
    """Return the same day two months later; that month's last day where there is no such day."""
    month = (day.replace(day=1) + 62 * DAY).replace(day=1)
    following = (month + 31 * DAY).replace(day=1)
    return min(month + (day.day - 1) * DAY, following - DAY)
