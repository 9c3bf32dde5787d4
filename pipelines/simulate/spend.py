"""What was spent on advertising, per day, campaign and channel: a reference input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parcours.pipelines.simulate.words import DAY, END, START, WORDS

CHANNELS = ("search", "display", "social", "comparator")

_SPEND_STREAM = 2**40
"""Keeps this generator apart from those of the chunks, which are numbered by their first person."""


def write_spend(path: Path, seed: int, records: int) -> None:
    """Write ``spend.csv``: about twelve cents a record in all, on the days when a campaign ran."""
    rng = np.random.Generator(np.random.PCG64([seed, _SPEND_STREAM]))
    lines = ["day,campaign,channel,amount,currency"]
    days = np.arange(START // DAY, END // DAY).astype("datetime64[D]")
    shape = (len(days), len(WORDS["campaign"]), len(CHANNELS))
    # Each campaign runs in weeks of its own: on for six, off for some.
    week = np.arange(len(days)) // 7
    runs = (week[:, None] + 5 * np.arange(shape[1])) % 13 < 6
    weight = rng.gamma(2.0, 1.0, shape) * runs[:, :, None]
    cents = (weight * (12 * records / weight.sum())).astype(np.int64)
    for day, campaign, channel in np.argwhere(cents):
        amount = cents[day, campaign, channel] / 100
        lines.append(f"{days[day]},{WORDS['campaign'][campaign]},{CHANNELS[channel]},{amount:.2f},EUR")
    path.write_text("\n".join(lines) + "\n", "utf-8")
