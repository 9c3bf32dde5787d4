"""The manifest's true figures, against a slow and plain count over the records that were written."""

import csv
import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from parcours.pipelines.simulate import simulate, taxonomy

EASTER_MONDAYS = (date(2024, 4, 1), date(2025, 4, 21))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """What the manifest says, the distinct good events by type, and the rows of the reference inputs."""
    out = tmp_path_factory.mktemp("planted")
    manifest = simulate(25_000, 4, "json", out, files=1, broken=0, duplicates=0)
    events = defaultdict(list)
    for line in (out / "touchpoints-0000.ndjson").read_text("utf-8").splitlines():
        event = json.loads(line)
        event["at"] = datetime.fromisoformat(event["occurred_at"]).astimezone(UTC)
        events[event["event_type"]].append(event)

    def table(name):
        with (out / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return manifest.planted, events, table


def by_key(events, key):
    """The first event of each business key."""
    found = {}
    for event in sorted(events, key=lambda event: event["at"]):
        found.setdefault(event.get(key), event)
    return found


def share(planted, figure):
    """A figure's numerator and denominator, as planted."""
    return tuple(planted[figure]["total"].values())


def test_counts(simulated):
    """Each is the number of events of a type."""
    planted, events, _ = simulated
    counted = {
        "new_contracts": "contract_signed",
        "contracts_terminated": "contract_terminated",
        "claims_opened": "claim_opened",
        "complaints_opened": "complaint_opened",
        "referrals": "referral_made",
        "reviews": "review_posted",
        "questions": "question_asked",
        "listings_offered": "listing_offered",
        "listings_asked": "listing_asked",
    }
    found = {figure: (len(events[event_type]), None) for figure, event_type in counted.items()}
    assert found == {figure: share(planted, figure) for figure in counted}
    assert all(count > 5 for count, _ in found.values())


def test_quotes(simulated):
    """A quote is bound by the signing that names it."""
    planted, events, _ = simulated
    signed = by_key(events["contract_signed"], "quote_id")
    waits = [
        signed[quote["quote_id"]]["at"] - quote["at"] if quote["quote_id"] in signed else timedelta.max
        for quote in events["quote_created"]
    ]
    bound = sum(wait <= timedelta(days=90) for wait in waits)
    assert 0 < bound < len(waits)
    assert (bound, len(waits)) == share(planted, "quote_to_bind")
    left = sum(wait > timedelta(days=30) for wait in waits)
    assert (left, len(waits)) == share(planted, "quote_abandonment")
    assert left != len(waits) - bound


def test_money(simulated):
    """Currencies are never added, and a claim costs what was paid and set aside for it."""
    planted, events, table = simulated
    sold = events["assistance_purchased"]
    everything = [event for found in events.values() for event in found]
    opened = {event["claim_id"] for event in events["claim_opened"]}
    costly = {
        name for name, event in taxonomy().events.items() if (event.money_role or "").startswith("claim")
    }
    cost = [event for event in everything if event["event_type"] in costly and event["claim_id"] in opened]
    for currency in ("EUR", "CHF"):
        revenue = [Decimal(str(event["value"])) for event in sold if event["currency"] == currency]
        if revenue:
            assert {"numerator": f"{sum(revenue):.2f}", "denominator": None} == planted["revenue"][currency]
            assert len(revenue) == planted["average_basket"][currency]["denominator"]
        mine = [event for event in cost if event["currency"] == currency]
        assert {
            "numerator": str(sum(Decimal(str(event["value"])) for event in mine).quantize(Decimal("0.01"))),
            "denominator": len({event["claim_id"] for event in mine}),
        } == planted["average_claim_cost"][currency]
        newest = {}
        for row in sorted(table("spend"), key=lambda row: row["valid_from"]):
            if row["currency"] == currency:
                newest[row["day"], row["campaign"], row["channel"]] = Decimal(row["amount"])
        assert {"numerator": str(sum(newest.values())), "denominator": None} == planted["spend"][currency]
    assert any(row["valid_from"] for row in table("spend"))


def is_working_day(day):
    """French working days, from a calendar made by hand."""
    moving = {monday + timedelta(days=days) for monday in EASTER_MONDAYS for days in (0, 38, 49)}
    fixed = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
    return day.weekday() < 5 and day not in moving and (day.month, day.day) not in fixed


def test_complaints(simulated):
    """Acknowledged within 10 working days, answered within two months, by the calendar of Paris."""
    planted, events, _ = simulated
    answers = by_key(events["complaint_answered"], "case_id")
    notices = by_key(events["complaint_acknowledged"], "case_id")
    found = Counter()
    for complaint in events["complaint_opened"]:
        case = complaint["case_id"]
        day, answered, noticed = (
            event["at"].astimezone(ZoneInfo("Europe/Paris")).date() if event else date.max
            for event in (complaint, answers.get(case), notices.get(case))
        )
        tenth, left = day, 10
        while left:
            tenth += timedelta(days=1)
            left -= is_working_day(tenth)
        found["acknowledged"] += min(noticed, answered) <= tenth
        month = day.year * 12 + day.month - 1 + 2
        last = (date((month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        found["answered"] += answered <= date(month // 12, month % 12 + 1, min(day.day, last))
    count = len(events["complaint_opened"])
    assert 0 < found["answered"] < count
    assert (found["answered"], count) == share(planted, "complaint_answered_on_time")
    assert 0 < found["acknowledged"] < count
    assert (found["acknowledged"], count) == share(planted, "complaint_acknowledged_on_time")


def test_cases_answered(simulated):
    """Within 30 days, of requests, complaints and questions alike."""
    planted, events, _ = simulated
    ends = ("request_closed", "complaint_answered", "question_answered")
    settled = by_key([event for name in ends for event in events[name]], "case_id")
    opened = [
        event for name in ("request_opened", "complaint_opened", "question_asked") for event in events[name]
    ]
    in_time = sum(
        event["case_id"] in settled and settled[event["case_id"]]["at"] - event["at"] <= timedelta(days=30)
        for event in opened
    )
    assert 0 < in_time < len(opened)
    assert (in_time, len(opened)) == share(planted, "answered_share")


def test_scores(simulated):
    """Promoters less detractors, shares of good scores, and sums for means."""
    planted, events, _ = simulated
    scores = defaultdict(list)
    for event in [*events["survey_answered"], *events["review_posted"]]:
        scores[event["survey"]].append(event["score"])
    promoters, detractors = (
        sum(low <= score <= high for score in scores["nps"]) for low, high in ((9, 10), (0, 6))
    )
    assert (promoters - detractors, len(scores["nps"])) == share(planted, "nps")
    assert (promoters, detractors) == tuple(
        share(planted, f"nps_{kind}s")[0] for kind in ("promoter", "detractor")
    )
    for survey, least, named in (("csat", 4, "csat"), ("ces", 5, "ces_easy")):
        good = sum(score >= least for score in scores[survey])
        assert 0 < good < len(scores[survey])
        assert (good, len(scores[survey])) == share(planted, named)
    for survey, named in (("csat", "csat_mean"), ("ces", "ces_mean"), ("review", "review_score")):
        assert (sum(scores[survey]), len(scores[survey])) == share(planted, named)


def test_members_and_events(simulated):
    """Members at the end are those whose membership has none; no fewer came than said that they did."""
    planted, events, table = simulated
    last = {}
    for row in sorted(table("customers"), key=lambda row: row["valid_from"]):
        last[row["customer_id"]] = row["member_until"]
    assert share(planted, "members") == (sum(not until for until in last.values()), None)
    assert share(planted, "events_held") == (len(table("events_held")), None)
    heads = sum(int(row["headcount"]) for row in table("events_held"))
    assert share(planted, "event_attendance") == (heads, None)
    assert heads >= len(events["meeting_attended"]) + len(events["public_event_attended"]) > 0
