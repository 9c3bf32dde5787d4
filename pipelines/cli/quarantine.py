"""``parcours quarantine``: what was rejected, and why, record by record."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.quarantine_fix import fix
from parcours.pipelines.cli.quarantine_options import (
    SHORT,
    as_mistakes,
    place,
    selected,
    selection_options,
    write_json,
)
from parcours.pipelines.cli.quarantine_replay import discard, replay, revalidate
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.render import show as shown
from parcours.pipelines.cli.root import SuggestingGroup, parcours_command
from parcours.pipelines.cli.run import store_options

if TYPE_CHECKING:
    from parcours.pipelines.config import LoadedConfig
    from parcours.pipelines.quarantine import Kept
    from parcours.pipelines.store import Store

command = SuggestingGroup("quarantine", help="Look at what was rejected, put it right, and replay it.")

MOST_SHOWN = 2_000
"""Characters of a record's bytes that are shown; --raw has all of them."""

_CUT = 40
"""Characters of a value in a list."""


@contextmanager
def _open(loaded: LoadedConfig) -> Iterator[Store]:
    from parcours.pipelines.store import Store  # noqa: PLC0415, loads DuckDB

    options = loaded.config.store
    with Store(options.path, memory_limit=options.memory_limit, read_only=True) as store, as_mistakes():
        yield store


