"""What a test of variants shows: who was exposed, who converted, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import erfc, exp, sqrt
from typing import Any

from reference.figures.awareness import THIRTY_DAYS, of
from reference.figures.loyalty import followers
from reference.figures.tally import Fact, Twin
from reference.figures.world import World, in_order
from reference.model import Row
from reference.stage_conversion import period_start

MINIMUM_SAMPLE = 1000
SIGNIFICANT = 0.05

Counts = Mapping[str, tuple[int, int]]
"""How many converted and how many were exposed, of each variant or each level of a factor."""


def exposures(world: World) -> list[Row]:
    """Return each person's first touchpoint of each experiment that says a variant."""
    found: dict[tuple[str, str], Row] = {}
    for touchpoint in in_order(world.touchpoints):
        if touchpoint["experiment"] is not None and touchpoint["variant"] is not None:
            found.setdefault((touchpoint["profile_id"], touchpoint["experiment"]), touchpoint)
    return list(found.values())


def experiment_exposed(world: World) -> Iterator[Fact]:
    """Persons exposed, when they were."""
    for exposure in exposures(world):
        yield {
            "at": exposure["occurred_at"],
            "numerator": 1,
            **of(exposure, ("experiment", "variant", "channel")),
        }


def experiment_conversion(world: World) -> Iterator[Fact]:
    """Persons exposed, and those who bought within 30 days."""
    purchases = world.with_role("purchase", "contract_signed")
    for exposure in exposures(world):
        yield {
            "at": exposure["occurred_at"],
            "numerator": bool(followers(exposure, purchases, THIRTY_DAYS)),
            "denominator": 1,
            **of(exposure, ("experiment", "variant", "channel")),
        }


def experiment_lift(
    world: World, controls: Mapping[str, str] | None = None, minimum: int = MINIMUM_SAMPLE
) -> list[Row]:
    """Return one row per experiment and variant: how much better than the control it converts."""
    rows = []
    for experiment, facts in by_experiment(world).items():
        counts = converted_of(facts, "variant")
        control = (controls or {}).get(experiment, min(counts))
        compared = judged(compare(counts, control, minimum))
        rows += [
            {**common(facts, world), "experiment": experiment, "variant": name, **row}
            for name, row in compared.items()
        ]
    return rows


def experiment_factors(world: World, minimum: int = MINIMUM_SAMPLE) -> list[Row]:
    """Return one row per experiment, factor and level: how much better than the factor's smallest level."""
    rows = []
    for experiment, facts in by_experiment(world).items():
        factors = [set(levels_of(fact["variant"])) for fact in facts]
        if not factors[0] or any(names != factors[0] for names in factors):
            continue
        compared = {}
        for factor in sorted(factors[0]):
            levels = [{**fact, "level": levels_of(fact["variant"])[factor]} for fact in facts]
            counts = converted_of(levels, "level")
            for level, row in compare(counts, min(counts), minimum).items():
                compared[factor, level] = row
        for (factor, level), row in judged(compared).items():
            known = {"experiment": experiment, "factor": factor, "level": level}
            rows.append({**common(facts, world), **known, **row})
    return rows


def levels_of(variant: str) -> dict[str, str]:
    """Return the level of each factor of a variant written ``factor=level|factor=level``; none otherwise."""
    parts = [part.partition("=") for part in variant.split("|")]
    levels = {factor: level for factor, _, level in parts if factor and level}
    return levels if len(levels) == len(parts) else {}


def by_experiment(world: World) -> dict[str, list[Fact]]:
    """Return the exposures, as facts, whose time to convert is over."""
    found: dict[str, list[Fact]] = {}
    for fact in experiment_conversion(world):
        found.setdefault(fact["experiment"], []).append(fact)
    over = {
        experiment: [fact for fact in facts if fact["at"] + THIRTY_DAYS < world.as_of]
        for experiment, facts in found.items()
    }
    return {experiment: facts for experiment, facts in over.items() if facts}


def common(facts: list[Fact], world: World) -> Row:
    """Return what the rows of an experiment have in common."""
    first = min(fact["at"] for fact in facts)
    experiment = facts[0]["experiment"]
    exposed = [each["occurred_at"] for each in exposures(world) if each["experiment"] == experiment]
    return {
        "grain": "all",
        "period_start": period_start(first, "day", world.options),
        "mature": len(exposed) == len(facts),
    }


def converted_of(facts: list[Fact], name: str) -> dict[str, tuple[int, int]]:
    """Return how many converted of how many, by a dimension."""
    found: dict[str, tuple[int, int]] = {}
    for fact in facts:
        converted, exposed = found.get(fact[name], (0, 0))
        found[fact[name]] = (converted + int(fact["numerator"]), exposed + 1)
    return dict(sorted(found.items()))


def compare(counts: Counts, control: str, minimum: int) -> dict[str, Row]:
    """Return rate, lift with interval and p-value of each variant against the control."""
    c, m = counts.get(control, (0, 0))
    rows: dict[str, Row] = {}
    for name, (a, n) in counts.items():
        row: Row = dict.fromkeys(("value", "low", "high", "p_value"))
        if name != control and c:
            row["value"] = (a / n) / (c / m) - 1
        if name != control and c and a:
            half = 1.959964 * sqrt(1 / a - 1 / n + 1 / c - 1 / m)
            row["low"] = (a / n) / (c / m) * exp(-half) - 1
            row["high"] = (a / n) / (c / m) * exp(half) - 1
        if name != control and m and 0 < a + c < n + m:
            pooled = (a + c) / (n + m)
            z = (a / n - c / m) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
            row["p_value"] = erfc(abs(z) / sqrt(2))
        rows[name] = {
            "numerator": a,
            "denominator": n,
            "rate": a / n,
            "control": control,
            "control_rate": c / m if m else None,
            "is_control": name == control,
            "is_small": min(n, m) < minimum,
            **row,
        }
    return rows


def judged(rows: dict[Any, Row]) -> dict[Any, Row]:
    """Add Holm's correction of the p-values, and the verdict."""
    told = [name for name, row in rows.items() if row["p_value"] is not None]
    ascending = sorted(told, key=lambda name: (rows[name]["p_value"], name))
    largest = 0.0
    for place, name in enumerate(ascending):
        largest = max(largest, min(1.0, (len(ascending) - place) * rows[name]["p_value"]))
        rows[name]["p_adjusted"] = largest
    return {name: {"p_adjusted": None, **row, "verdict": verdict(row)} for name, row in rows.items()}


def verdict(row: Row) -> str:
    """Return what a row says, in words."""
    if row["is_control"]:
        return "control"
    if row["is_small"]:
        return "too few"
    if row.get("p_adjusted") is None or row["p_adjusted"] >= SIGNIFICANT:
        return "no difference seen"
    return "better" if row["rate"] > row["control_rate"] else "worse"


EXPOSED = ("variant", "channel")

FIGURES = {
    "experiment_exposed": Twin(experiment_exposed, "count", EXPOSED, always=("experiment",)),
    "experiment_conversion": Twin(
        experiment_conversion, "share", EXPOSED, always=("experiment",), window=THIRTY_DAYS
    ),
}

COMPARED = {"experiment_lift": experiment_lift, "experiment_factors": experiment_factors}
"""Figures with columns of their own."""
