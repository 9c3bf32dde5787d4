"""The twins of figures, by worked numbers: what the catalogue says, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from reference import Options
from reference.figures import FIGURES
from reference.figures.service import easter, nth_working_day_after, two_months_after
from reference.figures.tally import Twin, rows_of
from reference.figures.world import World

UTC = Options(time_zone="UTC")
AS_OF = datetime(2025, 12, 31, 12)
COLUMNS = (
    *("event_type", "stage", "money_role", "medium", "source", "campaign", "content", "product", "claim_id"),
    *("case_id", "value", "currency", "cost", "survey", "score"),
)


def at(text):
    """An instant of 2025: ``01-31`` or ``01-31 12:00``."""
    return datetime.fromisoformat(f"2025-{text}")


def touchpoint(event_id, when, *roles, profile_id="p", channel="site", **fields):
    """A touchpoint with the columns that twins read."""
    return {
        **dict.fromkeys(COLUMNS),
        "event_id": event_id,
        "occurred_at": at(when),
        "profile_id": profile_id,
        "roles": list(roles),
        "channel": channel,
        **fields,
    }


def case(case_id, kind, opened, *, answered=(), closed=(), reopened=(), acknowledged=None, profile_id="p"):
    """A case with the columns that twins read."""
    return {
        "case_id": case_id,
        "kind": kind,
        "profile_id": profile_id,
        "product": None,
        "channel": "site",
        "opened_at": at(opened),
        "acknowledged_at": acknowledged and at(acknowledged),
        "answered_at": [at(each) for each in answered],
        "closed_at": [at(each) for each in closed],
        "reopened_at": [at(each) for each in reopened],
    }


def contract(contract_id, began, ended=None, *, profile_id="p", **fields):
    """A contract with the columns that twins read."""
    return {
        "contract_id": contract_id,
        "profile_id": profile_id,
        "began_at": at(began),
        "ended_at": ended and at(ended),
        "held_from": at(began),
        "effective_from": None,
        "signed_at": None,
        "signed_by": None,
        "product": "auto",
        "annual_premium": None,
        "currency": None,
        **fields,
    }


def world(**relations):
    """The relations at the end of 2025."""
    return World(AS_OF, UTC, **relations)


def counts(name, given, dimension="total", grain="year"):
    """Numerator and denominator by period and value, of one row set."""
    return {
        (str(row["period_start"]), *row["dimension_values"]): (row["numerator"], row["denominator"])
        for row in rows_of(name, FIGURES[name], given, [grain])
        if row["dimensions"][0] == dimension
    }


def test_every_period_between_a_groups_first_and_last_has_a_row():
    """A group without an event in a month has a row with 0, but none before its first or after its last."""
    given = world(
        visits=[
            {"started_at": at(when), "profile_id": "p", "channel": channel} | dict.fromkeys(COLUMNS[4:8])
            for when, channel in (("01-10", "site"), ("03-10", "site"), ("02-01", "app"))
        ]
    )
    assert {
        ("2025-01-01", "site"): (1, None),
        ("2025-02-01", "site"): (0, None),
        ("2025-03-01", "site"): (1, None),
        ("2025-02-01", "app"): (1, None),
    } == counts("visits", given, "channel", "month")


def test_a_day_is_the_configured_zones():
    """At 23:30 UTC on 31 January it is February in Paris."""
    given = world(
        visits=[
            {"started_at": at("01-31 23:30"), "profile_id": "p", "channel": "site"}
            | dict.fromkeys(COLUMNS[4:8])
        ]
    )
    assert {("2025-02-01", "total"): (1, None)} == counts(
        "visits", replace(given, options=Options()), grain="month"
    )


def test_distinct_persons_do_not_add_up():
    """One person with visits in two months is one visitor of each, and one of the year."""
    visits = [
        {"started_at": at(when), "profile_id": "p", "channel": "site"} | dict.fromkeys(COLUMNS[4:8])
        for when in ("01-10", "01-11", "02-10")
    ]
    assert {("2025-01-01", "total"): (1, None)} == counts("visitors", world(visits=visits))
    assert [(1, None), (1, None)] == list(counts("visitors", world(visits=visits), grain="month").values())


def test_an_opening_belongs_to_the_last_delivery_before_it():
    """Opened within 30 days, to the microsecond, and before the next delivery of the same campaign."""
    days = timedelta(days=30)
    opened = touchpoint("o", "02-01", "email_opened", campaign="a")
    given = [
        touchpoint("d1", "01-01", "email_delivered", campaign="a"),
        touchpoint("d2", "01-05", "email_delivered", campaign="a"),
        touchpoint("d3", "01-06", "email_delivered", campaign="b"),
        touchpoint("d4", "01-06", "email_delivered", campaign="a", profile_id="q"),
    ]
    on_time = {**opened, "occurred_at": at("01-05") + days}
    too_late = {**opened, "occurred_at": at("01-05") + days + timedelta(microseconds=1)}
    assert {("2025-01-01", "total"): (1, 4)} == counts(
        "email_open_rate", world(touchpoints=[*given, on_time])
    )
    assert {("2025-01-01", "total"): (0, 4)} == counts(
        "email_open_rate", world(touchpoints=[*given, too_late])
    )


def test_two_deliveries_at_one_instant_share_no_opening():
    """The first by event_id ends where the second begins."""
    given = [
        touchpoint("a", "01-01", "email_delivered", content="one"),
        touchpoint("b", "01-01", "email_delivered", content="two"),
        touchpoint("c", "01-01", "email_opened"),
    ]
    found = counts("email_open_rate", world(touchpoints=given), "content")
    assert {("2025-01-01", "one"): (0, 1), ("2025-01-01", "two"): (1, 1)} == found


def test_a_contact_costs_what_was_spent_and_what_it_cost_itself():
    """10 spent and 2 + nothing for two contacts: 6 each; dollars stand apart."""
    given = world(
        touchpoints=[
            touchpoint("a", "01-01", "touch", campaign="x", cost=Decimal(2)),
            touchpoint("b", "01-02", "touch", campaign="x"),
            touchpoint("c", "01-02", "touch", campaign="y", cost=Decimal(3), currency="USD"),
            touchpoint("d", "01-02", campaign="x", cost=Decimal(100)),
        ],
        spend=[
            {
                "day": date(2025, 1, 3),
                "campaign": "x",
                "channel": "site",
                "amount": Decimal(10),
                "currency": "EUR",
            },
            {
                "day": date(2026, 1, 1),
                "campaign": "x",
                "channel": "site",
                "amount": Decimal(99),
                "currency": "EUR",
            },
        ],
    )
    assert {("2025-01-01", "EUR"): (12, 2), ("2025-01-01", "USD"): (3, 1)} == counts(
        "cost_per_contact", given, "currency"
    )


def test_a_visitor_with_a_quote_in_the_same_period_counts():
    """A quote by phone in the visit's month counts; one of the next month does so for the year alone."""
    given = world(
        visits=[
            {"started_at": at("01-10"), "profile_id": person, "channel": "site"} | dict.fromkeys(COLUMNS[4:8])
            for person in ("p", "q", "r")
        ],
        touchpoints=[
            touchpoint("v", "01-10"),
            touchpoint("a", "01-31", "quote_created", channel="phone"),
            touchpoint("b", "02-01", "quote_created", profile_id="q"),
            touchpoint("c", "01-02", "quote_created", profile_id="s"),
        ],
    )
    assert {("2025-01-01", "total"): (1, 3)} == counts("quote_rate", given, grain="month")
    assert {("2025-01-01", "total"): (2, 3)} == counts("quote_rate", given)


