"""``parcours quarantine show``: all that is kept of one rejected record, and what would become of it now."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from parcours.pipelines.cli.exits import Session
from parcours.pipelines.cli.options import config_options, read
from parcours.pipelines.cli.quarantine_options import SHORT, cut, opened, place, write_json
from parcours.pipelines.cli.render import print_table
from parcours.pipelines.cli.render import show as shown
from parcours.pipelines.cli.root import parcours_command

if TYPE_CHECKING:
    from parcours.pipelines.config import LoadedConfig
    from parcours.pipelines.quarantine import Kept
    from parcours.pipelines.store import Store

MOST_SHOWN = 2_000
"""Characters of a record's bytes that are shown; --raw has all of them."""


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

    with opened(loaded) as store:
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
            (each["attempt"], _time(each["attempted_at"]), each["run_id"], each["rule"], cut(each["value"]))
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
