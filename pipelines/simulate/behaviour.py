"""One chunk of people's two years, from the first banner to the annual vote."""

from __future__ import annotations

import numpy as np

from parcours.pipelines.simulate.acquisition import acquire, ask_and_sign, draw_products, held_before
from parcours.pipelines.simulate.population import draw_people, seasonal, some
from parcours.pipelines.simulate.portfolio import joined, run_claims, run_contracts
from parcours.pipelines.simulate.relationship import live, take_part
from parcours.pipelines.simulate.rows import Draft, Rows
from parcours.pipelines.simulate.words import START


def draw_events(seed: int, first: int, count: int) -> Rows:
    """Return the events of ``count`` persons from number ``first`` on, person by person, each in time order.

    The same arguments give the same rows; ``seq``, ``arrival`` and ``fault`` are still to be set.
    """
    rng = np.random.Generator(np.random.PCG64([seed, first]))
    draft = Draft(draw_people(first, count, rng), rng)
    signed = acquire(draft)
    held = held_before(draft)
    # Customers come back for another product.
    customers = np.unique(np.concatenate([signed.who, held.who]))
    since = np.full(count, np.iinfo(np.int64).max)
    since[signed.who] = signed.since
    since[held.who] = START
    coming = customers[some(rng, customers, 0.22)]
    at = seasonal(rng, len(coming))
    real = at > since[coming]
    second = ask_and_sign(draft, coming[real], at[real], draw_products(draft, int(real.sum())), 0.45)
    contracts = joined([held, signed, second])
    until = run_contracts(draft, contracts)
    closed = run_claims(draft, contracts, until)
    live(draft, customers, since[customers], closed)
    take_part(draft, customers, since[customers])
    return draft.finish()
