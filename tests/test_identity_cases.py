"""Who is who, one rule a test: merges, aliases and decisions, in slices and rebuilt, as in the reference."""

from datetime import datetime, timedelta

import pytest

import compare
import reference
from loading import Loader, hashed
from reference import Channel, EventType, Options
from strategies import Slice

NOON = datetime(2025, 6, 15, 12)
HOUR = timedelta(hours=1)
OPTIONS = Options(
    events={"seen": EventType("awareness"), "merged": EventType(None, ("customer_merged",))},
    channels={"site": Channel("digital")},
    max_customers_per_device=3,
)


@pytest.fixture(scope="module")
def shared_loader():
    """One store for all tests."""
    return Loader()


@pytest.fixture
def loader(shared_loader):
    """An empty store."""
    shared_loader.empty()
    return shared_loader


def seen(event_id, hours=0.0, customer=None, device=None, **fields):
    """A touchpoint ``hours`` after noon."""
    return {
        "event_id": event_id,
        "occurred_at": NOON + hours * HOUR,
        "customer_id": customer,
        "anonymous_id": device,
        "event_type": "seen",
        "channel": "site",
        **fields,
    }


def merged(event_id, other, customer, hours=0.0):
    """A touchpoint that says that ``other`` is another name of ``customer``; null: it says nothing."""
    attributes = [] if other is None else [{"key": "merged_customer_id", "value": other}]
    return seen(event_id, hours, customer, event_type="merged", attributes=attributes)


def alias(id_, customer, valid_from=None, id_type="customer_id", file="1.csv"):
    """A row of the reference input; that of the later file counts."""
    return {
        "id_type": id_type,
        "id": id_,
        "valid_from": valid_from,
        "customer_id": customer,
        "source_name": "aliases",
        "source_topic": file,
        "source_partition": 0,
    }


def decision(number, kind, id_, customer, minutes=0):
    """A decision, ``minutes`` after noon."""
    return {
        "decision_id": f"{number:02}",
        "decided_at": NOON + minutes * HOUR / 60,
        "kind": kind,
        "id": id_,
        "customer_id": customer,
    }


def load(loader, *slices, options=OPTIONS):
    """Load slices of touchpoints, aliases and decisions; hold tables, also rebuilt, against the reference.

    Returns:
        The person of each touchpoint.
    """
    items = [item for part in slices for item in part]
    events = hashed([item for item in items if "event_id" in item])
    numbered = iter(events)
    prepared = []
    for offset, part in enumerate(slices):
        prepared.append(
            Slice(
                [
                    {
                        **next(numbered),
                        "source_name": "world",
                        "source_topic": "touchpoints",
                        "source_partition": 0,
                        "source_offset": place,
                    }
                    for place, item in enumerate(part)
                    if "event_id" in item
                ],
                {
                    "aliases": [
                        {**item, "source_offset": 100 * offset + place}
                        for place, item in enumerate(part)
                        if "id_type" in item
                    ]
                },
                [item for item in part if "decision_id" in item],
            )
        )
    loader.load(prepared, options)
    expected = reference.build(
        [event for each in prepared for event in each.events],
        options,
        {"aliases": [row for each in prepared for row in each.references["aliases"]]},
        [row for each in prepared for row in each.decisions],
    )
    compare.assert_same(expected, compare.normalise(loader.connection))
    found = persons(loader)
    loader.rebuild(options)
    compare.assert_same(expected, compare.normalise(loader.connection))
    return found


def persons(loader):
    """The person of each event."""
    return dict(loader.connection.execute("SELECT event_id, profile_id FROM touchpoints").fetchall())


def statuses(loader):
    """The status of each link, by its two ids."""
    query = "SELECT coalesce(anonymous_id, other_customer_id), customer_id, status FROM identity_links"
    return {row[:2]: row[2] for row in loader.connection.execute(query).fetchall()}


# Merges and aliases ---------------------------------------------------------------------


def test_a_late_merge_moves_what_is_stored(loader):
    """Touchpoints of the merged id, and of devices that met it, go to the person; the id itself stays."""
    found = load(
        loader,
        [seen("old", 0, "old-ada"), seen("link", 1, "old-ada", "d"), seen("alone", 2, None, "d")],
        [merged("m", "old-ada", "ada", 3)],
    )

    assert {"ada"} == set(found.values())
    kept = "SELECT customer_id FROM touchpoints WHERE event_id = 'old'"
    assert [("old-ada",)] == loader.connection.execute(kept).fetchall()


@pytest.mark.parametrize("other", [None, "", "ada"])
def test_a_merge_that_names_nobody_else_is_no_link(loader, other):
    """Absent, blank, or the customer itself."""
    load(loader, [merged("m", other, "ada")])

    assert {} == statuses(loader)


def test_a_chain_of_hundreds_of_merges_is_one_person(loader):
    """However long it is, in whichever order and slice its links come; it bears the last link's customer."""
    links = [merged(f"m{n}", f"A{n}", f"A{n + 1}", n) for n in range(300)]
    found = load(loader, [seen("first", 0, "A0")], links[1::2], links[:150:2], links[150::2])

    assert {"A300"} == set(found.values())


