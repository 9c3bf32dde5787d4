"""The taxonomy as CSV files that marketing owns: read with the config, so that all else sees one taxonomy."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from parcours.pipelines.layers import near_file
from parcours.pipelines.mistakes import Mistake, nearest
from parcours.schemas.config import MONEY_ROLES, STAGES, Channel

Entries = dict[str, dict[str, Any]]
"""Word → what ``[taxonomy]`` would say of it."""


@dataclass(frozen=True)
class _Column:
    """One column: what a cell becomes (null: it may not stand there), and the words to name in a mistake."""

    read: Callable[[str], Any]
    allowed: Sequence[str] = ()
    required: bool = False


def _one_of(words: Sequence[str], *, required: bool = False) -> _Column:
    return _Column({word: word for word in words}.get, words, required)


_SPOKEN = {
    **dict.fromkeys(("true", "yes", "1", "vrai", "oui"), True),
    **dict.fromkeys(("false", "no", "0", "faux", "non"), False),
}
"""How spreadsheets and people write whether something is so."""

_KINDS: dict[str, tuple[str, dict[str, _Column]]] = {
    "events": (
        "event_type",
        {
            "stage": _one_of(STAGES),
            "roles": _Column(lambda text: re.findall(r"[^\s|]+", text)),
            "money_role": _one_of(MONEY_ROLES),
        },
    ),
    "channels": (
        "channel",
        {
            "medium": _one_of(get_args(Channel.model_fields["medium"].annotation), required=True),
            "direct": _Column(lambda text: _SPOKEN.get(text.lower()), ("true", "false")),
        },
    ),
}
"""Per table of the taxonomy, the column of its words and the columns beside it."""


def with_taxonomy_files(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """Put the words of the taxonomy's files beside those that the config itself says.

    Args:
        config: the merged config, variables and paths resolved; only ``[taxonomy]`` is looked at.

    Returns:
        The config with all words, and what is wrong with the files: file, line, column, value, what is
        allowed. A word that the config says too is a mistake; a file that is named and is not there as well.
    """
    taxonomy = config.get("taxonomy")
    if not isinstance(taxonomy, Mapping):
        return dict(config), []
    words, mistakes = dict(taxonomy), list[Mistake]()
    for kind in _KINDS:
        path, said = taxonomy.get(f"{kind}_file"), taxonomy.get(kind, {})
        # a variable that is not set, and what is no path or no table, are mistakes of their own
        if isinstance(path, str) and "${" not in path and isinstance(said, Mapping):
            found, wrong = _read(kind, Path(path), said)
            words[kind] = {**found, **said}
            mistakes += wrong
    return {**config, "taxonomy": words}, mistakes


def _read(kind: str, path: Path, said: Mapping[str, Any]) -> tuple[Entries, list[Mistake]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problem = f"there is no such file; taxonomy > {kind}_file names it"
        return {}, [Mistake(str(path), "", problem, suggestion=near_file(path))]
    except OSError as error:
        return {}, [Mistake(str(path), "", f"it cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return {}, [Mistake(str(path), f"line {line}", "it is not UTF-8: save it as CSV UTF-8")]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    found: Entries = {}
    mistakes: list[Mistake] = []
    try:
        names = [name.strip() for name in next(rows, [])]
        header = _without_empty_end(names, 0)
        mistakes += _wrong_header(kind, path, header)
        lines: dict[str, int] = {}
        for cells in rows if not mistakes else ():
            if any(cell.strip() for cell in cells):
                row = [cell.strip() for cell in cells]
                if len(row) == len(names):
                    row = _without_empty_end(row, len(header))
                mistakes += _add(kind, header, row, path, rows.line_num, said=said, lines=lines, found=found)
    except csv.Error as error:
        mistakes.append(Mistake(str(path), f"line {rows.line_num}", f"it is not CSV: {error}"))
    return found, mistakes


def _without_empty_end(cells: list[str], least: int) -> list[str]:
    """Leave out the empty cells at the end of a row: spreadsheets write columns that nobody filled."""
    length = len(cells)
    while length > least and not cells[length - 1]:
        length -= 1
    return cells[:length]


def _delimiter(text: str) -> str:
    """The header's columns have plain names: what stands between them separates all cells."""
    header = text.partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _wrong_header(kind: str, path: Path, header: Sequence[str]) -> Iterator[Mistake]:
    word, columns = _KINDS[kind]
    known = (word, *columns)
    for name in (word, *(name for name, column in columns.items() if column.required)):
        if name not in header:
            yield Mistake(str(path), "line 1", f"the column {name} is missing", allowed=known)
    for name in dict.fromkeys(header):
        if name not in known:
            near = nearest(name, known)
            yield Mistake(str(path), "line 1", "unknown column", _quoted(name), known, near)
        elif header.count(name) > 1:
            yield Mistake(str(path), "line 1", "the column stands there twice", _quoted(name))


def _add(
    kind: str,
    header: Sequence[str],
    cells: Sequence[str],
    path: Path,
    line: int,
    *,
    said: Mapping[str, Any],
    lines: dict[str, int],
    found: Entries,
) -> Iterator[Mistake]:
    """Add one row to what was found, with the line that it stands in; say what is wrong with it."""
    name, columns = _KINDS[kind]

    def mistake(column: str, problem: str, value: str = "", allowed: Sequence[str] = ()) -> Mistake:
        shown, near = (_quoted(value), nearest(value, allowed)) if value else (None, None)
        return Mistake(str(path), f"line {line}, {column}", problem, shown, allowed, near)

    if len(cells) != len(header):
        problem = f"it has {len(cells)} columns; the header has {len(header)}"
        yield Mistake(str(path), f"line {line}", problem)
        return
    row = dict(zip(header, cells, strict=True))
    word = row[name]
    if not word:
        yield mistake(name, "is missing")
    elif word in lines:
        yield mistake(name, f"line {lines[word]} says it already", word)
    elif word in said:
        yield mistake(name, f"taxonomy > {kind} of the config says it too: say it in one of the two", word)
    entry = {}
    for key, column in columns.items():
        value = row.get(key, "")
        read = column.read(value) if value else None
        if value and read is None:
            yield mistake(key, "is not one of the allowed values", value, column.allowed)
        elif column.required and not value:
            yield mistake(key, "is missing", allowed=column.allowed)
        elif value:
            entry[key] = read
    if all(key in entry for key, column in columns.items() if column.required):
        found.setdefault(word, entry)
    lines.setdefault(word, line)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
