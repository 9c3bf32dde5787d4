"""Figures as files: CSV as spreadsheets of the language open it, JSON, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import IO, Any, Literal

import pyarrow as pa

from parcours.schemas.figure import Figure

Language = Literal["en", "fr"]

HEADINGS = {
    "kpi": "indicateur",
    "label": "libellé",
    "unit": "unité",
    "grain": "maille",
    "period_start": "début de période",
    "dimensions": "dimensions",
    "dimension_values": "valeurs",
    "numerator": "numérateur",
    "denominator": "dénominateur",
    "value": "valeur",
    "n": "effectif",
    "low": "borne basse",
    "high": "borne haute",
    "additive": "additif",
    "mature": "période aboutie",
    "incomplete_sources": "sources incomplètes",
    "target": "objectif",
    "options": "options",
    "definition": "définition",
    "rate": "taux",
    "control": "témoin",
    "control_rate": "taux du témoin",
    "p_value": "valeur p",
    "p_adjusted": "valeur p ajustée",
    "verdict": "verdict",
    "from_stage": "étape de départ",
    "to_stage": "étape d'arrivée",
    "window_days": "délai en jours",
    "b_before_a": "arrivée avant le départ",
    "after_window": "hors délai",
    "not_yet": "pas encore",
    "skipped_in": "départ sauté",
    "median_seconds": "médiane en secondes",
    "p90_seconds": "90e centile en secondes",
    "not_yet_by_stage": "pas encore, par étape actuelle",
}
"""What the columns are called in French; one that is not here keeps its name."""

_FRENCH = {
    "day": "jour",
    "week": "semaine",
    "month": "mois",
    "quarter": "trimestre",
    "year": "année",
    "all": "tout",
    "count": "nombre",
    "share": "part",
    "money": "montant",
    "ratio": "rapport",
    "points": "points",
    "score": "note",
    "hours": "heures",
    "days": "jours",
    "years": "années",
    "awareness": "notoriété",
    "consideration": "considération",
    "purchase": "achat",
    "service": "service",
    "loyalty": "fidélité",
    "advocacy": "recommandation",
    "control": "témoin",
    "too few": "effectif insuffisant",
    "better": "meilleur",
    "worse": "moins bon",
    "no difference seen": "pas d'écart constaté",
}
"""Grains, units, stages and verdicts, in these columns."""

_OUR_WORDS = ("grain", "unit", "verdict", "from_stage", "to_stage")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a text for a formula; values of dimensions come from anywhere."""


def write_csv(rows: pa.Table, out: IO[str], named: Mapping[str, Figure], language: Language) -> None:
    """Write figures as a CSV, with each one's label and unit.

    In English: commas, decimal points, dates as 2026-12-31. In French as Excel there opens it: a byte order
    mark, semicolons, decimal commas, dates as 31/12/2026, headings and grains in French. A text that a
    spreadsheet would take for a formula has an apostrophe before it.

    Args:
        rows: as figures answer them.
        out: a file opened with ``newline=""`` in UTF-8.
        named: the figures by name.
        language: of headings, labels and numbers.
    """
    if language == "fr":
        out.write("\ufeff")
    writer = csv.writer(out, delimiter=";" if language == "fr" else ",", lineterminator="\r\n")
    columns = ["kpi", "label", "unit", *(name for name in rows.column_names if name != "kpi")]
    writer.writerow([HEADINGS.get(name, name) if language == "fr" else name for name in columns])
    for row in rows.to_pylist():
        figure = named[row["kpi"]]
        row |= {"label": getattr(figure.label, language), "unit": figure.unit}
        if language == "fr":
            row |= {name: _FRENCH[row[name]] for name in _OUR_WORDS if name in row}
        writer.writerow([_cell(row[name], language) for name in columns])


def _cell(value: Any, language: Language) -> str:
    match value:
        case None:
            return ""
        case bool():
            return ("non", "oui")[value] if language == "fr" else str(value).lower()
        case list() | dict():
            items = value if isinstance(value, list) else [f"{name}: {item}" for name, item in value.items()]
            return _cell(" | ".join("" if item is None else str(item) for item in items), language)
        case date():
            return value.strftime("%d/%m/%Y") if language == "fr" else value.isoformat()
        case int() | float() | Decimal():
            text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
            return text.replace(".", ",") if language == "fr" else text
    return disarmed(str(value))


def disarmed(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_json(
    rows: pa.Table,
    out: IO[str],
    missing: Mapping[str, tuple[str, ...]],
    left_out: Mapping[str, tuple[str, ...]],
) -> None:
    """Write one object: ``rows``, and by figure what it needs and is not there, and what it does not have."""
    out.write(
        json.dumps(
            {
                "rows": [{name: _plain(value) for name, value in row.items()} for row in rows.to_pylist()],
                "not_available": {name: list(needs) for name, needs in missing.items()},
                "left_out": {name: list(what) for name, what in left_out.items()},
            },
            ensure_ascii=False,
        )
        + "\n"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
