"""What can be wrong with a config, said so that it can be put right: place, value, what is allowed."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, get_args, get_origin
from zoneinfo import available_timezones

from pydantic import BaseModel

from parcours.pipelines.dead_letter_checks import dead_letter_mistakes
from parcours.pipelines.expression_checks import expression_mistakes
from parcours.pipelines.figure_checks import figure_mistakes
from parcours.pipelines.layers import Layer, Place, is_path, near_file, origin, show_place
from parcours.pipelines.mistakes import Mistake, nearest
from parcours.pipelines.rule_checks import rule_mistakes
from parcours.pipelines.secrets import MASK, Secrets, looks_secret
from parcours.pipelines.segment_checks import Found, segment_mistakes
from parcours.schemas.config import LAST_CONTRACT_ENDED, ROLES, STAGES, Config, source_problems
from parcours.schemas.references import ID_TYPES, REFERENCES, fields_of
from parcours.schemas.touchpoint import FIELDS

_KINDS = {
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "tuple_type": 'should be a list, as ["a", "b"]',
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "literal_error": "is not one of the allowed values",
    "datetime_from_date_parsing": "should be a time, as 2025-01-31T00:00:00Z",
    "datetime_parsing": "should be a time, as 2025-01-31T00:00:00Z",
    "datetime_type": "should be a time, as 2025-01-31T00:00:00Z",
}
_GLOB = re.compile(r"[*?\[]")


class Checker:
    """Finds the mistakes of one merged config, whether or not its models could be made.

    Args:
        layers: what was merged, to name the file of a mistake.
        written: the merged config as it stands in the files, sources by name.
        resolved: the same with variables and paths resolved.
        secrets: masks every message.
        unresolved: places whose variable is not set, of which nothing more can be said.
        lenient: a layer could not be read, so what seems to be missing may stand there.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        written: Mapping[Any, Any],
        resolved: Mapping[Any, Any],
        secrets: Secrets,
        unresolved: AbstractSet[Place],
        *,
        lenient: bool,
    ) -> None:
        self._layers = layers
        self._written = written
        self._resolved = resolved
        self._sources: Mapping[Any, Any] = resolved.get("source", {})
        self._secrets = secrets
        self._unresolved = unresolved
        self._lenient = lenient

    def of_models(self, errors: Sequence[Mapping[str, Any]]) -> list[Mistake]:
        """Say what pydantic found, one mistake a place: the branches of a union belong together."""
        keys = list(self._sources)
        by_place: dict[Place, list[Mapping[str, Any]]] = {}
        for error in errors:
            place = self._place(error["loc"], keys, absent=error["type"] in ("missing", "extra_forbidden"))
            whole = error["type"] == "value_error" and (
                not place or (place[0] == "source" and len(place) == 2)
            )
            hidden = self._lenient and error["type"] == "missing"
            if not whole and not hidden and place not in self._unresolved:
                by_place.setdefault(place, []).append(error)
        return [self._of_model(place, found) for place, found in by_place.items()]

    def _place(self, loc: Sequence[Any], keys: Sequence[Any], *, absent: bool) -> Place:
        """Turn pydantic's location into ours: sources by name, without the names of union branches."""
        place: list[Any] = []
        node: Any = self._written
        for part in loc:
            key = keys[part] if place == ["source"] else part
            known = (
                key in node
                if isinstance(node, Mapping)
                else isinstance(node, list) and key in range(len(node))
            )
            if not known:
                return (*place, key) if absent else tuple(place)
            place.append(key)
            node = node[key]
        return tuple(place)

    def _of_model(self, place: Place, errors: Sequence[Mapping[str, Any]]) -> Mistake:
        kinds = {error["type"] for error in errors}
        problem = "; or ".join(dict.fromkeys(_problem(error) for error in errors))
        allowed: Sequence[str] = ()
        if "extra_forbidden" in kinds:
            allowed = _keys_at(place[:-1])
            return self._mistake(place, problem, allowed, nearest(place[-1], allowed))
        allowed = [word for error in errors for word in _literals(error)]
        if "missing" in kinds:
            return self._mistake(place, problem, _literal_values(place))
        words = available_timezones() if place[-1] == "time_zone" else allowed
        return self._mistake(place, problem, allowed, nearest(self._value(place), words))

    def of_sources(self, *, check_files: bool) -> list[Mistake]:
        """Check what no single key shows: keys that need one another, fields, settings, files."""
        found: list[Mistake] = []
        for name, source in self._sources.items():
            if not isinstance(source, Mapping):
                continue
            place = ("source", name)
            if not self._lenient:
                found += [self._mistake((*place, key), problem) for key, problem in source_problems(source)]
            found += self._of_map(place, source)
            found += self._of_kafka(place, source.get("kafka"))
            found += self._of_files(place, source, check_files=check_files)
        return found

    def _of_map(self, place: Place, source: Mapping[Any, Any]) -> Iterator[Mistake]:
        entries, loads = source.get("map"), str(source.get("loads", "touchpoints"))
        if loads not in ("touchpoints", *REFERENCES):
            return  # a mistake of its own; whose fields these are is not known
        fields = fields_of(loads).names
        for field, entry in (entries if isinstance(entries, Mapping) else {}).items():
            at = (*place, "map", field)
            generated = entry in ("@hash", "@row") or (isinstance(entry, Mapping) and entry.get("generate"))
            if field not in fields:
                hint = "unknown field: our field stands on the left, the source's path on the right"
                if field in FIELDS.names:
                    key = " and ".join(REFERENCES[loads].key)
                    hint = f"a field of touchpoints: {loads} have none; their rows are known by {key}"
                yield self._mistake(at, hint, fields, nearest(field, fields))
            if generated:
                if field != "event_id":
                    yield self._mistake(at, "only event_id can be made with @hash or @row")
            elif isinstance(entry, Mapping) and not any(
                entry.get(key) for key in ("path", "paths", "constant", "sql")
            ):
                yield self._mistake(at, "needs a path, a constant or an expression (sql)")
            if isinstance(entry, Mapping) and isinstance(entry.get("sql"), str):
                yield from self._of_expression((*at, "sql"), entry["sql"], loads, generated=bool(generated))
            words = {"stage": STAGES, "id_type": ID_TYPES}.get(field, ())
            for word in _given_words(entry) if words else ():
                if word not in words:
                    article = "a stage" if field == "stage" else f"an {field}"
                    yield self._mistake(at, f'"{word}" is not {article}', words, nearest(word, words))

    def _of_expression(self, at: Place, text: str, loads: str, *, generated: bool) -> Iterator[Mistake]:
        if generated:
            yield self._mistake(at, "an id that is made with @hash or @row has no expression")
            return
        for found in expression_mistakes(text, loads):
            near = nearest(found.unknown, found.allowed) if found.unknown else None
            yield self._mistake(at, found.problem, found.allowed, near)

    def _of_kafka(self, place: Place, settings: object) -> Iterator[Mistake]:
        if not isinstance(settings, Mapping) or not settings:
            return
        from parcours.transforms.sources.kafka_settings import ALLOWED, refusal  # noqa: PLC0415, loads the client

        for key in settings:
            if key not in ALLOWED:
                yield self._mistake((*place, "kafka", key), refusal(key), ALLOWED, nearest(key, ALLOWED))

    def _of_files(self, place: Place, source: Mapping[Any, Any], *, check_files: bool) -> Iterator[Mistake]:
        texts = {(*place, key): value for key, value in source.items()}
        settings = source.get("kafka")
        if isinstance(settings, Mapping):
            texts |= {(*place, "kafka", key): value for key, value in settings.items()}
        for at, text in texts.items():
            if not is_path(at) or not isinstance(text, str) or "://" in text or at in self._unresolved:
                continue
            problem = None
            if at[-1] == "schemas":
                problem = _folder_problem(text)
            elif at[-1] == "path":
                problem = _input_problem(text) if check_files and source.get("kind") == "file" else None
            else:
                problem = _schema_problem(text) if str(at[-1]).endswith("_schema") else _missing(text)
            if problem:
                yield self._mistake(at, problem, suggestion=near_file(Path(text)))

    def of_ladder(self) -> list[Mistake]:
        """Check the conditions of the loyalty ladder against the facts that they may speak of."""
        rungs = self._written.get("ladder")
        told = {
            rung: text
            for rung, text in (rungs.items() if isinstance(rungs, Mapping) else ())
            if isinstance(text, str)
        }
        if not told:
            return []
        from parcours.kpis.ladder import FACTS, ladder_mistakes  # noqa: PLC0415, loads DuckDB

        return [
            self._mistake(
                ("ladder", found.rung),
                found.problem,
                tuple(FACTS) if found.unknown else (),
                nearest(found.unknown, FACTS) if found.unknown else None,
            )
            for found in ladder_mistakes(told)
        ]

    def of_segments(self) -> list[Mistake]:
        """Check the conditions of segments, cells and audiences, and what audiences name."""
        return self._told(segment_mistakes(self._written))

    def of_dead_letters(self) -> list[Mistake]:
        """Check the dead-letter topic, and the settings of the way to it."""
        return self._told(dead_letter_mistakes(self._resolved))

    def of_figures(self, config: Config) -> list[Mistake]:
        """Check the names, options and SQL of a user's own figures."""
        return self._told(figure_mistakes(config))

    def of_rules(self, config: Config | None) -> list[Mistake]:
        """Check a user's rules, and the figures that the gate names."""
        return self._told(rule_mistakes(self._resolved, config))

    def _told(self, mistakes: Iterable[Found]) -> list[Mistake]:
        return [
            self._mistake(
                found.place,
                found.problem,
                found.allowed,
                nearest(found.unknown, found.allowed) if found.unknown else None,
            )
            for found in mistakes
            if found.place not in self._unresolved
        ]

    def warnings(self, config: Config) -> Iterator[str]:
        """Say what is allowed but was probably not meant."""
        events = config.taxonomy.events
        used = {role for event in events.values() for role in event.roles}
        for name, event in events.items():
            for role in event.roles:
                near = nearest(role, ROLES)
                if role not in ROLES and near:
                    yield f'taxonomy > events > {name}: "{role}" is not a known role; did you mean "{near}"?'
        words = (LAST_CONTRACT_ENDED, *ROLES)
        for word in config.journey.end_on:
            if word not in events and word not in used and word not in words:
                near = nearest(word, [*events, *words])
                hint = f'; did you mean "{near}"?' if near else ""
                yield f'journey > end_on: "{word}" is no event type of the taxonomy and no role{hint}'
        for source in config.source:
            if source.path and _GLOB.search(source.path) and not _any_match(source.path):
                yield f'source "{source.name}": no file matches "{source.path}" at the moment'
            if "event_id" in source.map and source.map["event_id"].generate == "row":
                yield (
                    f'source "{source.name}": event_id = "@row" counts an event twice when its'
                    ' file comes again under another name; "@hash" does not'
                )

    def _mistake(
        self, place: Place, problem: str, allowed: Sequence[str] = (), suggestion: str | None = None
    ) -> Mistake:
        file = origin(self._layers, place).name
        value = self._value(place)
        shown = (
            None
            if value is None or isinstance(value, Mapping)
            else json.dumps(value, ensure_ascii=False, default=str)
        )
        if shown is not None:
            hidden = any(isinstance(part, str) and looks_secret(part) for part in place[-2:])
            shown = MASK if hidden else self._secrets.mask(shown if len(shown) <= 80 else shown[:79] + "…")
        return Mistake(
            file, show_place(place), self._secrets.mask(problem), shown, tuple(allowed), suggestion
        )

    def _value(self, place: Place) -> Any:
        node: Any = self._written
        for key in place:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return None
        return node


