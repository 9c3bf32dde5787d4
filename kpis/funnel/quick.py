"""The common case, quickly: ordered steps that share no event, one attempt a unit, only counts and times.

Two things make it quick. Numbers of 64 bits are sorted many times faster than columns by several keys, so
rows are sorted by such numbers, each of which carries the row's place in its lower bits: by time, then by
unit. And most attempts never get to the second step, or get no further than a neighbour: among the events of
the first two steps, of the starts before a second step the last one gets furthest, so only that one is
followed.

Units are shared out among threads: numpy lets go of the interpreter's lock.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from parcours.kpis.funnel.attempts import Attempts, one_of_each
from parcours.kpis.funnel.chains import Array, Chains
from parcours.kpis.funnel.options import Rules

PART = 200_000
"""Fewer events are not worth a thread."""

STEP_BITS = 6
"""As many as the number of a step takes, of ``WORD``; times take 52 more at most."""


@dataclass(frozen=True)
class _Part:
    """Events of some units, sorted by unit, time and step: within an instant, steps stand in their order."""

    unit: Array
    us: Array
    step: Array

    def next_of(self, step: int, places: Array) -> tuple[Array, Array]:
        """Return the next event of a step after each place, and whether it is one of the same unit."""
        candidates = np.append(np.flatnonzero(self.step == step), 0)
        found = candidates[np.searchsorted(candidates[:-1], places)]
        return found, (found > places) & (self.unit[found] == self.unit[places])


def quick_attempts(unit: Array, us: Array, fits: Array, rules: Rules) -> tuple[Attempts, Array]:
    """Return the attempts that count, in no order, and the times that they speak of.

    Args:
        unit: the unit of each event, as a hash of 64 bits.
        us: when each occurred, in microseconds.
        fits: the one step that each fits, as a bit.
        rules: ordered, ties allowed, without step windows, one attempt a unit, at most ``WORD`` steps.
    """
    size = len(us)
    lower = np.uint64((1 << size.bit_length()) - 1)
    keys = unit & ~lower
    keys |= np.arange(size, dtype=np.uint64)
    keys.sort()
    threads = min(os.cpu_count() or 1, 1 + size // PART)
    # what is alike in the upper bits, as all events of a unit are, stays together
    cuts = [int(np.searchsorted(keys, keys[size * n // threads] & ~lower)) for n in range(1, threads)]

    def of_part(low: int, high: int) -> tuple[Chains, Array]:
        part = _sorted(unit, us, fits, keys[low:high], lower)
        return _chains(part, rules), part.us

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(of_part, [0, *cuts], [*cuts, size]))
    ends = accumulate((len(times) for _, times in parts), initial=0)
    chains = _joined([chains for chains, _ in parts], [*ends])
    times = np.concatenate([times for _, times in parts])
    return Attempts(chains, np.ones(len(chains.starts), np.int64), np.zeros(len(chains.starts), bool)), times


def _sorted(unit: Array, us: Array, fits: Array, keys: Array, lower: np.uint64) -> _Part:
    """Return some of the events sorted by unit, time and step.

    Args:
        unit: the unit of each event.
        us: when each occurred.
        fits: the step of each, as a bit.
        keys: of those to return: the upper bits of the unit, and the place in the ``lower`` ones; ascending.
        lower: the bits that places have.
    """
    size = len(keys)
    if not size:
        return _Part(unit[:0], us[:0], fits[:0])
    order = (keys & lower).astype(np.int64)
    unit = unit[order]
    differs = unit[1:] ^ unit[:-1]
    new = differs != 0
    for place in np.flatnonzero(new & (differs & ~lower == 0)):  # two units are alike in the upper bits
        alike = unit[place] & ~lower
        run = slice(np.searchsorted(keys, alike), np.searchsorted(keys, alike | lower, "right"))
        order[run] = order[run][np.argsort(unit[run], kind="stable")]
        unit[run] = np.sort(unit[run])
        new = unit[1:] != unit[:-1]
    since = int(us.min())
    packed = us[order]
    packed -= since
    packed <<= STEP_BITS
    packed |= np.log2(fits[order].astype(np.float64)).astype(np.int64)
    bits = int(packed.max()).bit_length()
    room = 63 - bits  # for the numbers of units, so many of which are sorted together
    number = np.zeros(size, np.int64)
    np.cumsum(new, out=number[1:])
    cuts = np.searchsorted(number, np.arange(0, number[-1] + 1, 1 << room)).tolist()
    number &= (1 << room) - 1
    number <<= bits
    packed |= number
    for low, high in pairwise([*cuts, size]):
        packed[low:high].sort()
    packed &= (1 << bits) - 1
    step = packed.astype(np.uint8)
    step &= (1 << STEP_BITS) - 1
    packed >>= STEP_BITS
    packed += since
    return _Part(unit, packed, step)


def _chains(part: _Part, rules: Rules) -> Chains:
    """Return the chain of each unit that starts at all."""
    starts = np.flatnonzero(part.step == 0)
    unit = part.unit[starts]
    firsts = np.flatnonzero(np.append(True, unit[1:] != unit[:-1])[: len(unit)])
    ends = np.append(firsts, len(starts))[1:]
    if rules.entry == "first" or (rules.entry == "best" and rules.window is None) or rules.steps == 1:
        # without a window no later start gets further
        begun = starts[ends - 1 if rules.entry == "latest" else firsts]
        return _followed(part, begun, begun, (), rules)
    near, second = _neighbours(part, rules)
    chains = _followed(part, near, second, ((np.arange(len(near)), second),), rules)
    unit = part.unit[near]
    first = np.flatnonzero(np.append(True, unit[1:] != unit[:-1])[: len(unit)])
    chosen = chains.pick(one_of_each(chains.reached, unit, first, rules.entry))
    number = (
        np.searchsorted(starts[firsts], chosen.starts, "right") - 1
    )  # of the unit, among those that start
    alone = np.ones(len(firsts), bool)
    alone[number] = False
    if rules.entry == "best" and rules.window is not None:
        chosen = _earliest(part, chosen, starts, firsts[number], rules.window)
    rest = starts[firsts[alone] if rules.entry == "best" else ends[alone] - 1]
    none = np.zeros(0, np.int64)
    return _joined(
        [chosen, Chains(rest, np.ones(len(rest), np.int16), ((none, none),) * (rules.steps - 1))], [0, 0]
    )


def _neighbours(part: _Part, rules: Rules) -> tuple[Array, Array]:
    """Return each start whose next event of the first two steps is a second step in time, and that one."""
    places = np.flatnonzero(part.step <= 1)
    step, unit, us = part.step[places], part.unit[places], part.us[places]
    near = (step[:-1] < step[1:]) & (unit[:-1] == unit[1:])
    if rules.window is not None:
        near &= us[1:] - us[:-1] <= rules.window
    at = np.flatnonzero(near)
    return places[at], places[at + 1]


def _followed(
    part: _Part, starts: Array, here: Array, matches: tuple[tuple[Array, Array], ...], rules: Rules
) -> Chains:
    """Follow the earliest matches of each start from the last one known."""
    reached = np.full(len(starts), 1 + len(matches), np.int16)
    rows = np.arange(len(starts))
    found = list(matches)
    for step in range(1 + len(matches), rules.steps):
        here, kept = part.next_of(step, here)
        if rules.window is not None:
            kept &= part.us[here] - part.us[starts[rows]] <= rules.window
        rows, here = rows[kept], here[kept]
        reached[rows] = step + 1
        found.append((rows, here))
    return Chains(starts, reached, tuple(found))


def _earliest(part: _Part, chains: Chains, starts: Array, firsts: Array, window: int) -> Chains:
    """Replace each start by the earliest one of its unit that has the same matches.

    Args:
        part: the events.
        chains: attempts whose starts are the last ones before their second steps.
        starts: all starts.
        firsts: among ``starts``, the first one of each attempt's unit.
        window: from a start to the last match.
    """
    if not len(chains.starts):
        return chains
    second = chains.matches[0][1]  # all have got there
    seconds = np.flatnonzero(part.step == 1)
    before = np.append(-1, seconds)[np.searchsorted(seconds, second)]
    low = np.maximum(firsts, np.searchsorted(starts, before))
    high = np.searchsorted(starts, chains.starts)
    since = part.us[chains.last()] - window
    while (low < high).any():  # halve the starts among which the earliest one in time is
        middle = (low + high) // 2
        late = part.us[starts[middle]] < since
        low, high = np.where(late, np.minimum(middle + 1, high), low), np.where(late, high, middle)
    return Chains(starts[low], chains.reached, chains.matches)


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
