"""What merges, aliases and decisions of people moved from one person to another, in one slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from parcours.pipelines.commit import RunInfo, run_sql

TOLD_SINGLY = 3
"""So many slices' changes are told one by one; more are told as a sum."""


@dataclass(frozen=True)
class StageConversion:
    """Journeys of the persons concerned that entered a stage, and of these those that entered a later one."""

    from_stage: str
    to_stage: str
    entered_before: int
    converted_before: int
    entered_after: int
    converted_after: int

    @property
    def is_changed(self) -> bool:
        """Whether the figure is another."""
        before, after = (
            (self.entered_before, self.converted_before),
            (self.entered_after, self.converted_after),
        )
        return before != after


@dataclass(frozen=True)
class IdentityChange:
    """One row of ``identity_changes``."""

    causes: Sequence[str]
    profiles_before: int
    profiles_after: int
    touchpoints_moved: int
    journeys_before: int
    journeys_after: int
    stage_conversions: Sequence[StageConversion]

    def __str__(self) -> str:
        causes, moved = ", ".join(self.causes), _counted(self.touchpoints_moved, "touchpoint")
        if self.profiles_before == self.profiles_after and self.journeys_before == self.journeys_after:
            return (
                f"{moved} moved between {_counted(self.profiles_before, 'person')} with "
                f"{_counted(self.journeys_before, 'journey')} as before ({causes})"
            )
        return (
            f"{_counted(self.profiles_before, 'person')} became {_number(self.profiles_after)}: "
            f"{_counted(self.journeys_before, 'journey')} became {_number(self.journeys_after)} "
            f"({causes}; {moved} moved)"
        )


def _number(count: int) -> str:
    return "one" if count == 1 else f"{count:,}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def told(changes: Sequence[IdentityChange]) -> list[str]:
    """Return the lines that tell a run's changes."""
    if len(changes) <= TOLD_SINGLY:
        return [str(change) for change in changes]
    causes = sorted({cause for change in changes for cause in change.causes})
    moved = _counted(sum(change.touchpoints_moved for change in changes), "touchpoint")
    return [
        f"{len(changes):,} slices moved {moved} between persons ({', '.join(causes)}): see identity_changes"
    ]


def record_change(
    connection: duckdb.DuckDBPyConnection, run: RunInfo, now: datetime
) -> IdentityChange | None:
    """Write what the slice that was merged and built moves by merges, aliases and decisions, if anything.

    Must run before the slice's tables are written: it holds the stored ones against them.
    """
    looked = connection.execute(
        "FROM (FROM changed_links WHERE cause <> 'device' LIMIT 1), (FROM moved LIMIT 1)"
    )
    if not looked.fetchone():
        return None
    run_sql(connection, "identity_changes", {"run_id": run.run_id, "now": now})
    cursor = connection.execute("SELECT * EXCLUDE (run_id, changed_at) FROM identity_change")
    names = [column[0] for column in cursor.description or ()]
    row = cursor.fetchone()
    if row is None:
        return None
    told_as = dict(zip(names, row, strict=True))
    conversions = tuple(StageConversion(**each) for each in told_as.pop("stage_conversions"))
    return IdentityChange(**told_as, stage_conversions=conversions)
