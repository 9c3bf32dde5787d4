"""Avro schemas: from a file, a folder of ``ID.avsc``, or a schema registry."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from parcours.transforms.avro_logical import known_logical

TIMEOUT_SECONDS = 10.0
"""How long a registry may take to answer."""

NOT_FOUND_CODES = (40401, 40402, 40403)
"""A registry's own codes for a subject, version or schema that it does not have."""


class RegistryUnavailableError(Exception):
    """The registry did not answer as a registry does: records wait, they are not refused."""


@dataclass(frozen=True)
class WriterSchema:
    """A parsed schema and its named types by full name, as fastavro normalises them.

    ``recursive`` says that one of its types contains itself.
    """

    parsed: Any
    named: Mapping[str, Any]
    recursive: bool

    @property
    def name(self) -> str:
        """The full name, or the type where it has none."""
        return str(
            self.parsed.get("name", self.parsed["type"]) if isinstance(self.parsed, dict) else self.parsed
        )

    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, in the byte order of single-object encoding."""
        return bytes.fromhex(fingerprint(to_parsing_canonical_form(self.parsed), "CRC-64-AVRO"))


def parse(text: str | bytes, where: str, references: Sequence[str] = ()) -> WriterSchema:
    """Parse a schema's JSON text.

    Args:
        text: the JSON.
        where: what to call it in an error: a file, a topic, a registry's id.
        references: the JSON of the schemas whose names it uses, each after those that it uses itself.

    Raises:
        ValueError: it is not a valid Avro schema, or has an array whose items take no bytes.
    """
    named: dict[str, Any] = {}
    try:
        for reference in references:
            parse_schema(json.loads(reference, object_hook=_sound), named_schemas=named)
        parsed = parse_schema(json.loads(text, object_hook=_sound), named_schemas=named)
        return WriterSchema(parsed, named, _recursive(parsed, named, frozenset()))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{where} is not a usable Avro schema: it is not JSON: {error}") from error
    # fastavro checks as it goes, so that a wrong schema ends in KeyError, TypeError and its own kinds.
    except Exception as error:
        raise ValueError(f"{where} is not a usable Avro schema: {type(error).__name__}: {error}") from error


def _sound(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema.get("fields")
    names = [item["name"] for item in fields if isinstance(item, dict)] if isinstance(fields, list) else []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'the record "{schema.get("name")}" has two fields "{twice[0]}"')
    return known_logical(schema)


def _recursive(schema: Any, named: Mapping[str, Any], inside: frozenset[str]) -> bool:
    """Tell whether a type contains itself; refuse arrays that no corrupt count could run out of."""
    full = schema if isinstance(schema, dict) else {"type": schema}
    kind = full["type"]
    if isinstance(kind, list):
        parts = kind
    elif isinstance(kind, dict):
        parts = [kind]
    elif kind in ("record", "error"):
        if full["name"] in inside:
            return True
        inside |= {full["name"]}
        parts = [item["type"] for item in full["fields"]]
    elif kind == "array":
        if not _takes_bytes(full["items"], named, frozenset()):
            raise ValueError("the items of an array take no bytes, so nothing bounds a corrupt count of them")
        parts = [full["items"]]
    elif kind == "map":
        parts = [full["values"]]
    elif kind in ("enum", "fixed") and isinstance(schema, dict):  # one may be called "enum"
        parts = []
    else:
        parts = [named[kind]] if kind in named else []
    # All parts, also after a recursive one: each may have such an array.
    return True in [_recursive(part, named, inside) for part in parts]


def _takes_bytes(schema: Any, named: Mapping[str, Any], inside: frozenset[str]) -> bool:
    full = schema if isinstance(schema, dict) else {"type": schema}
    kind = full["type"]
    if isinstance(kind, dict):
        takes = _takes_bytes(kind, named, inside)
    elif kind == "fixed":
        takes = full["size"] > 0
    elif kind in ("record", "error"):
        name = full["name"]
        parts = [] if name in inside else [item["type"] for item in full["fields"]]
        takes = any(_takes_bytes(part, named, inside | {name}) for part in parts)
    elif isinstance(kind, str) and kind in named and not (kind == "enum" and isinstance(schema, dict)):
        takes = _takes_bytes(named[kind], named, inside)
    else:
        takes = kind != "null"
    return takes


def read_file(path: str) -> WriterSchema:
    """Read an ``.avsc`` file.

    Raises:
        ValueError: the file cannot be read, or is not a schema.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"the schema {path} cannot be read: {error.strerror}") from error
    return parse(text, path)


class SchemasById(Protocol):
    """Where the schemas of numbered ids are found."""

    def find(self, schema_id: int) -> WriterSchema | None:
        """Give the schema of an id, or None where there is no such id."""
        ...


def open_schemas(place: str) -> SchemasById:
    """Open a folder of ``ID.avsc``, or a registry where ``place`` is a URL.

    Raises:
        ValueError: the folder does not exist.
    """
    if place.startswith(("http://", "https://")):
        return SchemaRegistry(place)
    folder = Path(place)
    if not folder.is_dir():
        raise ValueError(f'schemas = "{place}" is neither a folder of ID.avsc nor the URL of a registry')
    return SchemaFolder(folder)


