"""What a fix changes of a source: keys that count instead of the config's, entries of the mapping whole."""

import json

import pytest

from parcours.pipelines.advice import advice
from parcours.pipelines.fix_change import Asked, FixError, change_of
from parcours.pipelines.fixes import overlaid
from parcours.schemas.config import Source
from parcours.schemas.touchpoint import REASONS


def source(**keys):
    """A source of events."""
    topic = {"kind": "kafka", "topics": "t", "bootstrap": "127.0.0.1:9", "start": "earliest"}
    return Source.model_validate({"name": "crm", "format": "json", **topic, **keys})


def test_entries_are_those_of_the_source_with_what_is_asked_for():
    """Look-ups and null tokens beside those that are there; a new path begins the entry anew."""
    own = source(nulls=["-"], map={"stage": {"path": "step", "lookup": {"A": "service"}}, "channel": "where"})
    asked = Asked(
        nulls=["n/a", "-"],
        lookups={"stage": {"B": "loyalty"}},
        defaults={"channel": "shop"},
        map={"campaign": "utm"},
        sql={"campaign": "lower(campaign)"},
    )
    assert change_of(asked, own) == {
        "nulls": ["-", "n/a"],
        "map": {
            "campaign": {"paths": ["utm"], "sql": "lower(campaign)"},
            "channel": {"paths": ["where"], "constant": "shop"},
            "stage": {"paths": ["step"], "lookup": {"A": "service", "B": "loyalty"}},
        },
    }
    assert change_of(Asked(map={"stage": "x"}), own)["map"] == {"stage": {"paths": ["x"]}}


def test_the_words_of_the_config_stay_words_of_the_source():
    """What a fix says of a word is what the record says; the config's look-up translates it, as ever."""
    own = source(map={"channel": {"path": "where", "lookup": {"WEB": "site", "A": "b"}}})
    said = change_of(Asked(lookups={"channel": {"SHOP": "agency"}}, defaults={"channel": "WEB"}), own)
    entry = overlaid(own, [json.dumps(said)]).map["channel"]
    assert ({"WEB": "site", "A": "b"}, "WEB") == (entry.lookup, entry.constant)
    assert entry.sql == """CASE "channel" WHEN 'SHOP' THEN 'agency' ELSE "channel" END"""
    # one that is translated already is not translated again
    chained = change_of(Asked(lookups={"channel": {"SHOP": "A"}}), own)
    assert overlaid(own, [json.dumps(chained)]).map["channel"].lookup == {}


def test_a_field_that_the_mapping_does_not_name_is_read_where_it_was():
    """Under its own name, and where its envelope has it."""
    asked = Asked(sql={"occurred_at": "trim(occurred_at)"})
    assert change_of(asked, source())["map"]["occurred_at"]["paths"] == ["occurred_at"]
    cloud = source(envelope="cloudevents")
    assert change_of(asked, cloud)["map"]["occurred_at"]["paths"] == ["occurred_at", "time"]


def test_files_are_named_from_everywhere_and_addresses_stay(tmp_path, monkeypatch):
    """A replay may run in another folder than the fix was decided in."""
    monkeypatch.chdir(tmp_path)
    avro = source(format="avro-confluent", schemas="old")
    changed = change_of(Asked(keys={"schemas": "new", "reader_schema": "all.avsc"}), avro)
    assert changed == {"schemas": f"{tmp_path}/new", "reader_schema": f"{tmp_path}/all.avsc"}
    registry = {"schemas": "https://registry.example"}
    assert change_of(Asked(keys=registry), avro) == registry


def test_all_that_is_wrong_is_said():
    """Fields, keys of another format, expressions."""
    asked = Asked(keys={"delimiter": ";"}, map={"chanel": "x"}, sql={"value": "sum(value)"})
    with pytest.raises(FixError) as caught:
        change_of(asked, source())
    said = str(caught.value)
    assert 'did you mean "channel"?' in said
    assert 'delimiter changes nothing in format "json"' in said
    assert "--set value: a function has no place in it" in said


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("status", ["open", "replayed"])
def test_every_reason_has_its_advice(reason, status):
    """Which command helps, with the record's own words; of a closed one, that nothing is to be done."""
    record = {"quarantine_id": "3f2a9c01" * 4, "status": status, "reason": reason, "rule": "stage.known"}
    told = advice(record | {"field": "stage", "value": "S A'V", "closed_by_run": "20260101T0"})
    if status == "replayed":
        assert told == "it was replayed by run 20260101T0: nothing is to be done"
    elif reason == "unknown_value":
        assert """--id 3f2a9c013f2a --lookup stage:'S A'"'"'V'=OURS --dry-run""" in told
    else:
        assert "parcours" in told
        assert "{" not in told
