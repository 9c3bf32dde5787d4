"""The twins of loyalty and advocacy, by worked numbers: what the catalogue says, counted by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from worked import AS_OF, at, contract, counts, premium, rows, touchpoint, values, world

SEEN = [touchpoint("seen", "01-10")]
"""A snapshot looks at periods from that of the first touchpoint on."""


def signing(event_id, when, product="auto", **fields):
    """A signing, of a contract that nothing else tells of."""
    return touchpoint(event_id, when, "contract_signed", product=product, **fields)


class TestContracts:
    """What is in force, and what ends."""

    def test_churn_is_of_what_was_in_force_when_the_period_began(self):
        """Of three in force on 1 February one ends in it; one that came and went in February is no churn."""
        given = world(
            touchpoints=SEEN,
            contracts=[
                contract("stays", "2020-01-01"),
                contract("new", "02-01"),
                contract("ends", "01-05", "02-10", initiator="customer", reason="price"),
                contract("short", "02-03", "02-20"),
                contract("over", "01-05", "02-01", initiator="insurer"),
            ],
        )
        found = counts("contract_churn", given, grain="month")
        assert (1, 3) == found["2025-02", "total"]
        assert (0, 2) == found["2025-03", "total"]
        by = counts("contract_churn", given, "initiator", "month")
        assert [(1, 3), (0, 3)] == [by["2025-02", initiator] for initiator in ("customer", None)]
        assert (1, 3) == counts("contract_churn", given, "reason", "month")["2025-02", "price"]

    def test_what_ends_with_the_last_midnight_ends_in_the_period_that_it_ends(self):
        """Ended at 1 March 0:00: churn of February, and not in force when March begins."""
        given = world(touchpoints=SEEN, contracts=[contract("K", "2020-01-01", "03-01")])
        found = counts("contract_churn", given, grain="month")
        assert [(0, 1), (1, 1), (0, 0)] == [found[f"2025-0{month}", "total"] for month in (1, 2, 3)]

    def test_retention_is_what_churn_leaves(self):
        """Two of three are still in force when the year has ended."""
        held = [
            contract("a", "2020-01-01"),
            contract("b", "2020-01-01"),
            contract("c", "2020-01-01", "06-01"),
        ]
        given = world(touchpoints=SEEN, contracts=held)
        assert {("2025", "total"): (2, 3)} == counts("contract_retention", given)
        assert {("2025", "total"): (1, 3)} == counts("contract_churn", given)

    @pytest.mark.parametrize(
        ("ended", "expected"),
        [
            (None, {"2023": (1, 1), "2024": (1, 1), "2025": (1, 1)}),
            ("2023-02-27 23:59", {}),  # more than a day before its first due date
            ("2023-02-28", {"2023": (0, 1)}),  # its last day
            ("2023-03-01", {"2023": (0, 1)}),
            ("2024-04-30", {"2023": (1, 1), "2024": (0, 1)}),  # 60 days after, to the microsecond
            ("2024-04-30 00:01", {"2023": (1, 1), "2024": (1, 1)}),
        ],
    )
    def test_a_contract_is_due_every_year_of_its_life(self, ended, expected):
        """Due on 1 March, known as the next due date: earlier ones are its anniversaries."""
        held = [contract("K", "2022-03-01", ended, due_at=at("2026-03-01"))]
        given = world(touchpoints=[touchpoint("a", "2022-01-01")], contracts=held)
        assert {(year, "total"): count for year, count in expected.items()} == counts("renewal_rate", given)

    def test_what_was_due_before_the_first_touchpoint_is_not_asked(self):
        """Only those who stayed are known of that time; the first touchpoint's own day counts."""
        held = [contract("K", "2020-03-01")]
        for first, years in (("2024-03-01 12:00", ["2024", "2025"]), ("2024-03-02", ["2025"])):
            given = world(touchpoints=[touchpoint("a", first)], contracts=held)
            assert years == [year for year, _ in counts("renewal_rate", given)]

    def test_without_a_due_date_a_contract_is_due_on_the_days_it_began(self):
        """Begun on 29 February: due on the 28th in common years."""
        found = rows(
            "renewal_rate", world(touchpoints=SEEN, contracts=[contract("K", "2024-02-29")]), grain="month"
        )
        assert [("2025-02", "total")] == list(found)
        assert [True] == [row["mature"] for row in found.values()]

    def test_holding_two_is_counted_over_all_products(self):
        """Ann holds auto and home, Bob auto: of two customers one; of auto's two one, of home's one one."""
        held = [
            contract("1", "01-05", person="Ann"),
            contract("2", "01-05", person="Ann", product="home"),
            contract("3", "01-05", person="Bob"),
            contract("4", "01-05", "02-10", person="Bob"),
        ]
        given = world(touchpoints=SEEN, contracts=held)
        assert {("2025", "total"): (1, 2)} == counts("multi_holding", given)
        assert (2, 2) == counts("multi_holding", given, grain="month")["2025-01", "total"]
        by = counts("multi_holding", given, "product")
        assert {("2025", "auto"): (1, 2), ("2025", "home"): (1, 1)} == by
        assert {("2025", "total"): 1.5} == values("contracts_per_customer", given)

    def test_what_ends_at_the_instant_is_no_longer_in_force_in_the_unfinished_period(self):
        """A contract that ends at as_of does not stand, one that begins then does."""
        held = [contract("1", "01-05", "12-31 12:00"), contract("2", "12-31 12:00", person="q")]
        assert {("2025", "total"): (0, 1)} == counts("multi_holding", world(touchpoints=SEEN, contracts=held))

    def test_tenure_begins_anew_after_a_break(self):
        """Ann without a break since 2022, Bob again since July: at the end of December 3 and 0.5 years."""
        held = [
            contract("1", "2022-12-31 12:00", "2024-05-01", person="Ann"),
            contract("2", "2024-05-01", person="Ann"),
            contract("3", "2020-01-01", "2024-12-31", person="Bob"),
            contract("4", "07-02", person="Bob"),
        ]
        found = rows("tenure", world(touchpoints=SEEN, contracts=held))["2025", "total"]
        assert 2 == found["n"]
        assert 3 + 182.5 / 365 == pytest.approx(found["numerator"])

    def test_value_to_date_is_what_was_paid_and_what_premium_was_earned(self):
        """73 days of 365 EUR a year are 73 EUR; 20 EUR bought; CHF apart; Bob earned none yet."""
        given = world(
            touchpoints=[
                touchpoint("1", "01-31", value=Decimal(20), currency="EUR", money_role="revenue"),
                touchpoint("2", "01-31", value=Decimal(5), currency="CHF", money_role="revenue"),
                touchpoint("3", "02-01", value=Decimal(900), currency="EUR", money_role="revenue"),
                touchpoint("4", "01-31", value=Decimal(7), currency="EUR", money_role="claim_paid"),
            ],
            premiums=[
                premium("2024-11-20", 365, "2025-02-20"),
                premium("02-01", 365, person="Bob"),
            ],
        )
        found = counts("value_to_date", given, "currency", "month")
        assert (93, 1) == found["2025-01", "EUR"]
        assert (5, 1) == found["2025-01", "CHF"]
        assert (20 + 900 + 92 + 28, 2) == found["2025-02", "EUR"]


