"""Chains of touchpoints, found for all attempts at once: each step is one look-up in sorted columns.

Where events that fit several steps stand at one instant, and in the like cases, the next match cannot be told
from columns alone: those attempts are left to ``search``.

Why the earliest next match is enough (``ordered``, no step windows): take any chain that obeys the options,
and replace its matches, one after the other, by the earliest event of that step which follows the match
before. By induction no match moves to a later time, so what followed it still does, and the window, which
counts from the start, still holds. So the greedy chain is as long as any, and its matches are the earliest
step by step.

With step windows that fails: an earlier match may be too far from the next step. There, for each length,
events from which the rest of that length can be reached are marked from the last step backwards; the greedy
chain over marked events is the longest. Two chains of one length never have to cross: where one is earlier at
step k and later at step k + 1, its step k may be followed by the other's step k + 1, which is nearer. So the
greedy chain is nowhere later than another, and fits the window if any does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from parcours.kpis.funnel.options import Rules

Array = np.ndarray[Any, np.dtype[Any]]
WORD = 60
"""Steps whose fits share one integer."""


@dataclass(frozen=True)
class Chains:
    """Attempts, one a start, in the order of their starts.

    Attributes:
        starts: place of each attempt's first event.
        reached: how many steps it got through, from 1.
        matches: for each step from the second, ``(rows, places)``: the attempts that reached it, ascending,
            and the event that serves it.
        served: with ``order = any``, the step (from 0) that each match serves: one array for the starts, then
            one beside each of ``matches``.
    """

    starts: Array
    reached: Array
    matches: tuple[tuple[Array, Array], ...]
    served: tuple[Array, ...] = ()

    def pick(self, rows: Array) -> Chains:
        """Return some of the attempts, in the order given."""
        place = np.full(len(self.starts), -1, np.int64)
        place[rows] = np.arange(len(rows))
        matches, served = [], [self.served[0][rows]] if self.served else []
        for step, (of, places) in enumerate(self.matches, 1):
            kept = np.flatnonzero(place[of] >= 0)
            new = place[of[kept]]
            order = np.argsort(new, kind="stable")
            matches.append((new[order], places[kept[order]]))
            if self.served:
                served.append(self.served[step][kept[order]])
        return Chains(self.starts[rows], self.reached[rows], tuple(matches), tuple(served))

    def placed(self, base: Array) -> Chains:
        """Return the attempts with other places of their events."""
        matches = tuple((rows, base[places]) for rows, places in self.matches)
        return Chains(base[self.starts], self.reached, matches, self.served)

    def last(self) -> Array:
        """Return the place of each attempt's last match."""
        last = self.starts.copy()
        for rows, places in self.matches:
            last[rows] = places
        return last


