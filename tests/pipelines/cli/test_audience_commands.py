"""``parcours segment`` and ``parcours audience``: who is in, who came and went, who is left out."""

import csv
import io
import json
import shutil

import duckdb
import pytest

from parcours.kpis.audiences import Listed, Person
from parcours.pipelines.cli import audience
from parcours.pipelines.config import load_config
from parcours.pipelines.store import Store
from stores import load

CONFIG = """
[gate]
at_end = false

[[source]]
name = "crm"
kind = "file"
format = "json"
path = "in.ndjson"

[taxonomy.events.quote_created]
stage = "consideration"
roles = ["quote_created"]

[taxonomy.events.mailed]
roles = ["touch"]

[taxonomy.channels.web]
medium = "digital"

[segment.regulars]
over = "profiles"
where = "touchpoints >= 2"
label = { en = "Regulars", fr = "Habitués" }

[segment.quoted]
over = "quotes"
where = "NOT bound"

[audience.thanks]
segment = "regulars"
[audience.thanks.reason]
en = "came {touchpoints} times since {first_at}"
fr = "venu {touchpoints} fois depuis le {first_at}"
"""

EVENTS = [
    ("ada", "2026-01-01", "logged_in", {"consent": ["marketing"]}),
    ("ada", "2026-01-02", "quote_created", {"quote_id": "q1", "product": "auto"}),
    ("bob", "2026-01-02", "quote_created", {"quote_id": "q2", "consent": ["marketing"]}),
    ("bob", "2026-01-08", "mailed", {}),
    ("cyd", "2026-01-03", "quote_created", {"quote_id": "q3", "product": "auto"}),
    ("=dan", "2026-01-04", "quote_created", {"quote_id": "q4", "consent": ["marketing"]}),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a config and a store of four persons."""
    folder = tmp_path_factory.mktemp("audiences")
    (folder / "parcours.toml").write_text(CONFIG, "utf-8")
    lines = [
        {
            "event_id": f"e{n}",
            "occurred_at": f"{day}T23:30:00Z",
            "customer_id": person,
            "event_type": kind,
            "channel": "web",
            **more,
        }
        for n, (person, day, kind, more) in enumerate(EVENTS)
    ]
    (folder / "in.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert load(load_config([folder / "parcours.toml"], {}, {})).loaded == len(EVENTS)
    return folder


@pytest.fixture
def ask(parcours, made):
    """Runs a command there; the store is not changed."""
    return lambda *arguments: parcours(*arguments, cwd=made)


def test_segments_are_listed(ask):
    """Each with what it judges and how many are in it; --json has labels too."""
    ran = ask("segment", "list", "--json")
    found = json.loads(ran.out)
    assert "2026-01-08T23:30:00" == found["as_of"]
    assert {"regulars": 2, "quoted": 4} == {row["segment"]: row["persons"] for row in found["segments"]}
    assert {"en": "Regulars", "fr": "Habitués"} == found["segments"][0]["label"]
    assert "touchpoints >= 2" in ask("segment", "list").out


def test_a_segment_is_shown_as_it_stood(ask):
    """The rows that bring a person there stand beside; an instant is one of the configured zone."""
    ran = ask("segment", "show", "quoted", "--json", "--as-of", "2026-01-03T00:30")
    members = json.loads(ran.out)["members"]
    assert [{"profile_id": "ada", "matter": ["q1"]}, {"profile_id": "bob", "matter": ["q2"]}] == members
    assert "4 persons in quoted as of 2026-01-09 00:30" in ask("segment", "show", "quoted").out


def test_moves_between_two_instants(ask):
    """Who entered and who left is listed; who stayed is counted."""
    ran = ask("segment", "moves", "quoted", "--from", "2026-01-03T00:30", "--to", "2026-01-06")
    assert "=dan         entered" in ran.out
    assert "ada" not in ran.out
    assert "2 entered, 0 left, 2 stayed" in ran.out


def test_the_history_of_a_segment(ask):
    """Month by month, up to an instant; a month that is not over says nothing yet."""
    ran = ask("segment", "history", "quoted", "--json", "--as-of", "2026-02-01")
    assert {("ada", "2026-01-31", None), ("bob", "2026-01-31", None)} < {
        (stay["profile_id"], stay["entered_on"], stay["left_on"]) for stay in json.loads(ran.out)["stays"]
    }
    assert (
        "4 stays of 4 persons until 2026-02-01 00:00"
        in ask("segment", "history", "quoted", "--as-of", "2026-02-01").out
    )
    assert "0 stays of 0 persons" in ask("segment", "history", "quoted", "--as-of", "2026-01-31T23:59").out


def test_what_is_not_there_is_named(ask):
    """With the near one; a wrong command line exits with 2."""
    for arguments, said in (
        (("segment", "show", "regular"), 'did you mean "regulars"?'),
        (("segment", "moves", "x", "--from", "2026-01-01"), "there are: regulars, quoted"),
        (("audience", "quote_unboud"), 'did you mean "quote_unbound"?'),
        (("segment", "show", "quoted", "--as-of", "soon"), '"soon" is no time'),
        (("audience", "thanks", "--out", "x"), "a table is for the terminal"),
        (("audience", "thanks", "--format", "csv", "--out", "no/x.csv"), "there is no folder no"),
        (("audience", "thanks", "--json", "--out", "."), ". is a folder"),
    ):
        ran = ask(*arguments)
        assert 2 == ran.code
        assert said in ran.err


def test_wrong_conditions_exit_with_3(ask, tmp_path):
    """All of them are said, in segments, cells and audiences, with the near name; nothing is read."""
    config = tmp_path / "wrong.toml"
    config.write_text(
        '[segment.a]\nover = "profiles"\nwhere = "regoin = 1"\n'
        '[segment.b]\nover = "contracts"\nwhere = "in_force AND days_until_due < \'soon\'"\n'
        '[value_cells]\nprofitable = "premium_in_force"\nhigh_potential = "potential = \'high\'"\n'
        '[audience.c]\nsegment = "d"\nreason = { en = "x", fr = "x" }\n'
        '[audience.e]\nsegment = "a"\nreason = { en = "{regoin}", fr = "{" }\n'
        '[audience.f]\nsegment = "a"\nover = "quotes"\nreason = { en = "x", fr = "x" }\n'
    )
    ran = ask("segment", "list", "--config", config)
    assert 3 == ran.code
    for said in (
        'segment > a > where = "regoin = 1": "regoin" is no column; did you mean "region"?',
        "segment > b > where",
        'value_cells > profitable = "premium_in_force": it is a decimal(38,4), not true or false',
        'audience > c > segment = "d": "d" is no segment',
        'audience > e > reason > en = "{regoin}": "regoin" is no column; did you mean "region"?',
        "audience > e > reason > fr",
        'audience > f: write segment = "NAME", or over and where',
    ):
        assert said in ran.err
    assert "7 mistakes" in ran.err


def test_audiences_are_listed(ask):
    """The ready-made ones need no configuration; labels are in the language asked for."""
    found = json.loads(ask("audience", "list", "--lang", "fr", "--json").out)
    names = {row["audience"]: row["ready_made"] for row in found}
    assert {"due_within_60_days": True, "quote_unbound": True, "thanks": False}.items() <= names.items()
    assert "Contrats à échéance sous 60 jours" in ask("audience", "list", "--lang", "fr").out


def test_an_audience_says_why_and_who_is_left_out(ask):
    """Its name alone is enough; what it counts stands on stderr, so that stdout can be read on."""
    ran = ask("audience", "thanks")
    assert "came 2 times since 2026-01-02" in ran.out
    assert "2 in thanks as of 2026-01-09 00:30; left out: 0 without consent, 0 opted out" in ran.err
    found = json.loads(ask("audience", "quote_unbound", "--json").out)
    assert ["=dan", "ada"] == [person["profile_id"] for person in found["people"]]
    assert "quote q1 (auto) of 2026-01-03 is not bound" == found["people"][1]["reason"]
    assert {"consent": 1, "suppressed": 0, "contacted": 1} == found["left_out"]
    assert "marketing" == found["purpose"]


def test_an_audience_as_a_file(ask, tmp_path):
    """In French as Excel there opens it: semicolons, a byte order mark, days as there."""
    out = tmp_path / "thanks.csv"
    ran = ask("audience", "thanks", "--lang", "fr", "--format", "csv", "--out", out)
    assert 0 == ran.code
    assert f"wrote 2 rows to {out}\n" in ran.err
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = [*csv.reader(file, delimiter=";")]
    assert ["personne", "identifiants_client", "motif"] == rows[0]
    assert ["ada", "ada", "venu 2 fois depuis le 02/01/2026"] == rows[1]
    printed = ask("audience", "thanks", "--lang", "fr", "--format", "csv").out
    assert printed.startswith("\ufeffpersonne;")
    assert ask("audience", "thanks", "--format", "csv").out.startswith("profile_id,")


def test_a_file_holds_no_formula():
    """Reasons and ids come from anywhere: an apostrophe stands before what a spreadsheet would compute."""
    people = [
        Person("=dan", ["=dan"], [], "@sum"),
        Person("ada", ["ada", "+ann"], [], "came; =1"),
        Person("anon:d", [], [], "\tcame"),
    ]
    file = io.StringIO(newline="")
    audience._write_csv(Listed(people, {}), file, "en")
    assert [
        ["'=dan", "'=dan", "'@sum"],
        ["ada", "ada | +ann", "came; =1"],
        ["anon:d", "", "'\tcame"],
    ] == [*csv.reader(io.StringIO(file.getvalue(), newline=""))][1:]


def test_opting_out_and_in_again(parcours, made, tmp_path):
    """An opt-out is kept in the store until it is taken back, and counts at every instant."""
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    assert "ada is opted out\n" == parcours("audience", "opt-out", "ada", cwd=folder).out
    assert "ada is already opted out\n" == parcours("audience", "opt-out", "ada", cwd=folder).out
    ran = parcours("audience", "quote_unbound", "--json", "--as-of", "2026-01-05", cwd=folder)
    assert 1 == json.loads(ran.out)["left_out"]["suppressed"]
    assert "0 opted out" in parcours("audience", "thanks", cwd=folder).err  # for no purpose
    assert "ada is not opted out\n" == parcours("audience", "opt-in", "ada", cwd=folder).out
    ran = parcours("audience", "quote_unbound", "--json", cwd=folder)
    assert "ada" in [person["profile_id"] for person in json.loads(ran.out)["people"]]
    assert 'did you mean "ada"?' in parcours("audience", "opt-out", "adaa", cwd=folder).err


def test_relations_follow_the_config_with_the_next_run(parcours, made, tmp_path):
    """Commands speak of the config as it is; the store's own relations of the one of its last run."""
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    config = folder / "parcours.toml"
    config.write_text(config.read_text("utf-8").replace("touchpoints >= 2", "touchpoints >= 1"), "utf-8")
    count = (
        "query",
        "SELECT count(*) AS n FROM segment_members_now WHERE segment = 'regulars'",
        "--format",
        "csv",
    )
    assert 4 == json.loads(parcours("segment", "list", "--json", cwd=folder).out)["segments"][0]["persons"]
    assert "n\n2\n" == parcours(*count, cwd=folder).out
    assert 0 == parcours("run", cwd=folder).code
    assert "n\n4\n" == parcours(*count, cwd=folder).out


def test_a_store_without_touchpoints(parcours, tmp_path):
    """Nobody is in anything, and nothing fails for want of an instant."""
    (tmp_path / "parcours.toml").write_text(CONFIG, "utf-8")
    Store(tmp_path / "parcours.duckdb").close()
    assert [0, 0] == [
        row["persons"] for row in json.loads(parcours("segment", "list", "--json").out)["segments"]
    ]
    assert "0 persons in quoted as of no touchpoint" in parcours("segment", "show", "quoted").out
    assert "0 stays of 0 persons" in parcours("segment", "history", "quoted").out
    found = json.loads(parcours("audience", "quote_unbound", "--json").out)
    assert {"consent": 0, "suppressed": 0, "contacted": 0} == found["left_out"]


def test_commands_need_no_macro_of_the_store(parcours, made, tmp_path):
    """They bring their own: a store that another version of parcours made may have others."""
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    with duckdb.connect(str(folder / "parcours.duckdb")) as connection:
        connection.execute(
            "DROP MACRO local_day; DROP MACRO TABLE contract_facts_at; DROP MACRO TABLE opted_out"
        )
    assert 0 == parcours("audience", "due_within_60_days", cwd=folder).code
    assert 0 == parcours("audience", "quote_unbound", cwd=folder).code
