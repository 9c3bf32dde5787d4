"""How touchpoints become visits, journeys, steps and stage visits: one small case per rule."""

from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcours.schemas import config, relations
from parcours.transforms.journeys import BUILT, JourneyRules, build_journeys

START = datetime(2024, 1, 1)

COLUMNS = {
    "rid": "BIGINT",
    "profile_id": "VARCHAR",
    "identified": "BOOLEAN",
    "event_id": "VARCHAR",
    "occurred_at": "TIMESTAMP",
    "event_type": "VARCHAR",
    "roles": "VARCHAR[]",
    "stage": "VARCHAR",
    "channel": "VARCHAR",
    "medium": "VARCHAR",
    "source": "VARCHAR",
    "campaign": "VARCHAR",
    "content": "VARCHAR",
    "product": "VARCHAR",
    "contract_id": "VARCHAR",
    "claim_id": "VARCHAR",
    "case_id": "VARCHAR",
    "money_role": "VARCHAR",
    "value": "DECIMAL(18,4)",
    "currency": "VARCHAR",
    "cost": "DECIMAL(18,4)",
    "ends_holding": "BOOLEAN",
    "visit_id": "VARCHAR",
}

DEFAULTS = {
    "profile_id": "C1",
    "identified": True,
    "event_type": "page_viewed",
    "roles": [],
    "channel": "site",
    "medium": "physical",
    "ends_holding": False,
}


def touchpoint(event_id, days=0.0, stage=None, **fields):
    """One row of history, ``days`` after the start."""
    at = fields.pop("at", START + timedelta(days=days))
    return {**DEFAULTS, "event_id": event_id, "occurred_at": at, "stage": stage, **fields}


