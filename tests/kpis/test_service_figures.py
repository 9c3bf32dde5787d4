"""Figures of service by worked numbers: small worlds, each rule at its edge."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from loading import Loader, config_of, hashed
from parcours.kpis.catalogue import figures
from parcours.kpis.figures import query
from parcours.kpis.scope import Scope
from parcours.kpis.views import setting_of
from parcours.schemas.references import REFERENCES
from reference import Channel, EventType, Options
from strategies import Slice

OPTIONS = Options(
    events={
        "contract_signed": EventType("purchase", ("contract_signed", "purchase"), "premium"),
        **{
            name: EventType("service", (name,))
            for matter in ("claim", "request")
            for name in (f"{matter}_opened", f"{matter}_closed", f"{matter}_reopened")
        },
        **{
            name: EventType("service", (name,))
            for name in (
                *("complaint_opened", "complaint_acknowledged", "complaint_answered"),
                *("question_asked", "question_answered", "survey_sent", "survey_answered"),
            )
        },
        "claim_paid": EventType("service", (), "claim_paid"),
        "claim_reserved": EventType("service", (), "claim_reserve"),
        "looked_up": EventType("service", ()),
    },
    channels={
        "site": Channel("digital", False),
        "phone": Channel("human", False),
        "agency": Channel("physical", False),
    },
)
SETTING = setting_of(config_of(OPTIONS))
LATER = "2027-01-01"

SERVICE = [name for name, figure in figures().items() if figure.phase == "service"]


@pytest.fixture(scope="module")
def loader():
    """One store for all worlds."""
    return Loader()


def place(source, number):
    """Where a row comes from."""
    return {"source_name": source, "source_topic": "t", "source_partition": 0, "source_offset": number}


@pytest.fixture
def load(loader):
    """Fill the empty store with touchpoints and contracts, and return what asks it for a figure's rows."""

    def fill(touchpoints=(), contracts=()):
        loader.empty()
        events = [
            {
                "event_id": f"e{number:02}",
                "customer_id": "Ann",
                "channel": "site",
                **place("s", number),
                **fields,
            }
            for number, fields in enumerate(touchpoints)
        ]
        known = dict.fromkeys(REFERENCES["contracts"].fields.names)
        rows = [
            {**known, "customer_id": "Ann", "attributes": [], **place("contracts", number), **fields}
            for number, fields in enumerate(contracts)
        ]
        loader.load([Slice(hashed(events), {"contracts": rows} if rows else {})], OPTIONS)
        return ask

    def ask(name, cut="total", grain="month", as_of=LATER, where=None):
        """Return the rows that are cut by the total or one dimension, as dictionaries."""
        figure = figures()[name]
        scope = Scope(f"TIMESTAMP '{as_of}'", where)
        result = loader.connection.execute(
            f"FROM ({query(name, figure, scope, SETTING, grains=[grain], sets=[(cut,)])})"
            " ORDER BY period_start, dimension_values"
        )
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    return fill


def happened(event_type, at, **fields):
    """A touchpoint; times are UTC."""
    return {"event_type": event_type, "occurred_at": datetime.fromisoformat(at), **fields}


def pairs(rows):
    """Numerator and denominator of each group in each period."""
    return {
        (f"{row['period_start']:%Y-%m-%d}", *row["dimension_values"]): (row["numerator"], row["denominator"])
        for row in rows
    }


def values(rows):
    """Value and n of each group in each period."""
    return {
        (f"{row['period_start']:%Y-%m-%d}", *row["dimension_values"]): (
            pytest.approx(row["value"]) if row["value"] is not None else None,
            row["n"],
        )
        for row in rows
    }


def test_an_empty_store_has_no_rows(load):
    """Of no figure: a zero would be a claim about nothing."""
    ask = load()
    assert [] == [row for name in SERVICE for row in ask(name)]


def test_figures_without_contracts_are_not_there(load):
    """Complaints and claims alone say nothing of customers and premiums."""
    ask = load(
        [
            happened("complaint_opened", "2026-03-02", case_id="C"),
            happened("claim_opened", "2026-03-02", claim_id="K"),
            happened("claim_paid", "2026-03-03", claim_id="K", value=Decimal(100), currency="EUR"),
        ]
    )
    assert ([], []) == (ask("complaint_rate"), ask("loss_ratio"))
    assert {("2026-03-01", "EUR"): (pytest.approx(100), 1)} == values(ask("average_claim_cost"))


