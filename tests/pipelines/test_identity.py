"""parcours identity over a store on disk: what it shows, what a decision moves, none of it half done."""

import json
import shutil
import signal
from pathlib import Path

import duckdb
import pytest
from killing import KilledRuns

from parcours.pipelines import decisions
from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.identity import IdentityError
from parcours.pipelines.identity_changes import IdentityChange
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.store import Store
from stores import assert_balanced, assert_same_stores, config_of, file_source, load, one, rows, write_toml

TAXONOMY = {
    "events": {
        "saw": {"stage": "awareness", "roles": ["touch"]},
        "asked": {"stage": "consideration"},
        "bought": {"stage": "purchase", "roles": ["purchase"]},
        "merged": {"roles": ["customer_merged"]},
    },
    "channels": {"web": {"medium": "digital"}},
}

EVENTS = [
    ("e1", "2026-03-01T10:00:00Z", None, "d1", "saw", {}),
    ("e2", "2026-03-02T10:00:00Z", "ada", "d1", "asked", {}),
    ("e3", "2026-03-05T10:00:00Z", "a.king", None, "asked", {}),
    ("e4", "2026-03-06T10:00:00Z", "a.king", "phone", "bought", {}),
    ("e5", "2026-03-07T10:00:00Z", "bob", "d1", "saw", {}),
    ("e6", "2026-03-07T11:00:00Z", None, "d1", "saw", {}),
    ("e7", "2026-03-08T10:00:00Z", "d1", "Kiosk", "saw", {}),  # a customer that bears a device's name
    *((f"k{n}", f"2026-03-0{n}T10:00:00Z", f"k{n}", "Kiosk", "saw", {}) for n in range(1, 5)),
]
MERGE = ("e9", "2026-04-01T10:00:00Z", "ada", None, "merged", {"merged_customer_id": "a.king"})


def write_events(path, events):
    """Write touchpoints as lines of JSON."""
    names = ("event_id", "occurred_at", "customer_id", "anonymous_id", "event_type")
    lines = [
        json.dumps({**dict(zip(names, event, strict=False)), "channel": "web", **event[-1]})
        for event in events
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A folder with events, a config and a store into which a merge came last; and what that run told."""
    folder = tmp_path_factory.mktemp("merged")
    write_events(folder / "1.ndjson", EVENTS)
    config = config_of(folder / "store.duckdb", file_source(folder / "*.ndjson"), taxonomy=TAXONOMY)
    load(config)
    write_events(folder / "2.ndjson", [MERGE])
    return folder, load(config)


@pytest.fixture
def config(merged, tmp_path):
    """A config with a copy of that store."""
    shutil.copy(merged[0] / "store.duckdb", tmp_path / "store.duckdb")
    source = file_source(merged[0] / "*.ndjson")
    return config_of(tmp_path / "store.duckdb", source, taxonomy=TAXONOMY)


@pytest.fixture
def parcours(config, tmp_path, capsys):
    """Runs ``parcours identity`` over the copy; gives exit code, stdout and stderr."""
    toml = write_toml(config, tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = run_guarded(root, ["identity", *arguments, "--config", str(toml)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def decide(config, kind, id_, customer_id, **options):
    """Record a decision, without a word."""
    return decisions.decide(config, kind, id_, customer_id, observer=SilentObserver(), **options)


def counted(store, query):
    """Pairs of stages to how many journeys entered the first, and how many of these the second after it."""
    stages = ("awareness", "consideration", "purchase", "service", "loyalty", "advocacy")
    journeys = rows(
        store, f"SELECT {', '.join(f'{stage}_at' for stage in stages)} FROM journeys WHERE {query}"
    )
    found = {}
    for a, from_stage in enumerate(stages):
        for b in range(a + 1, len(stages)):
            entered = [journey for journey in journeys if journey[a] is not None]
            converted = [
                journey for journey in entered if journey[b] is not None and journey[b] >= journey[a]
            ]
            if entered:
                found[from_stage, stages[b]] = (len(entered), len(converted))
    return found


def test_a_merge_is_reported_with_what_it_changed(merged):
    """Persons, journeys and conversions before and after, in the run's result and in the ledger."""
    folder, result = merged
    store = folder / "store.duckdb"
    [change] = result.identity_changes
    assert "2 persons became one: 2 journeys became one (merge; 2 touchpoints moved)" == str(change)
    after = {
        (c.from_stage, c.to_stage): (c.entered_after, c.converted_after) for c in change.stage_conversions
    }
    assert counted(store, "profile_id = 'ada'") == {pair: told for pair, told in after.items() if told[0]}
    told = {
        (c.from_stage, c.to_stage): (c.entered_before, c.converted_before) for c in change.stage_conversions
    }
    assert ((1, 0), (2, 1)) == (told["awareness", "purchase"], told["consideration", "purchase"])
    columns = "causes, profiles_before, profiles_after, touchpoints_moved, journeys_before, journeys_after"
    ledger = rows(store, f"SELECT {columns}, len(stage_conversions) FROM identity_changes")
    assert [(["merge"], 2, 1, 2, 2, 1, len(change.stage_conversions))] == ledger


def test_an_unlink_is_as_if_the_merge_had_not_been(config, merged, tmp_path):
    """And it survives a rebuild; a relink gives back the store as it was."""
    decided = decide(config, "unlink", "a.king", "ada")
    assert (True, 1) == (decided.changes, decided.links)
    assert "1 person became 2: 1 journey became 2 (unlink; 2 touchpoints moved)" == str(decided.change)
    assert_balanced(Path(config.store.path))
    assert "identity" == one(config.store.path, "SELECT command FROM runs ORDER BY run_id DESC LIMIT 1")

    apart = tmp_path / "apart.duckdb"
    folder = tmp_path / "apart"
    folder.mkdir()
    write_events(folder / "1.ndjson", [*EVENTS, (*MERGE[:-1], {})])
    load(config_of(apart, file_source(folder / "*.ndjson"), taxonomy=TAXONOMY))
    built = ("profiles", "visits", "journeys", "journey_steps", "stage_visits", "journey_amounts")
    assert_same_stores(apart, Path(config.store.path), built)

    from parcours.pipelines import runs  # noqa: PLC0415

    before = tmp_path / "before.duckdb"
    shutil.copy(config.store.path, before)
    runs.rebuild(config, observer=SilentObserver())
    assert_same_stores(before, Path(config.store.path))

    assert decide(config, "relink", "ada", "a.king").changes
    assert_same_stores(merged[0] / "store.duckdb", Path(config.store.path))


def test_a_decision_taken_twice_writes_nothing(config):
    """It says that nothing changed; no row of the ledger tells of it."""
    decide(config, "unlink", "d1", "bob")
    written = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM decisions)"
    before = rows(config.store.path, written)
    assert not decide(config, "unlink", "anon:d1", "bob").changes
    assert before == rows(config.store.path, written)
    assert decide(config, "relink", "d1", "bob").changes
    assert not decide(config, "relink", "d1", "bob").changes


