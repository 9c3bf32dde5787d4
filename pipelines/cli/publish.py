"""``parcours publish``: a copy for those who read."""

from __future__ import annotations

import json

import click

from parcours.pipelines.cli import exits
from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.gate import age, state_text, touchpoints
from parcours.pipelines.cli.observing import observers
from parcours.pipelines.cli.options import config_options, log_option, read
from parcours.pipelines.cli.root import parcours_command
from parcours.pipelines.cli.run import silent_workers, store_options


@parcours_command(
    "publish",
    examples="""
parcours publish
parcours publish --json | jq -r .link
""",
)
@config_options
@log_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def command(session: Session, config_files: tuple[str, ...], database: str | None, as_json: bool) -> int:
    """Copy the store for readers, if its checks allow it.

    The store is checked first where something changed since the last check, or where that held publication.
    Where it is held, it exits with 6 and the copy of before stays. BI tools open the link
    NAME.published.duckdb beside the store, read-only; it moves to each new copy.
    """
    session.json = as_json
    loaded = read(session, config_files, database)

    from parcours.pipelines.publication import link_of, newest_copy, publish_now  # noqa: PLC0415, loads DuckDB

    with observers(session, loaded.config, quiet=as_json) as observer, silent_workers(session):
        done = publish_now(loaded.config, observer)
    code = exits.DONE if done.copy is not None else exits.NOT_PUBLISHED
    link, before = link_of(loaded.config), newest_copy(loaded.config)
    if as_json:
        told = {
            "status": "published" if done.copy else "held",
            "since": done.gate.since,
            "reasons": done.gate.reasons,
            "run_id": done.gate.run_id,
            "link": str(link) if before else None,
            "file": before and before.file,
            "published_at": before and before.published_at,
            "touchpoints": before and before.touchpoints,
            "newest_at": before and before.newest_at,
            "bytes": done.copy and done.copy.size,
            "exit_code": code,
        }
        click.echo(json.dumps(told, ensure_ascii=False, default=str))
    elif done.copy is not None:
        copy = done.copy
        click.echo(f"published {touchpoints(copy.touchpoints)}, {copy.size / 1e6:,.1f} MB: {link}")
    else:
        click.echo(state_text(done.gate))
        stays = f"the copy of {age(before.published_at)} stays" if before else "there is no copy yet"
        session.say(f"{stays}; why: parcours check{store_options(config_files, database)}")
    return code