CLAIMS = [
    happened("claim_opened", "2026-03-01 12:00", claim_id="A", channel="phone", product="auto"),
    happened("claim_closed", "2026-03-05 12:00", claim_id="A", channel="agency"),
    happened("claim_opened", "2026-03-01 12:00", claim_id="B", channel="site"),
    happened("claim_closed", "2026-03-04", claim_id="B"),
    # closed once more, which is not the first closing, 30 days to the microsecond after it was reopened
    happened("claim_reopened", "2026-03-04", claim_id="B"),
    happened("claim_reopened", "2026-04-03", claim_id="B"),
    happened("claim_closed", "2026-05-01", claim_id="B"),
    # reopened a microsecond too late
    happened("claim_reopened", "2026-04-04 12:00:00.000001", claim_id="A"),
    # closed before it was opened alone: still open
    happened("claim_closed", "2026-03-09", claim_id="C"),
    happened("claim_opened", "2026-03-10", claim_id="C"),
    # never opened
    happened("claim_closed", "2026-03-09", claim_id="D"),
]


def test_claims_take_from_their_opening_to_their_first_closing(load):
    """4 and 2.5 days: by the closing, channel and product of the opening; what is open does not count."""
    ask = load(CLAIMS)
    assert {("2026-03-01", "total"): (pytest.approx(3.25), 2)} == values(ask("claim_handling_time"))
    assert {("2026-03-01", "total"): (pytest.approx(3.85), 2)} == values(ask("claim_handling_time_p90"))
    by_channel = {
        ("2026-03-01", "phone"): (pytest.approx(4), 1),
        ("2026-03-01", "site"): (pytest.approx(2.5), 1),
    }
    assert by_channel == values(ask("claim_handling_time", "channel"))
    by_product = {
        ("2026-03-01", "auto"): (pytest.approx(4), 1),
        ("2026-03-01", None): (pytest.approx(2.5), 1),
    }
    assert by_product == values(ask("claim_handling_time", "product"))
    (row,) = ask("claim_handling_time")
    assert (None, 2, None, None) == (row["numerator"], row["denominator"], row["low"], row["high"])


def test_what_occurs_after_the_instant_does_not_count(load):
    """On 4 March one claim is closed, and not yet reopened."""
    ask = load(CLAIMS)
    assert {("2026-03-01", "total"): (pytest.approx(2.5), 1)} == values(
        ask("claim_handling_time", as_of="2026-03-04 12:00")
    )
    assert [] == ask("claim_handling_time", as_of="2026-03-03")


def test_reopened_is_after_the_closing_and_within_30_days(load):
    """At the closing itself is not after it; 30 days to the microsecond are within."""
    ask = load(
        [
            *CLAIMS,
            happened("request_opened", "2026-03-01", case_id="R", channel="phone"),
            happened("request_closed", "2026-03-02", case_id="R"),
            happened("claim_opened", "2026-03-01", claim_id="E", channel="phone"),
            happened("claim_closed", "2026-03-02", claim_id="E"),
            happened("claim_reopened", "2026-03-02", claim_id="E"),
        ]
    )
    assert {("2026-03-01", "total"): (1, 4)} == pairs(ask("reopened_share"))
    assert {("2026-03-01", "claim"): (1, 3), ("2026-03-01", "request"): (0, 1)} == pairs(
        ask("reopened_share", "kind")
    )
    assert {("2026-03-01", "phone"): (0, 3), ("2026-03-01", "site"): (1, 1)} == pairs(
        ask("reopened_share", "channel")
    )
    assert [False] == [row["mature"] for row in ask("reopened_share", as_of="2026-04-29")]
    assert [True] == [row["mature"] for row in ask("reopened_share", as_of="2026-05-01")]


CASES = [
    happened("complaint_opened", "2026-03-01", case_id="A", channel="phone", product="auto"),
    happened("complaint_answered", "2026-03-01 10:00", case_id="A"),
    happened("complaint_answered", "2026-03-20", case_id="A"),
    happened("request_opened", "2026-03-02", case_id="B", customer_id="Bob"),
    happened("request_closed", "2026-03-04", case_id="B", customer_id="Bob"),
    happened("question_asked", "2026-03-03", case_id="C", customer_id="Cy"),
    happened("question_answered", "2026-04-02", case_id="C", customer_id="Cy"),
    happened("question_asked", "2026-03-03", case_id="D", customer_id="Dan"),
    happened("question_answered", "2026-04-02 00:00:00.000001", case_id="D", customer_id="Dan"),
    happened("request_opened", "2026-03-05", case_id="E", customer_id="Eve"),
    # a survey is a case of another kind
    happened("survey_sent", "2026-03-05", case_id="S", customer_id="Eve"),
]