@dataclass(frozen=True)
class Lanes:
    """Events sorted by lane and time.

    An attempt lies in one lane: a unit, or the events of a unit that are equal in ``hold``.

    Attributes:
        key: a number that the events of a lane share, and neighbouring lanes do not.
        us: when each occurred, in microseconds.
        fits: the steps that each fits, as bits: ``WORD`` steps an array.
    """

    key: Array
    us: Array
    fits: tuple[Array, ...]

    @property
    def size(self) -> int:
        """How many events there are."""
        return len(self.us)

    @cached_property
    def same_instant(self) -> Array:
        """Whether each event stands at the lane and instant of the one before it."""
        same = np.zeros(self.size, bool)
        same[1:] = (self.us[1:] == self.us[:-1]) & (self.key[1:] == self.key[:-1])
        return same

    @cached_property
    def _instants(self) -> tuple[Array, Array] | None:
        """The first event of each instant, and the number of each event's; null where no two share one."""
        if not self.same_instant.any():
            return None
        new = ~self.same_instant
        return np.append(np.flatnonzero(new), self.size), np.cumsum(new) - 1

    def first_of_instant(self, places: Array) -> Array:
        """Return the first event at the instant of each."""
        if self._instants is None:
            return places
        first, number = self._instants
        found: Array = first[number[places]]
        return found

    def after_instant(self, places: Array) -> Array:
        """Return the first event after the instant of each; ``size`` after the last."""
        if self._instants is None:
            return places + 1
        first, number = self._instants
        found: Array = first[number[places] + 1]
        return found

    def fitting(self, step: int) -> Array:
        """Return whether each event fits a step, from 0."""
        fits: Array = (self.fits[step // WORD] & (1 << step % WORD)) != 0
        return fits

    @cached_property
    def fits_any(self) -> Array:
        """Whether each event fits a step at all."""
        fits: Array = np.logical_or.reduce([word != 0 for word in self.fits])
        return fits

    @cached_property
    def fits_several(self) -> Array:
        """Whether each event fits two steps or more."""
        several: Array = np.logical_or.reduce([(word & (word - 1)) != 0 for word in self.fits])
        if len(self.fits) > 1:
            several |= sum((word != 0).astype(np.int8) for word in self.fits) > 1
        return several

    def next_of(self, candidates: Array, places: Array, *, ties: bool) -> Array:
        """Return for each place the first candidate that may follow it; ``size`` where none of its lane does.

        Args:
            candidates: places, ascending.
            places: where to look from.
            ties: whether a candidate may stand at the place's own instant; the event itself never follows.
        """
        found = _from(
            candidates, self.first_of_instant(places) if ties else self.after_instant(places), self.size
        )
        ended = np.append(candidates, self.size)
        follows = ended[found]
        if ties:
            itself = follows == places
            if itself.any():
                follows = np.where(itself, ended[np.minimum(found + 1, len(candidates))], follows)
        other = self.key[np.minimum(follows, self.size - 1)] != self.key[places]
        return np.where(other, self.size, follows)


def _from(candidates: Array, places: Array, size: int) -> Array:
    """Return, for each place, the number of candidates before it."""
    if len(places) * 8 < size:
        return np.searchsorted(candidates, places)
    before = np.zeros(size + 1, np.int32)
    before[candidates + 1] = 1
    return np.cumsum(before, out=before)[places]


def ordered(lanes: Lanes, starts: Array, rules: Rules) -> Chains:
    """Return the chain of each start, other events between its matches or not.

    Args:
        lanes: the events; of one that fits two steps, no other event of its lane stands at its instant, or
            ties are forbidden.
        starts: places of events that fit the first step, ascending.
        rules: the options.
    """
    candidates = [np.flatnonzero(lanes.fitting(step)) for step in range(rules.steps)]
    if not rules.has_step_windows:
        return _merged(starts, [_greedy(lanes, np.arange(len(starts)), starts, candidates, rules)], rules)
    parts, left = [], np.arange(len(starts))
    for length in range(rules.steps, 1, -1):
        marked = _marked(lanes, candidates[:length], rules)
        first = np.zeros(lanes.size, bool)
        first[marked[0]] = True
        rows = left[first[starts[left]]]
        matches = _greedy(lanes, rows, starts, marked, rules)
        whole = matches[-1][0]
        parts.append([_only(match, whole) for match in matches])
        left = np.setdiff1d(left, whole, assume_unique=True)
    return _merged(starts, parts, rules)


def _greedy(
    lanes: Lanes, rows: Array, starts: Array, candidates: Sequence[Array], rules: Rules
) -> list[tuple[Array, Array]]:
    """Follow the earliest candidates from some starts; return who reached each further step, and by which."""
    here, matches = starts[rows], []
    for step in range(1, len(candidates)):
        follows = lanes.next_of(candidates[step], here, ties=rules.allows_ties)
        kept = follows < lanes.size
        if rules.window is not None:
            began = lanes.us[starts[rows]]
            kept &= lanes.us[np.minimum(follows, lanes.size - 1)] - began <= rules.window
        rows, here = rows[kept], follows[kept]
        matches.append((rows, here))
    return matches


def _marked(lanes: Lanes, candidates: Sequence[Array], rules: Rules) -> list[Array]:
    """Return, of each step's events, those from which the last one is within reach of the step windows."""
    marked = [candidates[-1]]
    for step in range(len(candidates) - 2, -1, -1):
        follows = lanes.next_of(marked[0], candidates[step], ties=rules.allows_ties)
        kept = follows < lanes.size
        span = rules.step_windows[step + 1]
        if span is not None:
            kept &= lanes.us[np.minimum(follows, lanes.size - 1)] - lanes.us[candidates[step]] <= span
        marked.insert(0, candidates[step][kept])
    return marked


def _only(match: tuple[Array, Array], rows: Array) -> tuple[Array, Array]:
    kept = np.isin(match[0], rows, assume_unique=True)
    return match[0][kept], match[1][kept]


def _merged(starts: Array, parts: Sequence[Sequence[tuple[Array, Array]]], rules: Rules) -> Chains:
    """Put together what disjoint sets of attempts reached."""
    reached = np.ones(len(starts), np.int16)
    none = np.zeros(0, np.int64)
    matches = []
    for step in range(rules.steps - 1):
        found = [part[step] for part in parts if step < len(part)] or [(none, none)]
        rows, places = (np.concatenate(each) for each in zip(*found, strict=True))
        if len(found) > 1:
            order = np.argsort(rows, kind="stable")
            rows, places = rows[order], places[order]
        reached[rows] = step + 2
        matches.append((rows, places))
    return Chains(starts, reached, tuple(matches))


def strict(lanes: Lanes, starts: Array, rules: Rules, hold: Array | None) -> Chains:
    """Return the chain of each start whose every match is the next event.

    Args:
        lanes: all events of the units, those that fit no step too; no two at one instant, or ties are
            forbidden: then the first event at a later time is the next.
        starts: places of events that fit the first step, ascending.
        rules: the options.
        hold: a number for each event's value of the column that stays equal; null: none has to.
    """
    rows, here = np.arange(len(starts)), starts
    matches = []
    for step in range(1, rules.steps):
        follows = lanes.after_instant(here)
        at = np.minimum(follows, lanes.size - 1)
        kept = (follows < lanes.size) & (lanes.key[at] == lanes.key[here]) & lanes.fitting(step)[at]
        if hold is not None:
            kept &= hold[at] == hold[here]
        if rules.window is not None:
            kept &= lanes.us[at] - lanes.us[starts[rows]] <= rules.window
        span = rules.step_windows[step]
        if span is not None:
            kept &= lanes.us[at] - lanes.us[here] <= span
        rows, here = rows[kept], follows[kept]
        matches.append((rows, here))
    return _merged(starts, [matches], rules)


AT_ONCE = 500_000
"""Attempts in any order that are looked at together: a row of each has a column a step."""


def unordered(lanes: Lanes, starts: Array, rules: Rules) -> tuple[Chains, Array]:
    """Return the chain of each start in any order, and the starts for which it cannot be told this way.

    Without step windows the first event of each other step serves it, unless ties are forbidden and two of
    them stand at one instant.

    Args:
        lanes: events that fit one step each.
        starts: places of events that fit any step, ascending.
        rules: the options; no step has a window.
    """
    candidates = [np.flatnonzero(lanes.fitting(step)) for step in range(rules.steps)]
    own = np.zeros(lanes.size, np.int16)
    for step, places in enumerate(candidates):
        own[places] = step
    parts, unclear = [], [np.zeros(0, bool)]
    for begin in range(0, len(starts), AT_ONCE):
        some = starts[begin : begin + AT_ONCE]
        follows = np.stack([lanes.next_of(each, some, ties=rules.allows_ties) for each in candidates], axis=1)
        follows[np.arange(len(some)), own[some]] = lanes.size
        if rules.window is not None:
            until = lanes.us[some] + rules.window
            late = lanes.us[np.minimum(follows, lanes.size - 1)] > until[:, None]
            follows[late] = lanes.size
        follows.sort(axis=1)
        done = follows < lanes.size
        if not rules.allows_ties:
            instants = lanes.first_of_instant(np.minimum(follows, lanes.size - 1))
            unclear.append(((instants[:, 1:] == instants[:, :-1]) & done[:, 1:]).any(axis=1))
        steps = []
        for step in range(rules.steps - 1):
            rows = np.flatnonzero(done[:, step])
            steps.append((rows + begin, follows[rows, step]))
        parts.append(steps)
    chains = _merged(starts, parts, rules)
    served = (own[starts], *(own[places] for _, places in chains.matches))
    left = np.concatenate(unclear) if not rules.allows_ties else np.zeros(len(starts), bool)
    return Chains(chains.starts, chains.reached, chains.matches, served), left
