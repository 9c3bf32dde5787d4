"""JSON records to documents: one valid JSON object a row, checked by DuckDB on the whole batch."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pyarrow as pa

from parcours.transforms.elements import DecodedPart
from parcours.transforms.raw_rows import RawRows, Rejects
from parcours.transforms.text_rows import decode_text

# DuckDB's parser is lenient where JSON is not: it takes trailing commas and NaN, inf, Infinity in any case.
# Both leave a trace outside strings, so strings are blanked out where a first look finds the trace anywhere.
_LENIENT = r"(?i),\s*[}\]]|[:,\[]\s*-?(nan|inf)"
_STRINGS = r'"(?:[^"\\]|\\.)*"'

_FINE, _INVALID, _NOT_AN_OBJECT = 0, 1, 2

_STATE = f"""
    SELECT CASE
        WHEN NOT json_valid(document) THEN {_INVALID}
        WHEN NOT regexp_matches(document, '^\\s*\\{{') THEN {_NOT_AN_OBJECT}
        WHEN regexp_matches(document, '{_LENIENT}')
         AND regexp_matches(regexp_replace(document, '{_STRINGS}', '""', 'g'), '{_LENIENT}') THEN {_INVALID}
        ELSE {_FINE}
    END::TINYINT AS state
    FROM incoming
"""


class JsonDocuments:
    """Decodes records of format ``json``.

    An object with one key twice is valid; the mapping, which is DuckDB's, then sees the first of the two.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._con = duckdb.connect(":memory:", config={"threads": 1})

    def decode(self, rows: RawRows, rejects: Rejects) -> tuple[DecodedPart, ...]:
        """Keep the rows that hold one JSON object as a ``documents`` part; refuse the others."""
        rows, texts = decode_text(rows, self._encoding, rejects)
        self._con.register("incoming", pa.table({"document": texts}))
        state = self._con.sql(_STATE).to_arrow_table()["state"].to_numpy()
        self._con.unregister("incoming")
        for index in np.flatnonzero(state != _FINE).tolist():
            _refuse(int(rows.row[index]), texts[index].as_py(), state[index], rejects)
        fine = state == _FINE
        if not fine.all():
            rows, texts = rows.select(fine), texts.filter(pa.array(fine))
        return (
            (DecodedPart("documents", pa.table({"row": rows.row, "document": texts})),) if len(rows) else ()
        )


def _refuse(row: int, text: str, state: int, rejects: Rejects) -> None:
    """Say what is wrong with one record: the slow way, for refused records alone."""
    if state == _NOT_AN_OBJECT:
        kind = {"[": "array", '"': "string"}.get(text.strip()[:1], "scalar")
        rejects.add(row, "wrong_type", "json.object", text, f"is a JSON {kind}; a record is one JSON object")
        return
    tokens: list[str] = []
    try:
        json.loads(text, parse_constant=tokens.append)
        problem = "breaks JSON's grammar"
    except (ValueError, RecursionError) as error:
        problem, tokens = f"is not valid JSON ({error})", []
    if tokens:
        rejects.add(
            row,
            "not_finite",
            "json.finite",
            text,
            f"holds the number {tokens[0]}; every number in a record is finite",
        )
    else:
        rejects.add(row, "undecodable", "json.valid", text, f"{problem}; a record is one JSON object")
