"""The exact search for one attempt, where columns cannot tell the next match; an event at a time.

Needed where an event that fits several steps stands at one instant with others, where the order of equal
times decides in ``strict``, and for steps in any order with events that fit several, or with step windows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

import numpy as np

from parcours.kpis.funnel.chains import WORD, Array, Chains, Lanes
from parcours.kpis.funnel.options import Rules

Match = tuple[int, int]
"""An event's place and the step, from 0, that it serves."""


def search(lanes: Lanes, starts: Array, rules: Rules, hold: Array | None = None) -> Chains:
    """Return the chain of each start.

    Args:
        lanes: the events; for ``strict`` all events of the units.
        starts: places of events that begin an attempt, ascending.
        rules: the options.
        hold: for ``strict``, a number for each event's value of the column that stays equal.
    """
    if not len(starts):
        return Chains(starts, np.zeros(0, np.int16), tuple(_columns([], rules)), (starts,) * rules.steps)
    found: list[list[Match]] = []
    begins = np.flatnonzero(np.append(True, lanes.key[1:] != lanes.key[:-1]))
    ends = np.append(begins[1:], lanes.size)
    lane_of = np.searchsorted(begins, starts, "right") - 1
    for number in np.unique(lane_of):
        low, high = int(begins[number]), int(ends[number])
        fits = [
            sum(int(word[at]) << WORD * n for n, word in enumerate(lanes.fits)) for at in range(low, high)
        ]
        values = [0] * (high - low) if hold is None else hold[low:high].tolist()
        times = lanes.us[low:high].tolist()
        held: dict[int, _Lane] = {}
        for start in (starts[lane_of == number] - low).tolist():
            value = values[start]
            if value not in held:
                same = [fit if each == value else 0 for fit, each in zip(fits, values, strict=True)]
                held[value] = _Lane(times, same, rules.steps)
            found.append([(low + at, step) for at, step in _of_start(held[value], start, rules)])
    matches = tuple(_columns(found, rules))
    served = tuple(
        np.array([chain[step][1] for chain in found if step < len(chain)], np.int16)
        for step in range(rules.steps)
    )
    return Chains(starts, np.array([len(chain) for chain in found], np.int16), matches, served)


def _columns(found: Sequence[Sequence[Match]], rules: Rules) -> Iterator[tuple[Array, Array]]:
    for step in range(1, rules.steps):
        rows = [row for row, chain in enumerate(found) if step < len(chain)]
        yield np.array(rows, np.int64), np.array([found[row][step][0] for row in rows], np.int64)


class _Lane:
    """The events of one lane by their instants.

    Attributes:
        fits: the steps that each event fits, as bits.
        instants: the events of each instant.
        us: the time of each instant.
        where: for each step, the instants at which an event fits it.
    """

    def __init__(self, times: Sequence[int], fits: Sequence[int], steps: int) -> None:
        firsts = [at for at, us in enumerate(times) if not at or us != times[at - 1]]
        self.fits = fits
        self.instants = [range(low, high) for low, high in pairwise([*firsts, len(times)])]
        self.us = [times[at] for at in firsts]
        self.where: list[list[int]] = [[] for _ in range(steps)]
        for instant, events in enumerate(self.instants):
            fit = 0
            for event in events:
                fit |= fits[event]
            for step in range(steps):
                if fit >> step & 1:
                    self.where[step].append(instant)


def _of_start(lane: _Lane, start: int, rules: Rules) -> list[Match]:
    own = [step for step in range(rules.steps) if lane.fits[start] >> step & 1]
    return _Search(lane, start, rules).chain(own if rules.order == "any" else [0])


