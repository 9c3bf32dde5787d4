"""The loyalty ladder: its conditions, what is wrong with them, and who moved on it."""

from datetime import datetime

import pytest

from loading import Loader, hashed
from parcours.kpis.ladder import FACTS, create_statements, ladder_mistakes
from parcours.pipelines.config import ConfigError, load_config
from parcours.schemas import relations
from parcours.schemas.config import DEFAULT_LADDER
from reference import Channel, EventType, Options

OPTIONS = Options(
    events={
        "bought": EventType("purchase", ("purchase",)),
        "signed": EventType("purchase", ("contract_signed",)),
        "left": EventType(None, ("contract_terminated",)),
        "told": EventType("advocacy", ("referral_made",)),
    },
    channels={"site": Channel("digital")},
)


@pytest.fixture(scope="module")
def loader():
    """One store for all tests."""
    return Loader()


def store(loader, *events):
    """A store with these events: day in January 2025, person, event type, contract."""
    rows = [
        {
            "event_id": f"e{n}",
            "occurred_at": datetime(2025, 1, day),
            "customer_id": person,
            "event_type": kind,
            "channel": "site",
            "contract_id": contract[0] if contract else None,
            "source_name": "world",
            "source_topic": "touchpoints",
            "source_partition": 0,
            "source_offset": n,
        }
        for n, (day, person, kind, *contract) in enumerate(events)
    ]
    loader.empty()
    loader.load([hashed(rows)], OPTIONS)
    for statement in create_statements(DEFAULT_LADDER):
        loader.connection.execute(statement)
    return loader.connection


def rungs(connection, day=31):
    """Each person's rung at the end of that day of January 2025."""
    query = f"SELECT profile_id, rung FROM profiles_at(TIMESTAMP '2025-01-{day:02} 23:59')"
    return dict(connection.execute(query).fetchall())


def test_the_store_is_made_with_the_default_ladder():
    """The relations' own text is what the default of the config makes."""
    made = create_statements(DEFAULT_LADDER)
    for name, statements in (("ladder_rungs", made[:2]), ("ladder_rung", made[2:])):
        text = ";\n\n".join(statements).replace("OR REPLACE ", "") + ";\n"
        assert text == relations.statement(name)


def test_facts_are_columns(loader):
    """What a condition may speak of is what profiles_at shows, with the same type."""
    columns = dict(
        row[:2]
        for row in store(loader).execute("DESCRIBE FROM profiles_at(TIMESTAMP '2025-01-01')").fetchall()
    )
    assert {name: columns.get(name) for name in FACTS} == FACTS


def test_the_highest_rung_that_holds(loader):
    """Rungs and conditions are the organisation's; one that holds higher up counts whatever holds below."""
    connection = store(
        loader, (1, "ada", "bought"), (2, "bob", "told"), (3, "cyd", "told"), (3, "cyd", "bought")
    )
    for statement in create_statements({"friend's": "referrals >= 1", "Buyer": "Purchases + referrals >= 2"}):
        connection.execute(statement)
    assert {"ada": "prospect", "bob": "friend's", "cyd": "Buyer"} == rungs(connection)
    listed = connection.execute("SELECT ladder_rungs()").fetchone()[0]
    assert ["prospect", "friend's", "Buyer"] == listed


def test_a_fact_that_is_not_known_is_no_reason(loader):
    """Who never answered is on no rung that asks for an answer, nor on one that asks for the contrary."""
    connection = store(loader, (1, "ada", "bought"))
    for condition in ("last_nps >= 9", "NOT (last_nps >= 9)"):
        for statement in create_statements({"x": condition}):
            connection.execute(statement)
        assert {"ada": "prospect"} == rungs(connection)


def test_moves(loader):
    """Up, down, the same, or new: the ends of two periods are compared."""
    connection = store(
        loader,
        *((1, person, "signed", person) for person in ("ada", "bob", "cyd")),
        *((2, person, "told") for person in ("ada", "bob")),
        (12, "bob", "left", "bob"),
        (12, "cyd", "bought"),
        (13, "dan", "bought"),
    )
    query = "FROM ladder_moves(TIMESTAMP '2025-01-10', TIMESTAMP '2025-01-20') ORDER BY profile_id"
    assert [
        ("ada", "advocate", "advocate", "same"),
        ("bob", "advocate", "consumer", "down"),
        ("cyd", "consumer", "customer", "up"),
        ("dan", None, "consumer", "new"),
    ] == connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("condition", "problem", "unknown"),
    [
        ("purchase >= 1", '"purchase" is no fact', "purchase"),
        ("touchpoints.roles = 1", '"touchpoints.roles" is no fact', "touchpoints.roles"),
        ("purchases", "it is a bigint", None),
        ("purchases = 'many'", "a text has no place in it: compare facts with numbers", None),
        ("purchases >= 1 AND last_nps > 'nine'", "a text has no place in it", None),
        ("purchases >>>> 1 1", "it is no condition: syntax error", None),
        ("purchases >=", "it is no condition: it ends too early", None),
        ("(purchases >= 1", "it is no condition: it ends too early", None),
        ("true) UNION SELECT (true", "a statement of its own", None),
        ("1), (2", "a statement of its own", None),
        ("1) FROM touchpoints WHERE (true", "a statement of its own", None),
        ("random() < 0.5", "a function has no place", None),
        ("(SELECT true)", "a subquery has no place", None),
        ("purchases > 1 -- really", "has a comment", None),
        (" ", "it is empty", None),
    ],
)
def test_what_is_no_condition(condition, problem, unknown):
    """A condition speaks of the facts alone, and is true or false; anything else says why it is not."""
    (found,) = ladder_mistakes({"x": condition})
    assert problem in found.problem
    assert unknown == found.unknown
    with pytest.raises(ValueError, match="ladder > x: "):
        create_statements({"x": condition})


def test_a_config_lists_every_mistake_of_the_ladder(tmp_path):
    """Each wrong rung is named, with the fact that was probably meant; nothing is read."""
    path = tmp_path / "parcours.toml"
    path.write_text(
        '[ladder]\nbuyer = "purchases >= 1"\nfriend = "referal >= 1"\n'
        'prospect = "true"\n"x y" = "purchases >"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_config([path], {}, {})
    found = {mistake.key: mistake for mistake in caught.value.mistakes}
    assert {"ladder > friend", "ladder > prospect", "ladder > x y"} == {key.replace('"', "") for key in found}
    assert "referrals" == found["ladder > friend"].suggestion
    assert tuple(FACTS) == found["ladder > friend"].allowed