def test_cases_take_from_their_opening_to_their_first_answer_or_closing(load):
    """A complaint is answered, a request closed; both are in their hours too, in the period of the answer."""
    ask = load(CASES)
    assert {("2026-03-01", "total"): (pytest.approx(10 / 24), 1)} == values(ask("complaint_handling_time"))
    assert {("2026-03-01", "auto"): (pytest.approx(10 / 24), 1)} == values(
        ask("complaint_handling_time_p90", "product")
    )
    assert {("2026-03-01", "total"): (pytest.approx(2), 1)} == values(ask("request_handling_time"))
    assert {("2026-03-01", "site"): (pytest.approx(2), 1)} == values(
        ask("request_handling_time_p90", "channel")
    )
    assert {
        ("2026-03-01", "total"): (pytest.approx(29), 2),
        ("2026-04-01", "total"): (pytest.approx(720), 2),
    } == values(ask("first_answer_time"))
    assert pytest.approx(10 + 0.9 * 38) == ask("first_answer_time_p90")[0]["value"]
    assert {
        ("2026-03-01", "complaint"): (pytest.approx(10), 1),
        ("2026-03-01", "request"): (pytest.approx(48), 1),
        ("2026-04-01", "question"): (pytest.approx(720), 2),
    } == values(ask("first_answer_time", "kind"))


def test_what_settles_a_case_is_not_before_its_opening(load):
    """An answer before it is of something else; of an answer and a closing the earlier one settles."""
    ask = load(
        [
            happened("complaint_answered", "2026-02-27", case_id="A"),
            happened("complaint_opened", "2026-03-01", case_id="A"),
            happened("complaint_answered", "2026-03-02", case_id="A"),
            happened("request_opened", "2026-03-01", case_id="B", customer_id="Bob"),
            happened("request_closed", "2026-03-01 06:00", case_id="B", customer_id="Bob"),
            happened("question_answered", "2026-03-05", case_id="B", customer_id="Bob"),
        ]
    )
    assert {
        ("2026-03-01", "complaint"): (pytest.approx(24), 1),
        ("2026-03-01", "request"): (pytest.approx(6), 1),
    } == (values(ask("first_answer_time", "kind")))


def test_answered_is_within_30_days_of_the_opening(load):
    """30 days to the microsecond; what is not answered in them is unanswered, by the opening."""
    ask = load(CASES)
    assert {("2026-03-01", "total"): (3, 5)} == pairs(ask("answered_share"))
    assert {("2026-03-01", "total"): (2, 5)} == pairs(ask("unanswered_share"))
    by_kind = {("2026-03-01", "complaint"): (0, 1), ("2026-03-01", "question"): (1, 2)}
    assert {**by_kind, ("2026-03-01", "request"): (1, 2)} == pairs(ask("unanswered_share", "kind"))
    (row,) = ask("answered_share")
    assert (pytest.approx(0.6), 5, False) == (row["value"], row["n"], row["additive"])
    # Wilson, of 3 in 5
    assert (pytest.approx(0.230724, abs=1e-6), pytest.approx(0.882379, abs=1e-6)) == (row["low"], row["high"])


def test_a_contact_is_repeated_by_another_case_of_the_person(load):
    """Within 7 days and later than the first; not one at the same instant, nor somebody else's."""
    ask = load(
        [
            happened("question_asked", "2026-03-01", case_id="A"),
            happened("request_opened", "2026-03-01", case_id="B"),
            happened("complaint_opened", "2026-03-08", case_id="C"),
            happened("request_opened", "2026-03-15 00:00:00.000001", case_id="D", channel="phone"),
            happened("request_opened", "2026-03-16", case_id="E", customer_id="Bob"),
            happened("question_asked", "2026-03-16", case_id="G", customer_id="Bob"),
            happened("claim_opened", "2026-03-17", claim_id="F", customer_id="Bob"),
        ]
    )
    assert {("2026-03-01", "total"): (2, 6)} == pairs(ask("repeat_contact_share"))
    assert {("2026-03-01", "phone"): (0, 1), ("2026-03-01", "site"): (2, 5)} == pairs(
        ask("repeat_contact_share", "channel")
    )


