"""``parcours quarantine``: looking at what was rejected, putting it right, loading it, giving it up."""

import io
import json
import re
import shutil
import sys

import duckdb
import fastavro
import pytest

from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.store import Store
from stores import config_of, file_source, load, one, rows, write_toml

LONG = 9_900_000
"""Bytes of the longest record: under the limit of 10,000,000."""


def line(number, **changes):
    """One record."""
    record = {
        "event_id": f"e{number}",
        "occurred_at": "2026-01-02T10:00:00Z",
        "customer_id": "u1",
        "event_type": "seen",
        "channel": "site",
        **changes,
    }
    return json.dumps(record, ensure_ascii=False)


RECORDS = [
    line(0).encode(),
    line(1, value="12,50 €", currency="EUR").encode(),
    line(2, value="n/a").encode(),
    line(3, customer_id="Mélanie").encode("cp1252"),
    b'\x00\x01\x02\xff{"event_id": 4',
    line(5, stage="SAV").encode(),
    b'{"event_id": "' + b"x" * LONG,
    line(0, occurred_at="2026-01-03T10:00:00Z").encode(),
    line(8, channel=None).encode(),
]
"""Rejected are all but the first."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A folder with a config, a log, and a store that has read it."""
    folder = tmp_path_factory.mktemp("quarantine")
    (folder / "log.json").write_bytes(b"".join(record + b"\n" for record in RECORDS))
    config = config_of("store.duckdb", file_source("log.json", name="shop"))
    write_toml(config, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        load(config)
    return folder


@pytest.fixture
def quarantine(loaded, tmp_path, parcours):
    """Runs ``parcours quarantine`` over a copy of that folder."""
    for name in ("parcours.toml", "log.json", "store.duckdb"):
        shutil.copy(loaded / name, tmp_path)
    return lambda *arguments: parcours("quarantine", *arguments)


def id_of(offset, store="store.duckdb"):
    """The id of the record at a place."""
    return one(store, f"SELECT quarantine_id FROM quarantine WHERE source_offset = {offset}")


def statuses(store="store.duckdb"):
    """How many records are open, replayed, discarded."""
    return dict(rows(store, "SELECT status, count(*) FROM quarantine GROUP BY ALL"))


def test_the_summary_counts_by_source_reason_and_rule(quarantine):
    """As a table, the most open first; as JSON with an example of each."""
    ran = quarantine("summary")
    assert "8 open, 0 replayed, 0 discarded" in ran.out
    assert "parcours quarantine list --source shop --reason encoding" in ran.err
    told = json.loads(quarantine("summary", "--reason", "wrong_type", "--json").out)
    assert [("shop", "wrong_type", "value.number", 2, "12,50 €")] == [
        (row["source"], row["reason"], row["rule"], row["open"], row["example"]) for row in told
    ]


def test_the_list_shows_values_and_places_but_no_records(quarantine):
    """Cut to a limit, which it tells; --json has whole values and messages, and no bytes."""
    ran = quarantine("list", "--limit", "2")
    assert "log.json [0] 1" in ran.out
    assert "12,50 €" in ran.out
    assert "2 of 8; --limit 8 lists all" in ran.out
    told = json.loads(quarantine("list", "--rule", "value.number", "--json").out)
    assert [1, 2] == [row["source_offset"] for row in told]
    assert {"raw", "headers", "record_key"}.isdisjoint(told[0])
    assert "is no number as the source writes them" in told[0]["message"]
    assert "no such record" in quarantine("list", "--status", "discarded").out


@pytest.mark.parametrize(
    ("chosen", "offsets"),
    [
        (["--reason", "encoding"], {3, 4}),
        (["--field", "value", "--field", "stage"], {1, 2, 5}),
        (["--field", "value", "--where", "contains(value, '€')"], {1}),
        (["--where", "octet_length(raw) > 1000000"], {6}),
        (["--where", "contains(CAST(raw AS VARCHAR), 'SAV')"], {5}),
        (["--where", "broker_timestamp IS NOT NULL"], set()),
    ],
)
def test_what_is_chosen(quarantine, chosen, offsets):
    """All options that are given must fit; of each list one."""
    assert offsets == {row["source_offset"] for row in json.loads(quarantine("list", *chosen, "--json").out)}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["--rule", "value.nmber"], 'has rule "value.nmber"; did you mean "value.number"?'),
        (["--source", "crm"], 'has source "crm"; it has: shop'),
        (["--id", "ffffffffff"], "--where \"source_topic = 'FILE' AND source_offset = 12\" finds"),
        (["--id", "abc"], "too short for an id: give 6 characters"),
        (["--where", "attempt > 1"], 'no column of quarantine; did you mean "attempts"?'),
        (["--where", "(SELECT true)"], "a subquery has no place in it"),
        (["--where", "attempts >"], "it ends too early"),
        (["--where", "value"], "it is a VARCHAR, not true or false"),
        (["--where", "CAST(value AS INTEGER) > 1"], "TRY_CAST gives null where CAST fails"),
        (["--where", "true; DROP TABLE quarantine"], "--where: it is no expression"),
    ],
)
def test_a_choice_that_cannot_be_made(quarantine, chosen, message):
    """Names the nearest word, the columns, or how ids are found; and changes nothing."""
    ran = quarantine("list", *chosen)
    assert ran.code == 2
    assert message in ran.err