@pytest.mark.parametrize(
    ("bound", "abandoned", "within_90"), [(None, 1, 0), (30, 0, 1), (31, 1, 1), (91, 1, 0)]
)
def test_a_quote_is_abandoned_after_30_days_and_may_still_be_bound_within_90(bound, abandoned, within_90):
    """Both windows count from the quote, their last instant included."""
    quote = {
        "quoted_at": at("01-01"),
        "bound_at": None if bound is None else at("01-01") + timedelta(days=bound),
        "channel": "site",
        "product": None,
    }
    given = world(quotes=[quote, {**quote, "quoted_at": None, "bound_at": at("01-02")}])
    assert {("2025-01-01", "total"): (abandoned, 1)} == counts("quote_abandonment", given)
    assert {("2025-01-01", "total"): (within_90, 1)} == counts("quote_to_bind", given)


def test_a_cart_is_not_bought_by_itself_nor_by_somebody_else():
    """The person's own other purchase at or after it counts."""
    given = [
        touchpoint("a", "01-01", "cart_created", "purchase"),
        touchpoint("b", "01-02", "cart_created", profile_id="q"),
        touchpoint("c", "01-02", "contract_signed", profile_id="q"),
        touchpoint("d", "01-03", "cart_created", profile_id="q"),
    ]
    assert {("2025-01-01", "total"): (2, 3)} == counts("cart_abandonment", world(touchpoints=given))


