"""What can be wrong with a user's figures beyond the shape of their records: names, options, SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator

from parcours.pipelines.segment_checks import Found
from parcours.schemas.config import Config, Kpi

_TAKEN = ("catalogue", "latest")
"""What ``kpi_`` stands before too."""


def figure_mistakes(config: Config) -> Iterator[Found]:
    """Give what is wrong with ``[figure]`` and with what ``[kpi]`` names.

    Args:
        config: a config whose records are whole; its segments and ladder may be wrong.
    """
    if not config.figure and config.kpi.figures == "all":
        return
    from parcours.kpis.catalogue import PHASES, figures  # noqa: PLC0415, reads every record
    from parcours.kpis.shapes import shape_of  # noqa: PLC0415
    from parcours.kpis.views import all_figures  # noqa: PLC0415

    if config.kpi.figures != "all":
        names = [*figures(), *config.figure, *PHASES]
        for name in config.kpi.figures:
            if name not in names:
                yield Found(("kpi", "figures"), f'"{name}" is no figure and no phase', name, names)
    for name, figure in config.figure.items():
        place = ("figure", name)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name.endswith("_at") or name in _TAKEN:
            yield Found(place, "a figure's name is in snake_case, as quote_to_bind, and ends in no _at")
        if name in all_figures({}):
            yield Found(place, "the catalogue has a figure of this name: choose another")
        keys = [*Kpi.model_fields]
        named = [*figure.options, *(need[7:] for need in figure.needs if need.startswith("option:"))]
        unknown = [key for key in named if key not in keys]
        for key in unknown:
            yield Found(place, f'"{key}" is no key of [kpi]', key, keys)
        if shape_of(figure).is_fixed:
            yield Found((*place, "kind"), f'the kind "{figure.kind}" is that of one figure: choose another')
        elif not unknown:
            yield from _of_rows(name, config)


def _of_rows(name: str, config: Config) -> Iterator[Found]:
    """Compute a figure of nothing: an empty store has every relation that its rows may read."""
    import duckdb  # noqa: PLC0415, slow to load

    from parcours.kpis import segments  # noqa: PLC0415, loads DuckDB
    from parcours.kpis.scope import Scope  # noqa: PLC0415
    from parcours.kpis.shapes import shape_of  # noqa: PLC0415
    from parcours.kpis.views import setting_of  # noqa: PLC0415
    from parcours.schemas import relations  # noqa: PLC0415

    with duckdb.connect() as connection:
        for relation in (*relations.INTERNAL, *relations.TABLES, *relations.VIEWS):
            connection.execute(relations.statement(relation))
        for statement in segments.create_statements(Config()):
            connection.execute(statement)
        try:
            figure = config.figure[name]
            text = shape_of(figure).query(name, figure, Scope("default_as_of()"), setting_of(config))
            connection.execute(text)
        except (duckdb.Error, KeyError, ValueError) as error:
            said = " ".join(str(error).split("\n\n")[0].split())
            if isinstance(error, KeyError):
                said = f"it names ${error.args[0]}, which is none of its options"
            yield Found(("figure", name, "rows"), f"its rows cannot be computed: {said}")