def test_all_that_is_kept_of_one_record(quarantine):
    """Bytes, place, rejections, what would become of it, and the command that usually helps."""
    ran = quarantine("show", id_of(5)[:10])
    assert RECORDS[5].decode() in ran.out
    assert "log.json [0] 5" in ran.out
    assert 'A replay would reject it now: stage is "SAV"' in ran.out
    assert f"quarantine fix --id {id_of(5)[:12]} --lookup stage:SAV=OURS --dry-run" in ran.out
    told = json.loads(quarantine("show", id_of(5), "--json").out)
    assert told["raw"].encode() == RECORDS[5]
    assert [1] == [each["attempt"] for each in told["attempts"]]
    assert told["now"]["rule"] == "stage.known"


def test_odd_bytes_are_shown_as_people_can_read_them(quarantine):
    """Another encoding nearly as it is, other bytes in hexadecimal digits, a long record cut."""
    assert r'"customer_id": "M\xe9lanie"' in quarantine("show", id_of(3)).out
    assert "00 01 02 ff 7b" in quarantine("show", id_of(4)).out
    assert json.loads(quarantine("show", id_of(4), "--json").out)["raw_hex"] == RECORDS[4].hex()
    ran = quarantine("show", id_of(6))
    assert len(ran.out) < 8_000
    assert f"{LONG + 14:,} bytes" in ran.out
    assert "--raw writes all of it" in ran.out
    assert len(quarantine("list").out) < 3_000


def test_what_a_topic_keeps_beside_a_record(quarantine):
    """Its key and headers, as people can read them, and the broker's time."""
    with duckdb.connect("store.duckdb") as connection:
        connection.execute(
            "UPDATE quarantine SET record_key = 'k\\x00'::BLOB, broker_timestamp = '2026-01-02 10:00:00',"
            " headers = [{'key': 'trace', 'value': 'abc'::BLOB}, {'key': 'none', 'value': NULL}]"
            " WHERE source_offset = 5"
        )
    out = quarantine("show", id_of(5)).out
    assert "key: 6b 00" in out
    assert "headers: trace = abc; none = " in out
    assert "broker's time: 2026-01-02 10:00:00" in out
    told = json.loads(quarantine("show", id_of(5), "--json").out)
    assert ("6b00", "616263") == (told["record_key"], told["headers"][0]["value"])


