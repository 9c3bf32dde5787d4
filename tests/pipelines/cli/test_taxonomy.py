"""``parcours taxonomy``: words that records use and the taxonomy does not have, and changes of it."""

import json
import shutil

import pytest

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
kafka = { sasl_plain_password = "${PARCOURS_NOT_SET}" }

[taxonomy.events.quote_created]
stage = "consideration"
roles = ["quote_created"]

[taxonomy.events.logged_in]

[taxonomy.channels.web]
medium = "digital"
"""

EVENTS = [
    ("quote_created", None, "web"),
    ("quote_createt", None, "web"),
    ("quote_createt", None, "kiosk"),
    ("quote_createt", "purchase", "web"),
    ("logged_in", None, "web"),
    ("walked in", None, "agency"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with a config and a store of six touchpoints."""
    folder = tmp_path_factory.mktemp("taxonomy")
    (folder / "parcours.toml").write_text(CONFIG)
    lines = [
        {
            "event_id": f"e{n}",
            "occurred_at": f"2026-01-0{n + 1}T10:00:00Z",
            "customer_id": "c1",
            "event_type": event,
            "stage": stage,
            "channel": channel,
        }
        for n, (event, stage, channel) in enumerate(EVENTS)
    ]
    (folder / "in.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert load(load_config([folder / "parcours.toml"], {}, {"PARCOURS_NOT_SET": "x"})).loaded == len(EVENTS)
    return folder


@pytest.fixture
def loaded(store, tmp_path):
    """The working folder, a copy of that one; commands in it see no secret of the source."""
    shutil.copytree(store, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_unmapped_words(loaded, parcours):
    """Words that lack a stage or medium are listed, but not those listed without a stage on purpose."""
    found = json.loads(parcours("taxonomy", "unmapped", "--json").out)
    assert [
        {
            "kind": "event type",
            "word": "quote_createt",
            "touchpoints": 2,
            "first_at": "2026-01-02T10:00:00",
            "last_at": "2026-01-03T10:00:00",
            "source": "crm",
            "near": "quote_created",
        },
        {
            "kind": "event type",
            "word": "walked in",
            "touchpoints": 1,
            "first_at": "2026-01-06T10:00:00",
            "last_at": "2026-01-06T10:00:00",
            "source": "crm",
            "near": None,
        },
    ] == found["event_types"]
    assert ["agency", "kiosk"] == [word["word"] for word in found["channels"]]

    shown = parcours("taxonomy", "unmapped")
    assert shown.code == 0
    assert "quote_createt" in shown.out
    assert '[taxonomy.events."walked in"]' in shown.out
    assert "logged_in" not in shown.out


def test_the_block_to_paste_maps_all(loaded, parcours):
    """After the block is pasted, nothing is unmapped, and the difference says what each entry moves."""
    block = parcours("taxonomy", "unmapped", "--toml").out
    table = "[taxonomy.events.quote_createt]"
    block = block.replace(table, f'{table}\nstage = "purchase"')
    config = loaded / "parcours.toml"
    config.write_text(config.read_text() + block)
    assert "every event type and every channel is in the taxonomy" in parcours("taxonomy", "unmapped").out

    found = json.loads(parcours("taxonomy", "diff", "--json").out)
    assert found["equal"] is False
    assert {
        "taxonomy.channels.agency": 1,
        "taxonomy.channels.kiosk": 1,
        "taxonomy.events.quote_createt": 2,  # the third gives its own stage
        'taxonomy.events."walked in"': 0,  # no stage, on purpose
    } == {change["key"]: change["touchpoints"] for change in found["changes"]}


@pytest.mark.parametrize(
    ("old", "new", "key", "touchpoints"),
    [
        ('stage = "consideration"', 'stage = "purchase"', "taxonomy.events.quote_created.stage", 1),
        ('roles = ["quote_created"]', "", "taxonomy.events.quote_created.roles", 1),
        ("[taxonomy.events.logged_in]", "", "taxonomy.events.logged_in", 0),
        ('"digital"', '"mail"', "taxonomy.channels.web.medium", 4),
        ('[taxonomy.channels.web]\nmedium = "digital"', "", "taxonomy.channels.web", 4),
    ],
)
def test_diff(old, new, key, touchpoints, loaded, parcours):  # noqa: PLR0917
    """Each change of the config stands with the touchpoints that a rebuild by it alone would move."""
    config = loaded / "parcours.toml"
    assert "the taxonomy is the one that the store was built with" in parcours("taxonomy", "diff").out
    config.write_text(CONFIG.replace(old, new))

    found = json.loads(parcours("taxonomy", "diff", "--json").out)
    assert [(key, touchpoints)] == [(change["key"], change["touchpoints"]) for change in found["changes"]]
    shown = parcours("taxonomy", "diff")
    assert (0, True) == (shown.code, key in shown.out)


def test_without_a_config(loaded, parcours, tmp_path):
    """Where no config says otherwise, words are held against the taxonomy that the store was built with."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = json.loads(
        parcours(
            "taxonomy", "unmapped", "--json", "--database", loaded / "parcours.duckdb", cwd=elsewhere
        ).out
    )
    assert ["quote_createt", "walked in"] == [word["word"] for word in found["event_types"]]


@pytest.mark.parametrize("name", ["unmapped", "diff"])
def test_a_store_in_use(name, loaded, parcours):
    """While a run holds the store, it is named and the exit code is 4."""
    with Store(loaded / "parcours.duckdb"):
        held = parcours("taxonomy", name)
    assert (4, True) == (held.code, "holds" in held.err or "held" in held.err)
