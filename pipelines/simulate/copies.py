"""What a log does to events: they arrive late, twice, changed under the same id, or broken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parcours.pipelines.simulate.rows import NO_AMOUNT, Rows
from parcours.pipelines.simulate.words import DAY, code

EXACT, CONFLICTING = 1, 2

SECOND = 1_000_000


@dataclass
class Quota:
    """How many records of each sort are planted in all, and how many events have been drawn so far."""

    good: int
    exact: int
    conflicting: int
    broken: int
    done: int = 0

    def share(self, count: int) -> tuple[int, int, int]:
        """Return the exact, conflicting and broken records due for the next ``count`` events."""
        before, self.done = self.done, self.done + count
        return tuple(  # type: ignore[return-value] # three totals in, three shares out
            total * self.done // self.good - total * before // self.good
            for total in (self.exact, self.conflicting, self.broken)
        )


def spoil(rows: Rows, quota: Quota, kinds: int, late: float, rng: np.random.Generator) -> Rows:
    """Number a chunk's events and add their copies and broken likenesses.

    Conflicting contents come with a later time, or with the same time and no other amount: so whichever wins
    by hash, the event's figures are known. A broken record has an id of its own.

    Args:
        rows: the chunk's events; ``seq`` and ``arrival`` are set in place.
        quota: what is planted in all; this chunk's part is taken from it.
        kinds: how many kinds of fault there are; they are dealt in turn.
        late: the share of events that arrive hours to weeks after they occurred.
        rng: the chunk's generator.

    Returns:
        All records: the events, the copies, the broken ones.
    """
    first, first_broken = quota.done, quota.broken * quota.done // quota.good
    exact, conflicting, broken = quota.share(len(rows))
    rows["seq"] = first + np.arange(len(rows))
    rows["arrival"] = rows["occurred"] + (rng.exponential(2 * SECOND, len(rows))).astype(np.int64)
    delayed = np.flatnonzero(rng.random(len(rows)) < late)
    wait = np.exp(1.2 * rng.standard_normal(len(delayed))) * 2 * DAY
    rows["arrival"][delayed] += wait.astype(np.int64)

    other = rows[rng.choice(len(rows), conflicting, replace=False)]
    other["copy"] = CONFLICTING
    other["content"] = code("content", "corrected")
    moved = rng.random(conflicting) < 0.5
    other["occurred"] += moved * rng.integers(1, 3600, conflicting) * SECOND
    other["value"] += 100 * (moved & (other["value"] != NO_AMOUNT))
    other["arrival"] += rng.integers(-60, 3600, conflicting) * SECOND

    pool = np.concatenate([rows, other])
    again = pool[rng.integers(0, len(pool), exact)]
    again["copy"] = EXACT
    again["arrival"] += rng.exponential(3600 * SECOND, exact).astype(np.int64)

    bad = rows[rng.integers(0, len(rows), broken)]
    bad["seq"] = 2**62 + first_broken + np.arange(broken)
    bad["fault"] = (first_broken + np.arange(broken)) % kinds
    return np.concatenate([pool, again, bad])
