"""The twins of members, community, segments and experiments, by worked numbers counted by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import exp, sqrt

import pytest
from worked import at, contract, counts, customer, premium, rows, touchpoint, values, world

from reference.figures.experiments import experiment_factors, experiment_lift

SEEN = [touchpoint("seen", "01-01")]
ROLES = ("member_voted", "meeting_attended", "panel_answered", "forum_posted")


class TestMembers:
    """Who is a member, and since when."""

    def test_a_member_is_one_from_the_first_day_to_the_last(self):
        """Joined on 31 January, left after 31 March: a member at the ends of January, February and March."""
        given = world(
            touchpoints=SEEN, customers=[customer("Ann", "2025-01-31", "2025-03-31", region="west")]
        )
        assert {
            ("2025-01", "west"): (1, None),
            ("2025-02", "west"): (1, None),
            ("2025-03", "west"): (1, None),
            ("2025-04", "west"): (0, None),
        } == counts("members", given, "region", "month")
        growth = counts("member_net_growth", given, grain="month")
        assert [1, 0, 0, -1] == [numerator for numerator, _ in growth.values()]
        assert {("2025", "total"): (0, None)} == counts("member_net_growth", given)
        assert [2] == [row["n"] for row in rows("member_net_growth", given).values()]

    def test_a_membership_to_come_is_none_yet(self):
        """Who joins after the instant is no member, who leaves after it still is one."""
        held = [customer("Ann", "2026-01-01"), customer("Bob", "2020-01-01", "2026-01-31")]
        given = world(touchpoints=SEEN, customers=held)
        assert {("2025", "total"): (1, None)} == counts("members", given)
        assert {} == counts("member_net_growth", given)

    def test_one_person_is_one_member(self):
        """Two ids of Ann: from the earlier day to the later one, in the region of the id that names her."""
        held = [
            customer("Ann-old", "2025-01-01", "2025-02-10", region="east"),
            customer("Ann", "2025-02-01", region="west"),
        ]
        given = world(touchpoints=SEEN, customers=held, people={"Ann-old": "Ann"})
        assert {(f"2025-{month:02}", "west"): (1, None) for month in range(1, 13)} == counts(
            "members", given, "region", "month"
        )

    def test_the_newest_version_by_the_instant_counts(self):
        """Ann moved west in March; that she moves north next year is not known yet."""
        versions = ((None, "east"), (at("03-01"), "west"), (at("2026-02-01"), "north"))
        held = [customer("Ann", "2025-01-01", region=region, valid_from=since) for since, region in versions]
        given = world(touchpoints=SEEN, customers=held)
        assert {("2025", "west"): (1, None)} == counts("members", given, "region")

    def test_who_takes_part_is_of_the_members_at_the_end(self):
        """Ann voted and wrote, Cy met others and left since, Bob did nothing, Dan is no member."""
        given = world(
            touchpoints=[
                touchpoint("1", "02-01", "member_voted", person="Ann"),
                touchpoint("2", "03-01", "forum_posted", person="Ann"),
                touchpoint("3", "04-01", "meeting_attended", person="Cy"),
                touchpoint("4", "05-01", "panel_answered", person="Dan"),
            ],
            customers=[
                customer("Ann", "2025-01-01"),
                customer("Bob", "2025-01-01"),
                customer("Cy", "2025-01-01", "2025-08-31"),
            ],
        )
        assert {("2025", "total"): (1, 2)} == counts("participation", given)
        by = counts("participation", given, "role")
        assert {
            ("2025", "member_voted"): (1, 2),
            ("2025", "forum_posted"): (1, 2),
            ("2025", None): (0, 2),
        } == by
        assert (1, 3) == counts("participation", given, grain="month")["2025-04", "total"]

    @pytest.mark.parametrize(
        ("met", "expected"),
        [
            ({"stage": "service"}, 1),
            ({"stage": "advocacy", "roles": ["question_asked"]}, 1),
            ({"stage": "purchase"}, 0),
            ({"stage": None}, 0),
            ({"stage": "loyalty", "roles": ["touch", "email_delivered"]}, 0),
            ({"stage": "loyalty", "roles": ["contract_renewed"]}, 0),
        ],
    )
    def test_active_outside_a_sale(self, met, expected):
        """Met in stage service, loyalty or advocacy, and about no sale."""
        given = world(
            touchpoints=[{**touchpoint("1", "02-01"), **met}], customers=[customer("p", "2020-01-01")]
        )
        assert {("2025", "total"): (expected, 1)} == counts("active_outside_sale", given)

    def test_the_premium_of_members_who_pay_one(self):
        """Ann pays 300 + 100, Bob 200 and stopped in June, Cy pays and is no member, Dan pays nothing."""
        given = world(
            touchpoints=SEEN,
            customers=[customer(name, "2020-01-01") for name in ("Ann", "Bob", "Dan")],
            premiums=[
                premium("01-05", 300, person="Ann"),
                premium("02-05", 100, person="Ann"),
                premium("01-05", 200, "06-10", person="Bob"),
                premium("01-05", 900, person="Cy"),
            ],
        )
        found = counts("premium_per_member", given, "currency", "month")
        assert [(500, 2), (600, 2)] == [found[f"2025-0{month}", "EUR"] for month in (1, 5)]
        assert (400, 1) == found["2025-06", "EUR"]

    def test_engagement_is_six_scores_and_their_mean(self):
        """Trust 8 and 6, control 10: means 7 and 10, the index 24 / 3 = 8."""
        scores = (("trust", 8), ("trust", 6), ("control", 10), ("nps", 1))
        given = world(
            touchpoints=[
                touchpoint(str(n), "02-01", survey=survey, score=float(score))
                for n, (survey, score) in enumerate(scores)
            ]
        )
        assert {("2025", "total"): (24, 3)} == counts("engagement_index", given)
        elements = ("value", "efficiency", "trust", "consistency", "relevance", "control")
        found = [values(f"engagement_{element}", given) for element in elements]
        assert [{}, {}, {("2025", "total"): 7}, {}, {}, {("2025", "total"): 10}] == found

    def test_uses_and_invitations_are_counted_one_by_one(self):
        """One person, two of each."""
        given = [
            touchpoint(f"{role}{n}", "02-01", role)
            for role in ("benefit_used", "volunteer_invited")
            for n in range(2)
        ]
        assert {("2025", "total"): (2, None)} == counts("benefits_used", world(touchpoints=given))
        assert {("2025", "total"): (2, None)} == counts("volunteers_invited", world(touchpoints=given))


class TestVolunteers:
    """Who answers."""

    def test_a_volunteer_stands_from_joining_to_leaving(self):
        """Joined in January and once more in February, left on 10 March, joined again in May."""
        given = world(
            touchpoints=[
                touchpoint("1", "01-10", "volunteer_joined"),
                touchpoint("2", "02-10", "volunteer_joined"),
                touchpoint("3", "03-10", "volunteer_left"),
                touchpoint("4", "05-10", "volunteer_joined"),
                touchpoint("5", "01-10", "volunteer_left", person="q"),
            ],
            as_of=at("05-31"),
        )
        found = counts("volunteers_active", given, grain="month")
        assert [1, 1, 0, 0, 1] == [numerator for numerator, _ in found.values()]

    def test_questions_per_volunteer(self):
        """Three questions of two cases and one without, in a year that ends with two volunteers."""
        asked = [touchpoint(str(n), "02-01", "question_asked", case_id=case) for n, case in enumerate("aab")]
        joined = [touchpoint(f"j{person}", "03-01", "volunteer_joined", person=person) for person in "pq"]
        given = world(touchpoints=[*asked, touchpoint("n", "02-02", "question_asked"), *joined])
        assert {("2025", "total"): (3, 2)} == counts("questions_per_volunteer", given)
        assert {("2025-02", "total"): (3, 0), ("2025-03", "total"): (0, 2)} == dict(
            list(counts("questions_per_volunteer", given, grain="month").items())[:2]
        )
        assert {("2025", "total"): (3, None)} == counts("questions", given)

    def test_answers_come_within_30_days(self):
        """Q1 has two in time, after 6 and 12 hours, and a late one; Q2 one at the last moment; Q3 none."""
        asked = [
            touchpoint("q1", "02-01", "question_asked", case_id="Q1", theme="claims", product="auto"),
            touchpoint("q2", "02-01", "question_asked", case_id="Q2", product="auto"),
            touchpoint("q3", "02-01", "question_asked", case_id="Q3"),
            touchpoint("q4", "02-01", "question_asked"),
        ]
        answered = [
            touchpoint("early", "01-31", "question_answered", case_id="Q1"),
            touchpoint("a", "02-01 06:00", "question_answered", case_id="Q1", person="volunteer"),
            touchpoint("b", "02-01 12:00", "question_answered", case_id="Q1", person="another"),
            touchpoint("late", "03-04", "question_answered", case_id="Q1"),
            touchpoint("c", "03-03", "question_answered", case_id="Q2"),
            touchpoint("other", "02-02", "question_answered", case_id=None),
        ]
        given = world(touchpoints=[*asked, *answered])
        themes = {("2025", "claims"): (2, 1), ("2025", "auto"): (1, 1), ("2025", None): (0, 1)}
        assert themes == counts("answers_per_question", given, "theme")
        assert {("2025", "total"): (1, 3)} == counts("unanswered_question_share", given)
        assert {("2025", "total"): (6 + 720) / 2} == values("time_to_first_answer", given)
        assert {("2025", "total"): 6 + 0.9 * 714} == values("time_to_first_answer_p90", given)

    def test_reminders_have_a_theme_of_their_own(self):
        """Its attribute, else the product."""
        given = [
            touchpoint("1", "02-01", "question_reminded", theme="claims"),
            touchpoint("2", "02-01", "question_reminded", product="auto"),
        ]
        by = counts("question_reminders", world(touchpoints=given), "theme")
        assert {("2025", "claims"): (1, None), ("2025", "auto"): (1, None)} == by


class TestCommunity:
    """Listings and events."""

    def test_a_listing_is_matched_within_30_days(self):
        """An offer after 2 days, a demand too late, one without case that nobody can follow."""
        given = world(
            touchpoints=[
                touchpoint("1", "02-01", "listing_offered", case_id="L1", theme="mobility"),
                touchpoint("2", "02-02", "listing_asked", case_id="L2", theme="mobility"),
                touchpoint("3", "02-02", "listing_asked"),
                touchpoint("4", "02-03", "listing_matched", case_id="L1", person="q"),
                touchpoint("5", "03-04 00:01", "listing_matched", case_id="L2"),
            ]
        )
        assert {("2025", "total"): (1, None)} == counts("listings_offered", given)
        assert {("2025", "total"): (2, None)} == counts("listings_asked", given)
        by = counts("listing_match_rate", given, "listing")
        assert {("2025", "offered"): (1, 1), ("2025", "asked"): (0, 1)} == by
        assert {("2025", "total"): 2} == values("time_to_match", given)

    def test_events_are_held_on_their_day(self):
        """Two fairs with 100 heads and an unknown number, a webinar with 40; next year's is not yet."""
        held = [("2025-03-01", "event", 100), ("2025-04-01", "event", None), ("2025-04-02", "video", 40)]
        given = world(
            events_held=[
                {"event": "fair", "date": date.fromisoformat(day), "channel": channel, "headcount": heads}
                for day, channel, heads in [*held, ("2026-01-01", "event", 7)]
            ]
        )
        by = counts("events_held", given, "channel")
        assert {("2025", "event"): (2, None), ("2025", "video"): (1, None)} == by
        assert {("2025", "total"): (140, None)} == counts("event_attendance", given)
        assert [2] == [row["n"] for row in rows("event_attendance", given).values()]

    def test_who_attends_and_whence(self):
        """Of four at events two from afar, one of unknown medium; Ann was a member until 31 January."""
        media = (("Ann", "02-01", "digital"), ("Bob", "02-02", "digital"), ("Cy", "02-02", None))
        media += (("Ann", "01-31 23:59", "physical"),)
        given = world(
            touchpoints=[
                touchpoint(f"{person}{when}", when, "event_attended", person=person, medium=medium)
                for person, when, medium in media
            ],
            customers=[customer("Ann", "2020-01-01", "2025-01-31"), customer("Bob", "2025-02-02")],
        )
        assert {("2025", "total"): (2, 3)} == counts("digital_event_share", given)
        assert {("2025", "total"): (2, 4)} == counts("member_attendance_share", given)


