"""The SQL of the merge's steps, one file each in ``merge_sql/``."""

from __future__ import annotations

from importlib import resources


def sql(name: str) -> str:
    """Return one step's SQL."""
    return resources.files(__package__).joinpath("merge_sql", f"{name}.sql").read_text("utf-8")
