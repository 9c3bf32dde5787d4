"""True figures: what the catalogue's simplest ones must come to, counted from the simulator's own rows.

Only what holds for the distinct good events that are written, whoever the identity rules say was who: no
figure here counts persons that are found by linking. Each is over the whole two years: its rows of one grain
add up to it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from parcours.pipelines.simulate.rows import NO_AMOUNT, Bools, Ints, Rows
from parcours.pipelines.simulate.words import DAY, WORDS, code, taxonomy

Planted = dict[str, dict[str, dict[str, int | str | None]]]
"""Figure → ``total`` or a currency → ``numerator`` and ``denominator``; amounts are exact decimal texts."""

_ZONE = ZoneInfo("Europe/Paris")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_FIXED = ("01-01", "05-01", "05-08", "07-14", "08-15", "11-01", "11-11", "12-25")
_HOLIDAYS = [
    *(f"{year}-{day}" for year in (2024, 2025, 2026) for day in _FIXED),
    *("2024-04-01", "2024-05-09", "2024-05-20"),
    *("2025-04-21", "2025-05-29", "2025-06-09"),
]
"""French days off in the two years; each year's second line is Easter Monday, Ascension and Whit Monday."""


class Truths:
    """Adds up numerators and denominators, chunk by chunk: no contract, quote, claim or case is in two."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, list[int | None]]] = {}
        self._money: set[str] = set()

    def count(self, figure: str, numerator: int, denominator: int | None = None, by: str = "total") -> None:
        """Add to a figure that counts."""
        found = self._sums.setdefault(figure, {}).setdefault(by, [0, None if denominator is None else 0])
        found[0] = (found[0] or 0) + int(numerator)
        if denominator is not None:
            found[1] = (found[1] or 0) + int(denominator)

    def pay(self, figure: str, cents: int, denominator: int | None = None, *, currency: str) -> None:
        """Add to a figure whose numerator is an amount, in cents."""
        self._money.add(figure)
        self.count(figure, cents, denominator, currency)

    def as_planted(self) -> Planted:
        """Return what was added up so far."""
        return {
            figure: {
                by: {
                    "numerator": str(Decimal(sum_ or 0).scaleb(-2)) if figure in self._money else sum_,
                    "denominator": denominator,
                }
                for by, (sum_, denominator) in sums.items()
            }
            for figure, sums in self._sums.items()
        }

    def add(self, events: Rows) -> None:
        """Count one chunk's distinct good events."""
        for figure, event in (
            ("new_contracts", "contract_signed"),
            ("contracts_terminated", "contract_terminated"),
            ("claims_opened", "claim_opened"),
            ("complaints_opened", "complaint_opened"),
            ("referrals", "referral_made"),
            ("reviews", "review_posted"),
            ("questions", "question_asked"),
            ("listings_offered", "listing_offered"),
            ("listings_asked", "listing_asked"),
        ):
            self.count(figure, _is(events, event).sum())
        self._sales(events)
        self._quotes(events)
        self._claims(events)
        self._cases(events)
        self._scores(events)

    def _sales(self, events: Rows) -> None:
        paid = events[_has_money(events, "revenue")]
        for currency, name in enumerate(WORDS["currency"]):
            mine = paid[paid["currency"] == currency]
            if not len(mine):
                continue
            self.pay("revenue", mine["value"].sum(), currency=name)
            self.pay("average_basket", mine["value"].sum(), len(mine), currency=name)

    def _quotes(self, events: Rows) -> None:
        asked, signed = events[_is(events, "quote_created")], events[_is(events, "contract_signed")]
        wait = _first_after(asked["quote"], asked["occurred"], signed["quote"], signed["occurred"])
        self.count("quote_to_bind", (wait <= 90 * DAY).sum(), len(asked))
        self.count("quote_abandonment", (wait > 30 * DAY).sum(), len(asked))

    def _claims(self, events: Rows) -> None:
        opened = np.sort(events["claim"][_is(events, "claim_opened")])
        cost = events[_has_money(events, "claim_paid", "claim_reserve") & np.isin(events["claim"], opened)]
        for currency, name in enumerate(WORDS["currency"]):
            mine = cost[cost["currency"] == currency]
            claims = len(np.unique(mine["claim"]))
            if name == "EUR":  # where a claim without any amount stands
                claims += len(np.setdiff1d(opened, cost["claim"]))
            if not claims:
                continue
            self.pay("average_claim_cost", mine["value"].sum(), claims, currency=name)

    def _cases(self, events: Rows) -> None:
        case, at = events["case"], events["occurred"]
        kinds = (
            ("request_opened", "request_closed"),
            ("complaint_opened", "complaint_answered"),
            ("question_asked", "question_answered"),
        )
        for opening, settling in kinds:
            opened, settled = _is(events, opening), _is(events, settling)
            wait = _first_after(case[opened], at[opened], case[settled], at[settled])
            self.count("answered_share", (wait <= 30 * DAY).sum(), opened.sum())
        opened, seen, told = (
            _is(events, f"complaint_{step}") for step in ("opened", "acknowledged", "answered")
        )
        answer = _first_after(case[opened], at[opened], case[told], at[told])
        notice = _first_after(case[opened], at[opened], case[seen], at[seen])
        start = _local_days(at[opened])
        answered = _days_after(at[opened], answer)
        noticed = _days_after(at[opened], np.minimum(answer, notice))
        tenth = np.busday_offset(start, 10, roll="backward", holidays=_HOLIDAYS)
        latest = np.array([_two_months_on(day) for day in start.astype(object)], "datetime64[D]")
        in_time = answered <= latest
        self.count("complaint_answered_on_time", in_time.sum(), opened.sum())
        self.count("complaint_acknowledged_on_time", (noticed <= tenth).sum(), opened.sum())

    def _scores(self, events: Rows) -> None:
        def scores(survey: str) -> Ints:
            return np.asarray(events["score"][events["survey"] == code("survey", survey)], np.int64)

        nps, csat, ces, review = map(scores, ("nps", "csat", "ces", "review"))
        self.count("nps", (nps >= 9).sum() - (nps <= 6).sum(), len(nps))
        self.count("nps_promoters", (nps >= 9).sum())
        self.count("nps_detractors", (nps <= 6).sum())
        self.count("csat", (csat >= 4).sum(), len(csat))
        self.count("csat_mean", csat.sum(), len(csat))
        self.count("ces_easy", (ces >= 5).sum(), len(ces))
        self.count("ces_mean", ces.sum(), len(ces))
        self.count("review_score", review.sum(), len(review))