class TestSegments:
    """Customers and what they bring."""

    def test_customers_stand_while_a_contract_does(self):
        """Ann holds two that meet and is one customer throughout; of Bob nothing is known."""
        given = world(
            touchpoints=SEEN,
            contracts=[
                contract("1", "01-05", "02-10", person="Ann"),
                contract("2", "02-10", person="Ann"),
                contract("3", "02-20", person="Bob"),
            ],
            premiums=[premium("01-05", 300, person="Ann"), premium("02-20", 200, person="Bob")],
            customers=[customer("Ann", region="west")],
            as_of=at("03-10"),
        )
        found = counts("customers", given, "region", "month")
        assert {(f"2025-0{month}", "west"): (1, None) for month in (1, 2, 3)} | {
            (f"2025-0{month}", None): (1, None) for month in (2, 3)
        } == found
        assert {("2025", "west", "EUR"): (300, None), ("2025", None, "EUR"): (200, None)} == counts(
            "customer_value", given, "region"
        )

    def test_segments_and_cells_are_read_at_the_last_instant(self):
        """Ann is in both segments, Bob in one from April on; he leaves a cell for another."""

        def segments(instant: datetime):
            found = [("big", "Ann"), ("old", "Ann")] + [("old", "Bob")] * (instant >= at("04-01"))
            return [{"segment": segment, "profile_id": person} for segment, person in found]

        def cells(instant: datetime):
            found = [] if instant < at("01-01") else [("Bob", "high" if instant >= at("04-01") else "low")]
            return [{"profile_id": person, "cell": cell} for person, cell in found]

        given = world(
            touchpoints=SEEN,
            segment_members_at=segments,
            value_cells_at=cells,
            premiums=[premium("01-05", 300, person="Ann"), premium("01-05", 200, person="Bob")],
            as_of=at("06-30"),
        )
        by = counts("segment_customers", given, "segment", "quarter")
        assert [1, 1, 1, 2] == [
            by[key][0] for key in [(f"2025-0{m}", s) for m in (1, 4) for s in ("big", "old")]
        ]
        worth = counts("segment_value", given, "segment", "quarter")
        assert [300, 500] == [worth[f"2025-0{month}", "old", "EUR"][0] for month in (1, 4)]
        assert {("2025-01", "low"): (1, None), ("2025-04", "high"): (1, None)} == counts(
            "value_cells", given, "cell", "quarter"
        )
        moves = counts("value_cell_moves", given, "move", "quarter")
        assert {("2025-01", "new"): (1, None), ("2025-04", "moved"): (1, None)} == moves