@parcours_command(
    "summary",
    examples="""
parcours quarantine summary
parcours quarantine summary --source shop --json | jq '.[0].example'
""",
)
@selection_options(status="all")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array.")
@click.pass_obj
def summary(
    session: Session,
    /,
    *,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Count what was rejected, by source, reason, rule and field.

    Without options: all of it, whatever became of it. While a run holds the store, it exits with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.quarantine import STATUSES, select_into  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.quarantine import summary as summarise  # noqa: PLC0415

    with _open(loaded) as store:
        select_into(store.connection, selected(chosen))
        rows = summarise(store.connection)
    if as_json:
        write_json(rows)
        return
    if not rows:
        click.echo("nothing is in quarantine")
        return
    print_table(
        ("source", "reason", "rule", "open", "replayed", "discarded", "example"),
        [
            (*(row[name] for name in ("source", "reason", "rule", *STATUSES)), _cut(row["example"]))
            for row in rows
        ],
    )
    told = ", ".join(f"{sum(row[name] for row in rows):,} {name}" for name in STATUSES)
    click.echo(told)
    first = rows[0]
    if first["open"]:
        chosen_by = f"--source {quote(first['source'])} --reason {first['reason']}"
        session.say(f"which: parcours quarantine list{store_options(config_files, database)} {chosen_by}")


@parcours_command(
    "list",
    examples="""
parcours quarantine list
parcours quarantine list --reason wrong_type --field value --limit 100
parcours quarantine list --where "first_at > TIMESTAMP '2026-01-31' AND attempts > 1" --json
""",
)
@selection_options(status="open")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many records."
)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON array, values and messages whole.")
@click.pass_obj
def list_(
    session: Session,
    /,
    *,
    limit: int,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """List rejected records with their rule, the value that broke it, and their place.

    What they hold is shown one by one, with parcours quarantine show. While a run holds the store, it exits
    with 4.
    """
    session.json = as_json
    loaded = read(session, config_files, database, only_store=True)

    from parcours.pipelines.quarantine import listed, select_into  # noqa: PLC0415, loads DuckDB

    with _open(loaded) as store:
        count = select_into(store.connection, selected(chosen))
        rows = listed(store.connection, limit)
    if as_json:
        write_json(rows)
        return
    if not rows:
        click.echo("no such record is in quarantine")
        return
    print_table(
        ("id", "rule", "value", "source", "place", "status"),
        [
            (row["quarantine_id"][:SHORT], row["rule"] or row["reason"], _cut(row["value"]), row["source"],
             place(row), row["status"])
            for row in rows
        ],
    )  # fmt: skip
    more = f"; --limit {count} lists all" if count > len(rows) else ""
    click.echo(f"{len(rows):,} of {count:,}{more}")
    options = store_options(config_files, database)
    session.say(f"one of them: parcours quarantine show{options} {rows[0]['quarantine_id'][:SHORT]}")


@parcours_command(
    "show",
    examples="""
parcours quarantine show 3f2a9c01
parcours quarantine show 3f2a9c01 --json | jq .attempts
parcours quarantine show 3f2a9c01 --raw > record.json
""",
)
@click.argument("id_", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the record's bytes as they are, and nothing else.")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, with the whole record.")
@click.pass_obj
def show(
    session: Session,
    *,
    id_: str,
    raw: bool,
    config_files: tuple[str, ...],
    database: str | None,
    as_json: bool,
) -> None:
    """Show all that is kept of one record: its bytes, its place, each rejection, what was decided.

    ID is its quarantine_id, or the first characters of it. Its bytes may hold personal data. While a run
    holds the store, it exits with 4.
    """
    session.json = as_json
    if raw and as_json:
        raise click.UsageError("--raw writes bytes and --json an object: choose one")
    loaded = read(session, config_files, database)

    from parcours.pipelines.advice import advice  # noqa: PLC0415
    from parcours.pipelines.quarantine import Selection, full_id, kept, select_into  # noqa: PLC0415, loads DuckDB

    with _open(loaded) as store:
        found = kept(store.connection, full_id(store.connection, id_))
        select_into(store.connection, Selection(id=[found.record["quarantine_id"]], status="open"))
        now = _now(store, loaded)
    passes = f"it would be loaded: parcours quarantine replay --id {found.record['quarantine_id'][:SHORT]}"
    advised = passes if "fields" in now else advice(found.record)
    if raw:
        sys.stdout.buffer.write(found.record["raw"] or b"")
    elif as_json:
        write_json({**_as_object(found), "now": now, "advice": advised})
    else:
        _print(found)
        _print_now(now)
        click.echo(f"next: {shown(advised)}")


def _now(store: Store, loaded: LoadedConfig) -> dict[str, Any]:
    """Return what the config as it stands makes of the selected record, or why nobody knows."""
    from parcours.pipelines.judging import UnknownSourceError  # noqa: PLC0415, loads DuckDB
    from parcours.pipelines.preview import preview  # noqa: PLC0415

    try:
        found = preview(store.connection, loaded.config, {})
    except (UnknownSourceError, ValueError) as error:
        return {"unknown": str(error)}
    (sample,) = found.samples or [{}]
    if found.passing:
        return {"fields": {name: after for name, (_, after) in sample["fields"].items() if after}}
    if found.failing:
        return {name: sample[name] for name in ("rule", "field", "value", "message")}
    return {"not_tried": next(iter(found.skipped), "open")}


def _print_now(now: Mapping[str, Any]) -> None:
    if "fields" in now:
        print_table(("field", "value"), now["fields"].items(), title="A replay would load it now")
    elif "message" in now:
        click.echo(f"\nA replay would reject it now: {shown(now['message'])}")
    elif "unknown" in now:
        click.echo(f"\nWhat a replay would make of it is not known: {shown(now['unknown'])}")


def _as_object(found: Kept) -> dict[str, Any]:
    """Return a record as JSON has it: bytes that are a text as one, others in hexadecimal digits."""
    record = dict(found.record)
    raw = record.pop("raw")
    try:
        told = {"raw": None if raw is None else raw.decode()}
    except UnicodeDecodeError:
        told = {"raw": None, "raw_hex": raw.hex()}
    return {**record, **told, "attempts": found.attempts, "fixes": found.fixes}


def _print(found: Kept) -> None:
    record = found.record
    click.echo(f"{record['quarantine_id']}: {record['status']}, {record['reason']} by {record['rule']}")
    click.echo(shown(record["message"]))
    raw = record["raw"] or b""
    lines = {
        "source": record["source"],
        "place": place(record),
        "broker's time": record["broker_timestamp"],
        "key": None if record["record_key"] is None else _text(record["record_key"], 200),
        "headers": "; ".join(
            f"{pair['key']} = {_text(pair['value'] or b'', 200)}" for pair in record["headers"] or ()
        ),
        "rejected": f"first {_time(record['first_at'])}, last {_time(record['last_at'])}",
        "closed by run": record["closed_by_run"],
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name}: {shown(value)}")
    contents = "contents, as canonical JSON" if record["form"] == "contents" else "raw"
    click.echo(f"{contents}, {len(raw):,} bytes:")
    click.echo(_text(raw, MOST_SHOWN) if raw else "(none)")
    if len(raw) > MOST_SHOWN:
        click.echo(f"… cut: parcours quarantine show {record['quarantine_id']} --raw writes all of it")
    print_table(
        ("attempt", "at", "run", "rule", "value"),
        [
            (each["attempt"], _time(each["attempted_at"]), each["run_id"], each["rule"], _cut(each["value"]))
            for each in found.attempts
        ],
        title="Rejections",
    )
    if found.fixes:
        print_table(
            ("fix", "decided at", "what counts instead", "note"),
            [
                (fix["fix_id"][:SHORT], _time(fix["decided_at"]),
                 "edited bytes" if fix["edited"] is not None else fix["change"], fix["note"])
                for fix in found.fixes
            ],
            title="Fixes",
        )  # fmt: skip


def _text(raw: bytes, most: int) -> str:
    """Return bytes as people read them: as a text where they nearly are one, else in hexadecimal digits."""
    text = raw[:most].decode("utf-8", "backslashreplace")
    readable = sum(char.isprintable() or char.isspace() for char in text)
    if b"\x00" in raw[:most] or readable + text.count("\\x") < 0.9 * len(text):
        return raw[: most // 3].hex(" ")
    return shown(text)


def _time(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"


def _cut(value: str | None) -> str | None:
    return value if value is None or len(value) <= _CUT else value[: _CUT - 1] + "…"


for _each in (summary, list_, show, fix, replay, revalidate, discard):
    command.add_command(_each)