class TestCustomers:
    """What becomes of new ones."""

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            ({}, 1),
            ({"product": "auto"}, 0),
            ({"product": None}, 0),
            ({"profile_id": "q"}, 0),
            ({"occurred_at": at("03-01") + timedelta(days=365)}, 1),
            ({"occurred_at": at("03-01") + timedelta(days=365, microseconds=1)}, 0),
        ],
    )
    def test_cross_sell_is_another_product_within_a_year(self, second, expected):
        """The first signing counts, and whether another product's follows within 365 days."""
        given = [signing("1", "03-01"), {**signing("2", "04-01", "home"), **second}]
        assert (expected, 1) == counts("cross_sell", world(touchpoints=given), "product")["2025", "auto"]

    def test_who_held_a_contract_before_is_not_new(self):
        """By the reference input she holds one since 2020: her first signing is none of a new customer."""
        given = world(touchpoints=[signing("1", "03-01")], contracts=[contract("K", "2020-01-01")])
        assert {} == counts("cross_sell", given)
        assert {} == counts("onboarding", given)
        assert {} == counts("word_of_mouth_share", given)

    @pytest.mark.parametrize(
        ("met", "expected"),
        [
            ({}, 1),
            ({"medium": "human"}, 0),
            ({"stage": "loyalty"}, 0),
            ({"occurred_at": at("03-01")}, 1),
            ({"occurred_at": at("02-28")}, 0),
            ({"occurred_at": at("03-01") + timedelta(days=90)}, 1),
            ({"occurred_at": at("03-01") + timedelta(days=90, microseconds=1)}, 0),
        ],
    )
    def test_onboarding_is_a_digital_service_within_90_days(self, met, expected):
        """Of one new customer; the window is inclusive at both ends."""
        used = {**touchpoint("2", "03-20", stage="service", medium="digital"), **met}
        given = world(touchpoints=[signing("1", "03-01"), used])
        assert {("2025", "total"): (expected, 1)} == counts("onboarding", given)

    def test_take_up_is_of_those_with_a_contract_in_force(self):
        """Ann joined in March and holds a contract, Bob holds one, Cy joined without any."""
        given = world(
            touchpoints=[
                touchpoint("1", "03-10", "loyalty_joined", person="Ann"),
                touchpoint("2", "01-10", "loyalty_joined", person="Cy"),
            ],
            contracts=[contract("1", "01-05", person="Ann"), contract("2", "01-05", person="Bob")],
        )
        found = counts("loyalty_take_up", given, grain="month")
        assert [(0, 2), (0, 2), (1, 2)] == list(found.values())[:3]

    def test_the_ladder_is_read_at_the_last_instant_of_a_quarter(self):
        """Ann is a customer from 1 April on: a prospect at March's end, then up; Bob is new."""

        def profiles_at(instant):
            known = [("Ann", True, "customer" if instant >= at("04-01") else "prospect")]
            known += [("Bob", False, "prospect")] * (instant >= at("05-01"))
            return [{"profile_id": p, "identified": known, "rung": rung} for p, known, rung in known]

        given = world(as_of=at("06-30"), touchpoints=SEEN, profiles_at=profiles_at)
        assert {("2025-01", "prospect"): (1, None), ("2025-04", "prospect"): (1, None)} | {
            ("2025-04", "customer"): (1, None)
        } == counts("ladder_population", given, "rung", "quarter")
        assert {("2025-01", "true"): (1, None), ("2025-04", "true"): (1, None)} | {
            ("2025-04", "false"): (1, None)
        } == counts("ladder_population", given, "identified", "quarter")
        assert {("2025-01", "same"): (1, None), ("2025-04", "up"): (1, None)} | {
            ("2025-04", "new"): (1, None)
        } == {
            key: count for key, count in counts("ladder_moves", given, "move", "quarter").items() if count[0]
        }
        assert ("2025-04", None) in counts("ladder_moves", given, "rung_before", "quarter")


