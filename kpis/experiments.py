"""Tests of variants: how each converts beside the control, and whether they differ by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template

from parcours.kpis.figures import COLUMNS as OF_ALL
from parcours.kpis.figures import Setting, common_words
from parcours.kpis.scope import Scope
from parcours.schemas.config import Experiment
from parcours.schemas.figure import Figure
from parcours.schemas.literal import literal

COLUMNS = {
    **OF_ALL,
    "grain": "all: everybody exposed whose time to convert is over.",
    "period_start": "Day of the experiment's first exposure.",
    "dimensions": "What the rows are cut by: always the same.",
    "numerator": "Persons of the variant who converted.",
    "denominator": "Persons who were exposed to it.",
    "value": "rate / control_rate - 1; null for the control, and where control_rate is null or 0.",
    "n": "The denominator.",
    "low": "Lower end of the 95 % interval of value; null where one of the two has no conversions.",
    "high": "Upper end of the 95 % interval of value; null where one of the two has no conversions.",
    "additive": "False.",
    "mature": "True where everybody's time to convert is over.",
    "incomplete_sources": "Sources that declare expected_every and delivered nothing past that time.",
    "target": "Null.",
    "rate": "numerator / denominator.",
    "control": "Name of the control.",
    "control_rate": "The control's rate; null where nobody was exposed to it.",
    "p_value": "Two-sided, of two proportions: how likely chance alone differs as much; null for none.",
    "p_adjusted": "p_value after Holm's correction for all of the experiment's: verdicts go by it.",
    "verdict": "control, too few (exposed to it or to the control), better, worse, or no difference seen.",
}
"""The columns of a lift's rows, with their meaning."""

SHOWN = (
    "kpi", "period_start", "numerator", "denominator", "rate", "value", "low", "high", "p_adjusted",
    "verdict", "mature",
)  # fmt: skip
"""The columns that a terminal shows."""


def query(
    name: str,
    figure: Figure,
    scope: Scope,
    setting: Setting,
    *,
    grains: Sequence[str] = ("all",),
    sets: Sequence[tuple[str, ...]] | None = None,
) -> str:
    """Return the SELECT of a lift's rows, with the columns of ``COLUMNS``: a row per experiment and variant.

    ``always`` of its record has the experiment first and last what is compared: the variant, or the level of
    a factor within its factor. Beside what every figure's may, its ``rows`` may read ``configured``, with the
    ``control`` of each experiment that the config has.

    Args:
        name: the figure's.
        figure: its record.
        scope: the instant, and to what the figure is limited.
        setting: what it is computed with.
        grains: whatever: the grain is all.
        sets: whatever: the rows are cut by ``always``.
    """
    *beside, variant = figure.always
    words = {
        **common_words(name, figure, scope, setting),
        "configured": _configured(setting.experiment),
        "minimum_sample": str(Experiment().minimum_sample),
        "names": ", ".join(figure.always),
        "variant": variant,
        "beside": ", ".join(beside),
        "dimensions": ", ".join(map(literal, figure.always)),
        "is_control": " AND ".join(
            (f"other.{variant} = variants.control", *(f"other.{each} = variants.{each}" for each in beside))
        ),
    }
    template = resources.files(__package__).joinpath("experiments.sql").read_text("utf-8")
    return Template(template).substitute(words)


def _configured(experiments: Mapping[str, Experiment]) -> str:
    rows = [
        f"({literal(name)}, {literal(each.control) if each.control else 'NULL'}, {each.minimum_sample})"
        for name, each in experiments.items()
    ]
    nobody = "(NULL::VARCHAR, NULL::VARCHAR, NULL::BIGINT)"  # for the types; joins to nothing
    return f"VALUES {', '.join((nobody, *rows))}"
