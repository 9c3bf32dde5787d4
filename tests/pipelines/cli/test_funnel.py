"""``parcours funnel`` and ``parcours explain --funnel``: what they print, and what they refuse."""

import json

import pytest

from parcours.pipelines.config import load_config
from stores import load

CONFIG = """
[gate]
at_end = false

[[source]]
name = "crm"
kind = "file"
format = "json"
path = "in.ndjson"

[taxonomy.events]
viewed = { stage = "awareness" }
quoted = { stage = "consideration", roles = ["quote_created"] }
signed = { stage = "purchase", roles = ["contract_signed"] }
called = {}

[taxonomy.channels.web]
medium = "digital"
"""

EVENTS = [
    ("a1", "2026-01-01T10:00", "viewed", "ada", {}),
    ("a2", "2026-01-01T10:10", "quoted", "ada", {"product": "auto"}),
    ("a3", "2026-01-20T10:00", "signed", "ada", {"product": "auto"}),
    ("b1", "2026-01-02T10:00", "viewed", "bob", {}),
    ("b2", "2026-01-02T10:05", "called", "bob", {"channel": "phone"}),
    ("b3", "2026-01-02T10:20", "quoted", "bob", {"product": "home", "channel": "phone"}),
    ("c1", "2026-02-01T10:00", "viewed", "cleo", {"channel": "phone"}),
]