def built(touchpoints, rules=None):
    """Build, and return a function from a query to its rows as dictionaries."""
    connection = duckdb.connect()
    connection.execute(
        f"CREATE TABLE history ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
    )
    rows = [[{**row, "rid": rid}.get(name) for name in COLUMNS] for rid, row in enumerate(touchpoints)]
    if rows:
        connection.executemany(f"INSERT INTO history VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    build_journeys(connection, rules or JourneyRules())

    def ask(query):
        result = connection.execute(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return ask


def cut(touchpoints, rules=None):
    """The event_ids of each journey, in order, journeys by start."""
    rows = built(touchpoints, rules)(
        "SELECT list(event_id ORDER BY position) AS ids FROM built_journey_steps GROUP BY journey_id"
        " ORDER BY min(occurred_at), ids"
    )
    return ["".join(row["ids"]) for row in rows]


class TestOrder:
    """The order within a profile, and what it gives each step."""

    def test_time_then_stage_rank_then_event_id(self):
        """At one instant no stage comes first, then the lower stage, then the smaller event_id."""
        rows = [
            touchpoint("d", stage="purchase"),
            touchpoint("c", stage="awareness"),
            touchpoint("b", stage="awareness"),
            touchpoint("z"),
            touchpoint("a", days=1),
            touchpoint("y", days=-1, stage="advocacy"),
        ]
        assert ["yzbcda"] == cut(rows)

    def test_ids_compare_by_code_point(self):
        """Uppercase stands before lowercase, and a supplementary character after the private use area."""
        rows = [touchpoint(event_id) for event_id in ("a", "B", "\U0001f600", "\ue000", "é")]
        assert ["Baé\ue000\U0001f600"] == cut(rows)

    def test_neighbours(self):
        """A step knows its neighbours' type, channel and stage in the journey, and the seconds since."""
        ask = built(
            [
                touchpoint("a", event_type="x", stage="awareness"),
                touchpoint("b", at=START + timedelta(microseconds=1), event_type="y", channel="app"),
                touchpoint("c", days=500, event_type="z"),
            ]
        )
        rows = ask("FROM built_journey_steps ORDER BY occurred_at")
        assert [(1, None, "y"), (2, "x", None), (1, None, None)] == [
            (row["position"], row["previous_event_type"], row["next_event_type"]) for row in rows
        ]
        assert [(None, "app"), ("site", None), (None, None)] == [
            (row["previous_channel"], row["next_channel"]) for row in rows
        ]
        assert [None, "awareness", None] == [row["previous_stage"] for row in rows]
        assert [None, 1e-6, None] == [row["seconds_since_previous"] for row in rows]


class TestCuts:
    """Where one journey ends and the next begins."""

    def test_gap_at_its_limit_does_not_cut(self):
        """400 days keep a journey, a microsecond more begins another."""
        rows = [
            touchpoint("a"),
            touchpoint("b", days=400),
            touchpoint("c", at=START + timedelta(days=800, microseconds=1)),
        ]
        assert ["ab", "c"] == cut(rows)

    def test_no_gap(self):
        """With gap none nothing but an event cuts, and the journey has no time to close at."""
        rules = JourneyRules.of(config.Journey(gap="none"))
        rows = [touchpoint("a"), touchpoint("b", days=9000)]
        assert ["ab"] == cut(rows, rules)
        assert [{"closes_at": None, "ended_by": None}] == built(rows, rules)(
            "SELECT closes_at, ended_by FROM built_journeys"
        )

    @pytest.mark.parametrize("end", [{"event_type": "left"}, {"event_type": "bye", "roles": ["left", "x"]}])
    def test_end_event_takes_its_instant_along(self, end):
        """What happens at the instant of an ending event, on either side of it, is in the closed journey."""
        rows = [
            touchpoint("b", days=1, stage="purchase", **end),
            touchpoint("a", days=1),
            touchpoint("c", days=1, stage="advocacy"),
            touchpoint("d", at=START + timedelta(days=1, microseconds=1)),
            touchpoint("0"),
        ]
        rules = JourneyRules(end_on=("left",))
        assert ["0abc", "d"] == cut(rows, rules)
        ask = built(rows, rules)
        assert [
            {"ended_by": end["event_type"], "closes_at": START + timedelta(days=1)},
            {"ended_by": None, "closes_at": START + timedelta(days=401, microseconds=1)},
        ] == ask("SELECT ended_by, closes_at FROM built_journeys ORDER BY started_at")

    def test_two_ends_at_one_instant(self):
        """Two ending events at one instant end one journey, and the first in order names it."""
        rows = [
            touchpoint("b", event_type="left"),
            touchpoint("a", event_type="gone", roles=["left"]),
            touchpoint("c", days=1, event_type="left"),
        ]
        ask = built(rows, JourneyRules(end_on=("left",)))
        assert [("gone", 2), ("left", 1)] == [
            (row["ended_by"], row["touchpoints"]) for row in ask("FROM built_journeys ORDER BY started_at")
        ]

    def test_persons_do_not_mix(self):
        """An ending event of one person leaves the other's journey alone."""
        rows = [
            touchpoint("a", event_type="left"),
            touchpoint("b", profile_id="C2"),
            touchpoint("c", days=1, profile_id="C2"),
        ]
        assert ["a", "bc"] == cut(rows, JourneyRules(end_on=("left",)))


class TestUnits:
    """What a journey is of."""

    ROWS = (
        touchpoint("a", product="auto", contract_id="K1", claim_id="S1"),
        touchpoint("b", days=1, product="home", contract_id="K1"),
        touchpoint("c", days=2, product="auto", contract_id="K2", claim_id="S1"),
        touchpoint("d", days=3),
        touchpoint("e", days=4, product="auto", contract_id="K1", profile_id="C2", identified=False),
    )

    @pytest.mark.parametrize(
        ("unit", "journeys"),
        [
            ("profile", ["abcd", "e"]),
            ("product", ["ac", "b", "d", "e"]),
            ("contract", ["ab", "c", "e"]),
            ("claim", ["ac"]),
        ],
    )
    def test_a_journey_is_of_one_person_and_key(self, unit, journeys):
        """One key of two persons is two journeys; no contract or claim is no journey, no product is one."""
        assert journeys == cut(self.ROWS, JourneyRules(unit=unit))

    def test_persons_without_a_journey_stay(self):
        """A person none of whose touchpoints has the key has no journey, but is there."""
        ask = built(self.ROWS, JourneyRules(unit="claim"))
        assert [("C1", True, 4, 1), ("C2", False, 1, 0)] == [
            (row["profile_id"], row["identified"], row["touchpoints"], row["journeys"])
            for row in ask("FROM built_profiles ORDER BY profile_id")
        ]

    def test_ids_are_unambiguous(self):
        """A colon in an id never makes two journeys one."""
        rows = [
            touchpoint("2:x", product="1:a"),
            touchpoint("x", product="1:a:2", days=1),
            touchpoint("1:a:2:x", product="a", days=2),
        ]
        ask = built(rows, JourneyRules(unit="product"))
        assert 3 == len(ask("SELECT DISTINCT journey_id FROM built_journeys"))


class TestVisits:
    """Digital touchpoints close in time."""

    def test_gap_and_medium(self):
        """Digital touchpoints up to 30 minutes apart are one visit, whatever else happens between."""
        minute = timedelta(minutes=1)
        rows = [
            touchpoint("a", at=START, medium="digital", source="news", campaign="spring", product="auto"),
            touchpoint("b", at=START + 10 * minute, medium="human"),
            touchpoint("c", at=START + 30 * minute, medium="digital", channel="app", source="mail"),
            touchpoint("d", at=START + 60 * minute + timedelta(microseconds=1), medium="digital"),
            touchpoint("e", at=START, medium="digital", profile_id="C2"),
            touchpoint("f", at=START, medium=None),
        ]
        ask = built(rows)
        visits = ask("FROM built_visits ORDER BY profile_id, started_at")
        assert [("C1", 0, 30, 2), ("C1", 60, 60, 1), ("C2", 0, 0, 1)] == [
            (
                row["profile_id"],
                (row["started_at"] - START) // minute,
                (row["ended_at"] - START) // minute,
                row["touchpoints"],
            )
            for row in visits
        ]
        came_from = [(row["channel"], row["source"], row["campaign"], row["product"]) for row in visits]
        assert [("site", "news", "spring", "auto"), *[("site", None, None, None)] * 2] == came_from
        members = ask("SELECT event_id, c.visit_id FROM built_visit_changes AS c JOIN history USING (rid)")
        one, two, other = (row["visit_id"] for row in visits)
        assert {"a": one, "c": one, "d": two, "e": other} == {
            row["event_id"]: row["visit_id"] for row in members
        }
        # a touchpoint that is stored with the visit it has is left alone; one that has none any more is not
        stored = {"a": one, "b": "gone", "c": "another"}
        ask = built([{**row, "visit_id": stored.get(row["event_id"])} for row in rows])
        members = ask("SELECT event_id, c.visit_id FROM built_visit_changes AS c JOIN history USING (rid)")
        assert {"b": None, "c": one, "d": two, "e": other} == {
            row["event_id"]: row["visit_id"] for row in members
        }
        steps = ask("SELECT event_id, visit_id FROM built_journey_steps")
        assert {"a": one, "b": None, "c": one, "d": two, "e": other, "f": None} == {
            row["event_id"]: row["visit_id"] for row in steps
        }


def staged(*stages, **fields):
    """Touchpoints a day apart with the stages that the letters stand for; a dot is no stage."""
    names = {stage[:2]: stage for stage in config.STAGES}
    return [
        touchpoint(f"e{n:02}", days=n, stage=None if stage == "." else names[stage], **fields)
        for n, stage in enumerate(stages)
    ]


class TestStages:
    """What a journey's stages say of it."""

    @pytest.mark.parametrize(
        ("stages", "visits", "returns", "skipped", "last"),
        [
            ("aw co pu", "aw co pu", 0, [], ("purchase", "purchase")),
            ("aw . aw co", "aw co", 0, [], ("consideration", "consideration")),
            (". .", "", 0, [], (None, None)),
            ("se aw", "se aw<", 1, ["awareness", "consideration", "purchase"], ("service", "awareness")),
            ("aw pu co pu", "aw pu co< pu", 1, ["consideration"], ("purchase", "purchase")),
            ("ad lo se . se pu", "ad lo< se< pu<", 3, list(config.STAGES[:5]), ("advocacy", "purchase")),
        ],
    )
    def test_visits_returns_skips(self, stages, visits, returns, skipped, last):
        """A run of one stage is one visit, no stage does not break it, going lower is a return."""
        ask = built(staged(*stages.split()))
        found = ask("FROM built_stage_visits ORDER BY position")
        assert visits == " ".join(row["stage"][:2] + "<" * row["is_return"] for row in found)
        assert list(range(1, len(found) + 1)) == [row["position"] for row in found]
        assert ["other" if row["is_return"] else None for row in found] == [
            row["return_kind"] for row in found
        ]
        (journey,) = ask("FROM built_journeys")
        assert (returns, skipped, *last) == tuple(
            journey[name] for name in ("returns", "skipped_stages", "furthest_stage", "current_stage")
        )

    def test_visit_bounds(self):
        """A stage visit counts only its stage's touchpoints, from the first to the last of them."""
        ask = built(staged(".", "aw", ".", "aw", ".", "co"))
        assert [
            ("awareness", 1, 3, "e01", 2),
            ("consideration", 5, 5, "e05", 1),
        ] == [
            (
                row["stage"],
                (row["entered_at"] - START).days,
                (row["last_at"] - START).days,
                row["first_event_id"],
                row["touchpoints"],
            )
            for row in ask("FROM built_stage_visits ORDER BY position")
        ]

    def test_lower_stage_at_the_same_instant_is_not_skipped(self):
        """At one instant the lower stage is entered first, so nothing is passed over."""
        (journey,) = built([touchpoint("a", stage="purchase"), touchpoint("b", stage="consideration")])(
            "FROM built_journeys"
        )
        assert ["awareness"] == journey["skipped_stages"]
        assert 0 == journey["returns"]

    def test_journey_facts(self):
        """Entries, channels, counts and days to purchase of a journey."""
        rows = staged("aw", "pu", "aw", channel="site")
        rows[2]["channel"] = "agency"
        rows[1]["occurred_at"] = START + timedelta(hours=36)
        (journey,) = built(rows)("FROM built_journeys")
        assert (
            "C1",
            "profile",
            "C1",
            3,
            "site",
            "agency",
            START,
            START + timedelta(hours=36),
            None,
            1.5,
        ) == tuple(
            journey[name]
            for name in (
                *("profile_id", "unit", "unit_key", "touchpoints", "first_channel", "last_channel"),
                *("awareness_at", "purchase_at", "service_at", "days_to_purchase"),
            )
        )
        assert START + timedelta(days=402) == journey["closes_at"]


class TestReturnKinds:
    """Why a person came back to a lower stage, by the touchpoint that they came back with."""

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({"claim_id": "S1", "case_id": "R1"}, "claim"),
            ({"roles": ["claim_reopened", "request_opened"]}, "claim"),
            ({"case_id": "R1", "product": "home"}, "request"),
            ({"roles": ["visit", "question_answered"], "product": "home"}, "request"),
            ({"roles": ["complaint_opened"]}, "request"),
            ({"product": "home"}, "new product"),
            ({"product": "auto"}, "other"),
            ({"product": "life"}, "other"),
            ({"roles": ["requested"]}, "other"),
            ({}, "other"),
        ],
    )
    def test_kind(self, fields, kind):
        """A claim before a request, that before a product never named; products of others do not count."""
        rows = [
            touchpoint("0", days=-900, product="life"),
            touchpoint("a", stage="purchase", product="auto"),
            touchpoint("b", days=1, stage="awareness", **fields),
            touchpoint("c", days=2, stage="awareness", claim_id="S9"),
            touchpoint("d", days=3, stage="purchase", product="home"),
            touchpoint("e", days=0, product="home", profile_id="C2"),
        ]
        kinds = built(rows)("SELECT return_kind FROM built_stage_visits WHERE is_return")
        assert [{"return_kind": kind}] == kinds

    def test_a_product_named_at_the_same_instant_before_it_in_order_is_not_new(self):
        """At one instant the order within a person decides."""
        rows = [
            touchpoint("a", stage="purchase"),
            touchpoint("b", days=1, product="home"),
            touchpoint("a2", days=1, stage="awareness", product="home"),
        ]
        assert [{"return_kind": "other"}] == built(rows)(
            "SELECT return_kind FROM built_stage_visits WHERE is_return"
        )


