"""``check`` and ``publish``, and what other commands say of the gate."""

import json

import pytest

from parcours.pipelines.simulate import simulate, taxonomy
from parcours.pipelines.store import Store
from stores import config_of, file_source, load, write_toml

UNKNOWN = "account_viewed"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with a config and a store that was never checked; the taxonomy lacks an event type."""
    folder = tmp_path_factory.mktemp("project")
    simulate(300, 31, "json", folder / "in", files=1, broken=0, duplicates=0)
    words = taxonomy().model_dump()
    del words["events"][UNKNOWN]
    source = file_source(folder / "in" / "*.ndjson")
    gate = {"at_end": False, "figures": []}
    config = config_of(folder / "store.duckdb", source, taxonomy=words, gate=gate)
    load(config)
    write_toml(config, folder)
    return folder


def test_the_gate_on_the_command_line(parcours, process, project):
    """Warnings are 7 and stop nothing; a broken stop rule is 6 everywhere until it is put right."""
    folder = project
    store = folder / "store.duckdb"
    assert "was not checked yet" in parcours("status", cwd=folder).out
    ran = parcours("check", "--json", cwd=folder)
    told = json.loads(ran.out)
    assert (7, 7, "open", "") == (ran.code, told["exit_code"], told["status"], ran.err)
    (warned,) = [found for found in told["findings"] if not found["passed"]]
    assert ("touchpoints.event_type_mapped", [UNKNOWN]) == (warned["rule"], warned["sample"])

    published = parcours("publish")
    assert 0 == published.code
    assert "published 300 touchpoints" in published.out
    assert str(folder / "store.published.duckdb") in published.out
    with Store(store):
        ran = parcours("query", "SELECT count(*) AS n FROM touchpoints", "--format", "csv")
        assert (0, "n\n300\n") == (ran.code, ran.out)
        assert "another process holds the store: this is the copy published less than a minute ago" in ran.err
        assert "publication is open since" in parcours("status").out

    with Store(store) as opened:
        opened.connection.execute("UPDATE run_balances SET loaded = loaded + 1, duplicate = duplicate - 1")
    checked = parcours("check", "--lang", "fr")
    assert 6 == checked.code
    assert "warn  touchpoints.event_type_mapped, on touchpoints, owner parcours\n" in checked.out
    assert "publication is held since" in checked.out
    page = checked.err.partition("Data Docs: ")[2].splitlines()[0]
    assert page.startswith(str(folder))
    assert page.endswith("index.html")
    refused = parcours("publish", "--json")
    told = json.loads(refused.out)
    assert (6, "held", 300, None) == (refused.code, told["status"], told["touchpoints"], told["bytes"])
    refused = parcours("publish")
    assert 6 == refused.code
    assert "the copy of less than a minute ago stays; why: parcours check" in refused.err
    status = parcours("status").out
    assert "publication is held since" in status
    assert "published less than a minute ago: store.published-" in status
    text = (folder / "parcours.toml").read_text().replace("at_end = false", "at_end = true")
    (folder / "parcours.toml").write_text(text)
    ran = process("rebuild", cwd=folder)
    assert 6 == ran.code
    assert "publication is held since" in ran.out
    assert "nanobind" not in ran.err
    ran = parcours("run", "--json")
    told = json.loads(ran.out)
    assert (6, "held", True) == (ran.code, told["status"], told["nothing_to_do"])

    with Store(store) as opened:
        opened.connection.execute("UPDATE run_balances SET loaded = loaded - 1, duplicate = duplicate + 1")
    ran = parcours("rebuild")
    assert 0 == ran.code
    assert "1 rule warns: parcours check\n" in ran.err


def test_without_a_store(parcours, tmp_path):
    """There is nothing to check or publish before the first run, and none is made by asking."""
    for command in ("check", "publish"):
        ran = parcours(command, "--database", tmp_path / "none.duckdb")
        assert 1 == ran.code
        assert "parcours run makes it" in ran.err
    assert not (tmp_path / "none.duckdb").exists()