def test_a_first_contact_resolves_where_nothing_more_comes(load):
    """Until 7 days after the answer: no reopening, no other case, whether before the answer or after it."""
    ask = load(
        [
            # another within the 7 days to the microsecond
            happened("question_asked", "2026-03-01", case_id="A"),
            happened("question_answered", "2026-03-02", case_id="A"),
            happened("complaint_opened", "2026-03-09", case_id="B"),
            happened("complaint_answered", "2026-03-10", case_id="B"),
            # another before the answer, itself settled for good
            happened("request_opened", "2026-03-01", case_id="C", customer_id="Bob"),
            happened("request_opened", "2026-03-03", case_id="D", customer_id="Bob"),
            happened("request_closed", "2026-03-04", case_id="C", customer_id="Bob"),
            happened("request_closed", "2026-03-05", case_id="D", customer_id="Bob"),
            # reopened within, at the very closing, and too late
            happened("request_opened", "2026-03-01", case_id="E", customer_id="Cy"),
            happened("request_closed", "2026-03-02", case_id="E", customer_id="Cy"),
            happened("request_opened", "2026-03-09", case_id="E", customer_id="Cy"),
            happened("request_opened", "2026-03-01", case_id="F", customer_id="Dan"),
            happened("request_closed", "2026-03-02", case_id="F", customer_id="Dan"),
            happened("request_opened", "2026-03-02", case_id="F", customer_id="Dan"),
            happened("request_opened", "2026-03-09 00:00:00.000001", case_id="F", customer_id="Dan"),
        ]
    )
    assert {("2026-03-01", "total"): (2, 5)} == pairs(ask("first_contact_resolution"))
    assert {("2026-03-01", "question"): (0, 1), ("2026-03-01", "request"): (2, 4)} == pairs(
        ask("first_contact_resolution", "kind")
    )


def test_self_service_is_digital_contact_in_service(load):
    """Of those whose medium is known; a month without any is listed, its value null."""
    ask = load(
        [
            happened("looked_up", "2026-01-31 23:30"),  # in Paris it is February
            happened("claim_opened", "2026-02-10", claim_id="A", channel="phone", product="auto"),
            happened("looked_up", "2026-02-11", channel="kiosk"),  # the taxonomy does not know it
            happened("contract_signed", "2026-02-12", contract_id="K"),
            happened("looked_up", "2026-04-01"),
        ]
    )
    month = {
        ("2026-02-01", "total"): (1, 2),
        ("2026-03-01", "total"): (0, 0),
        ("2026-04-01", "total"): (1, 1),
    }
    rows = ask("self_service_share")
    assert month == pairs(rows)
    assert [0.5, None, 1.0] == [row["value"] for row in rows]
    assert {("2026-02-01", "claim_opened"): (0, 1), ("2026-02-01", "looked_up"): (1, 1)}.items() <= pairs(
        ask("self_service_share", "event_type")
    ).items()


def test_complaints_are_divided_by_customers_at_the_start(load):
    """Persons and not contracts; cut by channel the denominator is the whole period's."""
    ask = load(
        [
            happened("looked_up", "2026-01-10"),
            happened("complaint_opened", "2026-01-20", case_id="A", channel="phone"),
            happened("complaint_opened", "2026-02-10", case_id="B", channel="phone"),
            happened("complaint_opened", "2026-02-11", case_id="C", customer_id="Nobody"),
            happened("looked_up", "2026-03-10"),
        ],
        [
            # Ann holds one contract and then another, and both for a while: she is one customer throughout
            {
                "contract_id": "A1",
                "effective_from": datetime(2026, 1, 10),
                "effective_to": datetime(2026, 2, 15),
            },
            {
                "contract_id": "A2",
                "effective_from": datetime(2026, 1, 15),
                "effective_to": datetime(2026, 2, 20),
            },
            {"contract_id": "A3", "effective_from": datetime(2026, 2, 20)},
            # until the very midnight of 1 February, in Paris: no longer there at the start
            {
                "contract_id": "B",
                "customer_id": "Bob",
                "effective_from": datetime(2026, 1, 10),
                "effective_to": datetime(2026, 1, 31, 23),
            },
            # from that midnight on
            {"contract_id": "C", "customer_id": "Cy", "effective_from": datetime(2026, 1, 31, 23)},
        ],
    )
    rows = ask("complaint_rate", as_of="2026-03-15")
    assert {
        ("2026-01-01", "total"): (1, 0),
        ("2026-02-01", "total"): (2, 2),
        ("2026-03-01", "total"): (0, 2),
    } == pairs(rows)
    assert [None, 1.0, 0.0] == [row["value"] for row in rows]
    # exact Poisson: 0 seen, at most 3.6889; 2 seen, from 0.2422 to 7.2247
    assert [None, pytest.approx(0.1211, abs=1e-4), 0.0] == [row["low"] for row in rows]
    assert [None, pytest.approx(3.6123, abs=1e-4), pytest.approx(1.8444, abs=1e-4)] == [
        row["high"] for row in rows
    ]
    february = {
        key[1]: found
        for key, found in pairs(ask("complaint_rate", "channel", as_of="2026-03-15")).items()
        if key[0] == "2026-02-01"
    }
    assert {"phone": (1, 2), "site": (1, 2)}.items() <= february.items()


