"""The relations of figures: for each a macro at an instant and a view at the default one; the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from parcours.kpis import stages
from parcours.kpis.catalogue import figures
from parcours.kpis.figures import Setting, input_relation, lacking
from parcours.kpis.scope import Scope
from parcours.kpis.shapes import shape_of
from parcours.schemas.config import Config
from parcours.schemas.figure import INPUTS, Figure
from parcours.schemas.literal import literal

_CATALOGUE = {
    "kpi": "Name of the figure; its rows are in kpi_NAME, and at an instant in kpi_NAME_at(as_of).",
    "phase": "Stage or chapter that it is listed under.",
    "kind": "How value comes from what is counted, and which interval it has.",
    "unit": "Unit of value.",
    "label_en": "Name for readers, in English.",
    "label_fr": "Name for readers, in French.",
    "explanation_en": "What it says, in English.",
    "explanation_fr": "What it says, in French.",
    "misread_en": "How it can be misread, in English; null for nothing.",
    "misread_fr": "How it can be misread, in French; null for nothing.",
    "numerator": "What is counted.",
    "denominator": "Of what; null for counts and amounts.",
    "grains": "The periods that it has.",
    "dimensions": "What it may be cut by, beside total.",
    "needs": "The inputs, roles and options without which it is not there.",
    "missing": "Those of them that are not there.",
    "available": "Whether nothing is missing. A figure that is not available has no rows.",
}


def all_figures(own: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the figures by name: stage conversion, those of the catalogue, then those of the config."""
    return {stages.NAME: stages.RECORD, **figures(), **own}


def setting_of(config: Config) -> Setting:
    """Return what a config says to all figures."""
    return Setting(
        kpi=config.kpi,
        roles=frozenset(role for event in config.taxonomy.events.values() for role in event.roles),
        expected=tuple(
            source.name
            for source in config.source
            if source.expected_every is not None and source.loads == "touchpoints"
        ),
        segment=config.segment,
        value_cells=config.value_cells,
        experiment=config.experiment,
    )


def create_statements(config: Config) -> list[str]:
    """Return the SQL that makes, or makes anew, the relations of the figures that ``[kpi] figures`` names.

    ``kpi_NAME_at(as_of)`` has the figure's rows, counting what occurred up to ``as_of`` (UTC), and
    ``kpi_NAME`` those at ``default_as_of()``; ``kpi_catalogue`` says which figures there are.
    """
    setting = setting_of(config)
    named = all_figures(config.figure)
    asked = config.kpi.figures
    shown = {
        name: figure
        for name, figure in named.items()
        if not shape_of(figure).is_fixed and (asked == "all" or name in asked or figure.phase in asked)
    }
    statements = [
        statement for name, figure in shown.items() for statement in _relations(name, figure, setting)
    ]
    return [*statements, *_catalogue(named, setting)]


def _relations(name: str, figure: Figure, setting: Setting) -> Iterator[str]:
    view, about = f"kpi_{name}", f"{figure.label.en}. {figure.explanation.en}"
    scope, shape = Scope("as_of", consent=figure.consent), shape_of(figure)
    yield f"CREATE OR REPLACE MACRO {view}_at(as_of) AS TABLE\n{shape.query(name, figure, scope, setting)}"
    yield f"COMMENT ON MACRO TABLE {view}_at IS {literal(f'{about} At an instant (UTC).')}"
    yield f"CREATE OR REPLACE VIEW {view} AS FROM {view}_at(default_as_of())"
    yield f"COMMENT ON VIEW {view} IS {literal(about)}"
    words = {
        "numerator": f"{figure.numerator[0].upper()}{figure.numerator[1:]}.",
        "denominator": figure.denominator and f"{figure.denominator[0].upper()}{figure.denominator[1:]}.",
        "value": f"{shape.columns['value']} Unit: {figure.unit}.",
    }
    for column, text in shape.columns.items():
        yield f"COMMENT ON COLUMN {view}.{column} IS {literal(words.get(column) or text)}"


def _catalogue(named: Mapping[str, Figure], setting: Setting) -> Iterator[str]:
    rows = ",\n".join(_entry(name, figure, setting) for name, figure in named.items())
    told = [name for name in _CATALOGUE if name not in ("missing", "available")]
    absent = ", ".join(
        f"CASE WHEN NOT EXISTS (FROM {input_relation(need)}) THEN {literal(need)} END" for need in INPUTS
    )
    yield f"""CREATE OR REPLACE VIEW kpi_catalogue AS
WITH absent AS (SELECT [{absent}] AS inputs)
SELECT
    {", ".join(told)},
    list_filter(needs, lambda need: list_contains(lacking, need) OR list_contains(inputs, need)) AS missing,
    len(missing) = 0 AS available
FROM (VALUES {rows}) AS named({", ".join(told)}, lacking) CROSS JOIN absent"""
    yield "COMMENT ON VIEW kpi_catalogue IS 'The figures, a row each, and whether they are available.'"
    for column, text in _CATALOGUE.items():
        yield f"COMMENT ON COLUMN kpi_catalogue.{column} IS {literal(text)}"


def _entry(name: str, figure: Figure, setting: Setting) -> str:
    texts = (
        name,
        figure.phase,
        figure.kind,
        figure.unit,
        *(text for words in (figure.label, figure.explanation) for text in (words.en, words.fr)),
        *((figure.misread.en, figure.misread.fr) if figure.misread else (None, None)),
        figure.numerator,
        figure.denominator,
    )
    lists = (
        figure.grains,
        (*figure.dimensions, *figure.numerator_dimensions, *figure.always),
        figure.needs,
        lacking(figure, setting),
    )
    values = [*("NULL" if text is None else literal(text) for text in texts), *map(_list, lists)]
    return f"({', '.join(values)})"


def _list(texts: Iterable[str]) -> str:
    items = ", ".join(map(literal, texts))
    return f"[{items}]::VARCHAR[]"