def test_who_held_a_contract_before_is_no_new_customer():
    """A first purchase counts where no contract began before it; its own does not count against it."""
    given = world(
        touchpoints=[
            touchpoint("t", "04-30", "touch", campaign="x", channel="search"),
            touchpoint("a", "05-01", "contract_signed", product="home"),
            touchpoint("b", "05-02", "purchase"),
            touchpoint("c", "05-01", "purchase", profile_id="q"),
        ],
        contracts=[
            contract("own", "05-01", signed_at=at("05-01"), effective_from=at("04-01")),
            contract("old", "01-01", profile_id="q"),
        ],
    )
    assert {("2025-01-01", "x"): (1, None)} == counts("new_customers", given, "campaign")
    assert {("2025-01-01", "home"): (1, None)} == counts("new_customers", given, "product")


def test_costs_and_customers_of_a_campaign_stand_in_one_row():
    """30 spent on a campaign that brought one customer, and 5 on one that brought none."""
    given = world(
        touchpoints=[
            touchpoint(
                "t", "01-02", "touch", campaign="x", stage="awareness", cost=Decimal(5), channel="search"
            ),
            touchpoint("s", "01-02", campaign="y", stage="service", cost=Decimal(7)),
            touchpoint("u", "01-02", campaign="y", stage="purchase", cost=Decimal(5)),
            touchpoint("a", "01-05", "purchase", channel="agency"),
        ],
        spend=[
            {
                "day": date(2025, 1, 1),
                "campaign": "x",
                "channel": "search",
                "amount": Decimal(25),
                "currency": "EUR",
            }
        ],
    )
    assert {("2025-01-01", "x", "EUR"): (30, 1), ("2025-01-01", "y", "EUR"): (5, 0)} == counts(
        "cost_per_acquisition", given, "campaign"
    )


def test_the_return_is_the_margin_less_the_costs_over_the_costs():
    """A margin of 20 % on 100 of revenue and 400 of premium, for 50: (100 - 50) / 50 = 1."""
    given = world(
        touchpoints=[
            touchpoint("r", "01-02", money_role="revenue", value=Decimal(100), currency="EUR"),
            touchpoint("s", "01-03", "contract_signed", value=Decimal(400), currency="EUR"),
        ],
        contracts=[
            contract(
                "c",
                "01-03",
                signed_at=at("01-03"),
                signed_by="s",
                annual_premium=Decimal(400),
                currency="EUR",
            )
        ],
        spend=[
            {
                "day": date(2025, 1, 1),
                "campaign": "x",
                "channel": "search",
                "amount": Decimal(50),
                "currency": "EUR",
            }
        ],
        margin=0.2,
    )
    [row] = [
        row
        for row in rows_of("return_on_investment", FIGURES["return_on_investment"], given, ["year"])
        if row["dimensions"] == ["currency"]
    ]
    assert (50, 50, 1, 1) == (row["numerator"], row["denominator"], row["value"], row["n"])


def test_what_stands_at_the_end_of_each_period():
    """From 15 January to the first instant of April: at the ends of three months, and 0 in the fourth."""
    given = world(
        touchpoints=[touchpoint("a", "01-01")],
        premiums=[
            {
                "from_at": at("01-15"),
                "until_at": at("04-01"),
                "annual_premium": Decimal(100),
                "currency": "EUR",
                "product": "auto",
            }
        ],
    )
    assert {
        ("2025-01-01", "EUR"): (100, None),
        ("2025-02-01", "EUR"): (100, None),
        ("2025-03-01", "EUR"): (100, None),
        ("2025-04-01", "EUR"): (0, None),
    } == counts("contract_value", given, "currency", "month")


def test_complaints_over_who_was_insured_when_the_period_began():
    """Two contracts of one person are one person; who comes on the second day is not there at the start."""
    given = world(
        touchpoints=[touchpoint("a", "01-01")],
        contracts=[
            contract("c1", "01-01", "03-01"),
            contract("c2", "02-01", "03-01"),
            contract("c3", "02-02", profile_id="q"),
        ],
        cases=[case("k", "complaint", "02-10"), case("l", "request", "02-10")],
    )
    found = counts("complaint_rate", given, grain="month")
    assert [(0, 1), (1, 1), (0, 1)] == [found["2025-01-01", "total"], found["2025-02-01", "total"],
                                        found["2025-03-01", "total"]]  # fmt: skip


