"""Reference inputs: what is known beside the touchpoints, and the fields of each.

A reference is kept as one row per key and ``valid_from``; the relation of input NAME is ``ref_NAME``, whose
comments say what each field means.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from parcours.schemas.touchpoint import AMOUNT, COORDINATES, FIELDS, INSTANT, PAIRS

ID_TYPES = ("customer_id", "anonymous_id")
"""What kind of id an alias may be of."""

DIRECTIONS = ("up", "down")
"""Which way a target lies: values at or above it are good, or values at or below it."""

MONTHS = ("month",)
"""Days that stand for their month: ``2025-03`` is read as its first day."""


@dataclass(frozen=True)
class Reference:
    """One kind of reference input.

    Attributes:
        name: as in a source's ``loads``.
        key: the fields that say what a record is about; all are required.
        fields: the fields of a record, ``valid_from`` (null: since ever) and ``attributes`` last.
        required: the fields that each record has, the key among them.
    """

    name: str
    key: tuple[str, ...]
    fields: pa.Schema
    required: tuple[str, ...]

    @property
    def relation(self) -> str:
        """The table that holds it."""
        return f"ref_{self.name}"

    @property
    def rows(self) -> pa.Schema:
        """One valid record, with where it was read."""
        return pa.schema([*self.fields, *COORDINATES])


def _fields(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*fields, ("valid_from", INSTANT), ("attributes", PAIRS)])


REFERENCES = {
    reference.name: reference
    for reference in (
        Reference(
            "customers",
            ("customer_id",),
            _fields(
                ("customer_id", pa.string()),
                ("member_since", pa.date32()),
                ("member_until", pa.date32()),
                ("region", pa.string()),
                ("birth_year", pa.int64()),
                ("segment", pa.string()),
                ("potential", pa.string()),
            ),
            ("customer_id",),
        ),
        Reference(
            "contracts",
            ("contract_id",),
            _fields(
                ("contract_id", pa.string()),
                ("customer_id", pa.string()),
                ("product", pa.string()),
                ("effective_from", INSTANT),
                ("effective_to", INSTANT),
                ("due_at", INSTANT),
                ("annual_premium", AMOUNT),
                ("currency", pa.string()),
            ),
            ("contract_id", "customer_id"),
        ),
        Reference(
            "aliases",
            ("id_type", "id"),
            _fields(("id_type", pa.string()), ("id", pa.string()), ("customer_id", pa.string())),
            ("id_type", "id", "customer_id"),
        ),
        Reference(
            "spend",
            ("day", "campaign", "channel", "currency"),
            _fields(
                ("day", pa.date32()),
                ("campaign", pa.string()),
                ("channel", pa.string()),
                ("amount", AMOUNT),
                ("currency", pa.string()),
            ),
            ("day", "campaign", "channel", "amount", "currency"),
        ),
        Reference(
            "events_held",
            ("event", "date", "channel"),
            _fields(
                ("event", pa.string()),
                ("date", pa.date32()),
                ("channel", pa.string()),
                ("headcount", pa.int64()),
            ),
            ("event", "date", "channel"),
        ),
        Reference(
            "indicators",
            ("name", "month"),
            _fields(("name", pa.string()), ("month", pa.date32()), ("value", pa.float64())),
            ("name", "month", "value"),
        ),
        Reference(
            "targets",
            ("kpi", "dimension", "period"),
            _fields(
                ("kpi", pa.string()),
                ("dimension", pa.string()),
                ("period", pa.string()),
                ("value", pa.float64()),
                ("direction", pa.string()),
            ),
            ("kpi", "dimension", "period", "value", "direction"),
        ),
    )
}
"""The reference inputs by name."""


def fields_of(loads: str) -> pa.Schema:
    """Return the fields of what a source loads: a touchpoint's, or those of a reference input."""
    return REFERENCES[loads].fields if loads in REFERENCES else FIELDS
