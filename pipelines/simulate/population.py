"""Who the simulated people are: newcomers and members, their devices, and when things happen to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parcours.pipelines.simulate.words import DAY, END, ODD_IDS, START

Ints = npt.NDArray[np.int64]

NEVER = int(np.iinfo(np.int64).max)

DEVICE_SLOTS = 4
"""Three devices and one call line a person."""


@dataclass
class People:
    """One chunk of people, one element a person in every array.

    ``first`` is the first one's number. ``device`` is (n, 4): up to three devices, then the call line.
    ``known_from`` is when the organisation first knows who they are; behaviour moves it as they sign up.
    """

    first: int
    member: npt.NDArray[np.bool_]
    known_from: Ints
    devices: Ints
    device: Ints
    consent: npt.NDArray[np.int8]
    currency: npt.NDArray[np.int8]
    variant: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.member)


def draw_people(first: int, count: int, rng: np.random.Generator) -> People:
    """Draw people: four in ten are members already, the others strangers.

    Households share devices (two customers on one), and now and then a reading room's computer is used by
    six, which is more than a device may have.
    """
    numbers = first + np.arange(count, dtype=np.int64)
    device = numbers[:, None] * DEVICE_SLOTS + np.arange(DEVICE_SLOTS)
    _share(device, group=2, every=40, rng=rng)
    _share(device, group=6, every=1000, rng=rng)
    member = (rng.random(count) < 0.4) | np.isin(numbers, list(ODD_IDS))  # odd ids are only seen on customers
    return People(
        first=first,
        member=member,
        known_from=np.where(member, START, NEVER),
        devices=rng.choice([1, 2, 3], count, p=[0.45, 0.4, 0.15]).astype(np.int64),
        device=device,
        consent=rng.choice([-1, 0, 1, 2], count, p=[0.3, 0.15, 0.1, 0.45]).astype(np.int8),
        currency=rng.choice([0, 1], count, p=[0.97, 0.03]).astype(np.int8),
        variant=rng.integers(0, 2, count).astype(np.int8),
    )


def _share(device: Ints, *, group: int, every: int, rng: np.random.Generator) -> None:
    """Give the first device of one in ``every`` persons to the ``group - 1`` that follow."""
    heads = np.flatnonzero(rng.random(max(len(device) - group + 1, 0)) < 1 / every)
    for step in range(1, group):
        device[heads + step, 0] = device[heads, 0]


_MONTHS = np.array([1.15, 0.95, 1.0, 0.95, 0.9, 1.0, 0.8, 0.6, 1.25, 1.15, 1.15, 1.1])
_WEEKDAYS = np.array([1.15, 1.1, 1.05, 1.05, 1.0, 0.75, 0.5])
_HOURS = np.array(
    [1, 0.5, 0.3, 0.2, 0.2, 0.5, 1.5, 3, 5, 6.5, 7, 6.5, 6, 5.5, 6, 6, 6, 6.5, 7, 7.5, 7.5, 6.5, 4, 2]
)


def _day_shares() -> npt.NDArray[np.float64]:
    days = np.arange(START // DAY, END // DAY)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    weights = _MONTHS[month] * _WEEKDAYS[(days + 3) % 7] * np.linspace(1, 1.2, len(days))
    shares: npt.NDArray[np.float64] = np.cumsum(weights) / weights.sum()
    return shares


_DAYS = _day_shares()
_DAY_HOURS = np.cumsum(_HOURS) / _HOURS.sum()


def seasonal(rng: np.random.Generator, count: int) -> Ints:
    """Draw instants in the two years: more in autumn, on weekdays, in the evening, and ever a little more."""
    day = np.searchsorted(_DAYS, rng.random(count), side="right")
    return START + day * DAY + time_of_day(rng, count)


def time_of_day(rng: np.random.Generator, count: int) -> Ints:
    """Draw times of day in microseconds; half of them whole seconds, so that equal times are common."""
    second = np.searchsorted(_DAY_HOURS, rng.random(count), side="right") * 3600 + rng.integers(
        0, 3600, count
    )
    micros = rng.integers(0, 1_000_000, count) * (rng.random(count) < 0.5)
    return np.asarray(second * 1_000_000 + micros, np.int64)


def after(rng: np.random.Generator, at: Ints, days: float, spread: float = 0.8) -> Ints:
    """Draw instants after ``at``: log-normal, ``days`` the median."""
    wait = np.minimum(days * np.exp(spread * rng.standard_normal(len(at))), 3000)
    return np.asarray(at + (wait * DAY).astype(np.int64), np.int64)


def opening_hours(rng: np.random.Generator, at: Ints) -> Ints:
    """Move instants to the next working day, between nine and six."""
    day = at // DAY + 1
    day = day + (day % 7 == 3)  # the epoch was a Thursday: 3 is Sunday
    return np.asarray(day * DAY + rng.integers(9 * 3600, 18 * 3600, len(at)) * 1_000_000, np.int64)


def some(rng: np.random.Generator, who: Ints, share: float) -> Ints:
    """Return the positions, in ``who``, of about that share of it."""
    return np.flatnonzero(rng.random(len(who)) < share)