def test_a_decision_about_nothing_is_refused(config):
    """With the pair, and what the id is linked with."""
    with pytest.raises(IdentityError, match='"d1" and "bob" were never unlinked'):
        decide(config, "relink", "d1", "bob")
    with pytest.raises(
        IdentityError, match='nothing links "d1" with "Bob"; "d1" is linked with Kiosk, ada, bob'
    ):
        decide(config, "unlink", "d1", "Bob")
    with pytest.raises(IdentityError, match='nothing links "PHONE" with "ada"; near are \'phone\''):
        decide(config, "unlink", "PHONE", "ada")
    with pytest.raises(IdentityError, match='"ada" is named twice'):
        decide(config, "unlink", "ada", "ada")
    assert [] == rows(config.store.path, "FROM decisions")


def test_a_dry_run_tells_the_same_and_writes_nothing(config, tmp_path):
    """What it says is what the decision then does."""
    before = tmp_path / "before.duckdb"
    shutil.copy(config.store.path, before)
    tried = decide(config, "unlink", "a.king", "ada", dry_run=True)
    assert_same_stores(before, Path(config.store.path))
    assert [] == rows(config.store.path, "FROM decisions")
    assert [] == list(tmp_path.glob("*.staging"))
    assert tried.change == decide(config, "unlink", "a.king", "ada").change


def test_the_last_decision_holds_where_the_clock_was_set_back(config):
    """It is noted after the one before it, whatever the clock says."""
    decide(config, "unlink", "d1", "bob")
    with duckdb.connect(config.store.path) as connection:
        connection.execute("UPDATE decisions SET decided_at = TIMESTAMP '2099-01-01'")
    decide(config, "relink", "d1", "bob")
    status = "SELECT DISTINCT status FROM identity_links WHERE anonymous_id = 'd1' AND customer_id = 'bob'"
    assert "active" == one(config.store.path, status)


def test_a_killed_decision_is_whole_or_not_there(config, tmp_path):
    """Killed before the commit it leaves the store as it was, killed after it stands."""
    before = tmp_path / "before.duckdb"
    shutil.copy(config.store.path, before)
    killed = KilledRuns()
    try:
        for point in ("begin build", "end ledger"):
            assert signal.SIGKILL == killed(config, point, command="unlink a.king ada")
            assert_same_stores(before, Path(config.store.path))
            assert [] == rows(config.store.path, "FROM decisions")
        assert 0 == killed(config, None, command="unlink a.king ada")
    finally:
        killed.close()
    assert "unlinked" == one(config.store.path, "SELECT status FROM identity_links WHERE kind = 'merge'")


