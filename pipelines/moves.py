"""What a rebuild moves: stored tables held against those just built, before any is written."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from parcours.pipelines.commit import run_sql


@dataclass(frozen=True)
class Moves:
    """How much of a store other rules move.

    Attributes:
        touchpoints: stored touchpoints.
        touchpoints_moved: of these, those that change in at least one column.
        columns: by column of touchpoints, how many change in it.
        journeys: stored journeys.
        journeys_gone: of these, those that are no longer there.
        journeys_changed: of these, those that stay and differ, be it in a step, a stage visit or an amount.
        journeys_new: journeys that were not there.
        journeys_closing: journeys that stay and differ in nothing but ``closes_at``.
        profiles: stored profiles.
        profiles_moved: profiles that come, go or differ.
    """

    touchpoints: int
    touchpoints_moved: int
    journeys: int
    journeys_gone: int
    journeys_changed: int
    journeys_new: int
    journeys_closing: int
    profiles: int
    profiles_moved: int
    columns: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        columns = ", ".join(f"{name} {count:,}" for name, count in self.columns.items() if count)
        touchpoints = f"{self.touchpoints_moved:,} of {self.touchpoints:,} touchpoints"
        moved = self.journeys_gone + self.journeys_changed + self.journeys_closing
        journeys = f"{moved:,} of {self.journeys:,} journeys"
        parts = ", ".join(
            f"{count:,} {word}"
            for count, word in (
                (self.journeys_gone, "gone"),
                (self.journeys_changed, "changed"),
                (self.journeys_new, "new beside them"),
                (self.journeys_closing, "only close at another time"),
            )
            if count
        )
        return (
            f"{touchpoints}{f' ({columns})' if columns else ''}, {journeys}{f' ({parts})' if parts else ''} "
            f"and {self.profiles_moved:,} of {self.profiles:,} profiles"
        )


COLUMNS = ("stage", "roles", "money_role", "medium", "is_direct", "profile_id", "visit_id")
"""Columns of touchpoints that rules decide."""


def count_moves(connection: duckdb.DuckDBPyConnection) -> Moves:
    """Compare what is stored with what was merged and built for every profile; nothing is written yet."""
    run_sql(connection, "moves", {})
    row = connection.execute("FROM touchpoint_moves").fetchone()
    keyed = {relation: rest for relation, *rest in connection.execute("FROM keyed_moves").fetchall()}
    assert row is not None  # noqa: S101  an aggregate gives one row
    profiles, gone, changed, new, _ = keyed.get("profiles", (0,) * 5)
    journeys = keyed.get("journeys", (0,) * 5)
    return Moves(
        touchpoints=row[0],
        touchpoints_moved=row[1],
        columns=dict(zip(COLUMNS, row[2:], strict=True)),
        journeys=journeys[0],
        journeys_gone=journeys[1],
        journeys_changed=journeys[2],
        journeys_new=journeys[3],
        journeys_closing=journeys[4],
        profiles=profiles,
        profiles_moved=gone + changed + new,
    )