@dataclass(frozen=True)
class SchemaFolder:
    """A folder of ``ID.avsc``."""

    folder: Path
    _known: dict[int, WriterSchema | None] = field(default_factory=dict, repr=False)

    def find(self, schema_id: int) -> WriterSchema | None:
        """Read the schema of an id once; None where there is no such file.

        Raises:
            ValueError: the file is not a schema.
        """
        if schema_id not in self._known:
            path = self.folder / f"{schema_id}.avsc"
            self._known[schema_id] = read_file(str(path)) if path.is_file() else None
        return self._known[schema_id]

    def all(self) -> list[WriterSchema]:
        """Read every ``.avsc`` file of the folder, whatever its name.

        Raises:
            ValueError: a file is not a schema.
        """
        return [read_file(str(path)) for path in sorted(self.folder.glob("*.avsc"))]


class SchemaRegistry:
    """A registry with Confluent's API. A user and password in the URL are sent, and never shown."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self._base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._login = None
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._login = "Basic " + base64.b64encode(login.encode()).decode()
        self._known: dict[int, WriterSchema | None] = {}

    def __repr__(self) -> str:
        return f"SchemaRegistry({self._base!r})"

    def find(self, schema_id: int) -> WriterSchema | None:
        """Ask for the schema of an id once; None where the registry says that it has none.

        Raises:
            RegistryUnavailableError: it cannot be reached, refuses, or does not answer as a registry.
            ValueError: what it gives is not an Avro schema.
        """
        if schema_id not in self._known:
            path = f"/schemas/ids/{schema_id}"
            found = self._ask(path)
            self._known[schema_id] = None if found is None else self._parse(found, path)
        return self._known[schema_id]

    def versions(self, subject: str) -> list[tuple[str, WriterSchema]]:
        """Ask for every version of a subject: what to call it, and its schema; the oldest first.

        Raises:
            RegistryUnavailableError: as ``find``.
            ValueError: there is no such subject, or a version is not an Avro schema.
        """
        path = f"/subjects/{quote(unquote(subject), safe='')}/versions"
        numbers = self._ask(path)
        if numbers is None:
            raise ValueError(f'the registry at {self._base} has no subject "{unquote(subject)}"')
        places = [f"{path}/{number}" for number in numbers]
        answers = [(place, self._ask(place)) for place in places]
        return [(self._base + place, self._parse(found, place)) for place, found in answers if found]

    def _parse(self, found: Mapping[str, Any], path: str) -> WriterSchema:
        kind = found.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise ValueError(f"the schema at {self._base}{path} is of type {kind}; only Avro can be read")
        texts: dict[str, str] = {}
        self._collect(found, path, texts)
        return parse(found["schema"], self._base + path, list(texts.values()))

    def _collect(self, found: Mapping[str, Any], path: str, texts: dict[str, str]) -> None:
        """Ask for what a schema refers to, in the order in which names have to be known."""
        for each in found.get("references") or ():
            where = f"/subjects/{quote(str(each['subject']), safe='')}/versions/{each['version']}"
            if where in texts:
                continue
            referred = self._ask(where)
            if referred is None:
                raise ValueError(
                    f"the schema at {self._base}{path} refers to version {each['version']} of the subject "
                    f'"{each["subject"]}", which the registry does not have: register it again'
                )
            self._collect(referred, where, texts)
            texts[where] = referred["schema"]

    def _ask(self, path: str) -> Any:
        """Give what the registry answers for a path: a schema, or a list; None where it has no such thing."""
        url = self._base + path
        request = Request(url, headers={"Accept": "application/vnd.schemaregistry.v1+json, application/json"})  # noqa: S310 - http and https only, see open_schemas
        if self._login:
            # Not to be repeated to wherever a redirection leads.
            request.add_unredirected_header("Authorization", self._login)
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                found = json.load(answer)
        except HTTPError as error:
            if error.code == 404 and _error_code(error) in NOT_FOUND_CODES:
                return None
            raise RegistryUnavailableError(
                f"the schema registry answers {error.code} {error.reason} for {url}; "
                'check "schemas" of the source, and its user and password'
            ) from error
        except (OSError, ValueError, HTTPException) as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
            raise RegistryUnavailableError(
                f'no schema registry answers at {url}: {problem}; start it, or check "schemas" of the source'
            ) from error
        if not isinstance(found, list) and not (
            isinstance(found, dict) and isinstance(found.get("schema"), str)
        ):
            raise RegistryUnavailableError(f'{url} answers without a "schema"; check "schemas" of the source')
        return found


def _error_code(error: HTTPError) -> int | None:
    try:
        code = json.load(error).get("error_code")
    except (OSError, ValueError, AttributeError, HTTPException):
        return None
    return code if isinstance(code, int) else None