@pytest.mark.parametrize(
    ("reaction", "at", "in_time"),
    [
        # sent on Monday the 15th in Paris: 25 December is no working day, so the tenth is Tuesday the 30th
        ("complaint_acknowledged", "2025-12-30 22:59:59.999999", 1),
        ("complaint_acknowledged", "2025-12-30 23:00", 0),
        ("complaint_answered", "2025-12-30 12:00", 1),
        ("complaint_acknowledged", "2025-12-14 23:29", 0),  # before it was sent: of something else
        ("looked_up", "2025-12-16", 0),
    ],
)
def test_complaints_are_acknowledged_by_the_tenth_working_day(load, reaction, at, in_time):
    """The day of sending does not count, its last minute in Paris does; an answer is an acknowledgement."""
    ask = load(
        [
            happened("complaint_opened", "2025-12-14 23:30", case_id="A", product="auto"),
            happened(reaction, at, case_id="A"),
        ]
    )
    assert {("2025-12-01", "auto"): (in_time, 1)} == pairs(ask("complaint_acknowledged_on_time", "product"))


def test_the_earlier_of_acknowledgement_and_answer_counts(load):
    """A late acknowledgement does not undo an answer in time, nor the other way round."""
    ask = load(
        [
            happened("complaint_opened", "2026-03-02", case_id="A"),
            happened("complaint_acknowledged", "2026-05-02", case_id="A"),
            happened("complaint_answered", "2026-03-03", case_id="A"),
            happened("complaint_opened", "2026-03-02", case_id="B", channel="phone"),
            happened("complaint_acknowledged", "2026-03-03", case_id="B"),
            happened("complaint_answered", "2026-06-03", case_id="B"),
        ]
    )
    assert {("2026-03-01", "total"): (2, 2)} == pairs(ask("complaint_acknowledged_on_time"))
    assert {("2026-03-01", "phone"): (0, 1), ("2026-03-01", "site"): (1, 1)} == pairs(
        ask("complaint_answered_on_time", "channel")
    )


@pytest.mark.parametrize(
    ("opened", "answered", "in_time"),
    [
        ("2025-12-31 12:00", "2026-02-28 22:59", 1),  # February has no 31st: its last day
        ("2025-12-31 12:00", "2026-02-28 23:00", 0),
        ("2026-03-01 12:00", "2026-05-01 21:59", 1),  # summer time has begun in between
        ("2026-03-01 12:00", "2026-05-01 22:00", 0),
    ],
)
def test_complaints_are_answered_within_two_calendar_months(load, opened, answered, in_time):
    """Until the end of that day in Paris."""
    ask = load(
        [
            happened("complaint_opened", opened, case_id="A"),
            happened("complaint_answered", answered, case_id="A"),
        ]
    )
    assert [in_time] == [row["numerator"] for row in ask("complaint_answered_on_time")]


COSTS = [
    happened("claim_opened", "2026-03-01", claim_id="A", product="auto"),
    happened("claim_reserved", "2026-03-02", claim_id="A", value=Decimal(1000), currency="EUR"),
    happened("claim_paid", "2026-04-02", claim_id="A", value=Decimal(700), currency="EUR"),
    happened("claim_reserved", "2026-04-02", claim_id="A", value=Decimal(-800), currency="EUR"),
    happened("claim_paid", "2026-04-03", claim_id="A", value=Decimal(50), currency="CHF"),
    happened("claim_opened", "2026-03-05", claim_id="B"),  # nothing yet
    happened("claim_paid", "2026-03-06", claim_id="C", value=Decimal(99), currency="EUR"),  # never opened
]


