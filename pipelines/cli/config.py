"""``parcours config``: what is in force, and whether it is right."""

from __future__ import annotations

import json

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command

command = SuggestingGroup("config", help="Show or check the configuration.")


@parcours_command(
    "show",
    examples="""
parcours config show
parcours config show --config base.toml --config prod.toml --json
""",
)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of TOML.")
@click.pass_obj
def show(session: Session, config_files: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Show the configuration in force: layers merged, defaults filled in, secrets masked."""
    from parcours.pipelines.toml_text import to_toml  # noqa: PLC0415

    session.json = as_json
    shown = read(session, config_files, database).shown()
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else to_toml(shown), nl=as_json)


@parcours_command(
    "check",
    examples="""
parcours config check
parcours config check --config base.toml --config prod.toml
""",
)
@config_options
@click.pass_obj
def check(session: Session, config_files: tuple[str, ...], database: str | None) -> None:
    """Check the configuration and list every mistake. Reads no record and connects to nothing."""
    loaded = read(session, config_files, database, check_files=True)
    for warning in loaded.warnings:
        session.say(f"warning: {warning}")
    count = len(loaded.config.source)
    click.echo(f"the configuration is right: {count} source{'' if count == 1 else 's'}")


command.add_command(show)
command.add_command(check)
