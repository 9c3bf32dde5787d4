"""``parcours explain``: a person's story, as data and as text."""

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

[journey]
gap = "30d"

[taxonomy.events]
page_viewed = { stage = "awareness" }
logged_in = {}
quote_created = { stage = "consideration", roles = ["quote_created"] }
contract_signed = { stage = "loyalty", roles = ["contract_signed"], money_role = "premium" }
contract_terminated = { roles = ["contract_terminated"] }
accounts_merged = { roles = ["customer_merged"] }
claim_opened = { stage = "service", roles = ["claim_opened"] }

[taxonomy.channels.web]
medium = "digital"
"""

ALICE = [
    ("a1", "2026-01-01T10:00", "page_viewed", {"customer_id": None, "anonymous_id": "d1"}),
    ("a2", "2026-01-01T10:10", "logged_in", {"anonymous_id": "d1"}),
    ("a3", "2026-01-02T10:00", "quote_created", {"product": "auto"}),
    (
        "a4",
        "2026-01-05T23:30",
        "contract_signed",
        {"stage": "purchase", "contract_id": "k1", "product": "auto"},
    ),
    ("a5", "2026-01-10T10:00", "claim_opened", {"claim_id": "s1"}),
    ("a6", "2026-01-12T10:00", "quote_created", {"product": "home"}),
    ("a7", "2026-03-20T10:00", "contract_terminated", {"contract_id": "k1"}),
    ("a8", "2026-03-25T10:00", "page_viewed", {}),
]

OTHERS = [
    ("b1", "2026-02-01T10:00", "logged_in", {"customer_id": "bob", "anonymous_id": "kiosk"}),
    ("b2", "2026-02-03T10:00", "accounts_merged", {"customer_id": "bob", "merged_customer_id": "robert"}),
    ("r1", "2026-02-02T10:00", "page_viewed", {"customer_id": "robert"}),
    ("c1", "2026-02-01T11:00", "logged_in", {"customer_id": "carol", "anonymous_id": "kiosk"}),
    *((f"m{n}", f"2026-02-01T12:{n:02}", "page_viewed", {"customer_id": "many"}) for n in range(60)),
    ("x1", "2026-02-02T10:00", "page_viewed", {"customer_id": None, "anonymous_id": "nobody"}),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with a config and a store of a few persons."""
    folder = tmp_path_factory.mktemp("explain")
    (folder / "parcours.toml").write_text(CONFIG)
    lines = [
        {
            "event_id": event_id,
            "occurred_at": f"{at}:00Z",
            "event_type": event,
            "channel": "web",
            "customer_id": "alice",
            **more,
        }
        for event_id, at, event, more in [*ALICE, *OTHERS]
    ]
    (folder / "in.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert load(load_config([folder / "parcours.toml"], {}, {})).loaded == len(lines)
    return folder


@pytest.fixture
def told(store, parcours, tmp_path):
    """Explains a person of that store, as data."""
    shutil.copytree(store, tmp_path, dirs_exist_ok=True)

    def explain(*arguments):
        ran = parcours("explain", *arguments, "--json")
        assert ran.code == 0, ran.out
        return json.loads(ran.out)

    return explain


def test_who_it_is(told):
    """The device that was anonymous is the person's, by the link of the first touchpoint with both ids."""
    story = told("alice")
    assert ("alice", True, ["alice"], 8) == tuple(
        story["person"][name] for name in ("profile_id", "identified", "customer_ids", "touchpoints")
    )
    assert [{"anonymous_id": "d1", "touchpoints": 2, "anonymous": 1}] == story["devices"]
    (link,) = story["links"]
    assert ("device", "d1", "alice", "active", 1, "2026-01-01T10:10:00", "a2") == tuple(
        link[name]
        for name in ("kind", "anonymous_id", "customer_id", "status", "times", "linked_at", "event_id")
    )


def test_a_person_of_several_names(told, parcours):
    """Customer ids that were merged are one person, found by each; the link says which, by which event."""
    story = told("robert")
    assert ("bob", ["bob", "robert"], 3) == tuple(
        story["person"][name] for name in ("profile_id", "customer_ids", "touchpoints")
    )
    assert {("device", "bob", "b1"), ("device", "carol", "c1"), ("merge", "bob", "b2")} == {
        (link["kind"], link["customer_id"], link["event_id"]) for link in story["links"]
    }
    text = parcours("explain", "bob").out
    assert "also known as robert\n" in text
    assert "merge robert -> bob: active since 2026-02-03 11:00, by event b2\n" in text


def test_journeys(told):
    """Each journey says why it began and ended, what it entered and returned to, and each touchpoint."""
    first, second, third = told("alice")["journeys"]
    assert {"reason": "first"} == first["began"]
    assert {"reason": "gap", "at": "2026-02-11T10:00:00"} == first["ended"]
    assert {"reason": "gap", "at": "2026-01-12T10:00:00", "days": 67.0} == second["began"]
    ended = {"reason": "end", "event_type": "contract_terminated", "at": "2026-03-20T10:00:00"}
    assert (ended, ended) == (second["ended"], third["began"])
    assert {"reason": "open", "at": "2026-04-24T10:00:00"} == third["ended"]

    assert [
        ("awareness", False, None),
        ("consideration", False, None),
        ("purchase", False, None),
        ("service", False, None),
        ("consideration", True, "new product"),
    ] == [(stay["stage"], stay["is_return"], stay["return_kind"]) for stay in first["stages"]]
    assert [
        ("a1", "awareness", "taxonomy", "d1"),
        ("a2", None, None, None),
        ("a3", "consideration", "taxonomy", None),
        ("a4", "purchase", "record", None),
        ("a5", "service", "taxonomy", None),
        ("a6", "consideration", "taxonomy", None),
    ] == [(s["event_id"], s["stage"], s["stage_by"], s["by_device"]) for s in first["steps"]]


def test_at_an_instant(told):
    """What occurred after --as-of is not told: not the termination, nor the rung and journeys since."""
    now, before = told("alice"), told("alice", "--as-of", "2026-01-06T00:30")  # a4, in Paris
    assert [False, True] == [story["contracts"][0]["in_force"] for story in (now, before)]
    assert (4, 1, "open") == (
        before["person"]["touchpoints"],
        len(before["journeys"]),
        before["journeys"][0]["ended"]["reason"],
    )
    assert "2026-01-05T23:30:00" == before["as_of"]
    assert 3 == told("alice", "--as-of", "2026-01-06")["person"]["touchpoints"]


def test_the_rung(told):
    """Each rung says whether its condition holds, and by which facts; the highest that holds is the rung."""
    story = told("alice")
    assert ["consumer"] == [step["rung"] for step in story["ladder"] if step["holds"]]
    assert "consumer" == story["rung"]
    (loyal,) = (step for step in story["ladder"] if step["rung"] == "loyal customer")
    assert ({"contracts_in_force", "tenure_years"}, False) == (set(loyal["facts"]), loyal["holds"])
    assert "prospect" == told("many")["rung"]


def test_another_ladder(told, parcours, tmp_path):
    """The rung is explained by the ladder of the store's views, which follow the config with the next run."""
    with (tmp_path / "parcours.toml").open("a") as config:
        config.write('\n[ladder]\nvisitor = "touchpoints >= 1"\nfan = "touchpoints >= 8"\n')
    assert "consumer" == told("alice")["rung"]
    assert parcours("run").code == 0
    story = told("alice")
    assert "fan" == story["rung"]
    assert [("visitor", True, {"touchpoints": 8}), ("fan", True, {"touchpoints": 8})] == [
        (step["rung"], step["holds"], step["facts"]) for step in story["ladder"]
    ]


def test_as_text(told, parcours):
    """The same for people: local times, why and by what, folded within the page."""
    text = parcours("explain", "alice").out
    for said in (
        "alice (identified), rung consumer: 8 touchpoints",
        "device d1 -> alice: active since 2026-01-01 11:10, by event a2",
        "loyal customer: does not hold: contracts_in_force >= 2 OR tenure_years >= 3",
        "k1, auto: ended 2026-03-20 11:00, signed by event a4, terminated by event a7",
        "began: after 67.0 days without a touchpoint, since 2026-01-12 11:00",
        "ended: by contract_terminated, on 2026-03-20 11:00",
        "ended: not yet: closes on 2026-04-24 12:00 if nothing comes",
        "returns: new product 1; the last to consideration on 2026-01-12",
        "2026-01-06 00:30   contract_signed   web       purchase*",
        "* the record gives the stage",
    ):
        assert said in text
    assert max(map(len, text.splitlines())) <= 110


def test_long_journeys(told, parcours):
    """The newest fifty touchpoints of a journey are shown, all of them when asked, and always as data."""
    short, whole = parcours("explain", "many").out, parcours("explain", "many", "--all").out
    assert "touchpoints: the newest 50; --all shows 10 more" in short
    assert (False, True, True) == ("m9 " in short, "m10" in short, "m9 " in whole)
    assert 60 == len(told("many")["journeys"][0]["steps"])


@pytest.mark.parametrize("name", ["alice", "d1", "anon:d1"])
def test_by_any_id(name, told):
    """A person is found by a device as by the customer id."""
    assert "alice" == told(name)["person"]["profile_id"]


@pytest.mark.parametrize("name", ["nobody", "anon:nobody"])
def test_somebody_unknown(name, told, parcours):
    """A device that nobody logged in on is a person of its own."""
    assert "anon:nobody" == told(name)["person"]["profile_id"]
    assert "anon:nobody (not identified), rung prospect" in parcours("explain", name).out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["alicia"],
            1,
            'no touchpoint has "alicia" as its customer, device or profile; did you mean "alice"?',
        ),
        (["alice", "--as-of", "2025-01-01"], 1, '"alice" has no touchpoint until 2025-01-01 00:00'),
        (["alice", "--as-of", "yesterday"], 2, '"yesterday" is no time'),
        (["alice", "--as-of", "0001-01-01"], 2, '"0001-01-01" is no time'),
        (["alice", "--as-of", "9999-12-31T23:30Z"], 2, '"9999-12-31T23:30Z" is no time'),
        (["kiosk"], 1, 'several persons used the device "kiosk": bob, carol; name one of them'),
    ],
)
def test_mistakes(arguments, code, said, told, parcours):
    """Who is not there, or is several, is said, with what was probably meant."""
    ran = parcours("explain", *arguments)
    assert (code, True) == (ran.code, said in ran.err)


def test_a_store_in_use(told, parcours):
    """While a run holds the store, it is named and the exit code is 4."""
    with Store("parcours.duckdb"):
        assert 4 == parcours("explain", "alice").code
