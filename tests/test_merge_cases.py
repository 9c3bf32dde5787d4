"""Merge and commit, one rule a test: who wins, who is touched, and what a link or a demotion moves.

The generated worlds of ``test_store_is_a_function`` hold all of it together; here each rule stands alone, so
that whoever breaks one reads its name.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

import compare
import reference
from loading import Loader, hashed
from reference import REFERENCE_FIELDS, Channel, EventType, Options
from strategies import Slice

NOON = datetime(2025, 6, 15, 12)
HOUR = timedelta(hours=1)
MICRO = timedelta(microseconds=1)
OPTIONS = Options(
    events={
        "seen": EventType("awareness", ("touch",)),
        "bought": EventType("purchase", ("purchase",)),
        "merged": EventType(None, ("customer_merged",)),
        "signed": EventType("purchase", ("contract_signed",)),
        "left": EventType("service", ("contract_terminated",)),
    },
    channels={"site": Channel("digital"), "agency": Channel("physical")},
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


def event(event_id, hours=0.0, customer=None, device=None, **fields):
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


def slices_of(*slices):
    """The slices with content hashes and coordinates: offsets as in one partition."""
    flat = hashed([event for events in slices for event in events])
    placed = iter(
        {
            **event,
            "source_name": "world",
            "source_topic": "touchpoints",
            "source_partition": 0,
            "source_offset": offset,
        }
        for offset, event in enumerate(flat)
    )
    return [[next(placed) for _ in events] for events in slices]


def load(loader, *slices, options=OPTIONS):
    """Load the slices, hold every table against the reference, and return the counts."""
    prepared = slices_of(*slices)
    counts = loader.load(prepared, options)
    expected = reference.build([event for events in prepared for event in events], options)
    compare.assert_same(expected, compare.normalise(loader.connection))
    return counts


def load_with(loader, *slices, options=OPTIONS):
    """Load slices that may hold reference records and decisions, hold all against the reference.

    Returns:
        The reference's tables.
    """
    events = iter(slices_of(*(part.events for part in slices)))
    prepared = [replace(part, events=next(events)) for part in slices]
    loader.load(prepared, options)
    expected = reference.build(
        [event for part in prepared for event in part.events],
        options,
        {name: [r for part in slices for r in part.references.get(name, [])] for name in REFERENCE_FIELDS},
        [decision for part in slices for decision in part.decisions],
    )
    compare.assert_same(expected, compare.normalise(loader.connection))
    loader.rebuild(options)
    compare.assert_same(expected, compare.normalise(loader.connection))
    return expected


def records(name, *rows):
    """Records of one reference input, in one file."""
    place = {"source_name": name, "source_topic": "a.csv", "source_partition": 0, "valid_from": None}
    return {name: [{**place, "source_offset": n, **row} for n, row in enumerate(rows)]}


def alias(id_, customer_id, **fields):
    """An alias of a customer."""
    return {"id_type": "customer_id", "id": id_, "customer_id": customer_id, **fields}


def merging(event_id, hours, into, merged):
    """The touchpoint that merges a customer into another."""
    pair = {"key": "merged_customer_id", "value": merged}
    return event(event_id, hours, into, event_type="merged", attributes=[pair])


def decision(kind, id_, customer_id, hours=0):
    """A decision about a pair, ``hours`` after noon."""
    return {
        "decision_id": f"{kind} {hours}",
        "decided_at": NOON + hours * HOUR,
        "kind": kind,
        "id": id_,
        "customer_id": customer_id,
    }


def persons(loader):
    """The person of each event."""
    return dict(loader.connection.execute("SELECT event_id, profile_id FROM touchpoints").fetchall())


def statuses(loader):
    """The statuses that links have."""
    return {row[0] for row in loader.connection.execute("SELECT status FROM identity_links").fetchall()}


# Duplicates and conflicts ---------------------------------------------------------------


def test_the_earliest_of_three_contents_wins_over_three_slices(loader):
    """Each newcomer demotes the one before; each loser has one row of its own."""
    counts = load(
        loader,
        [event("e", 2, "ada")],
        [event("e", 1, "bob")],
        [event("e", 0, "cyd"), event("e", 2, "ada"), event("e", 1, "bob")],
    )

    assert (3, 2, 2) == (counts.loaded, counts.demoted, counts.duplicate)
    assert {"e": "cyd"} == persons(loader)


def test_of_two_contents_at_one_instant_the_smaller_hash_wins_whichever_came_first(loader):
    """Both orders leave the same one."""
    copies = [event("e", 0, "ada"), event("e", 0, "bob")]
    load(loader, [copies[0]], [copies[1]])
    first = persons(loader)
    loader.empty()
    load(loader, [copies[1]], [copies[0]])

    assert first == persons(loader)


def test_a_loser_that_comes_again_is_a_duplicate(loader):
    """It has its row in the quarantine already."""
    counts = load(loader, [event("e", 0, "ada")], [event("e", 1, "ada")], [event("e", 1, "ada")] * 2)

    assert (1, 1, 2) == (counts.loaded, counts.quarantined, counts.duplicate)


def test_a_demoted_content_that_comes_in_the_slice_that_demotes_it_is_a_duplicate(loader):
    """It is still in the store when the slice is judged."""
    counts = load(loader, [event("e", 1, "ada")], [event("e", 1, "ada"), event("e", 0, "bob")])

    assert (2, 1, 1) == (counts.loaded, counts.demoted, counts.duplicate)


# Links ----------------------------------------------------------------------------------


def test_a_demoted_touchpoint_takes_its_link_along(loader):
    """The device is nobody's again, and its other touchpoints go back to it."""
    load(loader, [event("link", 1, "ada", "d"), event("alone", 5, None, "d")], [event("link", 0, "ada")])

    assert {"link": "ada", "alone": "anon:d"} == persons(loader)


