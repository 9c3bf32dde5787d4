"""What marketing and the board know: spend, events held, indicators and targets, row by row.

Amounts are in cents, so that whoever writes them can add them up exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from parcours.pipelines.simulate.words import DAY, END, START, WORDS

CHANNELS = ("search", "display", "social", "comparator")

_STREAM = 2**40
"""Keeps these generators apart from those of the chunks, which are numbered by their first person."""

_SWISS = "life_savings"
"""The campaign that is paid in francs."""

MONTHS = np.arange(*np.array([START, END], "datetime64[us]").astype("datetime64[M]"))
"""The months of the two years."""


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, _STREAM + number]))


def spend(seed: int, records: int) -> Iterator[tuple[dict[str, Any], int, bool]]:
    """Give what was spent, on the days when a campaign ran: about twelve cents a record in all.

    One row in fifty was an estimate: the invoice, a later version of the same key, follows it.

    Yields:
        The row without its amount, the amount in cents, and whether it is the newest of its key.
    """
    rng = _generator(seed, 0)
    days = np.arange(START // DAY, END // DAY).astype("datetime64[D]")
    shape = (len(days), len(WORDS["campaign"]), len(CHANNELS))
    # Each campaign runs in weeks of its own: on for six, off for some.
    week = np.arange(len(days)) // 7
    runs = (week[:, None] + 5 * np.arange(shape[1])) % 13 < 6
    weight = rng.gamma(2.0, 1.0, shape) * runs[:, :, None]
    cents = (weight * (12 * records / weight.sum())).astype(np.int64)
    invoiced = rng.random(shape) < 0.02
    for day, campaign, channel in np.argwhere(cents):
        row = {
            "day": str(days[day]),
            "campaign": WORDS["campaign"][campaign],
            "channel": CHANNELS[channel],
            "currency": "CHF" if WORDS["campaign"][campaign] == _SWISS else "EUR",
        }
        amount, corrected = int(cents[day, campaign, channel]), bool(invoiced[day, campaign, channel])
        yield row, amount, not corrected
        if corrected:
            yield row | {"valid_from": str(days[day] + 30)}, amount * 11 // 10, True


def events_held(seed: int, attended: npt.NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """Give a fair and a webinar a month, and the members' yearly meeting.

    Args:
        seed: the simulation's.
        attended: how many people are known to have come, by month: the headcounts are never less.
    """
    rng = _generator(seed, 1)
    for number, month in enumerate(MONTHS):
        first = month.astype("datetime64[D]")
        came = int(attended[number])
        yield {
            "event": "fair",
            "date": str(first + rng.integers(0, 28)),
            "channel": "event",
            "headcount": 20 + came + int(rng.integers(0, 80)),
        }
        yield {
            "event": "webinar",
            "date": str(first + rng.integers(0, 28)),
            "channel": "site",
            "headcount": int(rng.integers(5, 60)),
        }
        if number % 12 == 5:
            day = START // DAY + number // 12 * 365 + 160
            yield {
                "event": "annual_meeting",
                "date": str(np.datetime64(day, "D")),
                "channel": "event",
                "headcount": came + int(rng.integers(10, 90)),
            }


def indicators(seed: int) -> Iterator[dict[str, Any]]:
    """Give brand awareness and market share as institutes publish them, month by month."""
    rng = _generator(seed, 2)
    for name, level in (("brand_awareness", 0.42), ("market_share", 0.031)):
        for month in MONTHS:
            level *= 1 + 0.02 * float(rng.standard_normal())  # noqa: PLW2901 - a random walk
            yield {"name": name, "month": str(month), "value": f"{level:.4f}"}


def targets(seed: int) -> Iterator[dict[str, Any]]:
    """Give what the board wants, for years, quarters and months."""
    rng = _generator(seed, 3)
    wanted = (
        ("csat", "total", 0.72, "up"),
        ("csat", "channel=email", 0.7, "up"),
        ("nps", "total", 30.0, "up"),
        ("quote_to_bind", "total", 0.35, "up"),
        ("complaint_answered_on_time", "total", 0.9, "up"),
        ("contract_churn", "total", 0.11, "down"),
        ("unanswered_share", "total", 0.1, "down"),
    )
    periods = ("2024", "2025", *(f"{year}-Q{quarter}" for year in (2024, 2025) for quarter in (1, 2, 3, 4)))
    for kpi, dimension, level, direction in wanted:
        for period in (*periods, *map(str, MONTHS)):
            value = level * (1 + 0.02 * float(rng.standard_normal()))
            yield {
                "kpi": kpi,
                "dimension": dimension,
                "period": period,
                "value": f"{value:.4f}",
                "direction": direction,
            }
