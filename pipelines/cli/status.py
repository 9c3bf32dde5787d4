"""``parcours status``: how far each source was read, and what became of the records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.gate import age, gate_text, second, touchpoints
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import parcours_command

_SECTIONS = {
    "runs": ("Last runs", ("run_id", "command", "started_at", "ended_at", "status")),
    "offsets": ("Offsets", ("source", "topic", "partition", "next_offset", "end", "lag")),
    "balances": (
        "Balances",
        ("run_id", "source", "source_topic", "source_partition", "read", "loaded", "duplicate", "quarantined",
         "suppressed", "demoted", "gap"),
    ),
}  # fmt: skip


@parcours_command(
    "status",
    examples="""
parcours status
parcours status --json | jq '.offsets[] | select(.lag > 0)'
""",
)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.pass_obj
def command(session: Session, config_files: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Show offsets, lag, runs, balances, the gate and quarantine.

    While a run holds the store, this is the state of its last commit.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.status import store_status  # noqa: PLC0415, loads DuckDB

    told = store_status(loaded.config)
    if told is None:
        raise click.ClickException(
            f'there is no store at "{loaded.config.store.path}" yet; parcours run makes it'
        )
    if as_json:
        click.echo(json.dumps({"store": loaded.config.store.path, **told}, ensure_ascii=False))
        return
    _print(loaded.config.store.path, told)


def _print(store: str, told: Mapping[str, Any]) -> None:
    holder = told.get("holder")
    written = told.get("written_at")
    click.echo(f"store {store}, state {f'of {second(written)}' if written else 'before its first commit'}")
    if holder:
        since = second(holder["started_at"])
        click.echo(f"held by process {holder['pid']} on {holder['host']} since {since}")
    _print_gate(told)
    for section, (title, names) in _SECTIONS.items():
        rows: Sequence[Mapping[str, Any]] = told.get(section) or ()
        if rows:
            print_table(names, [[_shown(name, row.get(name)) for name in names] for row in rows], title=title)
    for section, title, name in (
        ("quarantine", "In quarantine", "reason"),
        ("relations", "Rows", "relation"),
    ):
        counts: Mapping[str, int] = told.get(section) or {}
        if counts:
            print_table((name, "rows"), list(counts.items()), title=title)


def _print_gate(told: Mapping[str, Any]) -> None:
    gate, copy, waiting = told.get("gate"), told.get("publication"), told.get("dead_letters")
    if gate:
        click.echo(f"{gate_text(gate)}; checked {age(gate['decided_at'])}")
    else:
        click.echo("publication: the store was not checked yet; parcours check does")
    if copy:
        click.echo(
            f"published {age(copy['published_at'])}: {copy['file']}, {touchpoints(copy['touchpoints'])}"
        )
    if waiting:
        click.echo(f"rejected records that wait to be sent to the dead-letter topic: {waiting:,}")


def _shown(name: str, value: Any) -> Any:
    return str(value)[:19] if name.endswith("_at") and value is not None else value