def exposed(experiment, variant, converted, of, when="03-01"):
    """Persons shown a variant, of whom some buy the day after."""
    found = []
    for n in range(of):
        who = {"person": f"{variant}{n}"}
        found.append(
            touchpoint(f"e{variant}{n}", when, "visit", **who, experiment=experiment, variant=variant)
        )
        if n < converted:
            found.append(touchpoint(f"p{variant}{n}", "03-02", "purchase", **who))
    return found


class TestExperiments:
    """Variants against a control."""

    @pytest.mark.parametrize(
        ("later", "expected"),
        [
            ({}, 1),
            ({"roles": ["contract_signed"]}, 1),
            ({"roles": ["quote_created"]}, 0),
            ({"occurred_at": at("03-01") + timedelta(days=30)}, 1),
            ({"occurred_at": at("03-01") + timedelta(days=30, microseconds=1)}, 0),
            ({"occurred_at": at("02-28")}, 0),
        ],
    )
    def test_the_first_exposure_counts(self, later, expected):
        """Shown a, then b: exposed to a. Without a variant one is not exposed."""
        given = world(
            touchpoints=[
                touchpoint("1", "02-01", experiment="x"),
                touchpoint("2", "03-01", experiment="x", variant="a"),
                touchpoint("3", "03-02", experiment="x", variant="b"),
                {**touchpoint("4", "03-05", "purchase"), **later},
            ]
        )
        assert {("2025", "a", "x"): (1, None)} == counts("experiment_exposed", given, "variant")
        assert {("2025", "a", "x"): (expected, 1)} == counts("experiment_conversion", given, "variant")

    def test_lift_is_against_the_smallest_name(self):
        """10 of 50 against 5 of 50: twice as many, from half as many to more than five times; p = 0.161."""
        given = world(touchpoints=[*exposed("x", "a", 5, 50), *exposed("x", "b", 10, 50)])
        control, variant = experiment_lift(given, minimum=50)
        assert ("control", None, None) == (control["verdict"], control["value"], control["p_value"])
        assert (10, 50, "a") == (variant["numerator"], variant["denominator"], variant["control"])
        assert 1 == pytest.approx(variant["value"])
        half = 1.959964 * sqrt(1 / 10 - 1 / 50 + 1 / 5 - 1 / 50)
        assert (2 * exp(-half) - 1, 2 * exp(half) - 1) == pytest.approx((variant["low"], variant["high"]))
        assert 0.161 == pytest.approx(variant["p_value"], abs=5e-4)
        assert ("no difference seen", True) == (variant["verdict"], variant["mature"])
        assert "too few" == experiment_lift(given, minimum=51)[1]["verdict"]
        assert -0.5 == pytest.approx(experiment_lift(given, {"x": "b"})[0]["value"])

    def test_several_variants_are_corrected(self):
        """Against 10 of 100: 1 (p = 0.0053, thrice) is worse, 24 (0.0085, twice) and 20 (0.0477) better."""
        given = world(
            touchpoints=[
                *exposed("x", "a", 10, 100),
                *exposed("x", "b", 24, 100),
                *exposed("x", "c", 20, 100),
                *exposed("x", "d", 1, 100),
            ]
        )
        found = {row["variant"]: row for row in experiment_lift(given, minimum=100)}
        p = {name: found[name]["p_value"] for name in "bcd"}
        assert [0.0053, 0.0085, 0.0477] == pytest.approx([p["d"], p["b"], p["c"]], abs=5e-4)
        assert [3 * p["d"], 2 * p["b"], p["c"]] == [found[name]["p_adjusted"] for name in "dbc"]
        assert ["control", "better", "better", "worse"] == [found[name]["verdict"] for name in "abcd"]

    def test_nobody_converted_is_no_difference(self):
        """0 of 5 against 0 of 5: neither lift nor p-value."""
        given = world(touchpoints=[*exposed("x", "a", 0, 5), *exposed("x", "b", 0, 5)])
        row = experiment_lift(given, minimum=5)[1]
        assert (None, None, None, "no difference seen") == (
            row["value"],
            row["low"],
            row["p_value"],
            row["verdict"],
        )

    def test_an_exposure_whose_time_is_not_over_is_left_out(self):
        """One of December beside two of March: two count, and the row is not mature."""
        late = exposed("x", "c", 0, 1, when="12-15")
        given = world(touchpoints=[*exposed("x", "a", 1, 1), *exposed("x", "b", 1, 1), *late])
        found = experiment_lift(given)
        assert [("a", 1, False), ("b", 1, False)] == [
            (row["variant"], row["denominator"], row["mature"]) for row in found
        ]

    def test_factors_are_looked_at_one_by_one(self):
        """Of headline short and long, picture yes and no: each level over both levels of the other."""
        shown = {"h=long|i=no": 1, "h=long|i=yes": 2, "h=short|i=no": 3, "h=short|i=yes": 6}
        given = [each for variant, bought in shown.items() for each in exposed("x", variant, bought, 10)]
        given += exposed("y", "plain", 1, 10)
        found = experiment_factors(world(touchpoints=given), minimum=20)
        told = {(row["factor"], row["level"]): (row["numerator"], row["denominator"]) for row in found}
        assert {
            ("h", "long"): (3, 20),
            ("h", "short"): (9, 20),
            ("i", "no"): (4, 20),
            ("i", "yes"): (8, 20),
        } == told
        assert [None, 2, None, 1] == [row["value"] and pytest.approx(row["value"]) for row in found]
        p = {row["factor"]: row for row in found if row["p_value"] is not None}
        assert 2 * p["h"]["p_value"] == p["h"]["p_adjusted"]
        assert p["i"]["p_value"] == p["i"]["p_adjusted"]
