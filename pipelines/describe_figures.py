"""The page of figures, ``docs/kpis.md``: what the catalogue's records say, rendered for reading.

``python -m parcours.pipelines.describe_figures > docs/kpis.md`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from parcours.kpis.catalogue import PHASES, figures
from parcours.schemas.figure import GRAINS, Figure

_HEAD = """# The figures

What parcours computes, phase by phase, with the French name of each. `parcours kpi run NAME` and the view
`kpi_NAME` have the rows; their columns are those of [any figure](tables.md#kpi_csat). Exactly what is counted
is in [catalogue.csv](catalogue.csv); [figures.md](figures.md) shows figures at work. This page is made from
the records by `make tables`.
"""

_INTERVALS = {
    "share": "Wilson's interval",
    "rate": "exact Poisson interval",
    "mean": "Student's t interval",
    "nps": "interval of a difference of shares",
}


def as_markdown(named: Mapping[str, Figure]) -> str:
    """Render figures as one page of Markdown."""
    page = [_HEAD]
    for phase in PHASES:
        page.append(f"## {phase.capitalize()}\n")
        page += [_entry(name, figure) for name, figure in named.items() if figure.phase == phase]
    return "\n".join(page)


def _entry(name: str, figure: Figure) -> str:
    of = f" / {figure.denominator}" if figure.denominator else ""
    told = [figure.kind, f"in {figure.unit}"]
    told += [_INTERVALS[figure.kind]] if figure.kind in _INTERVALS else []
    told += [f"mature {figure.window} after the period"] if not figure.window.startswith("0 ") else []
    told += [f"by {', '.join(figure.grains)}"] if figure.grains != GRAINS else []
    by = (*figure.dimensions, *(f"{name} (numerator)" for name in figure.numerator_dimensions))
    lines = [
        f"### {name}",
        "",
        f"**{figure.label.en}** · *{figure.label.fr}*: {figure.explanation.en}",
        "",
        f"- {figure.numerator}{of}",
        f"- {'; '.join(told)}",
    ]
    lines += [f"- cut by {', '.join(by)}"] if by else []
    lines += [f"- every row by {', '.join(figure.always)}"] if figure.always else []
    lines += [f"- needs {', '.join(figure.needs)}"] if figure.needs else []
    lines += [f"- options: {', '.join(figure.options)}"] if figure.options else []
    lines += [f"- *{figure.misread.en}*"] if figure.misread else []
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(as_markdown(figures()), end="")
