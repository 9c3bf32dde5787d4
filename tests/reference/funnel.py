"""Funnels, by trying every chain of events: nothing is clever here, and nothing is fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations, product
from statistics import fmean
from typing import Any

from reference.model import STAGES, Row

Fits = Callable[[Row], bool]


@dataclass(frozen=True)
class Asked:
    """A funnel: what each step, and an excluded event, is; and the options of the contract by their names."""

    steps: Sequence[Fits]
    window: timedelta | None = None
    order: str = "ordered"
    ties: str = "allow"
    entry: str = "best"
    exclude: Sequence[Fits] = ()
    hold: str | None = None
    unit: str = "profile_id"
    step_window: Sequence[timedelta | None] | None = None


@dataclass(frozen=True)
class Attempt:
    """What came of one start: its matches, which step each serves, and whether it is excluded."""

    unit: str
    number: int
    events: list[Row]
    steps: list[int]
    excluded: bool


def attempts(events: Sequence[Row], asked: Asked) -> list[Attempt]:
    """Return the attempts that count, unit by unit."""
    found = []
    for unit in sorted({event[asked.unit] for event in events if event[asked.unit] is not None}):
        mine = sorted((event for event in events if event[asked.unit] == unit), key=_place)
        for number, (chain, steps) in enumerate(_entered(mine, asked), 1):
            found.append(Attempt(unit, number, chain, steps, bool(_between(mine, chain, asked))))
    return found


def _place(event: Row) -> tuple[datetime, int, bytes]:
    """Where an event stands among others: §4."""
    rank = STAGES.index(event["stage"]) + 1 if event.get("stage") else 0
    return event["occurred_at"], rank, event["event_id"].encode()


Chain = tuple[list[Row], list[int]]


def _entered(events: Sequence[Row], asked: Asked) -> list[Chain]:
    """The attempts of one unit that ``entry`` lets count."""
    starts = [at for at, event in enumerate(events) if _begins(event, asked)]
    if asked.entry != "every":
        chains = [_longest(events, start, asked) for start in starts]
        if asked.entry == "first":
            return chains[:1]
        furthest = [chain for chain in chains if len(chain[0]) == max(len(each[0]) for each in chains)]
        return furthest[:1] if asked.entry == "best" else furthest[-1:]
    found: list[Chain] = []
    while starts:
        chain = _longest(events, starts[0], asked)
        found.append(chain)
        starts = [start for start in starts if _is_over(events, chain[0], start, asked)]
    return found


def _begins(event: Row, asked: Asked) -> bool:
    if asked.hold and event[asked.hold] is None:
        return False
    return any(fits(event) for fits in (asked.steps if asked.order == "any" else asked.steps[:1]))


def _is_over(events: Sequence[Row], chain: list[Row], start: int, asked: Asked) -> bool:
    """Whether an attempt is over when another event that could start one comes."""
    place = _place(events[start])
    voiding = _between(events, chain, asked)
    if voiding:
        return place > _place(voiding[0])
    if len(chain) == len(asked.steps) or asked.order == "strict":
        return place > max(map(_place, chain))
    ends = []
    if asked.window is not None:
        ends.append(chain[0]["occurred_at"] + asked.window)
    span = asked.step_window[len(chain) - 1] if asked.step_window else None
    if span is not None:
        ends.append(chain[-1]["occurred_at"] + span)
    return bool(ends) and events[start]["occurred_at"] > min(ends)


def _between(events: Sequence[Row], chain: list[Row], asked: Asked) -> list[Row]:
    """Events that exclude an attempt: after its first and before its last match, and none of them."""
    return [
        event
        for event in events
        if chain[0]["occurred_at"] < event["occurred_at"] < chain[-1]["occurred_at"]
        and event not in chain
        and any(fits(event) for fits in asked.exclude)
    ]


def _longest(events: Sequence[Row], start: int, asked: Asked) -> Chain:
    """Of all chains from a start the longest, then the one whose matches stand earliest, step by step."""
    chains = list(_chains(events, start, asked))
    length = max(len(chain) for chain in chains)
    best = min(
        (c for c in chains if len(c) == length), key=lambda c: ([at for at, _ in c], [s for _, s in c])
    )
    return [events[at] for at, _ in best], [step for _, step in best]


def _chains(events: Sequence[Row], start: int, asked: Asked) -> Iterator[list[tuple[int, int]]]:
    """Every chain from a start that obeys the options: places of events, and the steps they serve."""
    arrangements = _arrangements(events, asked) if asked.order == "strict" else [list(range(len(events)))]
    for arrangement in arrangements:
        for step in range(len(asked.steps)) if asked.order == "any" else (0,):
            if asked.steps[step](events[start]):
                yield from _longer([(start, step)], events, arrangement, asked)


def _arrangements(events: Sequence[Row], asked: Asked) -> Iterator[list[int]]:
    """The orders in which the events may stand: those of one instant in any, if ties are allowed."""
    instants: dict[datetime, list[int]] = {}
    for at, event in enumerate(events):
        instants.setdefault(event["occurred_at"], []).append(at)
    orders = [permutations(instant) if asked.ties == "allow" else [instant] for instant in instants.values()]
    for chosen in product(*orders):
        yield [at for instant in chosen for at in instant]


def _longer(
    chain: list[tuple[int, int]], events: Sequence[Row], arrangement: list[int], asked: Asked
) -> Iterator[list[tuple[int, int]]]:
    """A chain, and all that go on from it."""
    yield chain
    if len(chain) == len(asked.steps):
        return
    for at in _candidates(chain, events, arrangement, asked):
        done = {step for _, step in chain}
        for step in set(range(len(asked.steps))) - done if asked.order == "any" else (len(chain),):
            if asked.steps[step](events[at]) and _may_follow(chain, at, events, asked):
                yield from _longer([*chain, (at, step)], events, arrangement, asked)


def _candidates(
    chain: list[tuple[int, int]], events: Sequence[Row], arrangement: list[int], asked: Asked
) -> list[int]:
    if asked.order != "strict":
        return arrangement
    after = arrangement[arrangement.index(chain[-1][0]) + 1 :]
    if asked.ties == "forbid":
        after = [at for at in after if events[at]["occurred_at"] > events[chain[-1][0]]["occurred_at"]]
    return after[:1]


def _may_follow(chain: list[tuple[int, int]], at: int, events: Sequence[Row], asked: Asked) -> bool:
    first, last, event = events[chain[0][0]], events[chain[-1][0]], events[at]
    if at in [place for place, _ in chain] or event["occurred_at"] < last["occurred_at"]:
        return False
    if asked.ties == "forbid" and event["occurred_at"] == last["occurred_at"]:
        return False
    if asked.hold and event[asked.hold] != first[asked.hold]:
        return False
    if asked.window is not None and event["occurred_at"] - first["occurred_at"] > asked.window:
        return False
    span = asked.step_window[len(chain) - 1] if asked.step_window else None
    return span is None or event["occurred_at"] - last["occurred_at"] <= span


def steps_of(found: Sequence[Attempt], asked: Asked, as_of: datetime) -> list[dict[str, Any]]:
    """The row of each step."""
    counted = [attempt for attempt in found if not attempt.excluded]
    mature = asked.window is not None and all(
        attempt.events[0]["occurred_at"] + asked.window < as_of for attempt in found
    )
    rows = []
    for step in range(len(asked.steps)):
        here = [attempt.events for attempt in counted if len(attempt.events) > step]
        before = [attempt for attempt in counted if len(attempt.events) >= step]
        since_previous = [_seconds(chain[step - 1], chain[step]) for chain in here] if step else []
        since_first = [_seconds(chain[0], chain[step]) for chain in here] if step else []
        rows.append(
            {
                "reached": len(here),
                "rate_from_first": len(here) / len(counted) if counted else None,
                "rate_from_previous": len(here) / len(before) if step and before else None,
                "dropped": len(before) - len(here) if step else None,
                "median_seconds": _quantile(since_previous, 0.5),
                "p90_seconds": _quantile(since_previous, 0.9),
                "mean_seconds": fmean(since_previous) if since_previous else None,
                "median_seconds_from_first": _quantile(since_first, 0.5),
                "p90_seconds_from_first": _quantile(since_first, 0.9),
                "mean_seconds_from_first": fmean(since_first) if since_first else None,
                "excluded": len(found) - len(counted),
                "mature": mature,
            }
        )
    return rows


def _seconds(one: Row, other: Row) -> float:
    return (other["occurred_at"] - one["occurred_at"]).total_seconds()


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which a share of the values lies, on the line between its neighbours."""
    if not values:
        return None
    ordered = sorted(values)
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
