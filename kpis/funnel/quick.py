"""The common case, quickly: ordered steps that share no event, one attempt a unit, only counts and times.

Most units never get from the first step to the second. They are told apart by comparing neighbours, and only
the others are followed step by step, in parts that threads share: numpy lets go of the interpreter's lock.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from parcours.kpis.funnel.attempts import Attempts, one_of_each
from parcours.kpis.funnel.chains import Array, Chains, Lanes, ordered
from parcours.kpis.funnel.options import Rules

PART = 200_000
"""Fewer events are not worth a thread."""


def quick_attempts(lanes: Lanes, rules: Rules) -> Attempts:
    """Return the attempts that count, in no order.

    Args:
        lanes: events that fit one step each, a lane a unit.
        rules: ordered, without step windows, one attempt a unit.
    """
    threads = min(os.cpu_count() or 1, 1 + lanes.size // PART)
    cuts = [_lane_begin(lanes.key, lanes.size * part // threads) for part in range(threads)] + [lanes.size]
    parts = [
        Lanes(lanes.key[low:high], lanes.us[low:high], tuple(word[low:high] for word in lanes.fits))
        for low, high in pairwise(cuts)
    ]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda part: _of_part(part, rules), parts))
    chains = _joined(found, cuts)
    return Attempts(chains, np.ones(len(chains.starts), np.int64), np.zeros(len(chains.starts), bool))


def _lane_begin(key: Array, place: int) -> int:
    """Return the first event of the lane at a place."""
    while 0 < place < len(key) and key[place - 1] == key[place]:
        place -= 1
    return place


def _of_part(lanes: Lanes, rules: Rules) -> Chains:
    """Return the chain of each unit of a part that starts at all."""
    starts = np.flatnonzero(lanes.fits[0] & 1)
    key = lanes.key[starts]
    new = np.ones(len(starts), bool)
    new[1:] = key[1:] != key[:-1]
    firsts = np.flatnonzero(new)
    if rules.entry == "first" or (rules.entry == "best" and rules.window is None):
        return ordered(lanes, starts[firsts], rules)  # without a window no later start gets further
    units = key[firsts]
    followed = np.isin(units, _followed(lanes, rules), assume_unique=True)
    alone = firsts[~followed] if rules.entry == "best" else np.append(firsts[1:], len(starts))[~followed] - 1
    places = _of_units(lanes, units[followed])
    others = Lanes(lanes.key[places], lanes.us[places], tuple(word[places] for word in lanes.fits))
    begins = np.flatnonzero(others.fits[0] & 1)
    chains = ordered(others, begins, rules)
    unit = others.key[begins]
    first = np.flatnonzero(np.append(True, unit[1:] != unit[:-1])[: len(unit)])
    chosen = chains.pick(one_of_each(chains.reached, unit, first, rules.entry)).placed(places)
    return _joined([chosen, _alone(starts[alone], rules)], [0, 0])


def _followed(lanes: Lanes, rules: Rules) -> Array:
    """Return the units, ascending, in which a second step may follow a start within the window.

    None is missing: among the events of these two steps, the last start before a second step is its
    neighbour.
    """
    places = np.flatnonzero(lanes.fits[0] & 3)
    key, us, fits = lanes.key[places], lanes.us[places], lanes.fits[0][places] & 3
    near = key[1:] == key[:-1]
    later = us[1:] - us[:-1]
    if rules.window is not None:
        near &= later <= rules.window
    near &= (fits[:-1] < fits[1:]) | (later == 0)  # within an instant they have no order yet
    return np.unique(key[1:][near])


def _of_units(lanes: Lanes, keys: Array) -> Array:
    """Return the places of all events of some units."""
    begins, ends = np.searchsorted(lanes.key, keys), np.searchsorted(lanes.key, keys, "right")
    sizes = ends - begins
    return np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())


def _alone(starts: Array, rules: Rules) -> Chains:
    """Return attempts that are no more than their starts."""
    none = np.zeros(0, np.int64)
    return Chains(starts, np.ones(len(starts), np.int16), ((none, none),) * (rules.steps - 1))


def _joined(parts: Sequence[Chains], shifts: Sequence[int]) -> Chains:
    """Put attempts together whose places are counted from different events."""
    rows = np.cumsum([0, *(len(part.starts) for part in parts)])
    matches = tuple(
        (
            np.concatenate([of + row for (of, _), row in zip(step, rows, strict=False)]),
            np.concatenate([places + shift for (_, places), shift in zip(step, shifts, strict=False)]),
        )
        for step in zip(*(part.matches for part in parts), strict=True)
    )
    starts = np.concatenate([part.starts + shift for part, shift in zip(parts, shifts, strict=False)])
    return Chains(starts, np.concatenate([part.reached for part in parts]), matches)
