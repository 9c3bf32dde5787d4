"""CSV records to columns of text: pyarrow parses the batch, once each record is known to stand alone."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from parcours.transforms.elements import DecodedPart
from parcours.transforms.raw_rows import RawRows, Rejects, columns_beside_row
from parcours.transforms.text_rows import BOM, decode_text


class CsvColumns:
    """Decodes records of format ``csv``: every column is text, and an empty value is an empty text.

    Quotes mean something at the start of a value only, as in ``"a, b"``; a quote inside one is doubled.
    """

    def __init__(self, encoding: str, delimiter: str, quote: str) -> None:
        self._encoding = encoding
        self._delimiter = delimiter
        self._quote = quote
        self._parse = arrow_csv.ParseOptions(
            delimiter=delimiter,
            quote_char=quote or False,
            double_quote=True,
            newlines_in_values=True,
            ignore_empty_lines=False,
        )
        begins, mark = f"(^|{re.escape(delimiter)})", re.escape(quote)
        self._quoted = f"{begins}{mark}(?:[^{mark}]|{mark}{mark})*{mark}"
        self._torn = rf"\r[\s\S]|\n|{begins}{mark}" if quote else r"\r[\s\S]|\n"

    def header(self, line: bytes, topic: str) -> list[str]:
        """Read the names in a header line.

        Raises:
            ValueError: it is not in the source's encoding, a name is empty, or one stands twice.
        """
        try:
            text = (
                line.removeprefix(BOM).decode(self._encoding)
                if self._encoding == "utf-8"
                else line.decode(self._encoding)
            )
        except UnicodeDecodeError as error:
            raise ValueError(
                f'{topic}: the header line is not {self._encoding} ({error}); set the source\'s "encoding"'
            ) from error
        lines = csv.reader(
            io.StringIO(text.rstrip("\r\n"), newline=""),
            delimiter=self._delimiter,
            quotechar=self._quote or None,
            quoting=csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE,
        )
        names = next(lines, [])
        if not names or any(not name.strip() for name in names):
            raise ValueError(f"{topic}: the header {text!r} has a column without a name; name every column")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"{topic}: the header names {', '.join(twice)} twice; every column has its own name"
            )
        return names

    def decode(self, rows: RawRows, names: list[str], rejects: Rejects) -> tuple[DecodedPart, ...]:
        """Keep the rows that have a value for every name as a ``columns`` part; refuse the others."""
        rows, texts = decode_text(rows, self._encoding, rejects)
        bare, torn = self._without_quoted(texts)
        found = pc.count_substring(bare, self._delimiter).to_numpy(zero_copy_only=False) + 1
        rejects.add_all(
            rows,
            np.flatnonzero(torn),
            "undecodable",
            "csv.quotes",
            "opens a quote that it never closes, or goes on after its end of line; a quoted value is closed, "
            "and a quote inside it doubled",
        )
        for index in np.flatnonzero(~torn & (found != len(names))).tolist():
            rejects.add(
                int(rows.row[index]),
                "undecodable",
                "csv.columns",
                texts[index].as_py(),
                f"has {found[index]} columns; the header has {len(names)}",
            )
        fine = ~torn & (found == len(names))
        if not fine.all():
            rows, texts = rows.select(fine), texts.filter(pa.array(fine))
        if not len(rows):
            return ()
        table = self._columns(texts, names).add_column(0, "row", pa.array(rows.row))
        return (DecodedPart("columns", table.rename_columns(columns_beside_row(names))),)

    def _without_quoted(self, texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, np.ndarray]:
        """Blank out quoted values, and tell which rows are then not one whole record.

        pyarrow would read such a row together with its neighbours.
        """
        special = pc.match_substring_regex(texts, f"[\r\n{re.escape(self._quote)}]")
        torn = special.to_numpy(zero_copy_only=False)
        if not torn.any():
            return texts, torn
        some = texts.filter(special)
        if self._quote:
            some = pc.replace_substring_regex(some, self._quoted, r"\1")
        torn[torn] = pc.match_substring_regex(some, self._torn).to_numpy(zero_copy_only=False)
        return pc.replace_with_mask(texts, special, some), torn

    def _columns(self, texts: pa.LargeStringArray, names: list[str]) -> pa.Table:
        ended = pc.binary_join_element_wise(
            texts, pa.scalar("\n", pa.large_string()), pa.scalar("", pa.large_string())
        )
        joined = ended.buffers()[2]
        return arrow_csv.read_csv(
            pa.BufferReader(joined),
            # One block: a record never straddles two.
            read_options=arrow_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=joined.size + 1
            ),
            parse_options=self._parse,
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
