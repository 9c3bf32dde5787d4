"""``parcours init``: a commented config to begin with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.root import parcours_command

TAXONOMY_MARK = "@TAXONOMY@"
DATA_FOLDER = "touchpoints"
"""The folder that the template's source reads; it is made, so that the config is right as it stands."""


def template() -> str:
    """Return the commented config, with the simulator's words as its taxonomy."""
    text = resources.files("parcours.pipelines.cli").joinpath("template.toml").read_text("utf-8")
    words = resources.files("parcours.pipelines.simulate").joinpath("taxonomy.toml").read_text("utf-8")
    return text.replace(TAXONOMY_MARK, words.strip())


@parcours_command(
    "init",
    examples="""
parcours init                        writes ./parcours.toml
parcours init shop/                  writes shop/parcours.toml
parcours init prod.toml --force      overwrites prod.toml
""",
)
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@click.pass_obj
def command(session: Session, path: Path, force: bool) -> None:
    """Write a commented parcours.toml to begin with.

    It works at once with simulated files.

    PATH is a file ending in .toml, or a folder; default: the working folder.
    """
    target = path if path.suffix == ".toml" else path / "parcours.toml"
    if target.exists() and not force:
        raise click.ClickException(f'"{target}" is there already; --force overwrites it')
    (target.parent / DATA_FOLDER).mkdir(parents=True, exist_ok=True)
    target.write_text(template(), "utf-8")
    there = "" if target.parent == Path() else f"cd {target.parent} && "
    click.echo(f"wrote {target}")
    session.say(
        f"try it:\n  {there}parcours simulate --events 20000 --seed 1 --format json --out {DATA_FOLDER}\n"
        f"  {there}parcours run"
    )
