"""JSON and CSV records, one line each, written column by column."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from parcours.pipelines.simulate.fields import FIELDS, Field, pick
from parcours.pipelines.simulate.rows import NO_AMOUNT, Ints
from parcours.pipelines.simulate.words import ATTRIBUTES

COLUMNS = (*(field.name for field in FIELDS), *ATTRIBUTES)
CSV_HEADER = ",".join(COLUMNS).encode() + b"\n"

_HUNDREDTHS = [b"", *(f".{cents:02d}".rstrip("0").encode() for cents in range(1, 100))]


class JsonLines:
    """One JSON object a line: absent fields left out, attributes as fields of their own."""

    def words(self, field: Field, words: tuple[str, ...]) -> list[bytes]:
        """See ``Encoder``."""
        if field.kind == "list":
            cells = [json.dumps(word.split("|"), separators=(",", ":")) for word in words]
        else:
            cells = [word if field.kind == "score" else json.dumps(word) for word in words]
        return [*(f',"{field.name}":{cell}'.encode() for cell in cells), b""]

    def text(self, field: Field, values: pa.Array) -> pa.Array:
        """See ``Encoder``."""
        if field.name == "customer_id":  # the only texts with characters that JSON escapes
            values = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
        opening = '{"' if field.name == FIELDS[0].name else ',"'
        return _filled(pc.binary_join_element_wise(f'{opening}{field.name}":"', values, '"', ""))

    def instant(self, field: Field, micros: Ints) -> pa.Array:
        """See ``Encoder``; whole even hours are written with an offset, the others with a Z."""
        offset = np.where(micros // 3_600_000_000 % 8 == 0, 1 + micros // 1_000_000 % 2, 0)
        zone = pick([b'Z"', b'+01:00"', b'+02:00"'], offset)
        return pc.binary_join_element_wise(
            f',"{field.name}":"'.encode(), _iso(micros + offset * 3_600_000_000), zone, b""
        )

    def amount(self, field: Field, cents: Ints) -> pa.Array:
        """See ``Encoder``."""
        return _filled(pc.binary_join_element_wise(f',"{field.name}":', _decimal(cents), ""))

    def attributes(self, columns: list[tuple[str, tuple[str, ...], Ints]]) -> list[pa.Array]:
        """See ``Encoder``."""
        return [pick(self.words(Field(key, "word"), words), codes) for key, words, codes in columns]

    def record(self, cells: list[pa.Array]) -> pa.Array:
        """See ``Encoder``."""
        return pc.binary_join_element_wise(*cells, b"}", b"")


class CsvLines:
    """One comma-separated line a record, in the order of ``COLUMNS``; consent joined by bars."""

    def words(self, field: Field, words: tuple[str, ...]) -> list[bytes]:
        """See ``Encoder``."""
        return [*(f",{word}".encode() for word in words), b","]

    def text(self, field: Field, values: pa.Array) -> pa.Array:
        """See ``Encoder``."""
        if field.name == "customer_id":
            quoted = pc.binary_join_element_wise('"', pc.replace_substring(values, '"', '""'), '"', "")
            values = pc.if_else(pc.match_substring_regex(values, '[",]'), quoted, values)
        values = values.cast(pa.binary()).fill_null(b"")
        if field.name == FIELDS[0].name:
            return values
        return pc.binary_join_element_wise(b",", values, b"")

    def instant(self, field: Field, micros: Ints) -> pa.Array:
        """See ``Encoder``."""
        return pc.binary_join_element_wise(b",", _iso(micros), b"Z", b"")

    def amount(self, field: Field, cents: Ints) -> pa.Array:
        """See ``Encoder``."""
        return pc.binary_join_element_wise(b",", _decimal(cents).cast(pa.binary()).fill_null(b""), b"")

    def attributes(self, columns: list[tuple[str, tuple[str, ...], Ints]]) -> list[pa.Array]:
        """See ``Encoder``."""
        return [pick(self.words(Field(key, "word"), words), codes) for key, words, codes in columns]

    def record(self, cells: list[pa.Array]) -> pa.Array:
        """See ``Encoder``."""
        return pc.binary_join_element_wise(*cells, b"")


def json_record(record: Mapping[str, Any]) -> bytes:
    """Write one record as the lines above do, whatever is wrong with it."""
    flat = {name: value for name, value in record.items() if name != "attributes"}
    if isinstance(flat.get("occurred_at"), int):
        flat["occurred_at"] = iso(flat["occurred_at"])
    return json.dumps({**flat, **record["attributes"]}, ensure_ascii=False, separators=(",", ":")).encode()


def csv_record(record: Mapping[str, Any]) -> bytes:
    """Write one record as the lines above do, whatever is wrong with it."""
    flat = {**record, **record["attributes"], "consent": "|".join(record.get("consent", ()))}
    if isinstance(flat.get("occurred_at"), int):
        flat["occurred_at"] = iso(flat["occurred_at"])
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(flat.get(name, "") for name in COLUMNS)
    return line.getvalue().encode()


def iso(micros: int) -> str:
    """Return UTC microseconds as ISO 8601 with a Z."""
    return str(np.datetime64(micros, "us")) + "Z"


def _iso(micros: Ints) -> pa.Array:
    texts = pa.array(micros).cast(pa.timestamp("us")).cast(pa.string())
    return pc.replace_substring(texts, " ", "T").cast(pa.binary())


def _decimal(cents: Ints) -> pa.Array:
    """Return amounts as the shortest decimal text, null where there is none."""
    absent = cents == NO_AMOUNT
    size = np.abs(np.where(absent, 0, cents))
    sign = pick([b"", b"-"], (cents < 0).astype(np.int8))
    whole = pa.array(size // 100).cast(pa.string()).cast(pa.binary())
    text = pc.binary_join_element_wise(sign, whole, pick(_HUNDREDTHS, size % 100), b"").cast(pa.string())
    return pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), text)


def _filled(values: pa.Array) -> pa.Array:
    return values.cast(pa.binary()).fill_null(b"")