def test_a_demoted_link_is_replaced_by_the_winners(loader):
    """The device changes hands in one slice."""
    load(loader, [event("link", 1, "ada", "d"), event("alone", 5, None, "d")], [event("link", 0, "bob", "d")])

    assert {"link": "bob", "alone": "bob"} == persons(loader)


def test_an_anonymous_profile_that_empties_disappears(loader):
    """Nothing of it stays in any relation."""
    load(loader, [event("a", 0, None, "d")], [event("link", 1, "ada", "d")])

    assert [("ada",)] == loader.connection.execute("SELECT profile_id FROM profiles").fetchall()
    assert {("ada",)} == set(loader.connection.execute("SELECT profile_id FROM visits").fetchall())


def test_of_two_links_equally_near_the_earlier_counts(loader):
    """Half-way between two log-ins, the one before has it."""
    load(loader, [event("a", 0, "zoe", "d"), event("b", 2, "ada", "d"), event("between", 1, None, "d")])

    assert "zoe" == persons(loader)["between"]


def test_of_two_links_at_one_instant_the_smaller_customer_counts(loader):
    """Before them and after them."""
    links = [event("a", 1, "zoe", "d"), event("b", 1, "ada", "d")]
    load(
        loader,
        [*links, event("before", 0, None, "d"), event("at", 1, None, "d"), event("after", 2, None, "d")],
    )

    assert {"ada"} == {persons(loader)[name] for name in ("before", "at", "after")}


def test_a_link_at_the_very_instant_is_the_nearest(loader):
    """Whatever lies a microsecond to either side."""
    micro = 1 / 3_600_000_000
    load(
        loader,
        [
            event("before", 1 - micro, "ada", "d"),
            event("at", 1, "zoe", "d"),
            event("after", 1 + micro, "bob", "d"),
            event("alone", 1, None, "d"),
        ],
    )

    assert "zoe" == persons(loader)["alone"]


def test_a_device_at_the_limit_is_linked_and_past_it_is_not(loader):
    """The customer too many takes the device from all of them, in a later slice too."""
    first = [event(name, n, name, "d") for n, name in enumerate(("ada", "bob", "cyd"))]
    load(loader, [*first, event("alone", 0, None, "d")])
    assert ("ada", {"active"}) == (persons(loader)["alone"], statuses(loader))

    loader.empty()
    load(loader, [*first, event("alone", 0, None, "d")], [event("dan", 9, "dan", "d")])
    assert ("anon:d", {"over_limit"}) == (persons(loader)["alone"], statuses(loader))


def test_a_demotion_brings_a_device_back_under_its_limit(loader):
    """Its links are active again, and its touchpoints find their customers."""
    links = [event(name, n, name, "d") for n, name in enumerate(("ada", "bob", "cyd", "dan"))]
    load(loader, [*links, event("alone", 0, None, "d")], [event("dan", 1, "dan")])

    assert ("ada", {"active"}) == (persons(loader)["alone"], statuses(loader))


def test_a_late_link_moves_the_middle_of_a_shared_devices_touchpoints(loader):
    """A device of one customer that meets another is looked at whole."""
    load(
        loader,
        [event("a", 0, "ada", "d"), event("alone 1", 1, None, "d"), event("alone 9", 9, None, "d")],
        [event("b", 8, "bob", "d")],
    )

    assert ("ada", "bob") == (persons(loader)["alone 1"], persons(loader)["alone 9"])


