"""What can be wrong with an expression of a mapping: in a config, and in a fix."""

from __future__ import annotations

from collections.abc import Iterator

from parcours.pipelines.segment_checks import Found
from parcours.schemas.references import fields_of


def expression_mistakes(text: str, loads: str) -> Iterator[Found]:
    """Give what is wrong with an expression; where each stands is the caller's to say.

    Args:
        text: the expression, over the texts of our fields.
        loads: touchpoints, or the reference input whose fields it may speak of.
    """
    from parcours.kpis.conditions import check_expression  # noqa: PLC0415, loads DuckDB

    fields = fields_of(loads).names
    for mistake in check_expression(text, dict.fromkeys(fields, "VARCHAR"), f"field of {loads}"):
        yield Found((), mistake.problem, mistake.unknown, fields if mistake.unknown else ())
