"""Attempts as tables: a row a step, and a row an attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from parcours.kpis.funnel.attempts import Attempts
from parcours.kpis.funnel.chains import Array, Chains
from parcours.kpis.funnel.events import Events

SECOND = 1_000_000
"""Microseconds."""

Z = 1.959964
"""Of a normal distribution, 95 % lies within so many standard deviations."""


@dataclass(frozen=True)
class FunnelResult:
    """What a funnel found.

    Attributes:
        steps: a row a step and, with a breakdown, value (``breakdown``, null listed): ``position`` from 1,
            ``step``; ``reached``, how many units or, with ``entry = every``, attempts got so far;
            ``rate_from_first`` with the ends of its 95 % interval, ``low`` and ``high`` (Wilson);
            ``rate_from_previous``; ``dropped``, those of the step before that did not get here;
            ``median_seconds``, ``p90_seconds`` and ``mean_seconds`` from the step before, the same
            ``_from_first``; ``excluded``, those left out of every step; and ``mature``: every attempt's
            window was over at ``as_of``. Null at the first step is what needs one before it; a rate of
            nothing is null.
        people: a row an attempt that is not excluded: ``profile_id``, ``unit_id`` (the profile, journey or
            visit), ``attempt`` (from 1), ``reached`` and ``event_ids``, the matches step by step; null unless
            asked for.
        options: what was asked, and what was taken where nothing was said; ``definition`` is a hash of it.
    """

    steps: pa.Table
    people: pa.Table | None
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Groups:
    """What attempts are cut by: for each a number, and the values that the numbers stand for."""

    of: Array
    values: Sequence[str | None]


def steps_table(
    found: Attempts, us: Array, names: Sequence[str], mature_before: int | None, groups: Groups | None
) -> pa.Table:
    """Return a row a step, group by group.

    Args:
        found: the attempts.
        us: the time of each event.
        names: what the steps are called.
        mature_before: an attempt that started before this is mature; null: none is.
        groups: what attempts are cut by; null: nothing.
    """
    chains = found.chains
    of, size = (groups.of, len(groups.values)) if groups else (np.zeros(len(chains.starts), np.int64), 1)
    mature = np.full(size, mature_before is not None)
    if mature_before is not None:
        mature[of[us[chains.starts] >= mature_before]] = False
    counts = ~found.excluded
    first = np.bincount(of[counts], minlength=size)
    columns = [_row(first, first, None, size)]
    before, reached = chains.starts.copy(), first
    for rows, places in chains.matches:
        kept = counts[rows]
        group = of[rows[kept]]
        previous, reached = reached, np.bincount(group, minlength=size)
        row = _row(reached, first, previous, size)
        for suffix, since in (("", before), ("_from_first", chains.starts)):
            times = (us[places] - us[since[rows]])[kept]
            row |= {
                f"{name}_seconds{suffix}": values for name, values in _times(times, group, reached).items()
            }
        before[rows] = places
        columns.append(row)
    for suffix in ("", "_from_first"):
        columns[0] |= {f"{name}_seconds{suffix}": np.full(size, np.nan) for name in ("median", "p90", "mean")}
    steps = len(names)
    return pa.table(
        {
            **(
                {"breakdown": pa.array([v for v in groups.values for _ in names], pa.string())}
                if groups
                else {}
            ),
            "position": np.tile(np.arange(1, steps + 1), size),
            "step": pa.array(list(names) * size, pa.string()),
            **{name: _by_group([row[name] for row in columns]) for name in columns[-1]},
            "excluded": np.repeat(np.bincount(of[found.excluded], minlength=size), steps),
            "mature": np.repeat(mature, steps),
        }
    )


def _by_group(steps: Sequence[Array]) -> pa.Array:
    """Put the values of each step, by group, into the order of groups and steps; NaN is null."""
    values = pa.concat_arrays([pa.array(step, from_pandas=True) for step in steps])
    return values.take(pa.array(np.arange(len(values)).reshape(len(steps), -1).ravel(order="F")))


def _row(reached: Array, first: Array, previous: Array | None, size: int) -> dict[str, Array]:
    """Return the numbers of one step, by group."""
    nothing = np.full(size, np.nan)
    low, high = _wilson(reached, first)
    return {
        "reached": reached,
        "rate_from_first": _ratio(reached, first),
        "low": low,
        "high": high,
        "rate_from_previous": nothing if previous is None else _ratio(reached, previous),
        "dropped": pa.nulls(size, pa.int64()) if previous is None else pa.array(previous - reached),
    }


def _times(times: Array, group: Array, counts: Array) -> dict[str, Array]:
    """Return median, 90th percentile and mean of times, in seconds, by group."""
    ends = np.cumsum(counts)
    ordered = np.sort(times) if len(counts) == 1 else times[np.lexsort((times, group))]
    sums = np.diff(np.append(0, np.append(0, np.cumsum(ordered))[ends]))
    return {
        "median": _quantile(ordered, ends - counts, counts, 0.5),
        "p90": _quantile(ordered, ends - counts, counts, 0.9),
        "mean": _ratio(sums / SECOND, counts),
    }


def _quantile(ordered: Array, begins: Array, counts: Array, share: float) -> Array:
    """Return the seconds below which a share of each group's times lies, interpolated."""
    some = np.flatnonzero(counts)
    at = (counts[some] - 1) * share
    low = begins[some] + np.floor(at).astype(np.int64)
    high = begins[some] + np.ceil(at).astype(np.int64)
    found = np.full(len(counts), np.nan)
    found[some] = (ordered[low] + (ordered[high] - ordered[low]) * (at % 1)) / SECOND
    return found


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Divide; nothing is null where the denominator is 0."""
    nothing = np.full(len(numerator), np.nan)
    ratio: Array = np.divide(numerator, denominator, out=nothing, where=denominator > 0)
    return ratio


def _wilson(hits: Array, of: Array) -> tuple[Array, Array]:
    """Return the ends of Wilson's interval of a share."""
    share, square = _ratio(hits, of), _ratio(np.full(len(of), Z * Z), of)
    middle = (share + square / 2) / (1 + square)
    reach = np.sqrt(share * (1 - share) * square + square * square / 4) / (1 + square)
    return np.maximum(middle - reach, 0), np.minimum(middle + reach, 1)