def _problem(error: Mapping[str, Any]) -> str:
    kind = str(error["type"])
    if kind in _KINDS:
        return _KINDS[kind]
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _literals(error: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(error["ctx"]["expected"])) if error["type"] == "literal_error" else []


def _annotation(place: Place) -> Any:
    """Return the type that the models give a place."""
    kind: Any = Config
    for key in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[key].annotation if key in kind.model_fields else None
        else:
            inner = get_args(kind)
            kind = inner[1] if get_origin(kind) is dict else inner[0] if inner else None
    return kind


def _keys_at(place: Place) -> list[str]:
    kind = _annotation(place)
    models = (
        each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, BaseModel)
    )
    return [key for model in models for key in model.model_fields]


def _literal_values(place: Place) -> list[str]:
    return [word for word in get_args(_annotation(place)) if isinstance(word, str)]


def _given_words(entry: object) -> list[str]:
    """Return the words of ours that a mapping of a field with few words can give by itself."""
    if isinstance(entry, str):
        return [entry[1:]] if entry.startswith("=") else []
    if not isinstance(entry, Mapping):
        return []
    lookup = entry.get("lookup")
    words = [*lookup.values()] if isinstance(lookup, Mapping) else []
    return [word for word in (*words, entry.get("constant")) if isinstance(word, str)]


