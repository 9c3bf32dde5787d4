"""What conditions of segments and audiences speak of: relations at an instant, and what follows from them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from string import Template
from types import MappingProxyType

import duckdb

from parcours.kpis.conditions import columns_of
from parcours.schemas import relations
from parcours.schemas.segment import Over

MATTERS: dict[Over, tuple[str, str]] = {
    "profiles": ("profile_facts_at", "profile_id"),
    "contracts": ("contract_facts_at", "contract_id"),
    "journeys": ("journey_facts_at", "journey_id"),
    "quotes": ("quote_facts_at", "quote_id"),
    "cases": ("case_facts_at", "case_id"),
}
"""What a condition may be over: the macro whose rows it judges, and the column that names a row."""


def create_statements(time_zone: str) -> list[str]:
    """Return the SQL that makes, or makes anew, the macros of facts in a store with the relations.

    Args:
        time_zone: whose days the facts that are dates are.
    """
    template = resources.files(__package__).joinpath("facts.sql").read_text("utf-8")
    return Template(template).substitute(time_zone=time_zone).removesuffix(";\n").split(";\n\n")


@cache
def columns(over: Over) -> MappingProxyType[str, str]:
    """Return what a condition over profiles, contracts … may speak of, with the types."""
    macro, _ = MATTERS[over]
    return MappingProxyType(columns_of(_empty_store(), f"{macro}(TIMESTAMP '2000-01-01')"))


@cache
def _empty_store() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    for name in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
        connection.execute(relations.statement(name))
    for statement in create_statements("UTC"):
        connection.execute(statement)
    return connection
