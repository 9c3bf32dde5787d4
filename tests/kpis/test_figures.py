"""What the one query does for all figures: standing rows, weeks, targets, needs."""

from datetime import date

import pytest
from figure_store import FigureStore, happened
from pydantic import ValidationError

import compare
from parcours.kpis.catalogue import figures
from parcours.kpis.figures import Setting, lacking
from parcours.kpis.scope import Scope
from parcours.kpis.stages import NAME, RECORD, query
from parcours.schemas.figure import Figure
from reference import Channel, EventType, Options

OPTIONS = Options(
    events={
        "seen": EventType("awareness"),
        "sign": EventType("purchase", ("contract_signed",)),
        "end": EventType("loyalty", ("contract_terminated",)),
    },
    channels={"site": Channel("digital")},
    time_zone="UTC",
)


def test_what_ends_before_it_begins_never_stands():
    """A contract whose termination is dated before its signature takes nothing from the others."""
    store = FigureStore(OPTIONS)
    store.fill(
        [
            happened("seen", "2026-01-05", customer_id="ada"),
            happened("sign", "2026-01-06", customer_id="ada", contract_id="L"),
            happened("end", "2026-02-10", customer_id="ada", contract_id="K"),
            happened("sign", "2026-04-10", customer_id="ada", contract_id="K"),
            happened("seen", "2026-05-02", customer_id="ada"),
        ]
    )
    for name, value in (("contract_churn", 0.0), ("contract_retention", 1.0)):
        rows = store.rows(name, as_of="2026-05-20")
        assert [(date(2026, month, 1), 1, value) for month in (2, 3, 4, 5)] == [
            (row["period_start"], row["denominator"], row["value"]) for row in rows
        ]


def test_weeks_that_begin_on_sunday_have_the_target_of_their_monday():
    """2026-W10 begins on Monday, 2 March: its target stands in the week from Sunday, the first."""
    store = FigureStore(OPTIONS, week_start="sunday")
    targets = [
        {"kpi": "new_contracts", "dimension": "total", "period": period, "value": value, "direction": "up"}
        for period, value in (("2026-W09", 9.0), ("2026-W10", 10.0), ("2026-W11", 11.0))
    ]
    signed = happened("sign", "2026-03-04", customer_id="ada", contract_id="K")
    store.fill([signed], targets=targets)
    (row,) = store.rows("new_contracts", grain="week")
    assert (date(2026, 3, 1), 10.0) == (row["period_start"], row["target"])


def test_a_need_may_have_alternatives():
    """Whoever signs contracts buys, whether or not the taxonomy calls it a purchase too."""
    figure = figures()["new_customers"]
    assert [] == lacking(figure, Setting(roles=frozenset({"contract_signed"})))
    assert ["role:purchase|contract_signed"] == lacking(figure, Setting())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dimensions": ("channel", "channel")}, "each dimension is named once"),
        ({"dimensions": ("currency",), "always": ("currency",)}, "each dimension is named once"),
        ({"dimensions": ("total",)}, "none is called total"),
        ({"window": "999999999999 years"}, "window"),
        ({"denominator": "touchpoints"}, "count and amount have no denominator"),
        ({"standing": "end", "persons": True}, "a standing figure is no snapshot"),
        ({"apart": "channel"}, "is none of its dimensions"),
        ({"needs": ("contract",)}, 'needs "contract"'),
    ],
)
def test_records_that_contradict_themselves_are_refused(changed, said):
    """The message says what is wrong with which key."""
    words = {"en": "A", "fr": "A"}
    record = {"phase": "mine", "kind": "count", "unit": "count", "numerator": "n", "rows": "SELECT 1"}
    Figure.model_validate({**record, "label": words, "explanation": words})
    with pytest.raises(ValidationError, match=said):
        Figure.model_validate({**record, "label": words, "explanation": words, **changed})


def test_stage_conversion_is_limited_as_other_figures_are():
    """By a condition over the touchpoints of a journey; the rows say so, with another definition."""
    store = FigureStore(OPTIONS)
    store.fill(
        [
            happened("seen", "2026-01-05", customer_id="ada", product="auto"),
            happened("sign", "2026-01-06", customer_id="ada", contract_id="L"),
            happened("seen", "2026-01-05", customer_id="bob"),
        ]
    )

    def rows_of(where):
        asked = query(NAME, RECORD, Scope("TIMESTAMP '2026-02-01'", where), Setting(), grains=["month"])
        return compare.rows_of(store.connection, f"FROM ({asked}) WHERE dimensions = ['total']")

    all_, some = rows_of(None), rows_of("product = 'auto'")
    assert [(1, 2), (1, 1)] == [
        next(
            (row["numerator"], row["denominator"])
            for row in rows
            if (row["from_stage"], row["to_stage"]) == ("awareness", "purchase")
        )
        for rows in (all_, some)
    ]
    assert "product = 'auto'" in some[0]["options"]
    assert all_[0]["definition"] != some[0]["definition"]


def test_an_instant_in_the_middle_of_a_day_counts_what_was_before():
    """What is at the instant counts, what comes later does not."""
    store = FigureStore(OPTIONS)
    signed = [
        happened("sign", at, customer_id="ada", contract_id=at)
        for at in ("2026-03-04 10:00", "2026-03-04 11:00")
    ]
    store.fill(signed)
    (row,) = store.rows("new_contracts", as_of="2026-03-04 10:00")
    assert row["numerator"] == 1
