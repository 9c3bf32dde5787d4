"""Options that several commands share, and the config that they make together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.log import JsonLog

if TYPE_CHECKING:
    from parcours.pipelines.config import LoadedConfig

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("json", "csv", "parquet", "avro-file")
"""Formats of files; ``schemas.config`` has all of them, but loads pydantic."""


def config_options(function: F) -> F:
    """Add ``--config`` and ``--database``."""
    for option in (
        click.option(
            "--database", metavar="FILE", help="The store to use instead of the config's [store] path."
        ),
        click.option(
            "--config",
            "-c",
            "config_files",
            multiple=True,
            metavar="FILE",
            help="A config file; several are layered, the last one wins. Default: parcours.toml, if there.",
        ),
    ):
        function = option(function)
    return function


def _set_log(context: click.Context, _: click.Parameter, value: str) -> None:
    session = context.ensure_object(Session)
    if value == "json":
        session.log = JsonLog(session.mask)


def log_option(function: F) -> F:
    """Add ``--log-format``; eager, so that a mistake in what follows is an event of the log too."""
    return click.option(
        "--log-format",
        type=click.Choice(["human", "json"]),
        default="human",
        show_default=True,
        is_eager=True,
        expose_value=False,
        callback=_set_log,
        help="json: one object a line on stderr, for a program that reads the log.",
    )(function)


def metrics_options(function: F) -> F:
    """Add ``--metrics-port`` and ``--metrics-address``."""
    for option in (
        click.option(
            "--metrics-address",
            metavar="ADDRESS",
            default="127.0.0.1",
            show_default=True,
            help="Where the metrics are served; 0.0.0.0 is everywhere. They need no password.",
        ),
        click.option(
            "--metrics-port",
            metavar="PORT",
            type=click.IntRange(1, 65535),
            help="With --follow: serve Prometheus metrics at this port.",
        ),
    ):
        function = option(function)
    return function


def file_options(function: F) -> F:
    """Add the options that describe a file without a config."""
    for option in (
        click.option(
            "--null", "nulls", multiple=True, metavar="TEXT", help="A text that means null. Repeatable."
        ),
        click.option("--envelope", metavar="NAME", help="cloudevents or debezium."),
        click.option("--time-zone", metavar="ZONE", help="Zone of times without an offset, as Europe/Paris."),
        click.option("--time-unit", metavar="UNIT", help="Unit of times given as numbers: s, ms or us."),
        click.option("--date-format", metavar="PATTERN", help="strptime pattern, as %d/%m/%Y %H:%M."),
        click.option("--decimal-mark", metavar="CHAR", help="Decimal mark: . or ,"),
        click.option("--quote", metavar="CHAR", help='Quote character of a CSV; "" for none.'),
        click.option("--delimiter", metavar="CHAR", help="Delimiter of a CSV."),
        click.option("--encoding", metavar="NAME", help="utf-8, cp1252 or iso-8859-15."),
        click.option(
            "--map",
            "maps",
            multiple=True,
            metavar="FIELD=PATH",
            help="Our field on the left: customer_id=user.id. FIELD==TEXT is a constant, event_id=@hash an id"
            " made of the record. Repeatable; for one field, the first path that is not null counts.",
        ),
        click.option(
            "--loads",
            metavar="INPUT",
            help="What its records are: touchpoints (default), or a reference input such as contracts.",
        ),
        click.option(
            "--format", "format_", metavar="FORMAT", help=f"Format of the file: {', '.join(FORMATS)}."
        ),
    ):
        function = option(function)
    return function


def mapping(maps: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``--map`` options into ``[source.map]``.

    Raises:
        click.UsageError: one of them is not FIELD=PATH.
    """
    paths: dict[str, list[str]] = {}
    constants: dict[str, str] = {}
    for text in maps:
        field, equals, path = text.partition("=")
        if not (field and equals and path):
            raise click.BadParameter(
                f'"{text}" is not FIELD=PATH, as customer_id=user.id or channel==web', param_hint="--map"
            )
        if path.startswith("="):
            constants[field] = path[1:]
        else:
            paths.setdefault(field, []).append(path)
    entries: dict[str, Any] = {
        field: found[0] if len(found) == 1 and field not in constants else {"paths": found}
        for field, found in paths.items()
    }
    for field, constant in constants.items():
        entries[field] = {**entries.get(field, {}), "constant": constant}
    return entries


def file_source(path: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a file and the options of ``file_options`` into a ``[[source]]``, named by its path as typed.

    Raises:
        click.UsageError: the format is not said, or a mapping is malformed.
    """
    if not flags.get("format_"):
        raise click.UsageError(f"--format is missing; formats are said, never guessed: {', '.join(FORMATS)}")
    keys = (
        "loads",
        "encoding",
        "delimiter",
        "quote",
        "decimal_mark",
        "date_format",
        "time_unit",
        "time_zone",
        "envelope",
    )
    given = {key: flags[key] for key in keys if flags.get(key) is not None}
    if flags.get("nulls"):
        given["nulls"] = list(flags["nulls"])
    if flags.get("maps"):
        given["map"] = mapping(flags["maps"])
    return {"name": path[-128:], "kind": "file", "path": path, "format": flags["format_"], **given}


def read(
    session: Session,
    config_files: tuple[str, ...],
    database: str | None,
    *,
    source: Mapping[str, Any] | None = None,
    check_files: bool = False,
    only_store: bool = False,
    with_sources: bool = True,
) -> LoadedConfig:
    """Load the config that the options describe, and let the session mask its secrets.

    Without ``--config``, ``parcours.toml`` of the working folder is read, unless the source comes from flags.

    Raises:
        ConfigError: it is wrong.
    """
    from parcours.pipelines.config import DEFAULT_FILE, read_config  # noqa: PLC0415, loads pydantic

    paths = [Path(name) for name in config_files]
    if not paths and source is None and DEFAULT_FILE.exists():
        paths = [DEFAULT_FILE]
    overrides: dict[str, Any] = {}
    if database:
        overrides["store"] = {"path": database}
    if source is not None:
        overrides["source"] = [source]
    loaded = read_config(
        paths,
        overrides,
        os.environ,
        check_files=check_files,
        only_store=only_store,
        with_sources=with_sources,
    )
    session.secrets = loaded.secrets
    return loaded
