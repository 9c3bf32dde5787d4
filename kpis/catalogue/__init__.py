"""The figures that parcours has: one TOML file per phase, one table per figure.

Lives here: the records (``parcours.schemas.figure.Figure`` says what each key means) and what reads them.
May import ``parcours.schemas``.
Must not be added: a figure's SQL outside its record.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from parcours.schemas.figure import Figure

PHASES = (
    "awareness",
    "consideration",
    "purchase",
    "service",
    "loyalty",
    "advocacy",
    "members",
    "community",
    "segments",
    "experiments",
)
"""In the order of listing."""


@cache
def figures() -> dict[str, Figure]:
    """Return the figures by name, in the order of listing."""
    found = {}
    for phase in PHASES:
        file = resources.files(__package__).joinpath(f"{phase}.toml")
        if file.is_file():
            for name, record in tomllib.loads(file.read_text("utf-8")).items():
                found[name] = Figure.model_validate({"phase": phase, **record})
    return found
