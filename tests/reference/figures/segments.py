"""Customers and what they are worth, by what is known of them and by what they do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from reference.figures.loyalty import BY_QUARTER, MICRO, last_instant, stands
from reference.figures.members import NOTHING, OF_A_CUSTOMER, customer_of
from reference.figures.service import held_by_person
from reference.figures.tally import Fact, Twin
from reference.figures.world import World


def customers(world: World) -> Iterator[Fact]:
    """Persons, as long as a contract of theirs is in force."""
    known = customer_of(world)
    for person, stretches in held_by_person(world).items():
        for since, until in stretches:
            yield {"since": since, "until": until, "numerator": 1, **known.get(person, NOTHING)}


def customer_value(world: World) -> Iterator[Fact]:
    """A year's premium of what is in force, by who pays it."""
    known = customer_of(world)
    for version in world.premiums:
        if version["annual_premium"] is not None:
            yield {
                "since": version["from_at"],
                "until": version["until_at"],
                "numerator": version["annual_premium"],
                "currency": version["currency"],
                **known.get(version["profile_id"], NOTHING),
            }


def segment_customers(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """The persons of each segment."""
    for segment, person in in_segments(world, ends):
        yield {"numerator": True, "person": person, "segment": segment}


def segment_value(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """A year's premium of what the persons of each segment have in force."""
    for segment, person in in_segments(world, ends):
        for version in world.premiums:
            if (
                version["profile_id"] == person
                and version["annual_premium"] is not None
                and stands(version["from_at"], version["until_at"], ends)
            ):
                yield {
                    "numerator": version["annual_premium"],
                    "segment": segment,
                    "currency": version["currency"],
                }


def in_segments(world: World, ends: datetime) -> set[tuple[str, str]]:
    """Return who is in which segment when a period ends."""
    rows = world.segment_members_at(last_instant(ends, world))
    return {(row["segment"], row["profile_id"]) for row in rows}


def value_cells(world: World, _start: date, _begins: datetime, ends: datetime) -> Iterator[Fact]:
    """Customers, by what they bring and what they may still buy."""
    for row in world.value_cells_at(last_instant(ends, world)):
        yield {"numerator": 1, "cell": row["cell"]}


def value_cell_moves(world: World, _start: date, begins: datetime, ends: datetime) -> Iterator[Fact]:
    """Customers, by the cells they were in when a period began and when it ended."""
    before_of = {row["profile_id"]: row["cell"] for row in world.value_cells_at(begins - MICRO)}
    for row in world.value_cells_at(last_instant(ends, world)):
        before, after = before_of.get(row["profile_id"]), row["cell"]
        move = "new" if before is None else "same" if before == after else "moved"
        yield {"numerator": 1, "move": move, "cell_before": before, "cell_after": after}


FIGURES = {
    "customers": Twin(customers, "count", OF_A_CUSTOMER, standing="end"),
    "customer_value": Twin(customer_value, "amount", OF_A_CUSTOMER, always=("currency",), standing="end"),
    "segment_customers": Twin(
        segment_customers, "count", always=("segment",), snapshot=True, persons=True, grains=BY_QUARTER
    ),
    "segment_value": Twin(
        segment_value,
        "amount",
        always=("segment", "currency"),
        snapshot=True,
        grains=BY_QUARTER,
        parts=False,
    ),
    "value_cells": Twin(value_cells, "count", ("cell",), snapshot=True, grains=BY_QUARTER),
    "value_cell_moves": Twin(
        value_cell_moves, "count", ("move", "cell_before", "cell_after"), snapshot=True, grains=BY_QUARTER
    ),
}
