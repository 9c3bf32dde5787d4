"""What can be wrong with segments, cells and audiences beyond their shape: conditions, names, reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from parcours.pipelines.layers import Place


class Found(NamedTuple):
    """A mistake: where, what, the name that is none of those allowed, and these."""

    place: Place
    problem: str
    unknown: str | None = None
    allowed: Sequence[str] = ()


def segment_mistakes(written: Mapping[Any, Any]) -> Iterator[Found]:
    """Give what is wrong with the conditions, and with what audiences name.

    Args:
        written: the merged config, whether or not models can be made of it; what these say of a key is not
            said again.
    """
    segments, cells, audiences = (_table(written, key) for key in ("segment", "value_cells", "audience"))
    if not (segments or cells or audiences):
        return
    from parcours.kpis import facts  # noqa: PLC0415, loads DuckDB
    from parcours.kpis.audiences import mistakes_of_reason  # noqa: PLC0415, loads DuckDB

    for kind, entries in (("segment", segments), ("audience", audiences)):
        for name, entry in entries.items():
            if isinstance(entry, Mapping) and entry.get("over") in facts.MATTERS:
                yield from _of_condition((kind, name, "where"), entry.get("where"), entry["over"])
    for key in ("profitable", "high_potential"):
        yield from _of_condition(("value_cells", key), cells.get(key), "profiles")
    for name, entry in audiences.items():
        if not isinstance(entry, Mapping):
            continue
        named, over = entry.get("segment"), entry.get("over")
        if isinstance(named, str):
            if named not in segments:
                yield Found(("audience", name, "segment"), f'"{named}" is no segment', named, [*segments])
            over = _table(segments, named).get("over")
        for language, text in _table(entry, "reason").items():
            if over in facts.MATTERS and isinstance(text, str):
                place, columns = ("audience", name, "reason", language), [*facts.columns(over)]
                for problem, unknown in mistakes_of_reason(text, columns):
                    yield Found(place, problem, unknown, columns if unknown else ())


def _of_condition(place: Place, text: object, over: Any) -> Iterator[Found]:
    if not isinstance(text, str):
        return
    from parcours.kpis import facts  # noqa: PLC0415, loads DuckDB
    from parcours.kpis.conditions import check  # noqa: PLC0415, loads DuckDB

    columns = facts.columns(over)
    for mistake in check(text, columns, "column"):
        yield Found(place, mistake.problem, mistake.unknown, [*columns] if mistake.unknown else ())


def _table(written: Mapping[Any, Any], key: Any) -> Mapping[Any, Any]:
    found = written.get(key)
    return found if isinstance(found, Mapping) else {}