def test_the_denominator_of_a_numerators_dimension_is_the_whole_periods():
    """Three purchases, two of them on the site: 2/3 and 1/3."""
    given = world(
        touchpoints=[
            touchpoint("a", "01-01", "purchase"),
            touchpoint("b", "01-02", "purchase"),
            touchpoint("c", "01-03", "purchase", channel="agency"),
        ]
    )
    assert {("2025-01-01", "site"): (2, 3), ("2025-01-01", "agency"): (1, 3)} == counts(
        "purchase_share", given, "channel"
    )


def test_what_is_closed_counts_when_it_was_closed():
    """Opened in January and closed after 40 days: February's; a closing before the opening is none."""
    given = world(
        cases=[
            case("a", "request", "01-01", closed=("02-10",)),
            case("b", "request", "03-01", closed=("02-01",)),
        ]
    )
    assert {("2025-02-01", "total"): (None, 1)} == counts("request_handling_time", given, grain="month")
    [row] = [
        r
        for r in rows_of("x", FIGURES["request_handling_time"], given, ["year"])
        if r["dimensions"] == ["total"]
    ]
    assert 40 == row["value"]


def test_quantiles_lie_between_neighbours():
    """Of 1, 2, 3 and 10 days the median is 2.5, and 90 % take at most 7.9: a place of 2.7 among 0 to 3."""
    given = world(
        cases=[case(str(days), "request", "01-01", closed=(f"01-{1 + days:02}",)) for days in (1, 2, 3, 10)]
    )
    values = {
        name: row["value"]
        for name in ("request_handling_time", "request_handling_time_p90")
        for row in rows_of(name, FIGURES[name], given, ["year"])
        if row["dimensions"] == ["total"]
    }
    assert {"request_handling_time": 2.5, "request_handling_time_p90": pytest.approx(7.9)} == values


def test_a_case_is_resolved_at_once_where_nobody_comes_again_within_a_week():
    """Of three: one reopened after 7 days, one whose person asked again, one reopened a minute later."""
    given = world(
        cases=[
            case("a", "request", "01-01", closed=("01-02",), reopened=("01-09",)),
            case("b", "question", "02-01", answered=("02-02",), profile_id="q"),
            case("c", "complaint", "02-09", profile_id="q"),
            case("d", "request", "03-01", closed=("03-02",), reopened=("03-09 00:01",), profile_id="r"),
        ]
    )
    assert {("2025-01-01", "total"): (1, 3)} == counts("first_contact_resolution", given)
    assert {("2025-01-01", "total"): (0, 4)} == counts("repeat_contact_share", given)
    assert {("2025-01-01", "total"): (3, 4)} == counts("answered_share", given)
    assert {("2025-01-01", "total"): (1, 4)} == counts("unanswered_share", given)
    assert {("2025-01-01", "total"): (2, 2)} == counts("reopened_share", given)


def test_the_tenth_working_day_passes_over_weekends_and_holidays():
    """From Tuesday 29 April 2025: 1 and 8 May are no working days, so the tenth is 15 May."""
    assert date(2025, 5, 15) == nth_working_day_after(date(2025, 4, 29), 10)
    assert [date(2024, 3, 31), date(2025, 4, 20), date(2038, 4, 25)] == [
        easter(y) for y in (2024, 2025, 2038)
    ]
    assert [date(2025, 2, 28), date(2025, 3, 1)] == [
        two_months_after(day) for day in (date(2024, 12, 31), date(2025, 1, 1))
    ]


@pytest.mark.parametrize(
    ("acknowledged", "answered", "on_time"),
    [("05-15 23:59", (), 1), ("05-16", (), 0), (None, ("05-15",), 1), (None, (), 0), ("04-01", (), 0)],
)
def test_a_complaint_is_acknowledged_on_time_until_the_end_of_the_tenth_working_day(
    acknowledged, answered, on_time
):
    """An answer stands for it; one from before the complaint does not."""
    given = world(cases=[case("a", "complaint", "04-29 18:00", acknowledged=acknowledged, answered=answered)])
    assert {("2025-01-01", "total"): (on_time, 1)} == counts("complaint_acknowledged_on_time", given)


