"""What happens to contracts: notices, tacit and explicit renewals, terminations, and claims."""

from __future__ import annotations

from typing import Any

import numpy as np

from parcours.pipelines.simulate.acquisition import MINUTE, YEAR, Contracts
from parcours.pipelines.simulate.population import NEVER, after, opening_hours, some
from parcours.pipelines.simulate.rows import Draft, Ints
from parcours.pipelines.simulate.words import DAY, END, START, code

LEAVING_AT_DUE, LEAVING_BETWEEN = 0.07, 0.035
"""Share of contracts ended at a due date, and in the year between two."""

_CLAIMS_A_YEAR = np.array([0.13, 0.08, 1.2, 0.01])
_CLAIM_CENTS = np.array([140_000, 110_000, 6_000, 1_500_000])

_CUSTOMERS_REASONS = [
    code("reason", name) for name in ("price", "moved", "sold_vehicle", "service", "competitor")
]
_INSURERS_REASONS = [code("reason", name) for name in ("non_payment", "claims_record")]


def joined(parts: list[Contracts]) -> Contracts:
    """Return several lists of contracts as one."""
    fields = ("who", "number", "product", "since", "premium")
    return Contracts(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def run_contracts(draft: Draft, held: Contracts) -> Ints:
    """Emit each contract's years, and return when it ends (``NEVER``: after the two years)."""
    rng = draft.rng
    until = np.full(len(held.who), NEVER)
    due = held.since + YEAR * np.maximum((START - held.since) // YEAR + 1, 1)
    for _ in range(3):
        going = np.flatnonzero((until == NEVER) & (due < END + YEAR))
        early = going[rng.random(len(going)) < LEAVING_BETWEEN]
        left = np.maximum(due[early] - rng.integers(30, 330, len(early)) * DAY, held.since[early] + 7 * DAY)
        left = np.maximum(left, START + rng.integers(0, 30, len(early)) * DAY)
        _end(draft, held, early, left, due[early])
        until[early] = left
        going = np.setdiff1d(going, early)
        dues = {"contract": held.number[going], "product": held.product[going], "due_at": due[going]}
        draft.emit("renewal_notice_sent", "mail", held.who[going], due[going] - 45 * DAY, **dues)
        leaving = going[rng.random(len(going)) < LEAVING_AT_DUE]
        _end(draft, held, leaving, due[leaving], due[leaving])
        until[leaving] = due[leaving]
        # A tacit renewal sends no event: only those who change something or confirm are seen.
        saying = np.setdiff1d(going, leaving)
        saying = saying[rng.random(len(saying)) < 0.3]
        raised = held.premium[saying] * rng.integers(100, 108, len(saying)) // 100
        held.premium[saying] = np.where(due[saying] < END, raised, held.premium[saying])
        means = rng.choice(["app", "site", "phone", "agency"], len(saying), p=[0.35, 0.3, 0.2, 0.15])
        draft.emit(
            "contract_renewed",
            means,
            held.who[saying],
            due[saying],
            contract=held.number[saying],
            product=held.product[saying],
            value=raised,
            effective_from=due[saying],
            effective_to=due[saying] + YEAR,
            due_at=due[saying] + YEAR,
        )
        due = due + YEAR
    return until


def _end(draft: Draft, held: Contracts, which: Ints, at: Ints, due: Ints) -> None:
    rng = draft.rng
    insurer = rng.random(len(which)) < 0.12
    reason = np.where(
        insurer,
        rng.choice(_INSURERS_REASONS, len(which), p=[0.8, 0.2]),
        rng.choice(_CUSTOMERS_REASONS, len(which), p=[0.32, 0.2, 0.18, 0.1, 0.2]),
    )
    means = rng.choice(["mail", "phone", "app", "site"], len(which), p=[0.4, 0.25, 0.2, 0.15])
    draft.emit(
        "contract_terminated",
        means,
        held.who[which],
        at,
        contract=held.number[which],
        product=held.product[which],
        effective_to=at,
        due_at=due,
        reason=reason,
        initiator=np.where(insurer, code("initiator", "insurer"), code("initiator", "customer")),
    )


def run_claims(draft: Draft, held: Contracts, until: Ints) -> tuple[Ints, Ints]:
    """Emit the claims of contracts in force; return who had one closed, and when."""
    rng = draft.rng
    begin, end = np.maximum(held.since, START), np.minimum(until, END)
    years = np.maximum(end - begin, 0) / YEAR
    which = np.repeat(np.arange(len(held.who)), rng.poisson(_CLAIMS_A_YEAR[held.product] * years))
    at = begin[which] + (rng.random(len(which)) * (end - begin)[which]).astype(np.int64)
    who, product, claim = held.who[which], held.product[which], draft.number(len(which))
    keys: dict[str, Any] = {"claim": claim, "contract": held.number[which], "product": product}
    means = rng.choice(["phone", "app", "site", "agency"], len(which), p=[0.45, 0.25, 0.2, 0.1])
    draft.emit("claim_opened", means, who, at, **keys)
    reserve = (_CLAIM_CENTS[product] * np.exp(0.9 * rng.standard_normal(len(which)))).astype(np.int64)
    draft.emit("claim_reserved", "agency", who, at, value=reserve, **keys)
    visits = some(rng, who, 0.4)
    draft.emit(
        "account_viewed", "app", who[visits], at[visits] + 20 * MINUTE, page="account", claim=claim[visits]
    )
    paid_at = opening_hours(rng, after(rng, at, 18, 0.9))
    paid = reserve * rng.integers(60, 115, len(which)) // 100
    draft.emit("claim_paid", "agency", who, paid_at, value=paid, **keys)
    draft.emit("claim_reserved", "agency", who, paid_at, value=-reserve, **keys)
    closed_at = opening_hours(rng, paid_at)
    draft.emit("claim_closed", "agency", who, closed_at, **keys)
    again = some(rng, who, 0.04)
    opened_at = opening_hours(rng, after(rng, closed_at[again], 25))
    later = {name: value[again] for name, value in keys.items()}
    draft.emit("claim_reopened", "phone", who[again], opened_at, **later)
    more = rng.integers(5_000, 90_000, len(again))
    draft.emit("claim_paid", "agency", who[again], opened_at + 15 * DAY, value=more, **later)
    draft.emit("claim_closed", "agency", who[again], opened_at + 16 * DAY, **later)
    return who, closed_at