def test_show_tells_a_person_by_any_of_its_ids(parcours):
    """Every link with its event, since when, and the last decision about it."""
    parcours("unlink", "phone", "a.king")
    for name in ("ada", "a.king"):
        code, out, _ = parcours("show", name, "--json")
        [person] = json.loads(out)["persons"]
        assert (0, "ada", ["a.king", "ada"]) == (code, person["profile_id"], person["customer_ids"])
        links = {
            (link["kind"], link["anonymous_id"] or link["other_customer_id"]): link
            for link in person["links"]
        }
        assert ("e9", "2026-04-01T10:00:00") == tuple(
            links["merge", "a.king"][key] for key in ("event_id", "linked_at")
        )
        unlinked = links["device", "phone"]
        assert ("unlinked", "unlink") == (unlinked["status"], unlinked["decision"])
        assert unlinked["decided_at"]
    _, out, _ = parcours("show", "ada")
    assert "person ada: 5 touchpoints\ncustomer ids: a.king, ada\ndevices: d1, phone\n" in out


def test_show_tells_all_that_an_id_names(parcours):
    """A device and its persons, and a customer that bears its name."""
    code, out, _ = parcours("show", "d1", "--json")
    told = json.loads(out)
    assert 0 == code
    assert {"ada", "bob", "d1"} == {person["profile_id"] for person in told["persons"]}
    [device] = told["devices"]
    assert ["ada", "bob"] == device["persons"]
    assert [{"profile_id": name, "touchpoints": 1} for name in ("ada", "bob")] == device["owners"]
    assert json.loads(parcours("show", "anon:d1", "--json")[1])["devices"] == told["devices"]


def test_show_of_an_unknown_id_proposes_near_ones(parcours):
    """The same in another case, or with the same beginning."""
    code, out, err = parcours("show", "kiosk")
    assert (1, "") == (code, out)
    assert "error: no touchpoint, link or alias has the id \"kiosk\"; near are 'Kiosk'\n" == err
    assert "near are 'a.king'" in parcours("show", "a.k")[2]


def test_shared_lists_devices_with_several_persons(parcours):
    """Those over the limit first; counts are those of links that nobody took back."""
    parcours("unlink", "Kiosk", "k1")
    code, out, _ = parcours("shared", "--json")
    columns = ("anonymous_id", "status", "persons", "links", "unlinked", "touchpoints", "profiles")
    assert 0 == code
    assert [
        ("Kiosk", "over_limit", 4, 4, 1, 0, ["d1", "k2", "k3", "k4"]),
        ("d1", "active", 2, 2, 0, 2, ["ada", "bob"]),
    ] == [tuple(row[name] for name in columns) for row in json.loads(out)]
    assert "Kiosk" in parcours("shared")[1]


def test_what_a_decision_says(parcours):
    """In words, with the figures that changed; as JSON with all of them; a mistake has a code of its own."""
    code, out, _ = parcours("unlink", "a.king", "ada", "--dry-run")
    assert 0 == code
    assert out.startswith(
        "nothing is written; a.king would be unlinked from ada: 1 link\n1 person would become 2"
    )
    code, out, _ = parcours("unlink", "a.king", "ada", "--json")
    told = json.loads(out)
    assert (True, 2) == (told["changes"], told["change"]["journeys_after"])
    assert "nothing changed: a.king was unlinked from ada before\n" == parcours("unlink", "a.king", "ada")[1]
    assert 1 == parcours("relink", "ada", "bob")[0]
    assert 2 == parcours("unlink", "ada")[0]


def test_a_held_store_is_named(parcours, config):
    """Whoever writes excludes everybody else: exit code 4."""
    with Store(config.store.path):
        for arguments in (("unlink", "a.king", "ada"), ("show", "ada"), ("shared",)):
            code, _, err = parcours(*arguments)
            assert 4 == code, err


def test_without_a_store_nothing_is_made(parcours, config):
    """Neither to look nor to decide."""
    Path(config.store.path).unlink()
    for arguments in (("unlink", "a.king", "ada"), ("show", "ada"), ("shared",)):
        assert 1 == parcours(*arguments)[0]
    assert not Path(config.store.path).exists()


def test_touchpoints_that_move_between_persons_who_stay():
    """Where nobody appears or vanishes, the line says what moved."""
    change = IdentityChange(["unlink"], 2, 2, 3, 2, 2, [])
    assert "3 touchpoints moved between 2 persons with 2 journeys as before (unlink)" == str(change)
