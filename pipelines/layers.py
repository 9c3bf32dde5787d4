"""The layers of a config: TOML files and flags, read, merged, with every value traced to where it stands.

A ``[[source]]`` is known by its name here, not by its place in a list, so that a later layer can change one
key of it and a mistake can name it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parcours.pipelines.mistakes import Mistake, nearest
from parcours.pipelines.secrets import Secrets

COMMAND_LINE = "command line"

Place = tuple[Any, ...]
"""Keys from the top of the config down; a source without its own name has (layer, position)."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PREFIX = "PARCOURS_"
_KAFKA_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")


@dataclass(frozen=True)
class Layer:
    """One config file, or the flags of the command line; sources are a dictionary by name."""

    name: str
    folder: Path
    data: dict[str, Any]


def read_layer(path: Path) -> dict[str, Any] | Mistake:
    """Read one TOML file, or say why it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return Mistake(str(path), "", "there is no such file", suggestion=near_file(path))
    except OSError as error:
        return Mistake(str(path), "", f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return Mistake(str(path), "", f"it is not UTF-8 (at line {line}): save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        return Mistake(str(path), "", f"it is not TOML: {error}")


def near_file(path: Path) -> str | None:
    """Return the file beside a missing one whose name is spelled most like it."""
    try:
        return nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return None


def by_name(number: int, name: str, data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """Turn a layer's list of sources into a dictionary by name.

    Args:
        number: the layer's number, to keep nameless sources of two layers apart.
        name: the layer's name, for mistakes.
        data: the layer as read.
    """
    if "source" not in data:
        return dict(data), []
    entries = data["source"]
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        rest = {key: value for key, value in data.items() if key != "source"}
        return rest, [Mistake(name, "source", "write [[source]], one such block for each source")]
    sources: dict[Any, Any] = {}
    twice: list[str] = []
    for position, entry in enumerate(entries, start=1):
        given = entry.get("name") if isinstance(entry, Mapping) else None
        if isinstance(given, str) and given in sources:
            twice.append(given)
        known_by_name = isinstance(given, str) and given not in twice
        sources[given if known_by_name else (number, position)] = entry
    return {**data, "source": sources}, [
        Mistake(name, show_place(("source", given)), "two sources have one name; rename one of them")
        for given in dict.fromkeys(twice)
    ]


def merge(lower: Mapping[Any, Any], upper: Mapping[Any, Any]) -> dict[Any, Any]:
    """Lay one tree over another: tables merge key by key, everything else is replaced."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = (
            merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def origin(layers: Sequence[Layer], place: Place) -> Layer:
    """Return the layer that a place of the merged config comes from: the last of those that know it best."""

    def depth(layer: Layer) -> int:
        node: Any = layer.data
        for known, key in enumerate(place):
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return known
        return len(place)

    return max(reversed(layers), key=depth)


def show_place(place: Place) -> str:
    """Write a place for people: ``source "crm" > map > customer_id``."""
    parts = [str(part) if not isinstance(part, int) else f"[{part}]" for part in place]
    if len(place) > 1 and place[0] == "source":
        name = place[1]
        parts[:2] = [f'source "{name}"' if isinstance(name, str) else f"source #{name[1]}"]
    return " > ".join(parts)


def walk(node: Any, visit: Callable[[Place, str], Any], place: Place = ()) -> Any:
    """Return the tree with every text replaced by what ``visit`` makes of it."""
    if isinstance(node, Mapping):
        return {key: walk(value, visit, (*place, key)) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [walk(value, visit, (*place, index)) for index, value in enumerate(node)]
    return visit(place, node) if isinstance(node, str) else node


def is_path(place: Place) -> bool:
    """Say whether a place of the config holds a file or folder."""
    match place:
        case ("store", "path" | "staging"):
            return True
        case ("taxonomy", "events_file" | "channels_file"):
            return True
        case ("publish", "path") | ("lineage", "file"):
            return True
        case ("source", _, "path" | "writer_schema" | "reader_schema" | "schemas"):
            return True
        case ("source", _, "kafka", key) | ("dead_letters", "kafka", key):
            return key in _KAFKA_FILES
    return False


class Resolver:
    """Puts values in place of ``${PARCOURS_X}``, and makes paths absolute.

    Attributes:
        mistakes: variables that are not set, or that no one may use.
        from_variables: the places whose text came from a variable, hence secret.
        unresolved: the places that lack their value; nothing more can be said of them.
    """

    def __init__(self, layers: Sequence[Layer], environ: Mapping[str, str], secrets: Secrets) -> None:
        self._layers = layers
        self._environ = environ
        self._secrets = secrets
        self.mistakes: list[Mistake] = []
        self.from_variables: set[Place] = set()
        self.unresolved: set[Place] = set()

    def __call__(self, place: Place, text: str) -> str:
        """Resolve one text of the merged config."""
        resolved = _VARIABLE.sub(lambda found: self._variable(place, text, found[1]), text)
        if not is_path(place) or not resolved or "://" in resolved:
            return resolved
        return os.path.abspath(origin(self._layers, place).folder / Path(resolved).expanduser())  # noqa: PTH100, resolve() would follow links

    def _variable(self, place: Place, text: str, name: str) -> str:
        value = self._look_up(place, text, name)
        if value is None:
            self.unresolved.add(place)
            return f"${{{name}}}"
        self.from_variables.add(place)
        self._secrets.add([value])
        return value

    def _look_up(self, place: Place, text: str, name: str) -> str | None:
        file = f"{name}_FILE"
        if not name.startswith(_PREFIX) or name == _PREFIX:
            self._mistake(place, text, f"the name of a variable begins with {_PREFIX}")
        elif name in self._environ and file in self._environ:
            self._mistake(place, text, f"{name} and {file} are both set; unset one of them")
        elif name in self._environ:
            return self._environ[name]
        elif file in self._environ:
            try:
                return Path(self._environ[file]).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
                self._mistake(
                    place, text, f'{file} names "{self._environ[file]}", which cannot be read: {reason}'
                )
        else:
            known = [key.removesuffix("_FILE") for key in self._environ if key.startswith(_PREFIX)]
            self._mistake(
                place,
                text,
                f"the environment has neither {name} nor {file}; set one of them",
                nearest(name, known),
            )
        return None

    def _mistake(self, place: Place, text: str, problem: str, suggestion: str | None = None) -> None:
        file = origin(self._layers, place).name
        shown = f'"{self._secrets.mask(text)}"'
        self.mistakes.append(Mistake(file, show_place(place), problem, shown, suggestion=suggestion))
