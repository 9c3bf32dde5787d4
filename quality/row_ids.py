"""What names a row of each relation: the ids that findings list."""

from __future__ import annotations

from functools import cache

from parcours.schemas import relations
from parcours.schemas.references import REFERENCES

_KEYS = {
    "touchpoints": ("event_id",),
    "profiles": ("profile_id",),
    "identity_links": ("link_id",),
    "visits": ("visit_id",),
    "journeys": ("journey_id",),
    "journey_amounts": ("journey_id", "kind", "currency"),
    "journey_steps": ("journey_id", "position"),
    "stage_visits": ("journey_id", "position"),
    "contracts": ("contract_id",),
    "contract_premiums": ("contract_id", "from_at"),
    "quotes": ("quote_id",),
    "claims": ("claim_id",),
    "cases": ("case_id",),
    **{reference.relation: (*reference.key, "valid_from") for reference in REFERENCES.values()},
    "quarantine": ("quarantine_id",),
    "quarantine_attempts": ("quarantine_id", "attempt"),
    "runs": ("run_id",),
    "run_balances": ("run_id", "source", "source_topic", "source_partition", "from_offset"),
    "kpi_stage_conversion": (
        "grain",
        "period_start",
        "dimensions",
        "dimension_values",
        "from_stage",
        "to_stage",
    ),
}
_FIGURE = ("grain", "period_start", "dimensions", "dimension_values")

TIMES = {
    "touchpoints": "occurred_at",
    "profiles": "first_at",
    "identity_links": "linked_at",
    "visits": "started_at",
    "journeys": "started_at",
    "journey_steps": "occurred_at",
    "stage_visits": "entered_at",
    "contracts": "held_from",
    "quotes": "first_at",
    "claims": "first_at",
    "cases": "first_at",
    "quarantine": "first_at",
    "runs": "started_at",
    "run_balances": "committed_at",
}
"""The column of time by which the rows of a relation are counted by day."""


def identifier(name: str) -> str:
    """Write a name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def row_id(relation: str) -> str:
    """Return the SQL expression (VARCHAR) that names a row; of a relation without a key, the row itself."""
    base = relation.removesuffix("_now")
    keys = _KEYS.get(base) or (_FIGURE if relation.startswith("kpi_") and relation != "kpi_catalogue" else ())
    if not keys:
        return f"left(CAST({identifier(relation)} AS VARCHAR), 200)"
    if len(keys) == 1:
        return f"CAST({keys[0]} AS VARCHAR)"
    return f"concat_ws(' ', {', '.join(keys)})"


@cache
def types_of(relation: str) -> dict[str, str]:
    """Return the columns of a stored relation, or of its view at the default instant, with their types.

    Of other views nothing is known without a store: they have none here.
    """
    base = relation.removesuffix("_now")
    if base not in relations.TABLES:
        return {}
    lines = relations.statement(base).partition("(\n")[2].partition("\n);")[0].splitlines()
    words = [line.strip().rstrip(",").removesuffix(" NOT NULL").partition(" ") for line in lines]
    return {name.strip('"'): kind for name, _, kind in words if kind}
