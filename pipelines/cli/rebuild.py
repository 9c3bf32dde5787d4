"""``parcours rebuild``: build every journey anew."""

from __future__ import annotations

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.observing import observers
from parcours.pipelines.cli.options import config_options, log_option, read
from parcours.pipelines.cli.root import parcours_command
from parcours.pipelines.cli.run import (
    DEFAULT_RUNNER,
    exit_code,
    report,
    report_gate,
    silent_workers,
    store_options,
)


@parcours_command(
    "rebuild",
    examples="""
parcours rebuild
parcours rebuild --config base.toml --config prod.toml
""",
)
@config_options
@click.option("--runner", default=DEFAULT_RUNNER, show_default=True, help="The Beam runner.")
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object at the end, and no progress.")
@click.pass_obj
def command(
    session: Session, config_files: tuple[str, ...], database: str | None, runner: str, as_json: bool
) -> int:
    """Build every journey anew, by the rules of the config.

    Reads no source; all is committed at once. This is how changed rules ([taxonomy], [journey], [identity])
    reach what was loaded before. A changed [source.map] does not: that is applied when records are read.
    """
    session.json = as_json
    loaded = read(session, config_files, database)

    from parcours.pipelines import runs  # noqa: PLC0415, loads DuckDB and pyarrow

    with observers(session, loaded.config, quiet=as_json) as observer, silent_workers(session):
        result = runs.rebuild(loaded.config, runner=runner, observer=observer)
    if as_json:
        return report(session, result)
    click.echo(f"done: every journey is built anew, in {result.seconds:.1f} s")
    click.echo(f"moved {result.moves}")
    report_gate(session, result, store_options(config_files, database))
    return exit_code(result)
