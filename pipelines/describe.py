"""The page of tables, ``docs/tables.md``: what the comments in a store say, rendered for reading.

``python -m parcours.pipelines.describe > docs/tables.md`` writes it anew.
"""

from __future__ import annotations

import duckdb

from parcours.kpis import segments, views
from parcours.kpis.stage_conversion import create_statements
from parcours.schemas import relations
from parcours.schemas.config import Config, Kpi

_HEAD = """# Tables

What a store holds. The same texts are the comments on the tables, views and columns in the store itself,
where BI tools show them. Times are `TIMESTAMP` in UTC; positions begin at 1. What the words mean is in
[semantics.md](semantics.md).

Of the figures in [kpis.md](kpis.md), `kpi_csat` stands for all: each has a view `kpi_NAME` and a macro
`kpi_NAME_at(as_of)` with these columns; `kpi_experiment_factors` has those of `kpi_experiment_lift`. This
page is made from those comments by `make tables`.
"""

_SECTIONS = (
    ("Journeys", ("touchpoints", "profiles", "identity_links", "decisions", "visits", "journeys",
                  "journey_amounts", "journey_steps", "stage_visits")),
    ("Contracts, quotes, claims, cases", ("contracts", "quotes", "claims", "cases")),
    ("Reference inputs", ("ref_customers", "ref_contracts", "ref_aliases", "ref_spend", "ref_events_held",
                          "ref_indicators", "ref_targets", "ref_spend_now", "ref_events_held_now",
                          "ref_indicators_now", "ref_targets_now")),
    ("Figures", ("kpi_stage_conversion", "kpi_stage_conversion_at", "kpi_csat", "kpi_csat_at",
                 "kpi_experiment_lift", "kpi_experiment_lift_at", "kpi_catalogue")),
    ("Segments", ("segment_members_now", "segment_members_at", "segment_moves", "segment_history_at",
                  "value_cells_now", "value_cells_at", "value_cell_moves", "profile_facts_at",
                  "contract_facts_at", "journey_facts_at", "quote_facts_at", "case_facts_at", "opted_out",
                  "local_day", "days_between")),
    ("At an instant", ("journeys_now", "journeys_at", "contracts_now", "contracts_at",
                       "contract_premiums_now", "contract_premiums_at", "quotes_now", "quotes_at",
                       "claims_now", "claims_at", "cases_now", "cases_at", "profiles_now",
                       "profiles_at", "ladder_moves", "ladder_rungs", "ladder_rung", "years_between",
                       "default_as_of")),
    ("Intervals and tests", ("wilson_low", "wilson_high", "nps_margin", "t_975", "poisson_low",
                             "poisson_high", "normal_two_sided", "gamma_ratio", "erfcx_ratio")),
    ("Operation", ("quarantine", "quarantine_attempts", "fixes", "runs", "run_balances", "quality_results",
                   "gate", "publications", "column_profiles", "identity_changes")),
    ("Calendar", ("dim_date", "french_working_day_after", "is_french_holiday", "easter_sunday", "easter_moon",
                  "easter_weekday")),
)  # fmt: skip
"""Every relation that users query, in reading order."""


def empty_store() -> duckdb.DuckDBPyConnection:
    """Return an in-memory store with every relation and nothing in it.

    Of the catalogue's figures it has csat and experiment_lift: the others have the columns of one of them.
    """
    connection = duckdb.connect()
    for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
        connection.execute(relations.statement(name))
    shown = Config(kpi=Kpi(figures=("csat", "experiment_lift")))
    for statement in (
        *create_statements(shown.kpi),
        *segments.create_statements(shown),
        *views.create_statements(shown),
    ):
        connection.execute(statement)
    return connection


def as_markdown(connection: duckdb.DuckDBPyConnection) -> str:
    """Render what a store's catalog says of its relations.

    Args:
        connection: a store, empty or not.

    Returns:
        One page of Markdown: each relation's comment, then its columns with type and comment.
    """
    comments = dict(
        connection.execute(
            "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'main'"
            " UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    )
    macros = {
        name: (f"{name}({', '.join(parameters)})", comment)
        for name, parameters, comment in connection.execute(
            "SELECT function_name, parameters, comment FROM duckdb_functions() WHERE NOT internal"
        ).fetchall()
    }
    page = [_HEAD]
    for title, names in _SECTIONS:
        page.append(f"## {title}\n")
        for name in names:
            if name in macros:
                call, comment = macros[name]
                page.append(f"### {call}\n\n{comment}\n")
            else:
                page.append(f"### {name}\n\n{comments[name]}\n\n{_columns(connection, name)}")
    return "\n".join(page)


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    rows = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns()"
        " WHERE schema_name = 'main' AND table_name = ? ORDER BY column_index",
        [relation],
    ).fetchall()
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [f"| {name} | `{type_}` | {comment} |" for name, type_, comment in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(empty_store()), end="")