def test_a_claim_costs_what_was_paid_and_is_reserved(load):
    """To date, each currency by itself; a claim without any amount costs 0 in the store's currency."""
    ask = load(COSTS)
    assert {
        ("2026-03-01", "EUR"): (pytest.approx(450), 2),
        ("2026-03-01", "CHF"): (pytest.approx(50), 1),
    } == values(ask("average_claim_cost"))
    assert {
        ("2026-03-01", "auto", "EUR"): (pytest.approx(900), 1),
        ("2026-03-01", "auto", "CHF"): (pytest.approx(50), 1),
        ("2026-03-01", None, "EUR"): (pytest.approx(0), 1),
    } == values(ask("average_claim_cost", "product"))
    assert {("2026-03-01", "EUR"): (pytest.approx(500), 2)} == values(
        ask("average_claim_cost", as_of="2026-03-31")
    )
    euros = next(row for row in ask("average_claim_cost") if row["dimension_values"] == ["EUR"])
    # two values, 900 and 0: t of one degree of freedom is 12.706, the standard error 450
    assert (pytest.approx(450 - 12.7062047 * 450), pytest.approx(450 + 12.7062047 * 450)) == (
        euros["low"],
        euros["high"],
    )


def test_claims_are_set_against_the_premium_earned_by_the_day(load):
    """365 a year is 1 a day; from the first touchpoint's day to the instant's, each currency by itself."""
    year = {"annual_premium": Decimal(365), "currency": "EUR", "product": "auto"}
    ask = load(
        [happened("looked_up", "2026-02-10 12:00"), *COSTS, happened("looked_up", "2026-04-10 12:00")],
        [
            {"contract_id": "K1", "effective_from": datetime(2020, 1, 1), **year},
            # two days in March, from midnight to midnight in Paris
            {
                "contract_id": "K2",
                "effective_from": datetime(2026, 3, 9, 23),
                "effective_to": datetime(2026, 3, 11, 23),
                **year,
                "annual_premium": Decimal(3650),
                "product": None,
            },
            # begins and ends on one day: no day is its own
            {
                "contract_id": "K3",
                "effective_from": datetime(2026, 3, 10, 8),
                "effective_to": datetime(2026, 3, 10, 9),
                **year,
            },
            {"contract_id": "K4", "effective_from": datetime(2026, 3, 30, 22), **year, "currency": "USD"},
        ],
    )
    as_of = "2026-04-10 12:00"
    found = {
        key: (row[0], pytest.approx(row[1])) for key, row in pairs(ask("loss_ratio", as_of=as_of)).items()
    }
    assert {
        ("2026-02-01", "EUR"): (0, 19),
        ("2026-03-01", "EUR"): (900, 31 + 20),
        ("2026-04-01", "EUR"): (0, 10),
        ("2026-03-01", "CHF"): (50, 0),
        ("2026-03-01", "USD"): (0, 1),
        ("2026-04-01", "USD"): (0, 10),
    } == found
    march = {
        tuple(row["dimension_values"]): row
        for row in ask("loss_ratio", "product", as_of=as_of)
        if row["period_start"].month == 3
    }
    # no contract of no product stands any more: its group ends
    assert {3} == {
        row["period_start"].month
        for row in ask("loss_ratio", "product", as_of=as_of)
        if row["dimension_values"][0] is None
    }
    assert (pytest.approx(900 / 31), 31) == (march["auto", "EUR"]["value"], march["auto", "EUR"]["n"])
    assert (0, 2) == (march[None, "EUR"]["value"], march[None, "EUR"]["n"])
    assert (None, 0) == (march["auto", "CHF"]["value"], march["auto", "CHF"]["n"])
    assert {None} == {row[end] for row in march.values() for end in ("low", "high")}


def test_a_leap_year_earns_a_little_less_a_day(load):
    """A year's premium is earned in its 366 days."""
    ask = load(
        [happened("looked_up", "2024-01-01"), happened("claim_opened", "2025-02-01", claim_id="A")],
        [
            {
                "contract_id": "K",
                "effective_from": datetime(2023, 1, 1),
                "annual_premium": Decimal(366),
                "currency": "EUR",
            }
        ],
    )
    rows = ask("loss_ratio", grain="year", as_of="2025-01-10 12:00")
    assert [pytest.approx(366), pytest.approx(10 * 366 / 365)] == [row["denominator"] for row in rows]
    assert [366, 10] == [row["n"] for row in rows]