def test_a_claim_costs_what_is_paid_and_reserved():
    """500 reserved, 400 paid, 500 taken back: 400. Another without any amount: 0. 200 ± t × s / √2."""
    amounts = (("claim_reserve", 500), ("claim_paid", 400), ("claim_reserve", -500))
    claims = [
        {
            "claim_id": claim_id,
            "opened_at": at("01-05"),
            "opened_by": "o",
            "product": "auto",
            "closed_at": [],
            "reopened_at": [],
        }
        for claim_id in ("k", "l")
    ]
    given = world(
        touchpoints=[
            touchpoint("o", "01-05", "claim_opened"),
            *(
                touchpoint(
                    str(n), "06-01", claim_id="k", money_role=role, value=Decimal(value), currency="EUR"
                )
                for n, (role, value) in enumerate(amounts)
            ),
        ],
        claims=claims,
    )
    [row] = [
        row
        for row in rows_of("average_claim_cost", FIGURES["average_claim_cost"], given, ["year"])
        if row["dimensions"] == ["currency"]
    ]
    half = 12.706204736174698 * 200
    assert (400, 2, 200, 2) == (row["numerator"], row["denominator"], row["value"], row["n"])
    assert (pytest.approx(200 - half), pytest.approx(200 + half)) == (row["low"], row["high"])


def test_premium_is_earned_by_the_day():
    """365 a year: four days, four euros; nothing before the first touchpoint's day nor on the last."""
    given = world(
        touchpoints=[touchpoint("a", "01-01")],
        premiums=[
            {
                "from_at": at(begins),
                "until_at": at(ends),
                "annual_premium": Decimal(365),
                "currency": "EUR",
                "product": product,
            }
            for product, begins, ends in (
                ("auto", "01-02 10:00", "01-05 23:00"),
                ("home", "01-05", "01-05 12:00"),
            )
        ],
    )
    given.premiums.append({**given.premiums[0], "from_at": datetime(2024, 12, 1), "until_at": at("01-02")})
    assert {("2025-01-01", "auto", "EUR"): (0, 4)} == counts("loss_ratio", given, "product")


def test_scores_stand_after_what_came_before_them():
    """Of two answers after a call one is a 4: a half; the survey's own touchpoints are passed over."""
    given = world(
        touchpoints=[
            touchpoint("a", "01-01", event_type="called"),
            touchpoint("b", "01-02", "survey_sent", event_type="survey_sent"),
            touchpoint("c", "01-03", "survey_answered", survey="csat", score=4.0),
            touchpoint("d", "01-04", "survey_answered", survey="csat", score=2.0),
            touchpoint("e", "01-04", "survey_answered", survey="ces", score=5.0, profile_id="q"),
        ]
    )
    assert {("2025-01-01", "called"): (1, 2)} == counts("csat", given, "after")
    assert {("2025-01-01", "called"): (6, 2)} == counts("csat_mean", given, "after")
    assert {("2025-01-01", None): (1, 1)} == counts("ces_easy", given, "after")


def test_intervals():
    """Wilson for 8 of 10, exact Poisson for 3 in 10, and that of promoters and detractors."""
    facts = [{"at": at("01-01"), "numerator": n, "denominator": 1} for n in [1] * 8 + [0] * 2]
    [share] = rows_of("x", Twin(lambda _: facts, "share"), world(), ["year"])
    assert (pytest.approx(0.4901625), pytest.approx(0.9433178)) == (share["low"], share["high"])
    facts = [{"at": at("01-01"), "numerator": n, "denominator": 1} for n in [1] * 3 + [0] * 7]
    [rate] = rows_of("x", Twin(lambda _: facts, "rate"), world(), ["year"])
    assert (pytest.approx(0.06186721), pytest.approx(0.8767273)) == (rate["low"], rate["high"])
    facts = [{"at": at("01-01"), "numerator": n, "denominator": 1} for n in [1] * 5 + [-1] * 2 + [0] * 3]
    [nps] = rows_of("x", Twin(lambda _: facts, "nps"), world(), ["year"])
    half = 195.9964 * (0.61 / 10) ** 0.5
    assert (30, pytest.approx(30 - half), pytest.approx(30 + half)) == (nps["value"], nps["low"], nps["high"])


def test_a_row_is_mature_once_its_window_is_over():
    """November's quotes may be bound until 30 days after it; at that very instant they are not mature."""
    quote = {"quoted_at": at("11-10"), "bound_at": None, "channel": "site", "product": None}
    over = datetime(2025, 12, 31)
    for as_of, expected in ((over, False), (over + timedelta(microseconds=1), True)):
        given = World(as_of, UTC, quotes=[quote])
        [row] = [
            row
            for row in rows_of("quote_abandonment", FIGURES["quote_abandonment"], given, ["month"])
            if row["dimensions"] == ["total"]
        ]
        assert expected is row["mature"]