@pytest.mark.parametrize(
    ("end_on", "journeys"),
    [(("last_contract_ended",), ["a", "bc"]), ((), ["abc"]), (("left",), ["abc"])],
)
def test_the_end_of_the_last_contract_ends_a_journey_where_the_rules_say_so(end_on, journeys):
    """The termination that leaves nothing is an end only by its word, which is the default."""
    rows = [touchpoint("a", ends_holding=True), touchpoint("b", days=1), touchpoint("c", days=2)]
    assert journeys == cut(rows, JourneyRules(end_on=end_on))
    assert ["a", "bc"] == cut(rows, JourneyRules.of(config.Journey()))


def test_amounts():
    """Values add up by money role, costs apart, in the store's currency if in none; currencies never mix."""
    rows = [
        touchpoint("a", money_role="premium", value=Decimal("0.1"), currency="EUR", cost=Decimal("1.5")),
        touchpoint("b", money_role="premium", value=Decimal("0.2"), currency="EUR"),
        touchpoint("c", money_role="premium", value=Decimal(7), currency="CHF", cost=Decimal("0.0001")),
        touchpoint("d", value=Decimal(9), currency="EUR"),
        touchpoint("e", cost=Decimal(2)),
        touchpoint("f", money_role="claim_reserve", value=Decimal("-3.5"), currency="EUR"),
        touchpoint("g", money_role="claim_paid"),
    ]
    found = built(rows, JourneyRules(currency="GBP"))("FROM built_journey_amounts")
    assert {
        ("premium", "EUR", Decimal("0.3000")),
        ("premium", "CHF", Decimal("7.0000")),
        ("claim_reserve", "EUR", Decimal("-3.5000")),
        ("cost", "EUR", Decimal("1.5000")),
        ("cost", "CHF", Decimal("0.0001")),
        ("cost", "GBP", Decimal("2.0000")),
    } == {(row["kind"], row["currency"], row["amount"]) for row in found}