def answered(survey, score, at, **fields):
    """A touchpoint that answers a survey."""
    return happened("survey_answered", at, survey=survey, score=float(score), **fields)


ANSWERS = [
    happened("claim_closed", "2026-03-01", claim_id="A"),
    happened("survey_sent", "2026-03-02"),
    answered("csat", 5, "2026-03-03", channel="phone", product="auto"),
    answered("csat", 4, "2026-03-04"),
    # at one instant: e05 is before e06 and after e04
    happened("request_opened", "2026-03-05", case_id="R"),
    answered("csat", 3, "2026-03-05"),
    happened("looked_up", "2026-03-05"),
    answered("csat", 1, "2026-03-06", customer_id="Bob"),
    answered("ces", 5, "2026-03-07"),
    answered("ces", 4, "2026-03-07", customer_id="Bob"),
    answered("csat", 2, "2026-05-31 22:00"),  # in Paris it is June
]


def test_satisfied_answers_are_4_and_5(load):
    """Of the answers to this survey; months between without any are listed."""
    ask = load(ANSWERS)
    assert {
        ("2026-03-01", "total"): (2, 4),
        ("2026-04-01", "total"): (0, 0),
        ("2026-05-01", "total"): (0, 0),
        ("2026-06-01", "total"): (0, 1),
    } == pairs(ask("csat"))
    assert {("2026-03-01", "auto"): (1, 1), ("2026-03-01", None): (1, 3)}.items() <= pairs(
        ask("csat", "product")
    ).items()
    assert {("2026-03-01", "phone"): (1, 1)}.items() <= pairs(ask("csat", "channel")).items()


def test_after_is_what_the_person_met_before_the_answer(load):
    """Surveys sent and answered are passed over; at one instant the smaller event_id is before."""
    march = {
        key[1]: found
        for key, found in pairs(load(ANSWERS)("csat", "after")).items()
        if key[0] == "2026-03-01"
    }
    assert {"claim_closed": (2, 2), "request_opened": (0, 1), None: (0, 1)} == march


def test_means_stand_beside_the_shares(load):
    """Of csat 5, 4, 3 and 1; of ces 5 and 4, of which 5 is easy."""
    ask = load(ANSWERS)
    mean = ask("csat_mean")[0]
    assert (13, 4, pytest.approx(3.25)) == (mean["numerator"], mean["denominator"], mean["value"])
    # the standard deviation is 1.7078; t of three degrees of freedom 3.1824
    half = 3.18244631 * 1.70782513 / 2
    assert (pytest.approx(3.25 - half), pytest.approx(3.25 + half)) == (mean["low"], mean["high"])
    assert {("2026-03-01", "total"): (1, 2)} == pairs(ask("ces_easy"))
    assert {("2026-03-01", "total"): (pytest.approx(4.5), 2)} == values(ask("ces_mean"))
    assert {("2026-03-01", "looked_up"): (1, 1), ("2026-03-01", None): (0, 1)} == pairs(
        ask("ces_easy", "after")
    )


def test_where_limits_what_counts_and_not_what_came_before(load):
    """A claim counts by its opening, with all that it cost; an answer keeps what was met before it."""
    ask = load([*COSTS, *ANSWERS])
    where = "event_type IN ('claim_opened', 'survey_answered') AND product = 'auto'"
    assert {
        ("2026-03-01", "EUR"): (pytest.approx(900), 1),
        ("2026-03-01", "CHF"): (pytest.approx(50), 1),
    } == values(ask("average_claim_cost", where=where))
    assert {("2026-03-01", "claim_reserved"): (1, 1)} == pairs(ask("csat", "after", where=where))


@pytest.mark.parametrize("days", [0, 1])
def test_windows_are_over_once_their_days_are(load, days):
    """March is mature where its last row is as old as the window, and not before."""
    ask = load([happened("request_opened", "2026-03-31 12:00", case_id="A")])
    ends = datetime(2026, 3, 31, 22)
    for name, window in (("answered_share", 30), ("repeat_contact_share", 7), ("first_answer_time", 0)):
        over = ends + timedelta(days=window, microseconds=days)
        assert [days == 1] * len(ask(name)) == [row["mature"] for row in ask(name, as_of=over)]