def _missing(text: str) -> str | None:
    return None if Path(text).exists() else "there is no such file"


def _input_problem(text: str) -> str | None:
    """Check a source's path. A glob without a match is no mistake if its folder exists: files come and go."""
    path = Path(text)
    if path.is_dir():
        return 'it is a folder: name its files, as "FOLDER/*.ndjson"'
    if path.exists():
        return None
    if not _GLOB.search(text):
        return "there is no such file"
    fixed = path
    while _GLOB.search(str(fixed)):
        fixed = fixed.parent
    return None if fixed.is_dir() else f'no file matches: there is no folder "{fixed}"'


def _any_match(pattern: str) -> bool:
    return any(glob.iglob(pattern, recursive=True))  # noqa: PTH207, a Path cannot glob an absolute pattern


def _schema_problem(text: str) -> str | None:
    missing = _missing(text)
    if missing:
        return missing
    from parcours.transforms.avro_schemas import read_file  # noqa: PLC0415, only for Avro sources

    try:
        read_file(text)
    except ValueError as error:
        return str(error)
    return None


def _folder_problem(text: str) -> str | None:
    """Check a folder of schemas: the first file that is none."""
    folder = Path(text)
    if not folder.is_dir():
        return "there is no such folder"
    return next(filter(None, map(_schema_problem, map(str, sorted(folder.glob("*.avsc"))))), None)
