"""The one text of a touchpoint's contents: what makes two records with one event_id equal or not.

Two contents are equal exactly if their values are: texts as they are, times as microseconds since 1970,
amounts as their exact DECIMAL(18,4) text, the score as a number, consent in its given order, attributes in
theirs. In a touchpoint attributes are already sorted by key, then value, and consent and attributes are
lists, never null.

The hash is taken over the values alone, in the contract's order: the names say nothing that the order does
not, and hashing is a third of what validation costs. People are shown the same values with their names.
"""

from __future__ import annotations

from parcours.schemas.touchpoint import FIELDS

_ENCODED = {
    "occurred_at": "epoch_us({})",
    "value": "CAST({} AS VARCHAR)",
    "cost": "CAST({} AS VARCHAR)",
    # minus zero is zero
    "score": "({} + 0)",
}


def canonical_json_sql(relation: str, **columns: str) -> str:
    """Return the SQL expression (VARCHAR) of a touchpoint's contents as one JSON object, nulls included.

    Args:
        relation: the alias that has the touchpoint's columns.
        **columns: for a field, the column of ``relation`` that holds it, where that has another name.
    """
    pairs = (f"'{name}', {value}" for name, value in _values(relation, columns))
    return f"CAST(json_object({', '.join(pairs)}) AS VARCHAR)"


def content_sha256_sql(relation: str, **columns: str) -> str:
    """Return the SQL expression (BLOB, 32 bytes) of the SHA-256 over the JSON array of a touchpoint's values.

    Args:
        relation: as in ``canonical_json_sql``.
        **columns: as in ``canonical_json_sql``.
    """
    return f"unhex({content_sha256_hex_sql(relation, **columns)})"


def content_sha256_hex_sql(relation: str, **columns: str) -> str:
    """Return ``content_sha256_sql`` as 64 hex digits in lower case, which is what DuckDB computes."""
    return f"sha256(json_array({', '.join(value for _, value in _values(relation, columns))}))"


def _values(relation: str, columns: dict[str, str]) -> list[tuple[str, str]]:
    names = ((name, columns.get(name, name)) for name in FIELDS.names)
    return [(name, _ENCODED.get(name, "{}").format(f'{relation}."{column}"')) for name, column in names]