def _is(events: Rows, event_type: str) -> Bools:
    found: Bools = events["event_type"] == code("event_type", event_type)
    return found


def _has_money(events: Rows, *roles: str) -> Bools:
    types = [
        code("event_type", name) for name, event in taxonomy().events.items() if event.money_role in roles
    ]
    return np.asarray(np.isin(events["event_type"], types) & (events["value"] != NO_AMOUNT))


_NEVER = int(np.iinfo(np.int64).max)


def _first_after(keys: Ints, at: Ints, other_keys: Ints, other_at: Ints) -> Ints:
    """Return, per key, microseconds until the first other event of that key not before it, else ``_NEVER``.

    No key stands twice among ``keys``.
    """
    order = np.argsort(keys)
    wait = np.full(len(keys), _NEVER)
    if len(keys):
        place = order[np.minimum(np.searchsorted(keys[order], other_keys), len(keys) - 1)]
        found = (keys[place] == other_keys) & (other_at >= at[place])
        np.minimum.at(wait, place[found], (other_at - at[place])[found])
    return wait


def _local_days(instants: Ints) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Return the day on the calendar of Paris."""
    days = [(_EPOCH + timedelta(microseconds=at)).astimezone(_ZONE).date() for at in instants.tolist()]
    return np.array(days, "datetime64[D]")


def _days_after(at: Ints, wait: Ints) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Return the local day after a wait; far away where it never ends."""
    days = np.full(len(at), np.datetime64("9999-12-31"))
    ends = wait != _NEVER
    days[ends] = _local_days(at[ends] + wait[ends])
    return days


def _two_months_on(day: date) -> date:
    """Return the day of that number two months later, or that month's last."""
    year, month = divmod(day.year * 12 + day.month + 1, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=day.day - 1), following - timedelta(days=1))
