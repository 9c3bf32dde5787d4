"""Which attempts of a unit count, and which of them an excluded touchpoint leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parcours.kpis.funnel.chains import Array, Chains, Lanes, ordered, strict, unordered
from parcours.kpis.funnel.events import Events
from parcours.kpis.funnel.options import Rules
from parcours.kpis.funnel.search import search


@dataclass(frozen=True)
class Attempts:
    """The attempts that count, in the order of their units and starts.

    Attributes:
        chains: their matches, as places of events.
        number: of each, from 1 within its unit.
        excluded: whether each is left out.
    """

    chains: Chains
    number: Array
    excluded: Array


def attempts(events: Events, rules: Rules) -> Attempts:
    """Return the attempts that count."""
    chains = _chains(events, rules)
    unit = events.lanes.key[chains.starts]
    first = np.flatnonzero(np.append(True, unit[1:] != unit[:-1])) if len(unit) else np.zeros(0, np.int64)
    if rules.entry == "every":
        rows, number = _every(events, chains, first, rules)
    else:
        rows = one_of_each(chains.reached, unit, first, rules.entry)
        number = np.ones(len(rows), np.int64)
    chosen = chains.pick(rows)
    return Attempts(chosen, number, _voided(events, chosen) < events.lanes.size)


def _chains(events: Events, rules: Rules) -> Chains:
    """Return the chain of every attempt, by whichever way is exact for it."""
    lanes = events.lanes
    if rules.order == "strict":
        places = np.flatnonzero(lanes.fitting(0))
        unclear = np.zeros(len(places), bool)
        if rules.allows_ties:
            tied = lanes.same_instant.copy()
            tied[:-1] |= lanes.same_instant[1:]
            unclear = np.isin(lanes.key[places], lanes.key[tied & lanes.fits_any])
        return _both(
            strict(lanes, places[~unclear], rules, events.hold),
            search(lanes, places[unclear], rules, events.hold),
        )
    base, lanes = _by_hold(events)
    if rules.order == "ordered":
        places = np.flatnonzero(lanes.fitting(0))
        unclear = np.zeros(len(places), bool)
        if rules.allows_ties and lanes.fits_several.any():
            tied = lanes.same_instant.copy()
            tied[:-1] |= lanes.same_instant[1:]
            unclear = np.isin(lanes.key[places], lanes.key[tied & lanes.fits_several])
        found = ordered(lanes, places[~unclear], rules)
    else:
        places = np.arange(lanes.size)
        unclear = np.isin(lanes.key, lanes.key[lanes.fits_several])
        if rules.has_step_windows:
            unclear[:] = True
        found, left = unordered(lanes, places[~unclear], rules)
        if left.any():
            unclear[found.starts[left]] = True
            found = found.pick(np.flatnonzero(~left))
    both = _both(found, search(lanes, places[unclear], rules))
    if base is None:
        return both
    both = both.placed(base)
    return both.pick(np.argsort(both.starts))


def _by_hold(events: Events) -> tuple[Array | None, Lanes]:
    """Return the events that fit a step, sorted by unit and ``hold``, and their places among all."""
    lanes = events.lanes
    fits = lanes.fits_any
    if events.hold is None:
        if fits.all():
            return None, lanes
        base = np.flatnonzero(fits)
        key = lanes.key[base]
    else:
        base = np.flatnonzero(fits)
        base = base[np.lexsort((base, events.hold[base], lanes.key[base]))]
        hold, unit = events.hold[base], lanes.key[base]
        key = np.zeros(len(base), np.int64)
        key[1:] = np.cumsum((hold[1:] != hold[:-1]) | (unit[1:] != unit[:-1]))
    return base, Lanes(key, lanes.us[base], tuple(word[base] for word in lanes.fits))


def _both(one: Chains, other: Chains) -> Chains:
    """Put two disjoint sets of attempts together, in the order of their starts."""
    if not len(other.starts):
        return one
    shift = len(one.starts)
    matches = tuple(
        (np.concatenate([rows, more + shift]), np.concatenate([places, others]))
        for (rows, places), (more, others) in zip(one.matches, other.matches, strict=True)
    )
    served = (
        tuple(np.concatenate([mine, others]) for mine, others in zip(one.served, other.served, strict=True))
        if one.served
        else ()
    )
    starts = np.concatenate([one.starts, other.starts])
    together = Chains(starts, np.concatenate([one.reached, other.reached]), matches, served)
    return together.pick(np.argsort(starts))


def one_of_each(reached: Array, unit: Array, first: Array, entry: str) -> Array:
    """Return the one attempt of each unit that counts.

    Args:
        reached: how far each attempt got.
        unit: the unit of each; attempts stand by unit and start.
        first: the first attempt of each unit.
        entry: ``best``, ``latest`` or ``first``.
    """
    if entry == "first" or not len(first):
        return first
    furthest = np.maximum.reduceat(reached, first)
    rows = np.flatnonzero(reached == np.repeat(furthest, np.diff(np.append(first, len(unit)))))
    changes = unit[rows[1:]] != unit[rows[:-1]]
    kept: Array = rows[np.append(True, changes) if entry == "best" else np.append(changes, True)]
    return kept


def _voided(events: Events, chains: Chains) -> Array:
    """Return the place of the first excluding event between the matches of each attempt, or the end.

    One at the instant of the first or the last match is not between them: it may stand before or after.
    """
    size = events.lanes.size
    if events.excludes is None:
        return np.full(len(chains.starts), size)
    excluding = np.append(np.flatnonzero(events.excludes), size)
    low = events.lanes.after_instant(chains.starts)
    high = events.lanes.first_of_instant(chains.last())
    at = np.searchsorted(excluding, low)
    while True:  # a match that itself excludes is no event between matches
        found = excluding[at]
        own = np.zeros(len(at), bool)
        for rows, places in chains.matches:
            own[rows] |= places == found[rows]
        own &= found < high
        if not own.any():
            return np.where(found < high, found, size)
        at = at + own


def _every(events: Events, chains: Chains, first: Array, rules: Rules) -> tuple[Array, Array]:
    """Return the attempts that follow one another in each unit, and their numbers."""
    lanes, starts = events.lanes, chains.starts
    over = chains.starts.copy()  # the last event that the attempt keeps others from starting at
    for rows, places in chains.matches:
        over[rows] = np.maximum(over[rows], places)
    if rules.order != "strict":
        open_ = np.flatnonzero(chains.reached < rules.steps)
        over[open_] = _last_until(lanes, chains.pick(open_), rules)
    voided = _voided(events, chains)
    over = np.where(voided < lanes.size, voided, over)
    follows = np.searchsorted(starts, over, "right")
    unit, end = lanes.key[starts], len(starts)
    follows = np.where((follows < end) & (unit[np.minimum(follows, end - 1)] == unit), follows, end)
    rounds = [first]
    while len(here := follows[rounds[-1]]) and (here < end).any():
        rounds.append(here[here < end])
    rows = np.concatenate(rounds)
    numbers = np.repeat(np.arange(1, len(rounds) + 1), [len(each) for each in rounds])
    order = np.argsort(rows)
    return rows[order], numbers[order]


def _last_until(lanes: Lanes, chains: Chains, rules: Rules) -> Array:
    """Return the last event of the unit before each unfinished attempt runs out of its windows."""
    last = chains.last()
    until = np.full(len(last), np.iinfo(np.int64).max)
    if rules.window is not None:
        until = lanes.us[chains.starts] + rules.window
    if rules.has_step_windows:
        spans = np.array([-1 if span is None else span for span in rules.step_windows])
        span = spans[chains.reached]
        until = np.where(span < 0, until, np.minimum(until, lanes.us[last] + span))
    ends = np.append(np.flatnonzero(lanes.key[1:] != lanes.key[:-1]) + 1, lanes.size)
    low, high = last, ends[np.searchsorted(ends, last, "right")]
    while (high - low > 1).any():  # halve the events among which the last one is
        middle = (low + high) // 2
        within = lanes.us[middle] <= until
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return low
