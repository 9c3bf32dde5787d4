"""Every figure of the catalogue once more, slow and obvious: a plain function per figure, a module per phase.

They say in Python what ``docs/catalogue.csv`` and ``docs/catalogue.md`` say in words.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from reference.figures.tally import Twin

FIGURES: dict[str, Twin] = {
    name: twin
    for module in sorted(each.name for each in iter_modules(__path__))
    for name, twin in getattr(import_module(f"{__name__}.{module}"), "FIGURES", {}).items()
}
"""The twins by the names of their figures, from every module that has a ``FIGURES`` of its own."""
