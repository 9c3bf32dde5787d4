"""``parcours init`` and ``parcours config``."""

import json
import os
import tomllib

import pytest

SECRET = "hunter2-tres-secret"

SECRETIVE = f"""
[[source]]
name = "crm"
kind = "kafka"
format = "avro-confluent"
topics = ["crm"]
bootstrap = "127.0.0.1:1"
start = "earliest"
schemas = "http://user:{SECRET}@127.0.0.1:1/"
[source.kafka]
sasl_mechanism = "PLAIN"
security_protocol = "SASL_PLAINTEXT"
sasl_plain_username = "${{PARCOURS_USER}}"
sasl_plain_password = "{SECRET}"
"""


@pytest.fixture
def secretive(tmp_path, monkeypatch):
    """A config full of secrets."""
    monkeypatch.setenv("PARCOURS_USER", f"user-{SECRET}")
    path = tmp_path / "secretive.toml"
    path.write_text(SECRETIVE)
    return path


def test_init_writes_a_config_that_is_right(parcours, tmp_path):
    """The commented config passes its own check, in the working folder and elsewhere."""
    assert parcours("init").code == 0
    assert parcours("config", "check").code == 0
    assert parcours("init", "shop/x.toml").code == 0
    assert parcours("config", "check", "--config", "shop/x.toml").code == 0
    assert "quote_created" in tomllib.loads((tmp_path / "parcours.toml").read_text())["taxonomy"]["events"]


def test_the_commented_examples_of_init_are_right_too(parcours, tmp_path):
    """Taking the comment signs away from the template's examples leaves nothing but values to adapt."""
    parcours("init")
    path = tmp_path / "parcours.toml"
    lines = path.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("# A CSV"))
    end = next(n for n, line in enumerate(lines) if line.startswith("# Rules."))
    prose = ("# A CSV", "# What is", "# beside its", "# Topics of", "# ---")
    lines[start:end] = [line.removeprefix("# ") for line in lines[start:end] if not line.startswith(prose)]
    path.write_text("\n".join(lines))
    for folder in ("agencies", "contracts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ca.pem").write_text("")
    ran = parcours("config", "check")
    assert ran.code == 3
    assert ran.err.count("\n") == 2
    assert "PARCOURS_KAFKA_PASSWORD" in ran.err


def test_the_tables_that_init_only_shows_are_right(parcours, tmp_path):
    """So are those of rules, gate, copies, notices, dead letters and lineage."""
    parcours("init")
    path = tmp_path / "parcours.toml"
    before, _, rest = path.read_text().partition("# [rule.")
    shown, _, after = rest.partition("# -----")
    lines = [line for line in f"# [rule.{shown}".splitlines() if not line.endswith((".", ":"))]
    path.write_text("\n".join([before, *(line.removeprefix("# ") for line in lines), f"#{after}"]))
    ran = parcours("config", "check")
    assert 0 == ran.code, ran.err
    given = tomllib.loads(path.read_text())
    assert {"rule", "gate", "publish", "notify", "dead_letters", "lineage"} <= set(given)


def test_an_unknown_key_of_any_table_is_told_with_the_near_one(parcours, tmp_path):
    """Of the tables, too, that may be left out whole."""
    (tmp_path / "a.toml").write_text('[dead_letters]\ntopics = "x"\n[lineage]\nurls = "http://x"\n')
    ran = parcours("config", "check", "-c", "a.toml")
    assert 3 == ran.code
    assert (
        'dead_letters > topics = "x": unknown key; did you mean "topic"? (allowed: topic, bootstrap'
        in ran.err
    )
    assert 'lineage > urls = "http://x": unknown key; did you mean "url"?' in ran.err


def test_init_does_not_overwrite_unasked(parcours, tmp_path):
    """A config that is there stays, unless --force."""
    (tmp_path / "parcours.toml").write_text("# mine")
    ran = parcours("init")
    assert ran.code == 1
    assert "--force" in ran.err
    assert (tmp_path / "parcours.toml").read_text() == "# mine"
    assert parcours("init", "--force").code == 0
    assert (tmp_path / "parcours.toml").read_text() != "# mine"


def test_config_show_is_a_config_again(parcours, tmp_path):
    """What ``config show`` writes is TOML of the same layout: shown again, it is the same."""
    parcours("init")
    first = parcours("config", "show")
    (tmp_path / "again.toml").write_text(first.out)
    assert parcours("config", "show", "--config", "again.toml").out == first.out
    assert tomllib.loads(first.out) == json.loads(parcours("config", "show", "--json").out)


def test_config_check_lists_everything(parcours, tmp_path):
    """Mistakes of every layer come at once, on stderr, with exit code 3 and no traceback."""
    (tmp_path / "a.toml").write_text('[journey]\nunit = "profil"\n[stor]\n')
    (tmp_path / "b.toml").write_text('[kpi]\nweek_strt = "monday"\n')
    ran = parcours("config", "check", "-c", "a.toml", "-c", "b.toml", "-c", "c.toml")
    assert (ran.code, ran.out) == (3, "")
    for part in (
        "a.toml: journey > unit",
        '"profile"',
        '"store"',
        "b.toml: kpi > week_strt",
        "c.toml",
        "4 mistakes",
    ):
        assert part in ran.err
    assert "Traceback" not in ran.err


def test_no_command_prints_a_secret(parcours, process, secretive):
    """Whatever is done with a config full of secrets, an unreachable broker included, none comes out."""
    wrong = secretive.with_name("wrong.toml")
    wrong.write_text(SECRETIVE.replace("sasl_plain_password", "sasl_plain_pasword").replace('"PLAIN"', "3"))
    commands = [
        ("config", "show", "-c", secretive),
        ("config", "show", "--json", "-c", secretive),
        ("config", "check", "-c", secretive),
        ("config", "check", "-c", wrong),
        ("config", "check", "--debug", "-c", wrong),
    ]
    ran = [parcours(*arguments) for arguments in commands]
    assert [each.code for each in ran] == [0, 0, 0, 3, 3]
    ran.append(process("run", "--debug", "-c", secretive))
    assert ran[-1].code == 3
    assert "127.0.0.1:1" in ran[-1].err
    assert (
        "leaked" not in ran[-1].err
    )  # DuckDB's words at exit, where an error keeps the store from being freed
    for each in ran:
        assert SECRET not in each.out + each.err
    assert ran[0].out.count("****") == 3
    assert os.environ["PARCOURS_USER"] not in ran[0].out
