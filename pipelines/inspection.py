"""A first look at a source: some records through decoding and validation, and what the config still lacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from parcours.pipelines.mistakes import nearest
from parcours.pipelines.toml_text import plain, to_toml
from parcours.schemas.config import STAGES, Config, Source
from parcours.schemas.references import REFERENCES, fields_of
from parcours.schemas.touchpoint import COORDINATES
from parcours.transforms.decode import make_decoder
from parcours.transforms.elements import DecodedBatch, SourceBatch, ValidatedBatch
from parcours.transforms.sources.contract import RangeSource
from parcours.transforms.sources.open import open_source
from parcours.transforms.validate import make_validator

SAMPLES = 3
"""Records shown beside what becomes of them."""

BYTES = 64 * 1024 * 1024
"""Most bytes that a look reads."""

_NEEDED = {
    "touchpoints": ("event_id", "occurred_at", "customer_id", "event_type", "channel"),
    **{name: reference.required for name, reference in REFERENCES.items()},
}
"""The fields without which no record is valid."""

_MEDIA = {
    "digital": ("web", "site", "app", "mobile", "email", "sms", "social", "chat", "portal", "ads"),
    "physical": ("agency", "agence", "store", "shop", "branch", "event", "counter"),
    "human": ("phone", "call", "video", "telephone", "advisor", "callcenter"),
    "mail": ("letter", "post", "courrier", "postal"),
}


@dataclass
class Inspection:
    """What a look at a source found.

    Attributes:
        source: what was looked at.
        read: records read.
        valid: of these, the valid ones.
        samples: the first records: topic and offset, the raw record, and what became of it.
        rejects: by reason, how many, and one of them.
        fields: the source's own fields, nested ones with dots, and in how many records they stood.
        events: event types without a stage, given or by the taxonomy, with counts.
        channels: channels that the taxonomy does not know, with counts.
        warnings: what the source said while reading.
    """

    source: Source
    read: int = 0
    valid: int = 0
    samples: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    rejects: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    fields: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)


def inspect_source(source: Source, config: Config, records: int) -> Inspection:
    """Read the first records of a source through decoding and validation; write nothing.

    A topic that starts at ``latest`` is read from its earliest record here: there would be nothing to see.

    Args:
        source: the source, in the config or not.
        config: the rules and the taxonomy to hold it against.
        records: read at most this many.

    Raises:
        SourceUnavailableError: it cannot be read.
        ValueError: its schema, or the header or schema of one of its files, cannot be used.
    """
    if source.start == "latest":
        source = source.model_copy(update={"start": "earliest"})
    found = Inspection(source)
    decoder = make_decoder(source, config.validation)
    validator = make_validator(source, config)
    with closing(open_source(source, config.validation)) as opened:
        for batch in _first(opened, records, found):
            decoded = decoder.decode(batch)
            _add(found, config, decoded, validator.validate(decoded))
    return found


def _first(opened: RangeSource, records: int, found: Inspection) -> Iterator[SourceBatch]:
    plan = opened.plan({}, first_id=0, records=records, bytes_=BYTES)
    found.warnings.extend(plan.waiting)
    left = records
    for planned in plan.ranges:
        for item in opened.read(planned):
            if not isinstance(item, SourceBatch):
                found.warnings.extend(item.warnings)
                continue
            rows = min(left, item.records.num_rows)
            if rows:
                yield SourceBatch(item.range, item.records.slice(0, rows), item.context)
            left -= rows
            if not left:
                return


def _add(found: Inspection, config: Config, decoded: DecodedBatch, checked: ValidatedBatch) -> None:
    found.read += decoded.source.records.num_rows
    found.valid += checked.touchpoints.num_rows
    if found.source.loads == "touchpoints":
        _add_words(found, config, checked.touchpoints)
    for reject in checked.rejected.to_pylist():
        count, first = found.rejects.get(reject["reason"], (0, reject))
        found.rejects[reject["reason"]] = (count + 1, first)
    _add_fields(found, decoded)
    _add_samples(found, decoded.source, checked)


def _add_words(found: Inspection, config: Config, touchpoints: pa.Table) -> None:
    """Count the event types and channels that the taxonomy lacks."""
    known = {name for name, event in config.taxonomy.events.items() if event.stage}
    for event, stage in zip(*_columns(touchpoints, "event_type", "stage"), strict=True):
        if stage is None and event not in known:
            found.events[event] += 1
    channels = touchpoints["channel"].to_pylist()
    found.channels.update(channel for channel in channels if channel not in config.taxonomy.channels)


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def _add_fields(found: Inspection, decoded: DecodedBatch) -> None:
    for part in decoded.parts:
        if part.kind == "columns":
            table = part.table.drop_columns(["row"])
            found.fields.update(
                {name: table.num_rows - table[name].null_count for name in table.column_names}
            )
        else:
            for text in part.table["document"].slice(0, 100).to_pylist():
                found.fields.update(_paths(json.loads(text)))


def _paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}"


def _add_samples(found: Inspection, source: SourceBatch, checked: ValidatedBatch) -> None:
    wanted = SAMPLES - len(found.samples)
    if wanted <= 0:
        return
    raw = source.records.slice(0, wanted).to_pylist()
    became: dict[int, dict[str, Any]] = {}
    for table, names in (
        (checked.touchpoints, fields_of(found.source.loads).names),
        (checked.rejected, ["step", "reason", "rule", "field", "value", "message"]),
    ):
        near = table.filter(
            pa.compute.is_in(table["source_offset"], pa.array([row["offset"] for row in raw]))
        )
        for row in near.to_pylist():
            shown = {name: row[name] for name in names if row[name] not in (None, [])}
            became[row[COORDINATES.names[3]]] = shown
    for row in raw:
        place = f"{source.range.topic} [{source.range.partition}] {row['offset']}"
        found.samples.append((place, _text(row["value"]), became.get(row["offset"], {})))


def _text(value: bytes | None) -> str:
    if value is None:
        return "(tombstone)"
    text = value[:2_000].decode("utf-8", "replace")
    readable = sum(char.isprintable() or char.isspace() for char in text) > 0.9 * len(text)
    return text if readable and "\x00" not in text else value[:2_000].hex(" ")


def config_block(found: Inspection) -> str:
    """Return what to paste into ``parcours.toml``: the source, the fields it lacks, and the unknown words."""
    source = plain(found.source.model_dump(mode="python", exclude_none=True, exclude_defaults=True))
    source["map"] = {name: _short(entry) for name, entry in source.get("map", {}).items()}
    source["kafka"] = dict.fromkeys(source.get("kafka", {}), "${PARCOURS_…}")
    folder = f"{Path.cwd()}/"
    kept = {
        key: value.removeprefix(folder) if isinstance(value, str) else value
        for key, value in source.items()
        if value not in ({}, [])
    }
    text = to_toml({"source": [kept]})
    lacking = _lacking(found)
    if lacking:
        text += "\n".join(["" if "map" in kept else "[source.map]", *lacking]).lstrip("\n") + "\n"
    return text + words_block(found.events, found.channels)


def words_block(events: Counter[str], channels: Counter[str]) -> str:
    """Return what to paste into ``parcours.toml`` for words that the taxonomy lacks, with their counts."""
    text = ""
    if events:
        text += f"\n# stage: {', '.join(STAGES)}\n"
        text += "".join(
            f'[taxonomy.events.{_key(name)}]  # {_records(count)}\n# stage = ""\n# roles = []\n'
            for name, count in events.most_common()
        )
    if channels:
        text += f"\n# medium: {', '.join(_MEDIA)}\n"
        text += "".join(
            f'[taxonomy.channels.{_key(name)}]  # {_records(count)}\nmedium = "{_medium(name)}"  # a guess\n'
            for name, count in channels.most_common()
        )
    return text


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _lacking(found: Inspection) -> list[str]:
    """Return commented lines for the fields that neither the source nor its mapping gives."""
    lines = []
    for name in _NEEDED[found.source.loads]:
        if name in found.source.map or name in found.fields:
            continue
        if (
            name == "customer_id"
            and found.source.loads == "touchpoints"
            and ("anonymous_id" in found.source.map or "anonymous_id" in found.fields)
        ):
            continue
        guess = "@hash" if name == "event_id" else nearest(name, found.fields) or "…"
        lines.append(
            f'# {name} = "{guess}"  # the source has: {", ".join(sorted(found.fields)) or "nothing readable"}'
        )
    return lines


def _short(entry: Mapping[str, Any]) -> Any:
    """Write a mapping entry in its shortest form."""
    if set(entry) == {"generate"}:
        return f"@{entry['generate']}"
    if set(entry) == {"constant"}:
        return f"={entry['constant']}"
    if set(entry) == {"paths"}:
        return entry["paths"][0] if len(entry["paths"]) == 1 else entry["paths"]
    return entry


def _key(name: str) -> str:
    return to_toml({name: 0}).removesuffix(" = 0\n")


def _medium(channel: str) -> str:
    words = {word: medium for medium, examples in _MEDIA.items() for word in examples}
    parts = [channel.lower(), *channel.lower().replace("-", "_").split("_")]
    exact = next((words[part] for part in parts if part in words), None)
    return exact or words[nearest(channel, words) or "web"]