def test_the_bytes_of_a_record_as_they_are(quarantine, monkeypatch):
    """For an editor, or for another program."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    assert run_guarded(root, ["quarantine", "show", id_of(4), "--raw"]) == 0
    assert written.getvalue() == RECORDS[4]


def test_tables_fit_a_terminal_of_80_columns(quarantine, monkeypatch):
    """Long values are folded."""
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("summary", "list"):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        out = re.sub(r"\x1b\[\d*m", "", quarantine(command).out)
        assert "shop" in out
        assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["fix --null n/a", "replay", "discard"])
def test_never_everything_by_accident(quarantine, command):
    """Without a choice they want --all, and not both."""
    ran = quarantine(*command.split())
    assert ran.code == 2
    assert "say which records" in ran.err
    assert "exclude each other" in quarantine(*command.split(), "--all", "--reason", "encoding").err
    assert {"open": 8} == statuses()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing is changed: say how the records are to be read"),
        (["--set", "vlaue=1"], '"vlaue" is no field of touchpoints; did you mean "value"?'),
        (["--set", "value=replace(vlaue, 'a', '')"], 'no field of touchpoints; did you mean "value"?'),
        (["--set", "value=now()"], "a function has no place in it"),
        (["--set", "value"], '"value" is not FIELD=…'),
        (["--lookup", "stage=SAV"], '"stage=SAV" is not FIELD:THEIRS=OURS'),
        (["--map", "channel"], '"channel" is not FIELD=PATH'),
        (["--encoding", "latin1"], "encoding: Input should be 'utf-8'"),
        (["--date-format", "DD"], "is no strptime pattern"),
        (["--time-zone", "Paris"], "is not a time zone"),
        (["--writer-schema", "x.avsc"], 'writer_schema changes nothing in format "json"'),
        (["--edit", "nowhere.json"], '"nowhere.json" cannot be read'),
    ],
)
def test_what_can_be_no_fix(quarantine, options, message):
    """It is said before anything is written."""
    ran = quarantine("fix", "--rule", "value.number", *options)
    assert ran.code == 2
    assert message in ran.err
    assert one("store.duckdb", "SELECT count(*) FROM fixes") == 0


def test_a_preview_shows_before_and_after_and_writes_nothing(quarantine):
    """Of every record whether it would pass; of the first ones the fields that change."""
    expression = "value=replace(replace(value, ' €', ''), ',', '.')"
    chosen = ("fix", "--rule", "value.number", "--set", expression, "--default", "campaign=till", "--dry-run")
    told = json.loads(quarantine(*chosen, "--json").out)["preview"]
    assert (2, 1, {"wrong_type": 1}) == (told["records"], told["passing"], told["failing"])
    first, second = told["samples"]
    assert {"value": ["12,50 €", 12.5], "campaign": [None, "till"]} == first["fields"]
    assert ("value.number", "n/a") == (second["rule"], second["value"])
    assert {"value": ["n/a", None]} == second["fields"]
    ran = quarantine(*chosen)
    assert "1 record of 2 would pass; 1 record would still fail: wrong_type 1" in ran.out
    assert one("store.duckdb", "SELECT count(*) FROM fixes") == 0
    assert one("store.duckdb", "SELECT count(*) FROM runs WHERE command = 'fix'") == 0


def test_fixes_add_up_and_what_passes_is_loaded(quarantine):
    """By rule and at once, or one after the other; twice does nothing twice."""
    assert quarantine("fix", "--rule", "value.number", "--null", "n/a", "--note", "the till").code == 0
    euros = "value=replace(replace(value, ' €', ''), ',', '.')"
    told = json.loads(quarantine("fix", "--rule", "value.number", "--set", euros, "--replay", "--json").out)
    assert (2, 2) == (told["records"], told["replayed"]["loaded"])
    assert [("e1", "12.5000"), ("e2", "None")] == [
        (event, str(value))
        for event, value in rows(
            "store.duckdb", "SELECT event_id, value FROM touchpoints WHERE event_id <> 'e0' ORDER BY ALL"
        )
    ]
    again = quarantine("replay", "--id", id_of(1), "--id", id_of(2))
    assert "nothing to do" in again.out
    assert "skipped: 2 records closed before" in again.err
    fixed = quarantine("fix", "--id", id_of(1), "--null", "x")
    assert "skipped: 1 record is replayed" in fixed.err
    shown = quarantine("show", id_of(1)).out
    assert "the till" in shown
    assert "next: it was replayed by run" in shown


def test_a_record_may_be_written_anew(quarantine, monkeypatch, tmp_path):
    """From a file or stdin; one that still fails says why, and keeps its history."""
    torn = id_of(4)
    (tmp_path / "record.json").write_text(line(4, channel=None) + "\n")
    ran = quarantine("fix", "--id", torn, "--edit", "record.json", "--dry-run")
    assert "rejected: channel is missing" in ran.out
    ran = quarantine("fix", "--id", torn, "--edit", "record.json", "--replay")
    assert "rejected again: missing_field 1" in ran.out
    told = json.loads(quarantine("show", torn, "--json").out)
    assert ["encoding.utf-8", "channel.required"] == [each["rule"] for each in told["attempts"]]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line(4).encode())))
    assert "loaded 1" in quarantine("fix", "--id", torn, "--edit", "-", "--replay").out
    assert "--edit changes one record" in quarantine("fix", "--all", "--edit", "record.json").err


def test_bytes_in_another_encoding(quarantine):
    """What could not be decoded is read as the fix says."""
    assert "loaded 1" in quarantine("fix", "--id", id_of(3), "--encoding", "cp1252", "--replay").out
    assert one("store.duckdb", "SELECT customer_id FROM touchpoints WHERE event_id = 'e3'") == "Mélanie"


def test_a_corrected_schema(parcours, tmp_path):
    """A reader schema gives a field that the writer calls otherwise; what is no schema is said at once."""
    fields = [
        {"name": name, "type": "string"} for name in ("event_id", "occurred_at", "event_type", "channel")
    ]
    written = {"type": "record", "name": "Event", "fields": [*fields, {"name": "client", "type": "string"}]}
    renamed = {"name": "customer_id", "type": "string", "aliases": ["client"]}
    (tmp_path / "right.avsc").write_text(json.dumps({**written, "fields": [*fields, renamed]}))
    (tmp_path / "wrong.avsc").write_text("{")
    record = json.loads(line(1, client="C-7"))
    with (tmp_path / "log.avro").open("wb") as file:
        fastavro.writer(file, written, [record])
    config = config_of(tmp_path / "store.duckdb", file_source(tmp_path / "log.avro", "avro-file"))
    write_toml(config, tmp_path)
    load(config)
    chosen = ("quarantine", "fix", "--reason", "missing_field", "--reader-schema")
    ran = parcours(*chosen, "wrong.avsc")
    assert (ran.code, one("store.duckdb", "SELECT count(*) FROM fixes")) == (2, 0)
    assert "wrong.avsc" in ran.err
    assert "loaded 1" in parcours(*chosen, "right.avsc", "--replay").out
    assert one("store.duckdb", "SELECT customer_id FROM touchpoints") == "C-7"


def test_the_loser_of_a_conflict_is_tried_once_something_was_decided(quarantine):
    """It would lose again; with an id of its own it is an event."""
    loser = id_of(7)
    ran = quarantine("replay", "--reason", "conflicting_duplicate")
    assert "losers of a conflict, about which nothing was decided" in ran.err
    assert "contents, as canonical JSON" in quarantine("show", loser).out
    assert "loaded 1" in quarantine("fix", "--id", loser, "--map", "event_id==e7", "--replay").out


def test_a_mended_config_needs_no_fix(quarantine, tmp_path):
    """A replay reads by the config as it stands."""
    config = tmp_path / "parcours.toml"
    config.write_text(
        config.read_text().replace(
            "[source.map]\n", '[source.map]\nchannel = { path = "channel", constant = "site" }\n'
        )
    )
    assert "it would be loaded: parcours quarantine replay" in quarantine("show", id_of(8)).out
    told = json.loads(quarantine("replay", "--id", id_of(8), "--dry-run", "--json").out)
    assert (1, 1, True) == (told["tried"], told["loaded"], told["dry_run"])
    assert {"open": 8} == statuses()
    assert "replayed: tried 1 = loaded 1" in quarantine("replay", "--id", id_of(8)).out


def test_given_up_is_kept_and_told(quarantine):
    """With the decision; what is discarded is neither fixed nor replayed."""
    told = json.loads(quarantine("discard", "--reason", "encoding", "--dry-run", "--json").out)
    assert (2, {"open": 8}) == (told["records"], statuses())
    assert "2 records discarded" in quarantine("discard", "--reason", "encoding", "--note", "noise").out
    assert {"open": 6, "discarded": 2} == statuses()
    assert [('{"discard": true}', "noise", 2)] == rows(
        "store.duckdb", "SELECT change, note, records FROM fixes"
    )
    assert "skipped: 1 record is discarded" in quarantine("fix", "--id", id_of(3), "--null", "x").err
    assert "nothing to do" in quarantine("replay", "--id", id_of(3)).out
    assert "nothing to do" in quarantine("discard", "--reason", "encoding").out
    assert "noise" in quarantine("show", id_of(3)).out


def test_a_source_that_is_no_longer_in_the_config(quarantine, tmp_path):
    """Its records can be looked at and discarded; nobody knows how to read them."""
    config = tmp_path / "parcours.toml"
    config.write_text(config.read_text().replace('name = "shop"', 'name = "other"'))
    assert 'the config has no source "shop"' in quarantine("show", id_of(1)).out
    ran = quarantine("replay", "--all")
    assert ran.code == 3
    assert 'the config has no source "shop"' in ran.err
    ran = quarantine("fix", "--rule", "value.number", "--null", "n/a")
    assert ran.code == 2
    assert 'the config has no source "shop"' in ran.err
    assert "2 records discarded" in quarantine("discard", "--rule", "value.number").out


def test_what_is_loaded_is_held_against_the_rules(quarantine):
    """Nothing moves where all is right; the page shows what does."""
    told = json.loads(quarantine("revalidate", "--json").out)
    assert (1, 0, {}) == (told["judged"], told["moved"], told["rules"])


def test_a_store_that_is_held_or_not_there(quarantine, tmp_path):
    """Another process holds it: 4. There is none: 1, and how one is made."""
    with Store(tmp_path / "store.duckdb"):
        assert quarantine("list").code == 4
        assert quarantine("discard", "--all").code == 4
    for command in ("summary", "replay --all", "discard --all", "fix --all --null x", "revalidate"):
        ran = quarantine(*command.split(), "--database", "nowhere.duckdb")
        assert ran.code == 1
        assert f'there is no store at "{tmp_path}/nowhere.duckdb"' in ran.err
        assert not (tmp_path / "nowhere.duckdb").exists()