def test_a_demotion_swaps_a_devices_only_customer(loader):
    """One customer before and one after, and not the same: the device's touchpoints move."""
    load(
        loader,
        [event("link", 3, "ada", "d"), event("alone", 1, None, "d")],
        [event("link", 2, "ada"), event("other", 9, "bob", "d")],
    )

    assert "bob" == persons(loader)["alone"]


# Persons --------------------------------------------------------------------------------


def test_an_alias_that_comes_late_takes_touchpoints_devices_and_their_journeys_along(loader):
    """Both ids and a device that only the other one met are one person from then on."""
    load_with(
        loader,
        Slice([event("a", 0, "ada"), event("b", 1, "bob", "d"), event("alone", 2, None, "d")]),
        Slice(references=records("aliases", alias("bob", "ada"))),
    )

    assert {"a": "ada", "b": "ada", "alone": "ada"} == persons(loader)


def test_a_merge_that_loses_to_an_earlier_content_gives_the_persons_back(loader):
    """The person falls apart again, the device's touchpoints with it."""
    load_with(
        loader,
        Slice([event("a", 0, "ada"), event("b", 1, "bob", "d"), event("alone", 2, None, "d")]),
        Slice([merging("m", 5, "ada", "bob")]),
        Slice([event("m", 4, "ada")]),
    )

    assert {"a": "ada", "b": "bob", "alone": "bob", "m": "ada"} == persons(loader)


@pytest.mark.parametrize("name", ["bob ", "bob\t", " bob"])
def test_a_merge_names_a_customer_as_given(loader, name):
    """Ids are taken as they stand, blanks around them too, in the attribute as in the field."""
    load_with(loader, Slice([event("a", 0, "ada"), event("b", 1, name), merging("m", 5, "ada", name)]))

    assert {"a": "ada", "b": "ada", "m": "ada"} == persons(loader)


def test_a_link_that_turns_a_chain_into_a_circle_gives_the_person_another_name(loader):
    """The id that was linked to last names it."""
    slices = [Slice([merging("1", 1, "bob", "ada"), merging("2", 2, "cyd", "bob")])]
    load_with(loader, *slices)
    assert {"cyd"} == set(persons(loader).values())

    loader.empty()
    load_with(loader, *slices, Slice([merging("3", 3, "ada", "cyd")]))
    assert {"ada"} == set(persons(loader).values())


def test_two_customers_who_turn_out_to_be_one_bring_a_device_under_its_limit(loader):
    """Persons count, not ids."""
    links = [event(name, n, name, "d") for n, name in enumerate(("ada", "bob", "cyd", "dan"))]
    load_with(
        loader,
        Slice([*links, event("alone", 9, None, "d")]),
        Slice(references=records("aliases", alias("dan", "cyd"))),
    )

    assert ("cyd", {"active"}) == (persons(loader)["alone"], statuses(loader))


def test_an_unlink_holds_for_links_that_come_later_until_a_relink(loader):
    """Of a device and a customer."""
    apart = Slice(decisions=[decision("unlink", "d", "ada")])
    late = Slice([event("late", 5, "ada", "d")])
    first = Slice([event("a", 0, "ada", "d"), event("alone", 1, None, "d")])
    load_with(loader, first, apart, late)
    assert ("anon:d", {"unlinked"}) == (persons(loader)["alone"], statuses(loader))

    loader.empty()
    load_with(loader, first, apart, late, Slice(decisions=[decision("relink", "d", "ada", 1)]))
    assert ("ada", {"active"}) == (persons(loader)["alone"], statuses(loader))


def test_a_decision_about_two_customers_names_them_in_either_order(loader):
    """What was unlinked one way round is linked again the other way round."""
    first = Slice([event("a", 0, "ada"), event("b", 1, "bob")], records("aliases", alias("bob", "ada")))
    apart = Slice(decisions=[decision("unlink", "ada", "bob")])
    load_with(loader, first, apart)
    assert {"a": "ada", "b": "bob"} == persons(loader)

    loader.empty()
    load_with(loader, first, apart, Slice(decisions=[decision("relink", "bob", "ada", 1)]))
    assert {"a": "ada", "b": "ada"} == persons(loader)


# Contracts ------------------------------------------------------------------------------


def signing(contract_id, hours, customer="ada", **fields):
    """The touchpoint that signs a contract."""
    return event(
        f"{contract_id} signed", hours, customer, event_type="signed", contract_id=contract_id, **fields
    )