def people_table(found: Attempts, events: Events) -> pa.Table:
    """Return a row an attempt that is not excluded, by unit and attempt."""
    assert events.table is not None  # noqa: S101  people are asked for: ids were read
    rows = np.flatnonzero(~found.excluded)
    chains = found.chains.pick(rows)
    ends = np.cumsum(chains.reached, dtype=np.int64)
    begins = ends - chains.reached
    places = np.empty(ends[-1] if len(ends) else 0, np.int64)
    places[begins] = chains.starts
    for step, (of, matched) in enumerate(chains.matches, 1):
        places[begins[of] + step] = matched
    ids = events.table["event_id"].combine_chunks().take(pa.array(places))
    first = events.table.select(["profile_id", "unit_id"]).take(pa.array(chains.starts))
    return pa.table(
        {
            "profile_id": first["profile_id"],
            "unit_id": first["unit_id"],
            "attempt": found.number[rows],
            "reached": chains.reached.astype(np.int64),
            "event_ids": pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), ids),
        }
    )


def groups_of(found: Attempts, events: Events, at: str | int) -> Groups:
    """Return what attempts are cut by.

    Args:
        found: the attempts.
        events: the events, with their values.
        at: ``first``, ``last``, or a step from 0: where a value is taken; null where an attempt has not got
            there.
    """
    assert events.table is not None  # noqa: S101  with a breakdown, values were read
    chains = found.chains
    if at == "first":
        places = chains.starts
    elif at == "last":
        places = chains.last()
    else:
        places = _serving(chains, int(at))
    codes = (
        events.table["group_value"]
        .combine_chunks()
        .take(pa.array(places, mask=places < 0))
        .dictionary_encode()
    )
    values = [*codes.dictionary.to_pylist(), None]
    of = codes.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    used = sorted(set(np.unique(of).tolist()), key=lambda n: (values[n] is None, values[n]))
    rank = np.zeros(len(values), np.int64)
    rank[used] = np.arange(len(used))
    return Groups(rank[of], [values[n] for n in used])


def _serving(chains: Chains, step: int) -> Array:
    """Return the place of the event that serves a step of each attempt; -1 where none does."""
    places = np.full(len(chains.starts), -1, np.int64)
    if not chains.served:
        rows, matched = (np.arange(len(places)), chains.starts) if not step else chains.matches[step - 1]
        places[rows] = matched
        return places
    every = [(np.arange(len(places)), chains.starts), *chains.matches]
    for (rows, matched), served in zip(every, chains.served, strict=True):
        places[rows[served == step]] = matched[served == step]
    return places