def test_amount_beyond_its_type():
    """A sum that does not fit is null: it neither stops the build nor wraps."""
    most = Decimal("99999999999999.9999")
    rows = [touchpoint(event_id, money_role="revenue", value=most, currency="EUR") for event_id in "ab"]
    assert [{"amount": None}] == built(rows)("SELECT amount FROM built_journey_amounts")


def test_nothing():
    """No touchpoints, no rows, and every table is there."""
    ask = built([])
    assert [0] * len(BUILT) == [ask(f"SELECT count(*) AS n FROM built_{name}")[0]["n"] for name in BUILT]


def test_columns_are_the_relations():
    """What is built has the columns and types of the relation that it fills."""
    ask = built(staged("aw", "pu"))
    connection = duckdb.connect()
    for name in BUILT:
        connection.execute(relations.statement(name))
        expected = [row[:2] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
        assert expected == [(row["column_name"], row["column_type"]) for row in ask(f"DESCRIBE built_{name}")]


@pytest.mark.parametrize("wrong", [{"unit": "person"}, {"gap": timedelta(-1)}, {"gap": timedelta(400_000)}])
def test_wrong_rules(wrong):
    """A wrong rule is refused when it is made, with what is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        JourneyRules(**wrong)


@st.composite
def histories(draw):
    """Few persons, instants and keys, so that ties, exact gaps and shared instants are common."""
    count = draw(st.integers(0, 25))
    return [
        touchpoint(
            f"e{n}",
            days=draw(st.sampled_from([0, 0.01, 0.02, 1, 2, 401, 402, 802])),
            stage=draw(st.sampled_from([None, *config.STAGES])),
            profile_id=draw(st.sampled_from(["C1", "C2", "anon:1"])),
            event_type=draw(st.sampled_from(["x", "y", "left"])),
            channel=draw(st.sampled_from(["site", "agency"])),
            medium=draw(st.sampled_from(["digital", "physical"])),
            product=draw(st.sampled_from([None, "auto", "home"])),
            contract_id=draw(st.sampled_from([None, "K1"])),
            money_role=draw(st.sampled_from([None, "revenue"])),
            value=Decimal(n),
            currency="EUR",
        )
        for n in range(count)
    ]


@settings(max_examples=25, deadline=None)
@given(histories(), st.randoms(), st.sampled_from(["profile", "product", "contract"]))
def test_order_of_rows_does_not_matter(rows, random, unit):
    """The same touchpoints in any order, under any rid, give equal tables that lose and repeat none."""
    rules = JourneyRules(unit=unit, end_on=("left",))
    shuffled = random.sample(rows, len(rows))
    one, two = built(rows, rules), built(shuffled, rules)
    for name in BUILT:
        assert one(f"FROM built_{name} ORDER BY ALL") == two(f"FROM built_{name} ORDER BY ALL"), name
    key = "contract_id" if unit == "contract" else "profile_id"
    expected = sorted(row["event_id"] for row in rows if row[key] is not None)
    assert expected == sorted(row["event_id"] for row in one("SELECT event_id FROM built_journey_steps"))
