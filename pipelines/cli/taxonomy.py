"""``parcours taxonomy``: words that the taxonomy does not know, and what a change of it moves."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.query import as_json as plain_value
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.vocabulary import Word

command = SuggestingGroup("taxonomy", help="Hold the taxonomy against the words that records use.")


@parcours_command(
    "unmapped",
    examples="""
parcours taxonomy unmapped
parcours taxonomy unmapped --toml >> parcours.toml
""",
)
@click.option("--toml", "as_toml", is_flag=True, help="Write only what to paste into parcours.toml.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@config_options
@click.pass_obj
def unmapped(
    session: Session, *, as_toml: bool, as_json: bool, config_files: tuple[str, ...], database: str | None
) -> None:
    """List event types without a stage and channels without a medium.

    Those of the stored touchpoints that [taxonomy] does not list, the most frequent first, with a block to
    paste. An event type that is listed without a stage has none on purpose and is not shown; nor are
    touchpoints whose records give the stage themselves. Without a [taxonomy] in the config, that of the
    store counts. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, with_sources=False)

    from parcours.pipelines.inspection import words_block  # noqa: PLC0415, loads pyarrow
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.vocabulary import stored_taxonomy  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.vocabulary import unmapped as find  # noqa: PLC0415, loads DuckDB

    options, taxonomy = loaded.config.store, loaded.config.taxonomy
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store:
        rules = store.meta("rules")
        if rules is not None and not (taxonomy.events or taxonomy.channels):
            taxonomy = stored_taxonomy(rules)
        words = find(store.connection, taxonomy)
    events, channels = ([word for word in words if word.kind == kind] for kind in ("event type", "channel"))
    if as_json:
        shown = {"event_types": events, "channels": channels}
        click.echo(
            json.dumps(
                {name: [plain_value(asdict(w)) for w in found] for name, found in shown.items()},
                ensure_ascii=False,
            )
        )
        return
    block = words_block(_counts(events), _counts(channels))
    if as_toml:
        click.echo(block, nl=False)
        return
    if not words:
        click.echo("every event type and every channel is in the taxonomy")
        return
    _print(words)
    click.echo("\nTo paste into parcours.toml; then: parcours run --apply-rules\n")
    click.echo(block, nl=False)


def _counts(words: list[Word]) -> Counter[str]:
    return Counter({word.word: word.touchpoints for word in words})


def _print(words: list[Word]) -> None:
    rows = [
        (w.kind, w.word, w.touchpoints, str(w.first_at)[:10], str(w.last_at)[:10], w.source, w.near)
        for w in words
    ]
    print_table(("what", "word", "touchpoints", "first", "last", "source", "near"), rows)


@parcours_command(
    "diff",
    examples="""
parcours taxonomy diff
parcours taxonomy diff --config base.toml --config next.toml --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@config_options
@click.pass_obj
def diff(session: Session, *, as_json: bool, config_files: tuple[str, ...], database: str | None) -> None:
    """Hold the config's taxonomy against the one that the store was built with.

    Each change stands with how many stored touchpoints it alone gives another stage, role or medium.
    parcours run --apply-rules applies them. Exits with 0 whether they differ or not. While a run holds the
    store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, with_sources=False)

    from parcours.pipelines.rules import shown  # noqa: PLC0415, loads pydantic
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.vocabulary import stored_taxonomy, taxonomy_changes  # noqa: PLC0415, loads DuckDB

    options, taxonomy = loaded.config.store, loaded.config.taxonomy
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store:
        rules = store.meta("rules")
        is_empty = not store.connection.execute("FROM touchpoints LIMIT 1").fetchone()
        kept = taxonomy if rules is None or is_empty else stored_taxonomy(rules)
        changes = taxonomy_changes(store.connection, kept, taxonomy)
    if as_json:
        found = {"equal": not changes, "changes": [change.as_json() for change in changes]}
        click.echo(json.dumps(found, ensure_ascii=False))
    elif changes:
        rows = [(c.change.key, shown(c.change.before), shown(c.change.after), c.touchpoints) for c in changes]
        print_table(("key", "store", "config", "touchpoints"), rows)
    elif is_empty:
        click.echo("the store has no touchpoints yet: it takes any taxonomy")
    else:
        click.echo("the taxonomy is the one that the store was built with")


command.add_command(unmapped)
command.add_command(diff)