TOO_FAR = "occurred_at + to_years(len(event_type)::INTEGER * 100000) > occurred_at"
"""It can be computed of a sample, and of no touchpoint."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a config and its store."""
    folder = tmp_path_factory.mktemp("funnel")
    rows = [
        {
            "event_id": event_id,
            "occurred_at": f"{at}:00Z",
            "event_type": kind,
            "customer_id": person,
            "channel": "web",
            **fields,
        }
        for event_id, at, kind, person, fields in EVENTS
    ]
    (folder / "in.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "parcours.toml").write_text(CONFIG, "utf-8")
    config = load_config(
        [folder / "parcours.toml"],
        {"store": {"path": str(folder / "parcours.duckdb")}, "source": [source(folder)]},
        {},
    )
    load(config)
    return folder


def source(folder):
    """The source, wherever the working folder is."""
    return {"name": "crm", "kind": "file", "format": "json", "path": str(folder / "in.ndjson")}


def asked(parcours, folder, *options, code=0):
    """Run a funnel in the folder; return what it wrote as JSON."""
    ran = parcours("funnel", *options, "--json", cwd=folder)
    assert code == ran.code, ran.err
    return json.loads(ran.out)


def test_json_has_options_steps_and_people(parcours, folder):
    """One object; steps by their numbers, people with their matched events."""
    found = asked(parcours, folder, "--steps", "viewed,quoted,signed", "--window", "14d", "--people")
    assert ["options", "steps", "people"] == list(found)
    assert [("viewed", 3), ("quoted", 2), ("signed", 0)] == [
        (s["step"], s["reached"]) for s in found["steps"]
    ]
    assert [None, 900.0, None] == [step["median_seconds"] for step in found["steps"]]
    assert [None, 1, 2] == [step["dropped"] for step in found["steps"]]
    assert {
        "profile_id": "ada",
        "unit_id": "ada",
        "attempt": 1,
        "reached": 2,
        "event_ids": ["a1", "a2"],
    } == found["people"][0]
    assert ["type:viewed", "type:quoted", "type:signed"] == found["options"]["steps"]
    assert "14d" == found["options"]["window"]


def test_people_are_listed_only_when_asked_for(parcours, folder):
    """Without --people the object has no such key."""
    assert "people" not in asked(parcours, folder, "--steps", "viewed,quoted")


def test_every_option_reaches_the_funnel(parcours, folder):
    """Each option of the command line changes what is counted."""
    steps = ("--steps", "viewed,quoted,signed")

    def reached(*options):
        return [step["reached"] for step in asked(parcours, folder, *steps, *options)["steps"]]

    assert [3, 2, 1] == reached()
    assert [2, 1, 1] == reached("--exclude", "called")
    assert [3, 2, 1] == reached("--where", "event_type <> 'called'", "--order", "strict")
    assert [3, 1, 1] == reached("--order", "strict")
    assert [3, 1, 1] == reached("--hold", "channel")
    assert [3, 2, 0] == reached("--step-window", ",1d")
    assert [3, 1, 0] == reached("--step-window", "10min")
    assert [2, 2, 0] == reached("--as-of", "2026-01-05")
    assert [2, 1, 0] == reached("--count", "visits")
    assert [3, 2, 1] == reached("--ties", "forbid", "--entry", "every", "--count", "journeys")
    groups = asked(parcours, folder, *steps, "--breakdown", "channel", "--breakdown-at", "quoted")["steps"]
    assert [("phone", 1), ("web", 1), (None, 1)] == [
        (row["breakdown"], row["reached"]) for row in groups if row["position"] == 1
    ]


def test_a_list_of_steps_is_cut_at_its_own_commas(parcours, folder):
    """Commas in a condition stay in it."""
    found = asked(
        parcours, folder, "--steps", "viewed,event_type IN ('quoted', 'signed'),role:contract_signed"
    )
    assert [3, 2, 1] == [step["reached"] for step in found["steps"]]


def test_a_table_for_people(parcours, folder):
    """Numbers, shares and times, and a warning while attempts are open."""
    ran = parcours("funnel", "--steps", "viewed,quoted,signed", "--people", cwd=folder)
    assert 0 == ran.code
    assert "66.7%" in ran.out
    assert "15 min" in ran.out
    assert "a1, a2, a3" in ran.out
    assert "there is no window" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--steps", "viewed,quotde"), 'did you mean "quoted"?'),
        (("--steps", "viewed,role:contract_sinned"), 'did you mean "role:contract_signed"?'),
        (("--steps", "viewed", "--window", "14 potatoes"), "write a number and a unit, as in 30s, 15m"),
        (("--steps", "viewed", "--step-window", "soon"), "step_window"),
        (("--steps", "viewed", "--order", "orderd"), 'did you mean "ordered"?'),
        (("--steps", "viewed", "--count", "people"), "none of profiles, journeys, visits"),
        (("--steps", "viewed", "--count", "person"), 'did you mean "profiles"?'),
        (("--steps", "viewed", "--count", "sessions"), 'did you mean "visits"?'),
        (("--steps", "viewed", "--count", "journey"), 'did you mean "journeys"?'),
        (("--steps", "viewed,phone"), "\"phone\" is a channel: write channel = 'phone'"),
        (("--steps", "viewed,"), "write --steps quote_created,purchase"),
        (("--steps", "viewed", "--where", TOO_FAR), "the condition cannot be computed for some touchpoint: "),
        (("--steps", f"viewed,{TOO_FAR}", "--people"), "the condition cannot be computed for some touch"),
        (("--steps", "viewed", "--exclude", "1 // (len(product) - 4) > 0"), "cannot be computed"),
        (("--steps", "viewed", "--hold", "chanel"), 'did you mean "channel"?'),
        (("--steps", "viewed", "--where", "chanel = 'web'"), 'did you mean "channel"?'),
        (("--steps", "chanel = 'web'"), 'did you mean "channel"?'),
        (("--steps", "viewed", "--segment", "vip"), "nobody is in one of that name"),
        (("--steps", "viewed", "--breakdown", "channel", "--breakdown-at", "quoted"), "breakdown_at"),
        (("--steps", "viewed,,signed"), "a funnel needs steps, each with a name"),
        (("--steps", "viewed", "--as-of", "yesterday"), "is no time"),
        (("--window", "14d"), "--steps"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(parcours, folder, options, said):
    """A usage error: exit code 2, the near spelling or an example, as text and in JSON."""
    ran = parcours("funnel", *options, cwd=folder)
    assert 2 == ran.code
    assert said in " ".join(ran.err.split())


def test_an_empty_store_says_what_to_do(parcours, tmp_path):
    """Nothing was loaded: no row of zeros, but the command that loads."""
    (tmp_path / "parcours.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "in.ndjson").write_text("", "utf-8")
    assert 0 == parcours("run", cwd=tmp_path).code
    failed = asked(parcours, tmp_path, "--steps", "viewed", code=2)
    assert "parcours run" in failed["error"]


def test_explain_shows_the_matched_chain(parcours, folder):
    """The story ends with the steps, each beside the touchpoint that served it."""
    ran = parcours("explain", "ada", "--funnel", "viewed,quoted,signed", "--window", "14d", cwd=folder)
    assert 0 == ran.code, ran.err
    story, funnel = ran.out.split("Funnel: ")
    assert "Journey 1 of 1" in story
    assert funnel.startswith("2 of 3 steps, within 14d of the first")
    lines = [line.split() for line in funnel.splitlines() if "type:" in line]
    assert ["a1", "a2", "–"] == [line[-1] for line in lines]
    found = json.loads(parcours("explain", "ada", "--funnel", "viewed,signed", "--json", cwd=folder).out)
    assert (2, ["a1", "a3"]) == (
        found["funnel"]["reached"],
        [m["event_id"] for m in found["funnel"]["matches"]],
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--window", "30d"), "--window goes with --funnel"),
        (("--funnel", "viewed,"), "write --funnel quote_created,purchase"),
        (("--funnel", TOO_FAR), "the condition cannot be computed for some touchpoint"),
    ],
)
def test_explain_refuses_what_is_no_funnel(parcours, folder, options, said):
    """Exit code 2, as of parcours funnel."""
    ran = parcours("explain", "ada", *options, cwd=folder)
    assert 2 == ran.code
    assert said in " ".join(ran.err.split())


def test_explain_says_that_a_funnel_was_not_begun(parcours, folder):
    """A person without the first step."""
    ran = parcours("explain", "cleo", "--funnel", "quoted,signed", cwd=folder)
    assert "Funnel: not begun: no touchpoint is type:quoted" in ran.out