@pytest.mark.parametrize(("last", "person"), [(2, "ada"), (1, "bob"), (3, "ada")])
def test_a_circle_bears_the_name_that_was_linked_to_last(loader, last, person):
    """Of two at one instant the smaller one."""
    found = load(
        loader, [merged("a", "bob", "ada", 2)], [merged("b", "ada", "bob", {1: 9, 2: 2, 3: 1}[last])]
    )

    assert {person} == set(found.values())


def test_of_two_that_are_nobodys_name_the_one_linked_to_last_is_the_person(loader):
    """Since ever is earlier than any instant."""
    found = load(
        loader,
        [alias("x", "ada"), alias("x", "bob", NOON), seen("e", 0, "x"), seen("f", 0, "ada")],
    )

    assert {"bob"} == set(found.values())


def test_an_alias_that_is_corrected_lets_the_two_go(loader):
    """The later dump says that it is someone else's; what had moved moves on."""
    found = load(
        loader,
        [seen("x", 0, "x"), seen("a", 0, "ada"), seen("link", 0, "x", "d"), seen("alone", 1, None, "d")],
        [alias("x", "ada")],
        [alias("x", "bob", file="2.csv")],
    )

    assert {"x": "bob", "a": "ada", "link": "bob", "alone": "bob"} == found


def test_a_demoted_merge_ties_nobody(loader):
    """An earlier content with its id takes its place, and the persons are two again."""
    found = load(
        loader,
        [seen("b", 0, "bob"), merged("m", "bob", "ada", 5)],
        [seen("m", 1, "ada")],
    )

    assert {"b": "bob", "m": "ada"} == found


def test_a_link_that_goes_splits_a_chain_where_it_stood(loader):
    """Both ends keep what still ties them."""
    names = "abcdef"
    links = [merged(f"m{n}", names[n], names[n + 1], n) for n in range(5)]
    found = load(
        loader, [*(seen(name, 0, name) for name in names), *links], [decision(1, "unlink", "c", "d")]
    )

    assert ["c", "c", "c", "f", "f", "f"] == [found[name] for name in names]


def test_an_alias_of_a_device_since_ever_is_its_earliest_link(loader):
    """So it is the nearest one only to what came long before the others."""
    found = load(
        loader,
        [
            seen("early", -24 * 365 * 24, None, "d"),
            seen("late", -1, None, "d"),
            seen("link", 0, "bob", "d"),
        ],
        [alias("d", "ada", id_type="anonymous_id")],
    )

    assert ("ada", "bob") == (found["early"], found["late"])


def test_the_limit_counts_persons_not_customer_ids(loader):
    """Two of four customers turn out to be one: the device is linked again."""
    links = [seen(name, n, name, "d") for n, name in enumerate(("ada", "bob", "cyd", "dan"))]
    found = load(loader, [*links, seen("alone", 2.9, None, "d")], [alias("dan", "cyd")])

    assert "cyd" == found["alone"]
    assert {"active"} == set(statuses(loader).values())


# Decisions ------------------------------------------------------------------------------


def test_an_unlinked_pair_stays_apart_when_it_meets_again(loader):
    """Later links of the pair do not count towards the limit either, until it is relinked."""
    limited = Options(events=OPTIONS.events, channels=OPTIONS.channels, max_customers_per_device=1)
    slices = [
        [seen("a", 0, "ada", "d"), seen("b", 1, "bob", "d"), seen("alone", 2, None, "d")],
        [decision(1, "unlink", "d", "ada", 1)],
        [seen("again", 3, "ada", "d")],
    ]
    found = load(loader, *slices, options=limited)
    assert "bob" == found["alone"]
    assert {("d", "ada"): "unlinked", ("d", "bob"): "active"} == statuses(loader)

    loader.empty()
    found = load(loader, *slices, [decision(2, "relink", "d", "ada", 2)], options=limited)
    assert "anon:d" == found["alone"]


def test_two_customer_ids_are_one_pair_in_either_order(loader):
    """What was unlinked one way is relinked the other way."""
    tied = [seen("b", 0, "bob"), merged("m", "bob", "ada")]
    found = load(loader, tied, [decision(1, "unlink", "ada", "bob")])
    assert "bob" == found["b"]

    loader.empty()
    found = load(
        loader, tied, [decision(1, "unlink", "ada", "bob"), decision(2, "relink", "bob", "ada", minutes=1)]
    )
    assert "ada" == found["b"]


def test_of_two_decisions_at_one_instant_the_greater_id_holds(loader):
    """In whichever order they are recorded."""
    tied = [seen("b", 0, "bob"), merged("m", "bob", "ada")]
    found = load(loader, tied, [decision(2, "unlink", "bob", "ada")], [decision(1, "relink", "bob", "ada")])

    assert "bob" == found["b"]


def test_a_decision_about_an_id_that_is_device_and_customer_concerns_both(loader):
    """A device may bear a customer's name."""
    load(
        loader,
        [seen("link", 0, "bob", "ada"), seen("alone", 1, None, "ada"), merged("m", "ada", "bob")],
        [decision(1, "unlink", "ada", "bob")],
    )

    assert {("ada", "bob"): "unlinked"} == statuses(loader)
    assert "anon:ada" == persons(loader)["alone"]


def test_a_decision_before_its_links_holds_for_them(loader):
    """Decisions may be there before the log that they speak of, as after a reload."""
    found = load(
        loader, [decision(1, "unlink", "bob", "ada")], [seen("b", 0, "bob"), merged("m", "bob", "ada")]
    )

    assert "bob" == found["b"]
