"""Rules that change after a load: a run stops and says what to do, a rebuild applies them."""

import pytest

from parcours.pipelines import rules, runs
from parcours.pipelines.cli.exits import run_guarded
from parcours.pipelines.cli.root import root
from parcours.pipelines.observe import SilentObserver
from parcours.pipelines.simulate import simulate, taxonomy
from stores import (
    COMPARED,
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


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("taxonomy", changed_taxonomy()),
        ("journey", {"gap": "3d", "end_on": ["contract_terminated"]}),
        ("identity", {"max_customers_per_device": 1}),
    ],
    ids=["taxonomy", "journey", "identity"],
)
def test_changed_rules(table, words, tmp_path, capsys):
    """A run refuses with exit code 3 and changes nothing; a rebuild gives what a fresh load gives."""
    simulate(2_000, 91, "json", tmp_path / "in", files=2)
    first, second = (file_source(tmp_path / "in" / f"touchpoints-000{n}.ndjson", name=f"{n}") for n in (0, 1))
    store, fresh, before = (tmp_path / f"{name}.duckdb" for name in ("store", "fresh", "before"))
    for path in (store, before):
        load(config_of(path, first))
    changed = config_of(store, first, second, **{table: words})

    assert 3 == run_guarded(root, ["run", "--config", str(write_toml(changed, tmp_path))])
    said = capsys.readouterr().err
    assert f"the rules in [{table}] are not those" in said
    assert "parcours rebuild" in said
    assert_same_stores(before, store)

    assert "done" == runs.rebuild(changed, observer=SilentObserver()).status
    load(config_of(fresh, first, **{table: words}))
    assert_same_stores(fresh, store, COMPARED)
    load(changed)
    load(config_of(fresh, first, second, **{table: words}))
    assert_same_stores(fresh, store)
    assert_balanced(store)
    with pytest.raises(rules.RulesChangedError):
        load(config_of(store, first, second))


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
