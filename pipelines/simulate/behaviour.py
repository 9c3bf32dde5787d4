"""One chunk of people's two years, from the first banner to the annual vote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parcours.pipelines.simulate.acquisition import (
    Contracts,
    acquire,
    ask_and_sign,
    draw_products,
    held_before,
)
from parcours.pipelines.simulate.population import People, draw_people, seasonal, some
from parcours.pipelines.simulate.portfolio import joined, run_claims, run_contracts
from parcours.pipelines.simulate.relationship import live, take_part
from parcours.pipelines.simulate.rows import Draft, Ints, Rows
from parcours.pipelines.simulate.words import START


@dataclass(frozen=True)
class Chunk:
    """Some people and all that they do.

    ``events`` stand person by person, each in time order; ``seq``, ``arrival`` and ``fault`` are still to be
    set. ``until`` says when each of the ``contracts`` ends (``NEVER``: after the two years).
    """

    people: People
    events: Rows
    contracts: Contracts
    until: Ints


def draw_chunk(seed: int, first: int, count: int) -> Chunk:
    """Draw ``count`` persons from number ``first`` on; the same arguments give the same people."""
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
    return Chunk(draft.people, draft.finish(), contracts, until)
