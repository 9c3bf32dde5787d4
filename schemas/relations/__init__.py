"""One SQL file per relation: its table, view or macro, with a comment on it and on each column.

Lives here: what users query. ``TABLES`` are filled by runs; ``VIEWS`` depend on an instant and are computed
when asked for.
May be imported from anywhere; imports nothing else of parcours.
Must not be added: a figure (``kpis/``), or a statement that fills a table (``transforms/``, ``pipelines/``).
"""

from __future__ import annotations

from importlib import resources

TABLES = (
    "touchpoints",
    "profiles",
    "identity_links",
    "decisions",
    "visits",
    "journeys",
    "journey_amounts",
    "journey_steps",
    "stage_visits",
    "contracts",
    "quotes",
    "claims",
    "cases",
    "ref_customers",
    "ref_contracts",
    "ref_aliases",
    "ref_spend",
    "ref_events_held",
    "ref_indicators",
    "ref_targets",
    "quarantine",
    "quarantine_attempts",
    "fixes",
    "runs",
    "run_balances",
    "quality_results",
    "gate",
    "publications",
    "column_profiles",
    "identity_changes",
    "dim_date",
)

VIEWS = (
    "statistics",
    "french_working_days",
    "default_as_of",
    "journeys_at",
    "journeys_now",
    "contracts_at",
    "contracts_now",
    "contract_premiums_at",
    "contract_premiums_now",
    "quotes_at",
    "quotes_now",
    "claims_at",
    "claims_now",
    "cases_at",
    "cases_now",
    "years_between",
    "ladder_rungs",
    "ladder_rung",
    "profiles_at",
    "profiles_now",
    "ladder_moves",
    "ref_spend_now",
    "ref_events_held_now",
    "ref_indicators_now",
    "ref_targets_now",
)

INTERNAL = ("internal",)
"""What the store keeps for itself, in the schema ``internal``: no promise to users."""


def statement(relation: str) -> str:
    """Return the SQL that creates one relation and comments it."""
    return resources.files(__package__).joinpath(f"{relation}.sql").read_text("utf-8")