def answer(event_id, survey, score, when="03-02", **fields):
    """An answer to a survey."""
    return touchpoint(event_id, when, "survey_answered", survey=survey, score=float(score), **fields)


class TestRecommending:
    """What people say and whom they bring."""

    def test_nps_is_promoters_less_detractors(self):
        """9 and 10 for, 0 to 6 against, 7 and 8 neither: of 5 answers 2 - 1 = 20 points ± 65.6."""
        scores = (10, 9, 8, 7, 6)
        given = world(touchpoints=[answer(str(n), "nps", score) for n, score in enumerate(scores)])
        (found,) = rows("nps", given).values()
        assert (1, 5, 20) == (found["numerator"], found["denominator"], found["value"])
        half = 1.959964 * 100 * ((0.4 + 0.2 - 0.2**2) / 5) ** 0.5
        assert (20 - half, 20 + half) == pytest.approx((found["low"], found["high"]))

    def test_what_came_before_is_no_survey(self):
        """After the claim, though the survey was sent in between."""
        given = world(
            touchpoints=[
                touchpoint("1", "02-01", "claim_opened"),
                touchpoint("2", "03-01", "survey_sent", content="nps"),
                answer("3", "nps", 10),
                answer("4", "nps", 3, person="q"),
            ]
        )
        after = values("nps", given, "after")
        assert {("2025", "claim_opened"): 100, ("2025", None): -100} == after

    @pytest.mark.parametrize(
        ("answered", "expected"),
        [
            ([answer("a", "nps", 9)], (1, 2)),
            ([answer("a", "csat", 5)], (0, 2)),
            ([answer("a", "nps", 9, case_id="other")], (0, 2)),
            ([answer("a", "nps", 9, "05-01"), answer("b", "nps", 9, "05-02")], (1, 2)),
            ([answer("a", "nps", 9, "03-31")], (1, 2)),
            ([answer("a", "nps", 9, "03-31 00:01")], (0, 2)),
        ],
    )
    def test_a_sending_is_answered_within_30_days(self, answered, expected):
        """By the same person and case, before the next sending; other surveys' sendings are not asked."""
        sent = [touchpoint(when, when, "survey_sent", content="nps") for when in ("03-01", "04-15")]
        sent.append(touchpoint("c", "03-01", "survey_sent", content="csat"))
        given = world(touchpoints=[*sent, *answered])
        assert {("2025", "total"): expected} == counts("nps_response_rate", given)

    def test_recommending_is_a_probability(self):
        """8 and 5 of 10: 0.65."""
        given = world(touchpoints=[answer("1", "recommend", 8), answer("2", "recommend", 5)])
        assert {("2025", "total"): pytest.approx(0.65)} == values("recommend_probability", given)

    @pytest.mark.parametrize(
        ("converted", "expected"),
        [
            ({}, 1),
            ({"person": "the one who came"}, 1),
            ({"referral_id": "R2"}, 0),
            ({"when": "02-28"}, 0),
            ({"when": "05-30"}, 1),
            ({"when": "05-30 00:01"}, 0),
        ],
    )
    def test_a_referral_is_converted_within_90_days(self, converted, expected):
        """By its id, whoever's touchpoint says so. A referral made twice is one; one without id never is."""
        made = [touchpoint(str(n), "03-01", "referral_made", referral_id="R1") for n in range(2)]
        made.append(touchpoint("3", "03-01", "referral_made"))
        came = {"when": "03-20", "referral_id": "R1", **converted}
        came = touchpoint("4", came.pop("when"), "referral_converted", **came)
        given = world(touchpoints=[*made, came])
        assert {("2025", "total"): (expected, 2)} == counts("referral_conversion", given)
        assert {("2025", "total"): (3, None)} == counts("referrals", given)

    def test_a_referred_customer_counts_once(self):
        """Two touchpoints of R1 are one customer, one without id another."""
        given = [
            touchpoint(str(n), "03-01", "referral_converted", referral_id=id_)
            for n, id_ in enumerate(("R1", "R1", None))
        ]
        assert {("2025", "total"): (2, None)} == counts("referred_customers", world(touchpoints=given))

    def test_reviews_and_their_stars(self):
        """Three reviews, of which two have stars: 4 and 5."""
        given = world(
            touchpoints=[
                touchpoint("1", "03-01", "review_posted"),
                touchpoint("2", "03-01", "review_posted", survey="review", score=4.0),
                touchpoint("3", "03-01", "review_posted", survey="review", score=5.0),
            ]
        )
        assert {("2025", "total"): (3, None)} == counts("reviews", given)
        assert {("2025", "total"): (9, 2)} == counts("review_score", given)

    def test_who_is_willing_counts_once_a_period(self):
        """Twice in March and once in May: one person of the year."""
        given = [touchpoint(when, when, "reference_willing") for when in ("03-01", "03-02", "05-01")]
        assert {("2025", "total"): (1, None)} == counts("references_willing", world(touchpoints=given))

    @pytest.mark.parametrize(
        ("heard", "expected"),
        [
            ({}, 0),
            ({"source": "word_of_mouth"}, 1),
            ({"referral_id": "R1"}, 1),
            ({"referral_id": "R1", "roles": ["referral_made"]}, 0),
            ({"source": "word_of_mouth", "occurred_at": at("03-02")}, 0),
        ],
    )
    def test_word_of_mouth_leaves_a_trace_before_the_purchase(self, heard, expected):
        """A referral's id or such a source, up to the first purchase; a referral of one's own is none."""
        given = [{**touchpoint("1", "02-01"), **heard}, signing("2", "03-01")]
        assert {("2025", "total"): (expected, 1)} == counts("word_of_mouth_share", world(touchpoints=given))


def test_the_instant_is_the_end_of_the_unfinished_year():
    """What the examples lean on."""
    assert at("12-31 12:00") == AS_OF
