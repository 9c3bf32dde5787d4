"""``parcours schema``: whether versions of an Avro schema go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parcours.pipelines.cli.exits import DONE, FAILED, Session
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command

if TYPE_CHECKING:
    from parcours.schemas.compatibility import Incompatibility
    from parcours.transforms.avro_schemas import WriterSchema

    Versions = list[tuple[str, WriterSchema]]
    Checks = list[tuple[str, str, list[Incompatibility]]]

command = SuggestingGroup("schema", help="Check Avro schemas against each other.")


@parcours_command(
    "check",
    examples="""
parcours schema check old.avsc new.avsc
parcours schema check v1.avsc v2.avsc v3.avsc --transitive --mode full
parcours schema check schemas/ new.avsc --transitive
parcours schema check https://registry:8081/subjects/crm.events-value new.avsc --json
""",
)
@click.argument("schemas", nargs=-1, required=True, metavar="OLD... NEW")
@click.option(
    "--mode",
    type=click.Choice(["backward", "forward", "full"]),
    default="backward",
    show_default=True,
    help="backward: NEW reads data written with OLD. forward: OLD reads data written with NEW. full: both.",
)
@click.option("--transitive", is_flag=True, help="Hold NEW against every OLD, not against the last one only.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def check(session: Session, schemas: tuple[str, ...], mode: str, transitive: bool, as_json: bool) -> int:
    """Check whether versions of an Avro schema go together, by the specification's rules.

    OLD... NEW are the versions, the oldest first. Each is an .avsc file; or a folder, which stands for its
    .avsc files by name, numbers in order (1.avsc, 2.avsc, 10.avsc); or a subject of a registry,
    URL/subjects/NAME, which stands for its versions.

    Every incompatibility is listed with its place, both types, the reason, and what would help. Exits with 0
    where the versions go together, and with 1 where they do not.
    """
    session.json = as_json
    versions = [version for place in schemas for version in _versions(place)]
    if len(versions) < 2:
        raise click.UsageError("one schema alone has nothing to be held against: name OLD and NEW")
    checks = _checks(versions, mode, transitive=transitive)
    if as_json:
        click.echo(_json(mode, checks))
    else:
        _print(checks)
    return FAILED if any(found for _, _, found in checks) else DONE


def _versions(place: str) -> Versions:
    """Read the versions that an argument stands for, each under a name to show."""
    from parcours.transforms.avro_schemas import SchemaRegistry, read_file  # noqa: PLC0415, loads pyarrow

    try:
        if "://" in place:
            base, found, subject = place.rpartition("/subjects/")
            if not found or not place.startswith(("http://", "https://")):
                raise ValueError("a registry's subject is written http(s)://HOST:PORT/subjects/NAME")
            return SchemaRegistry(base).versions(subject)
        folder = Path(place)
        paths = sorted(folder.glob("*.avsc"), key=_natural) if folder.is_dir() else [folder]
        if not paths:
            raise ValueError(f"the folder {place} has no .avsc file")
        return [(str(path), read_file(str(path))) for path in paths]
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort v2 before v10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _checks(versions: Versions, mode: str, *, transitive: bool) -> Checks:
    """Hold the last version against the earlier ones: reader, writer, and what is wrong between them."""
    from parcours.schemas.compatibility import incompatibilities  # noqa: PLC0415, as the schemas

    *before, (new_name, new) = versions
    checks = []
    for old_name, old in before if transitive else before[-1:]:
        if mode != "forward":
            checks.append((new_name, old_name, incompatibilities(old, new)))
        if mode != "backward":
            checks.append((old_name, new_name, incompatibilities(new, old)))
    return checks


def _json(mode: str, checks: Checks) -> str:
    from dataclasses import asdict  # noqa: PLC0415
    from json import dumps  # noqa: PLC0415

    return dumps(
        {
            "compatible": not any(found for _, _, found in checks),
            "mode": mode,
            "checks": [
                {"reader": reader, "writer": writer, "incompatibilities": [asdict(item) for item in found]}
                for reader, writer, found in checks
            ],
        },
        ensure_ascii=False,
    )


def _print(checks: Checks) -> None:
    for reader, writer, found in checks:
        can = "reads" if not found else "cannot read all"
        click.echo(f"{reader} {can} data written with {writer}")
        if found:
            print_table(
                ("where", "written as", "read as", "reason", "what would help"),
                [(item.path, item.writer, item.reader, item.reason, item.remedy) for item in found],
                folded=True,
            )


command.add_command(check)