@dataclass
class _Search:
    """The chains from one start.

    A state is which steps are done, the instant of the last match, and the events that served at it.
    """

    lane: _Lane
    start: int
    rules: Rules
    known: dict[tuple[int, int, tuple[int, ...]], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        starts = self.lane.instants
        self.first = bisect_right(starts, self.start, key=lambda events: events.start) - 1
        window = self.rules.window
        self.until = inf if window is None else self.lane.us[self.first] + window

    def chain(self, first_steps: Sequence[int]) -> list[Match]:
        """Return the longest chain in which the start serves one of some steps.

        Of these, the one whose events are the earliest, match by match; then the one whose steps are. Which
        step an event that fits several should serve only shows later: all are followed that have led to the
        same events.
        """
        served = {1 << step: [step] for step in first_steps}
        instant = self.first
        used: tuple[int, ...] = (self.start,)
        events = [self.start]
        longest = max(self._length(done, instant, used) for done in served)
        served = {
            done: steps for done, steps in served.items() if self._length(done, instant, used) == longest
        }
        while len(events) < longest:
            earliest = self.lane.instants[-1].stop
            after: dict[int, list[int]] = {}
            for done, steps in served.items():
                for event, step, where in self._next(done, instant, used):
                    if event > earliest:
                        break
                    taken = (*used, event) if where == instant else (event,)
                    if self._length(done | 1 << step, where, taken) == longest:
                        if event < earliest:
                            earliest, at, after = event, (where, taken), {}
                        known = after.setdefault(done | 1 << step, [*steps, step])
                        known[:] = min(known, [*steps, step])
            events.append(earliest)
            (instant, used), served = at, after
        return list(zip(events, min(served.values()), strict=True))

    def _length(self, done: int, instant: int, used: tuple[int, ...]) -> int:
        """Return how many steps the longest chain has that goes on from a state."""
        # which events were used says nothing more than what they fit
        key = (done, instant, tuple(sorted(self.lane.fits[event] for event in used)))
        if key not in self.known:
            best = done.bit_count()
            for event, serves, where in self._next(done, instant, used):
                events = (*used, event) if where == instant else (event,)
                best = max(best, self._length(done | 1 << serves, where, events))
                if best == self.rules.steps:
                    break
            self.known[key] = best
        return self.known[key]

    def _next(self, done: int, instant: int, used: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
        """Give the events that may follow, the steps that they would serve, and their instants.

        The earliest comes first.

        Of events at one instant that fit the same steps, the first stands for all.
        """
        count = done.bit_count()
        if count == self.rules.steps:
            return
        every = (1 << self.rules.steps) - 1
        open_ = every & ~done if self.rules.order == "any" else 1 << count
        if self.rules.allows_ties:
            yield from self._at(instant, open_, used)
        span = self.rules.step_windows[count] if self.rules.step_windows else None
        until = self.until if span is None else min(self.until, self.lane.us[instant] + span)
        for where in self._later(instant, count, used):
            if self.lane.us[where] > until:
                return
            yield from self._at(where, open_, ())

    def _later(self, instant: int, step: int, used: tuple[int, ...]) -> Sequence[int]:
        """Return the later instants at which the next match may stand, the earliest first."""
        end = len(self.lane.instants)
        if self.rules.order == "strict":
            # what is not used at the first instant stands before the start; at a later one it would stand
            # between
            left_over = instant != self.first and len(used) < len(self.lane.instants[instant])
            return range(instant + 1, instant + 1 if left_over else min(instant + 2, end))
        if self.rules.order == "any":
            return range(instant + 1, end)
        where = self.lane.where[step]
        begin = bisect_right(where, instant)
        # without step windows a chain that waits for a later event gets no further than one that does not
        return where[begin : None if self.rules.has_step_windows else begin + 1]

    def _at(self, instant: int, open_: int, used: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
        seen = set()
        for event in self.lane.instants[instant]:
            fit = self.lane.fits[event] & open_
            if fit and event not in used and self.lane.fits[event] not in seen:
                seen.add(self.lane.fits[event])
                for step in range(self.rules.steps):
                    if fit >> step & 1:
                        yield event, step, instant