def termination(contract_id, hours, customer="ada", **fields):
    """The touchpoint that terminates a contract."""
    return event(
        f"{contract_id} ended", hours, customer, event_type="left", contract_id=contract_id, **fields
    )


def ended_by(loader):
    """What ended the journeys that an event ended."""
    rows = loader.connection.execute("SELECT ended_by FROM journeys WHERE ended_by IS NOT NULL").fetchall()
    return [row[0] for row in rows]


def test_a_contract_signed_late_takes_the_end_from_a_journey(loader):
    """The termination that left nothing leaves another contract once that one is known."""
    slices = [Slice([signing("1", 0), termination("1", 5)])]
    load_with(loader, *slices)
    assert ["left"] == ended_by(loader)

    loader.empty()
    load_with(loader, *slices, Slice([signing("2", 5)]))
    assert [] == ended_by(loader)


def test_a_reference_row_that_names_another_owner_moves_the_end(loader):
    """Bob terminates his contract; the insurer's file says later that it was Ada's."""
    load_with(
        loader,
        Slice([signing("1", 0, "bob"), termination("1", 5, "bob"), event("after", 6, "bob")]),
        Slice(references=records("contracts", {"contract_id": "1", "customer_id": "ada"})),
    )

    assert [] == ended_by(loader)
    assert ("ada",) == loader.connection.execute("SELECT profile_id FROM contracts").fetchone()


def test_a_contract_is_in_force_until_just_before_its_end(loader):
    """At its end it is not, and its person holds nothing any more."""
    tables = load_with(loader, Slice([signing("1", 0), termination("1", 5)]))

    for at in (NOON + 5 * HOUR, NOON + 5 * HOUR - MICRO, NOON, NOON - MICRO):
        compare.assert_same_at(tables, loader.connection, at, OPTIONS)
    query = "SELECT in_force FROM contracts_at(TIMESTAMP '2025-06-15 17:00')"
    assert [(False,)] == loader.connection.execute(query).fetchall()


def test_a_contract_that_begins_at_the_end_of_another_leaves_no_break(loader):
    """A microsecond later there is one."""
    query = "SELECT unbroken_since FROM profiles_at(TIMESTAMP '2025-06-16')"
    for pause, since in ((timedelta(0), NOON), (MICRO, NOON + 5 * HOUR + MICRO)):
        loader.empty()
        events = [signing("1", 0), termination("1", 5), signing("2", 5 + pause / HOUR)]
        tables = load_with(loader, Slice(events))
        compare.assert_same_at(tables, loader.connection, datetime(2025, 6, 16), OPTIONS)
        assert [(since,)] == loader.connection.execute(query).fetchall()


# Order and limits -----------------------------------------------------------------------


def test_at_one_instant_the_lower_stage_comes_first(loader):
    """Whatever the ids say: in journeys and in visits."""
    load(
        loader,
        [
            event("a", 0, "ada", event_type="bought"),
            event("b", 0, "ada"),
            event("z", 0, "ada", event_type="?"),
        ],
    )

    steps = loader.connection.execute("SELECT event_id FROM journey_steps ORDER BY position").fetchall()
    assert ["z", "b", "a"] == [step[0] for step in steps]


def test_a_late_touchpoint_renames_the_visit_of_those_behind_it(loader):
    """A visit is named by its first touchpoint: stored ones are rewritten."""
    load(loader, [event("b", 0.4, "ada"), event("c", 0.8, "ada")], [event("a", 0, "ada")])

    assert 1 == loader.connection.execute("SELECT count(DISTINCT visit_id) FROM touchpoints").fetchone()[0]


# Rebuild --------------------------------------------------------------------------------


def test_a_rebuild_by_other_rules_gives_what_a_load_by_them_gives(loader):
    """Stages, roles, media, visits, limits and journeys all change hands at once."""
    events = [
        event("a", 0, None, "d"),
        event("b", 0.2, "ada", "d", channel="agency"),
        event("c", 0.4, "bob", "d", channel="agency", event_type="bought"),
        event("e", 30, None, "d", event_type="bought"),
        event("f", 30.1, "ada", channel="fax", event_type="left"),
    ]
    other = Options(
        events={
            "seen": EventType("service", ("visit",)),
            "left": EventType(None, ("contract_terminated",), "revenue"),
        },
        channels={"site": Channel("physical"), "agency": Channel("digital", True), "fax": Channel("digital")},
        gap=5 * HOUR,
        end_on=("contract_terminated",),
        max_customers_per_device=1,
    )
    load(loader, events)
    loader.rebuild(other)

    compare.assert_same(reference.build(slices_of(events)[0], other), compare.normalise(loader.connection))
