"""Rules that change after a load: a run stops and says what they would move, and applies them when asked."""

import json
import shutil
import threading
from dataclasses import asdict

import duckdb
import pytest
from moved import moved_between

from parcours.pipelines import rules, runs
from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate, taxonomy
from stores import (
    assert_balanced,
    assert_same_stores,
    config_of,
    file_source,
    load,
    one,
    write_toml,
)


def changed_taxonomy():
    """The simulator's taxonomy with a stage moved, a role gone, a money role and a medium changed."""
    words = taxonomy().model_dump()
    words["events"]["quote_created"]["stage"] = "awareness"
    words["events"]["contract_signed"]["roles"] = ()
    words["events"]["contract_signed"]["money_role"] = "revenue"
    del words["events"]["newsletter_opened"]
    next(iter(words["channels"].values())).update(medium="mail", direct=True)
    return words


def moved(before, after):
    """What differs between two closed stores of one set of events, as a count of moves says it."""
    with duckdb.connect() as connection:
        for name, store in (("old", before), ("new", after)):
            connection.execute(f"ATTACH '{store}' AS {name} (READ_ONLY)")
        return moved_between(connection)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            {"taxonomy": changed_taxonomy(), "identity": {"max_customers_per_device": 1}},
            'taxonomy.events.quote_created.stage: "consideration" -> "awareness"',
        ),
        ({"journey": {"gap": "3d", "end_on": ["contract_terminated"]}}, 'journey.gap: "400d" -> "3d"'),
    ],
    ids=["taxonomy-and-identity", "journey"],
)
def test_changed_rules(tables, said, tmp_path, capsys):
    """A run says what would move and changes nothing; with --apply-rules it gives what a fresh load gives."""
    simulate(2_000, 106, "json", tmp_path / "in", files=2)
    first, second = (file_source(tmp_path / "in" / f"touchpoints-000{n}.ndjson", name=f"{n}") for n in (0, 1))
    store, fresh, before = (tmp_path / f"{name}.duckdb" for name in ("store", "fresh", "before"))
    load(config_of(store, first))
    shutil.copy(store, before)
    changed = config_of(store, first, second, **tables)
    command = ["run", "--config", str(write_toml(changed, tmp_path))]
    load(config_of(fresh, first, **tables))
    expected = moved(before, fresh)
    assert expected.touchpoints_moved + expected.journeys_changed > 0

    assert 3 == run_guarded(root, command)
    told = capsys.readouterr().err
    assert f"  {said}\n" in told
    assert f"they would move {expected}.\n" in told
    assert "parcours run --apply-rules, or parcours rebuild" in told
    assert 3 == run_guarded(root, [*command, "--json", "--follow"])
    failure = json.loads(capsys.readouterr().out)
    assert asdict(expected) == failure["moves"]
    assert said.split(":")[0] in {change["key"] for change in failure["rule_changes"]}
    assert_same_stores(before, store)

    assert 0 == run_guarded(root, [*command, "--apply-rules", "--json"])
    applied = json.loads(capsys.readouterr().out)
    assert (asdict(expected), failure["rule_changes"]) == (applied["moves"], applied["rule_changes"])
    assert applied["loaded"] > 900
    load(config_of(fresh, first, second, **tables))
    assert_same_stores(fresh, store)
    assert_balanced(store)
    with pytest.raises(rules.RulesChangedError):
        load(config_of(store, first, second))

    assert 10 == run_guarded(root, [*command, "--apply-rules", "--exit-nothing"])  # nothing is left to apply
    assert "moved" not in capsys.readouterr().out


def test_a_rebuild_applies_them_too(tmp_path, capsys):
    """Without reading anything, a rebuild gives what a fresh load gives, and says what moved."""
    simulate(600, 93, "json", tmp_path / "in", files=1)
    source = file_source(tmp_path / "in" / "*.ndjson")
    store, fresh = (tmp_path / f"{name}.duckdb" for name in ("store", "fresh"))
    load(config_of(store, source))
    changed = config_of(store, source, journey={"gap": "3d"})
    expected = moved(store, load_into(fresh, source, journey={"gap": "3d"}))

    assert 0 == run_guarded(root, ["rebuild", "--config", str(write_toml(changed, tmp_path))])
    assert f"moved {expected}\n" in capsys.readouterr().out
    assert_same_stores(fresh, store)
    again = runs.rebuild(changed, observer=SilentObserver()).moves
    assert (0, 0, 0) == (again.touchpoints_moved, again.journeys_changed, again.profiles_moved)


def load_into(path, *sources, **tables):
    """Load sources into a new store; return where it is."""
    load(config_of(path, *sources, **tables))
    return path


class _Stopping(SilentObserver):
    """Interrupts a run at the begin of a step, as Ctrl-C does."""

    def __init__(self, step):
        self.stop = threading.Event()
        self._step = step

    def begin(self, step):
        if step == self._step:
            self.stop.set()


@pytest.mark.parametrize("step", ["merge", "build", "compare"])
def test_the_count_can_be_skipped(step, tmp_path):
    """An interrupted count leaves the store as it is, and the difference is said all the same."""
    simulate(600, 94, "json", tmp_path / "in", files=1)
    source = file_source(tmp_path / "in" / "*.ndjson")
    store = load_into(tmp_path / "store.duckdb", source)
    before = shutil.copy(store, tmp_path / "before.duckdb")
    observer = _Stopping(step)
    with pytest.raises(rules.RulesChangedError, match=r'journey\.gap: "400d" -> "3d"') as caught:
        runs.run(config_of(store, source, journey={"gap": "3d"}), observer=observer, stop=observer.stop)
    assert step == "compare" or caught.value.details["moves"] is None  # a small comparison may end before
    assert_same_stores(before, store)
    assert load(config_of(store, source)).nothing_to_do


def test_rules_that_only_read_otherwise(tmp_path):
    """How records are validated and how figures are cut is no rule that stored tables depend on."""
    simulate(300, 92, "json", tmp_path / "in", files=1)
    source = file_source(tmp_path / "in" / "*.ndjson")
    store = tmp_path / "store.duckdb"
    load(config_of(store, source))
    weeks = "SELECT count(DISTINCT definition) FROM kpi_stage_conversion"
    before = one(store, weeks)
    load(config_of(store, source, validation={"max_future": "1h"}, kpi={"week_start": "sunday"}))
    assert before == one(store, weeks)
    assert "sunday" in one(store, "SELECT any_value(options) FROM kpi_stage_conversion")
