"""Kinds of figures: what is summed up, and how value, n and interval come from the sums."""

from __future__ import annotations

from parcours.schemas.figure import WITHOUT_DENOMINATOR, Figure


def sums_of(figure: Figure) -> dict[str, str]:
    """Return what is summed up in each group and period, as aggregates over the rows."""
    if figure.persons:
        of_whom = {"denominator": "count(person)"} if figure.kind == "share" else {}
        return {"numerator": "count(person) FILTER (numerator)", **of_whom}
    return _SUMS[figure.kind]


_PAIR = {"numerator": "sum(numerator)", "denominator": "sum(denominator)"}
_SUMS = {
    "count": {"numerator": "sum(numerator)"},
    "amount": {"numerator": "sum(numerator)", "counted": "count(numerator)"},
    "share": _PAIR,
    "rate": _PAIR,
    "ratio": {**_PAIR, "counted": "count(nullif(denominator, 0))"},
    "nps": {
        **_PAIR,
        "promoters": "count(nullif(numerator > 0, false))",
        "detractors": "count(nullif(numerator < 0, false))",
    },
    "mean": {
        "numerator": "sum(measure)",
        "denominator": "count(measure)",
        "squares": "sum(measure * measure)",
    },
    "median": {"middle": "quantile_cont(measure, 0.5)", "denominator": "count(measure)"},
    "p90": {"middle": "quantile_cont(measure, 0.9)", "denominator": "count(measure)"},
}

_NUMERATORS = {
    **dict.fromkeys(("count", "share", "rate", "nps"), "numerator::BIGINT"),
    "amount": "numerator::DECIMAL(38, 4)",
    **dict.fromkeys(("median", "p90"), "CAST(NULL AS DOUBLE)"),
}


def numerator_of(figure: Figure) -> str:
    """Return SQL of the numerator in its type."""
    if figure.kind == "amount" and figure.unit == "count":
        return "numerator::BIGINT"
    return _NUMERATORS.get(figure.kind, "numerator::DOUBLE")


DENOMINATORS = {
    **dict.fromkeys(WITHOUT_DENOMINATOR, "CAST(NULL AS BIGINT)"),
    **dict.fromkeys(("ratio", "rate"), "denominator::DOUBLE"),
}
"""SQL of the denominator in its type, where it is no BIGINT."""

_NONE = "CAST(NULL AS DOUBLE)"
_QUOTIENT = "numerator::DOUBLE / nullif(denominator::DOUBLE, 0)"
_MEAN_MARGIN = (
    "t_975((denominator - 1)::BIGINT) * sqrt(greatest(0, ("
    "squares::DOUBLE - numerator::DOUBLE ** 2 / nullif(denominator, 0)"
    ") / nullif(denominator - 1, 0)) / nullif(denominator, 0))"
)
_NPS_MARGIN = "nps_margin(promoters, detractors, denominator)"
VALUES = {
    "count": ("numerator::DOUBLE", "numerator", _NONE, _NONE),
    "amount": ("numerator::DOUBLE", "counted", _NONE, _NONE),
    "share": (
        _QUOTIENT, "denominator", "wilson_low(numerator, denominator)", "wilson_high(numerator, denominator)",
    ),
    "ratio": (_QUOTIENT, "counted", _NONE, _NONE),
    "rate": (
        _QUOTIENT,
        "denominator",
        "poisson_low(numerator) / nullif(denominator, 0)",
        "poisson_high(numerator) / nullif(denominator, 0)",
    ),
    "mean": (_QUOTIENT, "denominator", f"{_QUOTIENT} - {_MEAN_MARGIN}", f"{_QUOTIENT} + {_MEAN_MARGIN}"),
    "median": ("middle", "denominator", _NONE, _NONE),
    "p90": ("middle", "denominator", _NONE, _NONE),
    "nps": (
        f"100 * {_QUOTIENT}",
        "denominator",
        f"100 * {_QUOTIENT} - {_NPS_MARGIN}",
        f"100 * {_QUOTIENT} + {_NPS_MARGIN}",
    ),
}  # fmt: skip
"""By kind: value, n, low and high."""


def adds_up(figure: Figure) -> bool:
    """Tell whether what is counted of two parts of the rows is the sum of what is counted of each."""
    return not figure.persons and figure.kind not in ("median", "p90")
