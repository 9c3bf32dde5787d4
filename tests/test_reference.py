"""The reference implementation against tables worked out by hand from the contract."""

from __future__ import annotations

import ast
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count, permutations
from pathlib import Path

import pytest

import reference
from reference import (
    Channel,
    EventType,
    Options,
    build,
    contracts_at,
    ladder_moves,
    profiles_at,
    stage_conversion,
)

NOON = datetime(2024, 3, 1, 12)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MICRO = timedelta(microseconds=1)

RULES = {
    "events": {
        "ad_seen": EventType("awareness", ("touch",)),
        "quote": EventType("consideration", ("quote_created",)),
        "signed": EventType("purchase", ("contract_signed", "purchase"), "premium"),
        "bought": EventType("purchase", ("purchase",), "revenue"),
        "claim": EventType("service", ("claim_opened",)),
        "ended": EventType("service", ("contract_terminated",)),
        "renewed": EventType("loyalty", ("contract_renewed",)),
        "praised": EventType("advocacy", ("review_posted",)),
        "logged_in": EventType(),
        "merged": EventType(None, ("customer_merged",)),
        "asked": EventType("service", ("question_asked",)),
        "answered": EventType("service", ("question_answered",)),
        "referred": EventType("advocacy", ("referral_made",)),
    },
    "channels": {
        "site": Channel("digital"),
        "app": Channel("digital", direct=True),
        "agency": Channel("physical"),
    },
}
LETTERS = {
    "a": "ad_seen",
    "c": "quote",
    "p": "bought",
    "s": "claim",
    "l": "renewed",
    "v": "praised",
    "-": "logged_in",
}
"""One letter a stage, so that a history reads as a word."""


def rules(**changes):
    """Return the options above, but for the changes."""
    return Options(**{**RULES, **changes})


_serial = count(1)


def event(at=NOON, event_type="logged_in", **fields):
    """Return one touchpoint; without ids it is the customer Ada's."""
    if "customer_id" not in fields and "anonymous_id" not in fields:
        fields["customer_id"] = "Ada"
    return {
        "event_id": f"e{next(_serial):04}",
        "occurred_at": at,
        "event_type": event_type,
        "channel": "site",
        **fields,
    }


def history(word, step=DAY, **fields):
    """Return Ada's touchpoints, one a letter, ``step`` apart."""
    return [event(NOON + i * step, LETTERS[letter], **fields) for i, letter in enumerate(word)]


def decision(kind, id_, customer_id, at=NOON, decision_id="1"):
    """Return one decision of a person about a pair."""
    return {
        "decision_id": decision_id,
        "decided_at": at,
        "kind": kind,
        "id": id_,
        "customer_id": customer_id,
    }


_places = count()


def record(**fields):
    """Return one record of a reference input; each is read from further behind than the one before."""
    place = {"source_name": "r", "source_topic": "r.csv", "source_partition": 0}
    return {"valid_from": None, **place, "source_offset": next(_places), **fields}


def alias(id_, customer_id, id_type="customer_id", **fields):
    """Return one alias."""
    return record(id_type=id_type, id=id_, customer_id=customer_id, **fields)


def merging(merged, into, at=NOON, **fields):
    """Return the touchpoint that says who was merged into whom."""
    pair = {"key": "merged_customer_id", "value": merged}
    return event(at, "merged", customer_id=into, attributes=[pair], **fields)


def profile_of(tables, event_id):
    """Return whose touchpoint an event is."""
    return next(row["profile_id"] for row in tables.touchpoints if row["event_id"] == event_id)


def journeys_of(tables):
    """Return the event ids of each journey, in order."""
    found = {}
    for row in tables.journey_steps:
        found.setdefault(row["journey_id"], []).append(row["event_id"])
    return sorted(found.values())


class TestTaxonomy:
    """What the taxonomy adds to an event."""

    def test_a_given_stage_wins_over_the_event_type(self):
        """The stage that came with the event is kept beside the one that counts."""
        tables = build([event(event_type="quote", stage="loyalty", event_id="x")], rules())

        (row,) = tables.touchpoints

        assert ("loyalty", "loyalty") == (row["stage_given"], row["stage"])

    def test_an_event_type_lends_its_stage_roles_and_money_role(self):
        """Without a stage of its own, the event has its type's."""
        (row,) = build([event(event_type="signed", channel="app")], rules()).touchpoints

        assert (None, "purchase") == (row["stage_given"], row["stage"])
        assert (["contract_signed", "purchase"], "premium") == (row["roles"], row["money_role"])
        assert ("digital", True) == (row["medium"], row["is_direct"])

    def test_unknown_words_are_counted_as_unmapped(self):
        """An event type and a channel that nobody listed give nulls, and are counted."""
        tables = build([event(event_type="?", channel="fax"), event(event_type="quote")], rules())

        row = next(row for row in tables.touchpoints if row["event_type"] == "?")
        assert (None, [], None, None, False) == (
            row["stage"],
            row["roles"],
            row["money_role"],
            row["medium"],
            row["is_direct"],
        )
        assert (1, 1) == (tables.counts["unmapped_stages"], tables.counts["unmapped_channels"])


class TestConflicts:
    """One event per event_id."""

    def test_equal_contents_are_duplicates_whatever_the_order_of_their_attributes(self):
        """Three copies, one with its attributes the other way round: one event, two duplicates."""
        pairs = [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}]
        once = event(attributes=pairs, value=Decimal("1.5"), currency="EUR")
        again = {**once, "attributes": pairs[::-1], "value": Decimal("1.5000"), "source_offset": 7}

        tables = build([once, again, dict(once)], rules())

        assert 1 == len(tables.touchpoints)
        assert [] == tables.conflicts
        assert {"read": 3, "loaded": 1, "duplicate": 2, "quarantined": 0} == {
            name: tables.counts[name] for name in ("read", "loaded", "duplicate", "quarantined")
        }

    def test_the_earliest_content_wins_and_each_other_is_listed_once(self):
        """Of contents at noon, a microsecond later and a day later, noon stays, however often they came."""
        late = event(NOON + DAY, event_id="x")
        early = event(NOON, event_id="x")
        later = event(NOON + MICRO, event_id="x")

        tables = build([late, early, later, late, early], rules())

        assert [NOON] == [row["occurred_at"] for row in tables.touchpoints]
        assert {NOON + MICRO, NOON + DAY} == {row["contents"]["occurred_at"] for row in tables.conflicts}
        assert (2, 2) == (tables.counts["duplicate"], tables.counts["quarantined"])

    def test_at_one_instant_the_smaller_hash_wins(self):
        """The hash that comes with the event decides, not the order of arrival."""
        one = event(event_id="x", channel="site", content_sha256="ff")
        other = event(event_id="x", channel="agency", content_sha256="0f")

        for arrival in permutations([one, other]):
            tables = build(list(arrival), rules())
            assert ["agency"] == [row["channel"] for row in tables.touchpoints]
            assert ["site"] == [row["contents"]["channel"] for row in tables.conflicts]

    def test_a_hash_that_tells_apart_equal_contents_is_refused(self):
        """The product's hash must agree with what the contents are."""
        one = event(event_id="x")

        with pytest.raises(ValueError, match="one content, two hashes"):
            build([{**one, "content_sha256": "aa"}, {**one, "content_sha256": "bb"}], rules())

    def test_a_hash_that_misses_a_difference_is_refused(self):
        """A field left out of the product's hash is found out."""
        one = event(event_id="x", content_sha256="aa")

        with pytest.raises(ValueError, match="two contents, one hash"):
            build([one, {**one, "variant": "B"}], rules())

    def test_the_losing_content_links_nobody(self):
        """Only the event that stays can link a device."""
        winner = event(NOON, event_id="x", customer_id="Ada")
        loser = event(NOON + DAY, event_id="x", customer_id="Bo", anonymous_id="d")

        tables = build([loser, winner, event(event_id="y", anonymous_id="d")], rules())

        assert [] == tables.identity_links
        assert "anon:d" == profile_of(tables, "y")


class TestIdentity:
    """Whose touchpoint it is."""

    def test_a_link_holds_earlier_and_later(self):
        """What the device did before and after the log-in belongs to the customer."""
        tables = build(
            [
                event(NOON - 500 * DAY, event_id="before", anonymous_id="d"),
                event(NOON, event_id="login", anonymous_id="d", customer_id="Ada"),
                event(NOON + 500 * DAY, event_id="after", anonymous_id="d"),
            ],
            rules(),
        )

        assert {"Ada"} == {row["profile_id"] for row in tables.touchpoints}
        assert [
            {
                "kind": "device",
                "anonymous_id": "d",
                "other_customer_id": None,
                "customer_id": "Ada",
                "event_id": "login",
                "linked_at": NOON,
                "status": "active",
            }
        ] == tables.identity_links
        assert [("Ada", True, 3)] == [
            (row["profile_id"], row["identified"], row["touchpoints"]) for row in tables.profiles
        ]

    def test_a_device_that_never_logged_in_is_a_profile_of_its_own(self):
        """Its name is anon: and the device's id, and it is not identified."""
        (row,) = build([event(anonymous_id="d")], rules()).profiles

        assert ("anon:d", False) == (row["profile_id"], row["identified"])

    def test_on_a_shared_device_the_nearest_link_decides(self):
        """Half-way between two links the earlier one holds; a microsecond later the other."""
        tables = build(
            [
                event(NOON, anonymous_id="d", customer_id="Zoe"),
                event(NOON + 2 * DAY, anonymous_id="d", customer_id="Ada"),
                event(NOON + DAY, event_id="middle", anonymous_id="d"),
                event(NOON + DAY + MICRO, event_id="past", anonymous_id="d"),
            ],
            rules(),
        )

        assert "Zoe" == profile_of(tables, "middle")
        assert "Ada" == profile_of(tables, "past")

    def test_of_links_at_one_instant_the_smaller_customer_holds(self):
        """Smaller by code point: capitals before small letters, and U+FFEE before an emoji."""
        for smaller, greater in (("Zoe", "ada"), ("\uffee", "😀"), ("10", "9")):
            tables = build(
                [
                    event(NOON, anonymous_id="d", customer_id=greater),
                    event(NOON, anonymous_id="d", customer_id=smaller),
                    event(NOON + DAY, event_id="x", anonymous_id="d"),
                ],
                rules(),
            )
            assert smaller == profile_of(tables, "x")

    def test_a_device_with_too_many_customers_is_left_unlinked_and_listed(self):
        """Three customers where two are allowed: their own touchpoints stay theirs."""
        events = [
            event(NOON, event_id=name, anonymous_id="d", customer_id=name) for name in ("Ada", "Bo", "Cy")
        ]
        events.append(event(NOON, event_id="x", anonymous_id="d"))

        tables = build(events, rules(max_customers_per_device=2))

        assert {"over_limit"} == {row["status"] for row in tables.identity_links}
        assert ["Ada", "Bo", "Cy", "anon:d"] == [
            profile_of(tables, name) for name in ("Ada", "Bo", "Cy", "x")
        ]
        assert 1 == tables.counts["devices_over_limit"]

    def test_as_many_customers_as_the_maximum_are_linked(self):
        """A count equal to the limit is within it."""
        events = [event(NOON, anonymous_id="d", customer_id=name) for name in ("Cy", "Bo", "Ada")]
        events.append(event(NOON, event_id="x", anonymous_id="d"))

        tables = build(events, rules(max_customers_per_device=3))

        assert "Ada" == profile_of(tables, "x")

    def test_an_unlinked_pair_does_not_count(self):
        """Without the unlinked pair the device is within its maximum, and goes to the other customer."""
        events = [
            event(NOON, anonymous_id="d", customer_id="Ada"),
            event(NOON + 9 * DAY, anonymous_id="d", customer_id="Bo"),
            event(NOON, event_id="x", anonymous_id="d"),
        ]

        decisions = [decision("unlink", "d", "Ada")]

        tables = build(events, rules(max_customers_per_device=1), decisions=decisions)

        assert "Bo" == profile_of(tables, "x")
        assert {"Ada": "unlinked", "Bo": "active"} == {
            row["customer_id"]: row["status"] for row in tables.identity_links
        }

    def test_a_customer_may_be_called_na(self):
        """NA is a person, not an absence."""
        tables = build([event(customer_id="NA"), event(anonymous_id="NA")], rules())

        assert {"NA", "anon:NA"} == {row["profile_id"] for row in tables.profiles}


class TestReferences:
    """Which record of a reference input counts."""

    def test_of_one_key_and_valid_from_the_record_from_furthest_behind_counts(self):
        """By topic as a text, then by offset as a number; in any order of arrival."""
        rows = [
            record(contract_id="k", customer_id="1", source_topic="9.csv", source_offset=1),
            record(contract_id="k", customer_id="2", source_topic="10.csv", source_offset=99),
            record(contract_id="k", customer_id="3", source_topic="9.csv", source_offset=10),
            record(contract_id="k", customer_id="4", source_topic="9.csv", source_offset=9),
            record(contract_id="k", customer_id="5", valid_from=NOON, source_topic="1.csv"),
        ]

        for arrival in permutations(rows):
            tables = build([], rules(), {"contracts": list(arrival)})
            assert {"3", "5"} == {row["customer_id"] for row in tables.ref_contracts}
            assert ["5"] == [row["profile_id"] for row in tables.contracts]


class TestPeople:
    """Customer ids that are one person."""

    @pytest.mark.parametrize(
        ("links", "person"),
        [
            ([("A", "B", 1)], "B"),
            ([("A", "B", 1), ("B", "C", 2)], "C"),
            ([("A", "B", 2), ("B", "C", 1)], "C"),
            ([("A", "B", 1), ("B", "A", 2)], "A"),
            ([("A", "B", 2), ("B", "A", 1)], "B"),
            ([("A", "B", 1), ("B", "A", 1)], "A"),
            ([("A", "B", 1), ("B", "C", 2), ("C", "A", 3)], "A"),
            ([("A", "B", 1), ("A", "C", 2)], "C"),
            ([("A", "B", 2), ("A", "C", 1)], "B"),
            ([("A", "B", 1), ("D", "C", 1), ("D", "A", 0)], "B"),
            ([("A", "B", None), ("A", "C", 1)], "C"),
            ([("B", "A", 3), ("C", "B", 1), ("C", "D", 2)], "A"),
        ],
    )
    def test_the_name_of_a_person(self, links, person):
        """Who has no other name; of several who was linked to last, then the smaller: (A, B, day)."""
        aliases = [
            alias(one, other, valid_from=None if day is None else NOON + day * DAY)
            for one, other, day in links
        ]
        ids = sorted({name for one, other, _ in links for name in (one, other)})
        events = [event(customer_id=name, event_id=name) for name in ids]

        tables = build(events, rules(), {"aliases": aliases})

        assert {person} == {row["profile_id"] for row in tables.touchpoints}
        assert [{"customer_id": name, "profile_id": person} for name in ids if name != person] == sorted(
            tables.people, key=lambda row: row["customer_id"]
        )

    def test_a_merge_is_a_touchpoint_that_names_the_merged_one(self):
        """Its customer goes on; without the attribute, or with its own id, it merges nobody."""
        tables = build(
            [
                merging("B", "A", event_id="m"),
                merging("A", "A"),
                event(event_type="merged", customer_id="A"),
                event(NOON + DAY, customer_id="B", event_id="b"),
            ],
            rules(),
        )

        assert [("merge", "B", "A", "m", NOON, "active")] == [
            tuple(
                row[name]
                for name in ("kind", "other_customer_id", "customer_id", "event_id", "linked_at", "status")
            )
            for row in tables.identity_links
        ]
        assert "A" == profile_of(tables, "b")
        assert "B" == next(row["customer_id"] for row in tables.touchpoints if row["event_id"] == "b")

    def test_a_device_counts_persons_not_ids(self):
        """Two ids of one person are within a limit of one; the device goes to that person."""
        events = [
            event(NOON, customer_id="A", anonymous_id="d"),
            event(NOON + DAY, customer_id="B", anonymous_id="d"),
            event(NOON, anonymous_id="d", event_id="x"),
        ]

        apart = build(events, rules(max_customers_per_device=1))
        together = build(events, rules(max_customers_per_device=1), {"aliases": [alias("A", "B")]})

        assert ("anon:d", "B") == (profile_of(apart, "x"), profile_of(together, "x"))

    def test_on_a_tie_of_two_links_the_smaller_person_holds(self):
        """Not the smaller customer id: Z is another name of B."""
        events = [
            event(NOON, customer_id="Z", anonymous_id="d"),
            event(NOON, customer_id="C", anonymous_id="d"),
            event(NOON, anonymous_id="d", event_id="x"),
        ]

        assert "C" == profile_of(build(events, rules()), "x")
        assert "B" == profile_of(build(events, rules(), {"aliases": [alias("Z", "B")]}), "x")

    def test_an_alias_of_a_device_is_one_more_link(self):
        """At its valid_from, or else at the beginning of 2000."""
        events = [
            event(datetime(2000, 1, 1), anonymous_id="d", event_id="old"),
            event(NOON - MICRO, anonymous_id="d", event_id="before"),
            event(NOON + DAY, customer_id="B", anonymous_id="d"),
        ]
        early, late = alias("d", "A", "anonymous_id"), alias("d", "C", "anonymous_id", valid_from=NOON)

        tables = build(events, rules(), {"aliases": [early, late]})

        assert ("A", "C") == (profile_of(tables, "old"), profile_of(tables, "before"))

    def test_the_last_decision_of_a_pair_holds(self):
        """By instant, then by id; for customers whichever is named first, for devices the device."""
        events = [
            event(NOON, customer_id="A", anonymous_id="d"),
            event(NOON, anonymous_id="d", event_id="x"),
            event(customer_id="B", event_id="b"),
        ]
        aliases = {"aliases": [alias("B", "A")]}

        def persons(*decisions):
            tables = build(events, rules(), aliases, decisions)
            return profile_of(tables, "b"), profile_of(tables, "x")

        assert ("A", "A") == persons(decision("unlink", "A", "d"))
        assert ("B", "A") == persons(decision("unlink", "B", "A"))
        assert ("B", "A") == persons(decision("unlink", "A", "B"))
        assert ("A", "anon:d") == persons(decision("unlink", "d", "A"))
        assert ("A", "A") == persons(
            decision("unlink", "B", "A"), decision("relink", "A", "B", decision_id="2")
        )
        assert ("B", "A") == persons(
            decision("relink", "B", "A", NOON), decision("unlink", "B", "A", NOON + MICRO, "0")
        )


class TestContracts:
    """What a contract's events and reference rows say together."""

    def contract(self, events, records=(), as_of=None):
        """Return the only contract, as stored or as at an instant."""
        tables = build(events, rules(), {"contracts": list(records)})
        (row,) = tables.contracts if as_of is None else contracts_at(tables, as_of)
        return row

    def test_the_reference_wins_over_the_signing_and_the_newest_row_over_older_ones(self):
        """Where the newest row is silent, the signing speaks."""
        pairs = [
            {"key": "effective_from", "value": "2024-04-01"},
            {"key": "due_at", "value": "2025-04-01T00:00+02:00"},
        ]
        events = [
            event(NOON, "quote", contract_id="k", customer_id="B", product="home"),
            event(NOON + DAY, "signed", contract_id="k", customer_id="B", attributes=pairs, event_id="s"),
        ]
        records = [
            record(contract_id="k", customer_id="A", effective_from=NOON, product="auto"),
            record(contract_id="k", customer_id="C", effective_from=NOON + 9 * DAY, valid_from=NOON),
        ]

        row = self.contract(events, records)

        assert ("C", "C", "home") == (row["profile_id"], row["customer_id"], row["product"])
        assert (NOON + DAY, NOON + DAY, "s") == (row["held_from"], row["signed_at"], row["signed_by"])
        assert (NOON + 9 * DAY, datetime(2025, 3, 31, 22)) == (row["effective_from"], row["due_at"])

    def test_without_a_reference_the_signing_says_whose_it_is_else_the_first_event(self):
        """A quote of another person before the signing does not."""
        events = [
            event(NOON, "quote", contract_id="k", customer_id="B"),
            event(NOON + DAY, "signed", contract_id="k", customer_id="A"),
        ]

        assert "A" == self.contract(events)["profile_id"]
        assert "B" == self.contract(events[:1])["profile_id"]

    def test_the_first_of_several_terminations_counts(self):
        """At one instant the smaller event_id."""
        events = [
            event(NOON + DAY, "ended", contract_id="k", event_id="1"),
            event(NOON, "ended", contract_id="k", event_id="3"),
            event(NOON, "ended", contract_id="k", event_id="2"),
        ]

        assert ("2", NOON) == tuple(
            self.contract(events)[name] for name in ("terminated_by", "terminated_at")
        )

    def test_in_force_from_its_beginning_to_before_its_end(self):
        """Signed at noon for the day after; terminated on the third day with effect from the fifth."""
        starts = [{"key": "effective_from", "value": (NOON + DAY).isoformat()}]
        ends = [{"key": "effective_to", "value": (NOON + 5 * DAY).isoformat()}]
        events = [
            event(NOON, "signed", contract_id="k", attributes=starts),
            event(NOON + 3 * DAY, "ended", contract_id="k", attributes=ends),
        ]

        def at(instant):
            row = self.contract(events, as_of=instant)
            return row["in_force"], row["in_force_since"], row["ended_at"]

        assert (False, None, None) == at(NOON)
        assert (True, NOON + DAY, None) == at(NOON + DAY)
        assert (True, NOON + DAY, None) == at(NOON + 5 * DAY - MICRO)
        assert (False, None, NOON + 5 * DAY) == at(NOON + 5 * DAY)

    def test_what_was_agreed_at_the_signing_does_not_end_a_contract_and_the_reference_does(self):
        """A contract is renewed tacitly, unless the insurer's own file says that it ended."""
        until = [{"key": "effective_to", "value": "2025-03-01"}]
        events = [event(NOON, "signed", contract_id="k", attributes=until)]
        over = record(contract_id="k", customer_id="Ada", effective_to=datetime(2025, 3, 1))

        assert self.contract(events, as_of=datetime(2026, 1, 1))["in_force"]
        assert not self.contract(events, [over], as_of=datetime(2026, 1, 1))["in_force"]


class TestLastContract:
    """The termination that leaves nothing ends a journey, unless the rules say otherwise."""

    def ends(self, events, records=(), **changes):
        """Return the events that ended journeys."""
        tables = build(events, rules(**changes), {"contracts": list(records)})
        return {row["ended_by_event"] for row in tables.journeys} - {None}

    def held(self, key, from_=NOON, until=None, **fields):
        """Return the signing of a contract, and its termination where it has one."""
        events = [event(from_, "signed", contract_id=key, event_id=f"{key} signed", **fields)]
        if until is not None:
            events.append(event(until, "ended", contract_id=key, event_id=f"{key} ended", **fields))
        return events

    def test_the_last_of_two_ends_it(self):
        """The first termination leaves another contract."""
        events = self.held("1", until=NOON + DAY) + self.held("2", until=NOON + 2 * DAY)

        assert {"2 ended"} == self.ends(events)
        assert set() == self.ends(events, end_on=())

    def test_two_at_one_instant_both_leave_nothing(self):
        """The first of them in order ends the journey."""
        events = self.held("1", until=NOON + DAY) + self.held("2", until=NOON + DAY)

        assert {"1 ended"} == self.ends(events)

    @pytest.mark.parametrize(("offset", "ended"), [(-MICRO, set()), (MICRO * 0, set()), (MICRO, {"1 ended"})])
    def test_a_contract_counts_from_the_instant_of_its_signing(self, offset, ended):
        """Signed at the very instant of the termination, it is held."""
        events = self.held("1", until=NOON + DAY) + self.held("2", from_=NOON + DAY + offset)

        assert ended == self.ends(events)

    @pytest.mark.parametrize(("offset", "ended"), [(MICRO, set()), (MICRO * 0, {"1 ended"})])
    def test_a_contract_that_the_reference_ends_is_not_held(self, offset, ended):
        """Over at the very instant of the termination, it does not count."""
        events = self.held("1", until=NOON + DAY) + self.held("2")
        records = [record(contract_id="2", customer_id="Ada", effective_to=NOON + DAY + offset)]

        assert ended == self.ends(events, records)

    def test_somebody_elses_contract_ends_nothing(self):
        """Bo terminates what the reference says is Ada's."""
        events = self.held("1", until=NOON + DAY, customer_id="Bo")
        records = [record(contract_id="1", customer_id="Ada")]

        assert {"1 ended"} == self.ends(events)
        assert set() == self.ends(events, records)


class TestMatters:
    """Quotes, claims and cases."""

    def test_a_case_is_opened_answered_and_opened_again(self):
        """A second question after the answer reopens it, one before it does not."""
        events = [
            event(NOON, "asked", case_id="c", anonymous_id="d", customer_id=None),
            event(NOON + DAY, "asked", case_id="c"),
            event(NOON + 2 * DAY, "answered", case_id="c"),
            event(NOON + 3 * DAY, "asked", case_id="c", channel="agency"),
        ]

        (row,) = build(events, rules()).cases

        assert ("Ada", "question", "site", NOON) == tuple(
            row[name] for name in ("profile_id", "kind", "channel", "opened_at")
        )
        assert ([NOON + 2 * DAY], [NOON + 3 * DAY]) == (row["answered_at"], row["reopened_at"])

    def test_a_quote_is_bound_by_the_signing_that_names_it(self):
        """With the contract that was signed."""
        money = {"value": Decimal("5.0000"), "currency": "EUR"}
        events = [
            event(NOON, "quote", quote_id="q", product="auto", **money),
            event(NOON + DAY, "signed", quote_id="q", contract_id="k", event_id="s"),
        ]

        (row,) = build(events, rules()).quotes

        assert ("auto", NOON, Decimal("5.0000"), NOON + DAY, "s", "k") == tuple(
            row[name] for name in ("product", "quoted_at", "value", "bound_at", "bound_by", "contract_id")
        )


class TestLadder:
    """Rungs at an instant."""

    def rung(self, events, as_of, **changes):
        """Return Ada's rung."""
        (row,) = profiles_at(build(events, rules(**changes)), as_of, rules(**changes))
        return row["rung"]

    @pytest.mark.parametrize(
        ("since", "rung"),
        [(365 * DAY, "consumer"), (365 * DAY + MICRO, "customer"), (3 * 365 * DAY + DAY, "loyal customer")],
    )
    def test_years_are_the_calendars(self, since, rung):
        """In force over a year, not for a year; unbroken for three years, the leap day counted."""
        assert rung == self.rung([event(NOON, "signed", contract_id="k")], NOON + since)

    def test_a_contract_that_follows_another_without_a_break_keeps_the_tenure(self):
        """It begins at the instant at which the other ends; a microsecond later it begins anew."""
        day = NOON + 700 * DAY
        before = [event(NOON, "signed", contract_id="1"), event(day, "ended", contract_id="1")]
        at_once, later = (event(at, "signed", contract_id="2") for at in (day, day + MICRO))

        assert "loyal customer" == self.rung([*before, at_once], NOON + 4 * 366 * DAY)
        assert "customer" == self.rung([*before, later], NOON + 4 * 366 * DAY - 700 * DAY)

    def test_who_holds_nothing_any_more_is_no_advocate(self):
        """However warmly they recommend."""
        events = [event(NOON, "signed", contract_id="k"), event(NOON, "referred")]

        assert "advocate" == self.rung(events, NOON)
        assert "consumer" == self.rung([*events, event(NOON + DAY, "ended", contract_id="k")], NOON + DAY)

    def test_the_last_answer_counts(self):
        """Of two at one instant the greater event_id's."""
        answers = [
            event(NOON, "bought"),
            event(NOON, survey="nps", score=2.0, event_id="a"),
            event(NOON, survey="nps", score=9.0, event_id="b"),
        ]

        assert "advocate" == self.rung(answers, NOON)
        assert "consumer" == self.rung([*answers, event(NOON + DAY, survey="nps", score=8.0)], NOON + DAY)

    def test_moves_compare_two_instants(self):
        """Up, down, and new."""
        events = [
            event(NOON, "signed", contract_id="k"),
            event(NOON, "referred"),
            event(NOON + DAY, "ended", contract_id="k"),
            event(NOON + DAY, customer_id="Bo"),
        ]

        moves = ladder_moves(build(events, rules()), NOON, NOON + DAY, rules())

        assert {("Ada", "advocate", "consumer", "down"), ("Bo", None, "prospect", "new")} == {
            tuple(row.values()) for row in moves
        }


class TestOrder:
    """The order within a profile."""

    def test_at_one_instant_no_stage_comes_first_then_the_lower_stage_then_the_id(self):
        """Rank before id; ids by code point."""
        events = [
            event(event_type="bought", event_id="a"),
            event(event_type="ad_seen", event_id="z"),
            event(event_type="ad_seen", event_id="Z"),
            event(event_type="logged_in", event_id="zz"),
        ]

        tables = build(events, rules())

        assert [["zz", "Z", "z", "a"]] == journeys_of(tables)

    def test_tables_do_not_depend_on_arrival_order(self):
        """Every order of a small shared history gives the same rows."""
        events = [
            event(NOON, "ad_seen", anonymous_id="d"),
            event(NOON, "quote", anonymous_id="d", customer_id="Ada"),
            event(NOON + DAY, "bought", anonymous_id="d", customer_id="Bo"),
            event(NOON + 2 * DAY, "claim", anonymous_id="d"),
        ]
        names = ("touchpoints", "profiles", "identity_links", "journeys", "journey_steps", "stage_visits")

        def content(arrival):
            tables = build(list(arrival), rules())
            return [sorted(map(repr, getattr(tables, name))) for name in names]

        assert all(content(events) == content(arrival) for arrival in permutations(events))


class TestVisits:
    """Digital touchpoints close together."""

    def test_a_pause_of_thirty_minutes_does_not_cut(self):
        """Exactly thirty minutes is one visit, a microsecond more begins another."""
        events = [
            event(NOON, event_id="1"),
            event(NOON + 30 * MINUTE, event_id="2"),
            event(NOON + 60 * MINUTE + MICRO, event_id="3"),
        ]

        tables = build(events, rules())

        assert [
            ("1", NOON, NOON + 30 * MINUTE, 2),
            ("3", events[2]["occurred_at"], events[2]["occurred_at"], 1),
        ] == [
            (row["visit_id"], row["started_at"], row["ended_at"], row["touchpoints"]) for row in tables.visits
        ]

    def test_only_digital_touchpoints_make_a_visit(self):
        """A call at an agency neither is in the visit nor bridges it; nor is an unknown channel."""
        tables = build(
            [
                event(NOON, event_id="1"),
                event(NOON + 20 * MINUTE, event_id="2", channel="agency"),
                event(NOON + 25 * MINUTE, event_id="3", channel="fax"),
                event(NOON + 40 * MINUTE, event_id="4"),
            ],
            rules(),
        )

        assert {"1": "1", "2": None, "3": None, "4": "4"} == {
            row["event_id"]: row["visit_id"] for row in tables.touchpoints
        }

    def test_two_devices_of_one_person_share_a_visit(self):
        """Visits belong to the profile, not to the device."""
        tables = build(
            [
                event(NOON, event_id="1", anonymous_id="d1", customer_id="Ada"),
                event(NOON + MINUTE, event_id="2", anonymous_id="d2", customer_id="Ada"),
                event(NOON + 2 * MINUTE, event_id="3", anonymous_id="d1"),
            ],
            rules(),
        )

        assert [("1", 3)] == [(row["visit_id"], row["touchpoints"]) for row in tables.visits]


class TestJourneys:
    """Where journeys begin and end, and what their rows say."""

    def test_a_gap_equal_to_the_limit_does_not_cut(self):
        """Ten days apart is one journey with a gap of ten days; a microsecond more makes two."""
        events = [
            event(NOON, event_id="1"),
            event(NOON + 10 * DAY, event_id="2"),
            event(NOON + 20 * DAY + MICRO, event_id="3"),
        ]

        tables = build(events, rules(gap=10 * DAY))

        assert [["1", "2"], ["3"]] == journeys_of(tables)
        assert [NOON + 20 * DAY, NOON + 30 * DAY + MICRO] == [row["closes_at"] for row in tables.journeys]
        assert 2 == tables.profiles[0]["journeys"]

    def test_without_a_gap_nothing_cuts_and_nothing_closes(self):
        """A gap of none keeps twenty years in one journey, with no time at which it closes."""
        tables = build([event(NOON), event(NOON + 7300 * DAY)], rules(gap=None))

        assert [None] == [row["closes_at"] for row in tables.journeys]

    def test_an_end_event_closes_after_all_others_at_its_instant(self):
        """What happens at the instant of the end belongs to the journey; what comes next begins another."""
        events = [
            event(NOON, "quote", event_id="1"),
            event(NOON + DAY, "ended", event_id="2"),
            event(NOON + DAY, "praised", event_id="3"),
            event(NOON + DAY + MICRO, "quote", event_id="4"),
        ]

        tables = build(events, rules(end_on=("contract_terminated",)))

        assert [["1", "2", "3"], ["4"]] == journeys_of(tables)
        assert [("2", NOON + DAY), (None, NOON + 401 * DAY + MICRO)] == [
            (row["ended_by_event"], row["closes_at"]) for row in tables.journeys
        ]

    def test_end_on_names_event_types_too(self):
        """An event type that the taxonomy does not list can end a journey."""
        tables = build(
            [event(NOON, "bye", event_id="1"), event(NOON + DAY, "hello", event_id="2")],
            rules(end_on=("bye",)),
        )

        assert [["1"], ["2"]] == journeys_of(tables)

    def test_each_product_has_its_journey_and_no_product_is_one_of_them(self):
        """Per product, gaps are between neighbours of that product."""
        tables = build(
            [
                event(NOON, event_id="1", product="auto"),
                event(NOON + 6 * DAY, event_id="2"),
                event(NOON + 12 * DAY, event_id="3", product="auto"),
            ],
            rules(unit="product", gap=10 * DAY),
        )

        assert {("product", "auto", "1"), ("product", "auto", "3"), ("product", None, "2")} == {
            row["journey_id"] for row in tables.journeys
        }

    @pytest.mark.parametrize("unit", ["contract", "claim"])
    def test_without_the_key_a_touchpoint_is_in_no_journey(self, unit):
        """It still is a touchpoint of its profile and of its visit."""
        tables = build([event(event_id="1", **{f"{unit}_id": "k"}), event(event_id="2")], rules(unit=unit))

        assert [(unit, "k", "1")] == [row["journey_id"] for row in tables.journeys]
        assert [(2, 1)] == [(row["touchpoints"], row["journeys"]) for row in tables.profiles]
        assert [2] == [row["touchpoints"] for row in tables.visits]

    def test_one_key_of_two_persons_is_two_journeys(self):
        """A unit is the profile and the key."""
        tables = build(
            [event(customer_id=name, claim_id="k", event_id=name) for name in ("Ada", "Bo")],
            rules(unit="claim"),
        )

        assert [["Ada"], ["Bo"]] == journeys_of(tables)

    def test_the_journeys_row(self):
        """Every column of a journey a-c-p-c, with a pause of half a day between."""
        events = history("acpc", step=DAY / 2)
        events[0]["channel"], events[3]["channel"] = "app", "agency"

        (row,) = build(events, rules()).journeys

        assert {
            "journey_id": ("profile", "Ada", events[0]["event_id"]),
            "profile_id": "Ada",
            "unit": "profile",
            "unit_key": "Ada",
            "started_at": NOON,
            "last_at": NOON + 1.5 * DAY,
            "closes_at": NOON + 401.5 * DAY,
            "ended_by_event": None,
            "first_channel": "app",
            "last_channel": "agency",
            "touchpoints": 4,
            "awareness_at": NOON,
            "consideration_at": NOON + DAY / 2,
            "purchase_at": NOON + DAY,
            "service_at": None,
            "loyalty_at": None,
            "advocacy_at": None,
            "furthest_stage": "purchase",
            "current_stage": "consideration",
            "returns": 1,
            "skipped_stages": [],
            "days_to_purchase": 1.0,
        } == row

    def test_the_steps_rows(self):
        """Each step knows its neighbours within the journey, and the seconds since the one before."""
        events = [event(NOON, "ad_seen"), event(NOON + 1.5 * MINUTE, "quote", channel="agency")]

        first, second = build(events, rules()).journey_steps

        assert (1, None, None) == (
            first["position"],
            first["previous_stage"],
            first["seconds_since_previous"],
        )
        assert ("quote", "agency", "consideration") == (
            first["next_event_type"],
            first["next_channel"],
            first["next_stage"],
        )
        assert (2, 90.0, "ad_seen", "site", "awareness", None) == (
            second["position"],
            second["seconds_since_previous"],
            second["previous_event_type"],
            second["previous_channel"],
            second["previous_stage"],
            second["next_stage"],
        )

    def test_amounts_add_up_per_kind_and_currency(self):
        """Currencies stay apart, no money role adds nothing, a cost without currency is in euros."""
        money = {"value": Decimal("0.1000"), "currency": "EUR"}
        events = [
            event(event_type="bought", **money),
            event(event_type="bought", **money),
            event(event_type="bought", **money, cost=Decimal("-1.0000")),
            event(event_type="bought", value=Decimal("5.0000"), currency="CHF", cost=Decimal("2.0000")),
            event(event_type="signed", value=Decimal("0.0000"), currency="EUR"),
            event(event_type="quote", value=Decimal("99.0000"), currency="EUR"),
            event(event_type="quote", cost=Decimal("1.0000")),
        ]

        tables = build(events, rules())

        assert {
            ("revenue", "EUR"): Decimal("0.3000"),
            ("revenue", "CHF"): Decimal("5.0000"),
            ("premium", "EUR"): Decimal("0.0000"),
            ("cost", "EUR"): Decimal("0.0000"),
            ("cost", "CHF"): Decimal("2.0000"),
        } == {(row["kind"], row["currency"]): row["amount"] for row in tables.journey_amounts}


class TestStages:
    """What a journey's stages say. In histories one letter is one touchpoint, a day apart."""

    @pytest.mark.parametrize(
        ("word", "visits"),
        [
            ("", []),
            ("--", []),
            ("aab", [("a", 2), ("b", 1)]),
            ("a-a", [("a", 2)]),
            ("-a-", [("a", 1)]),
            ("aba", [("a", 1), ("b", 1), ("a", 1)]),
        ],
    )
    def test_no_stage_does_not_break_a_run(self, word, visits):
        """Nor does it count in it; a is awareness, b is purchase."""
        events = history(word.replace("b", "p"))

        tables = build([*events, event(customer_id="someone else")], rules())

        names = {"a": "awareness", "b": "purchase"}
        assert [(names[letter], n) for letter, n in visits] == [
            (row["stage"], row["touchpoints"]) for row in tables.stage_visits
        ]

    def test_a_visit_ends_with_its_last_touchpoint_in_the_stage(self):
        """The touchpoints without stage that follow do not prolong it."""
        events = history("a-a-")

        (row,) = build(events, rules()).stage_visits

        assert (NOON, NOON + 2 * DAY, events[0]["event_id"]) == (
            row["entered_at"],
            row["last_at"],
            row["first_event_id"],
        )

    def test_a_lower_stage_than_the_one_before_is_a_return(self):
        """In a-p-s-p-l-a the second p and the last a go back; nothing says why."""
        tables = build(history("apspla"), rules())

        assert [None, None, None, "other", None, "other"] == [
            row["return_kind"] for row in tables.stage_visits
        ]
        assert [False, False, False, True, False, True] == [row["is_return"] for row in tables.stage_visits]
        assert (2, "loyalty", "awareness") == (
            tables.journeys[0]["returns"],
            tables.journeys[0]["furthest_stage"],
            tables.journeys[0]["current_stage"],
        )

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({}, "other"),
            ({"product": "auto"}, "other"),
            ({"product": "home"}, "new product"),
            ({"product": "home", "case_id": "c"}, "request"),
            ({"product": "home", "claim_id": "c", "case_id": "c"}, "claim"),
            ({"event_type": "asked", "product": "home"}, "request"),
            ({"event_type": "claim", "case_id": "c"}, "claim"),
        ],
    )
    def test_the_first_touchpoint_of_a_return_says_its_kind(self, fields, kind):
        """A claim before a request before a product that the person never named."""
        events = [
            event(NOON, "ad_seen", product="auto"),
            event(NOON, "praised"),
            event(NOON + DAY, **{"event_type": "quote", **fields}),
            event(NOON + 2 * DAY, "quote", claim_id="later"),
        ]

        assert [kind] == [
            row["return_kind"] for row in build(events, rules()).stage_visits if row["is_return"]
        ][:1]

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("acpslv", []),
            ("p", ["awareness", "consideration"]),
            ("pac", ["awareness", "consideration"]),
            ("apc", ["consideration"]),
            ("ca", ["awareness"]),
            ("asc", ["consideration", "purchase"]),
            ("--", []),
        ],
    )
    def test_entering_a_skipped_stage_later_does_not_undo_the_skip(self, word, expected):
        """What was skipped when a higher stage was entered stays skipped."""
        assert expected == build(history(word), rules()).journeys[0]["skipped_stages"]

    def test_at_one_instant_nothing_is_skipped_that_stands_at_it(self):
        """A quote and a purchase at one instant: the quote comes first."""
        tables = build(history("pca", step=timedelta(0)), rules())

        assert [] == tables.journeys[0]["skipped_stages"]
        assert 0 == tables.journeys[0]["returns"]


class TestStageConversion:
    """The headline figure."""

    AS_OF = datetime(2026, 1, 1)

    def row(self, events, pair=("awareness", "consideration"), as_of=AS_OF, **changes):
        """Return the only row of a pair by year."""
        options = rules(**{"grains": ("year",), **changes})
        rows = stage_conversion(build(events, options), as_of, options)
        (found,) = [row for row in rows if (row["from_stage"], row["to_stage"]) == pair]
        return found

    def test_the_window_includes_its_end(self):
        """Thirty days to the microsecond convert; one more is too late."""
        events = [
            event(NOON, "ad_seen", customer_id="in time"),
            event(NOON + 30 * DAY, "quote", customer_id="in time"),
            event(NOON, "ad_seen", customer_id="late"),
            event(NOON + 30 * DAY + MICRO, "quote", customer_id="late"),
        ]

        row = self.row(events)

        assert (1, 2, 1, 0, 30) == (
            row["numerator"],
            row["denominator"],
            row["after_window"],
            row["not_yet"],
            row["window_days"],
        )
        assert 0.5 == row["value"]
        assert pytest.approx((0.0945312, 0.9054688), abs=1e-7) == (row["low"], row["high"])

    def test_whoever_was_there_before_is_not_converted(self):
        """Entering b before a stands in the denominator and is a skip; b alone is only a skip."""
        events = [
            event(NOON, "quote", customer_id="back"),
            event(NOON + DAY, "ad_seen", customer_id="back"),
            event(NOON, "quote", customer_id="never aware"),
            event(NOON, "ad_seen", customer_id="waiting"),
            event(NOON, "ad_seen", customer_id="at once"),
            event(NOON, "quote", customer_id="at once"),
        ]

        row = self.row(events)

        assert {"numerator": 1, "denominator": 3, "b_before_a": 1, "not_yet": 1, "skipped_in": 2} == {
            name: row[name] for name in ("numerator", "denominator", "b_before_a", "not_yet", "skipped_in")
        }
        assert {"awareness": 1} == row["not_yet_by_stage"]

    def test_what_happens_after_as_of_does_not_count(self):
        """At an instant before the quote, the journey has not yet converted; at the quote's, it has."""
        events = [event(NOON, "ad_seen"), event(NOON + DAY, "quote")]

        assert 0 == self.row(events, as_of=NOON + DAY - MICRO)["numerator"]
        assert 1 == self.row(events, as_of=NOON + DAY)["numerator"]

    def test_times_interpolate(self):
        """Of waits of 1, 2, 3 and 4 days the median is 2.5 and the ninth decile 3.7."""
        events = [
            happening
            for days in (1, 2, 3, 4)
            for happening in (
                event(NOON, "ad_seen", customer_id=str(days)),
                event(NOON + days * DAY, "quote", customer_id=str(days)),
            )
        ]

        row = self.row(events)

        assert pytest.approx((2.5 * 86_400, 3.7 * 86_400)) == (row["median_seconds"], row["p90_seconds"])

    def test_periods_are_local_and_none_is_left_out(self):
        """23:30 UTC on 31 January is February in Paris; April has a row of zeros; value null."""
        events = [
            event(datetime(2024, 1, 31, 23, 30), "ad_seen", customer_id="Ada"),
            event(datetime(2024, 4, 30, 22, 0), "ad_seen", customer_id="Bo"),
        ]
        options = rules(grains=("month",))

        rows = [
            row
            for row in stage_conversion(build(events, options), self.AS_OF, options)
            if row["to_stage"] == "consideration"
        ]

        assert [
            (date(2024, 2, 1), 1, 0.0),
            (date(2024, 3, 1), 0, None),
            (date(2024, 4, 1), 0, None),
            (date(2024, 5, 1), 1, 0.0),
        ] == [(row["period_start"], row["denominator"], row["value"]) for row in rows]

    @pytest.mark.parametrize(
        ("grain", "week_start", "expected"),
        [
            ("day", "monday", date(2024, 3, 3)),
            ("week", "monday", date(2024, 2, 26)),
            ("week", "sunday", date(2024, 3, 3)),
            ("month", "monday", date(2024, 3, 1)),
            ("quarter", "monday", date(2024, 1, 1)),
            ("year", "monday", date(2024, 1, 1)),
        ],
    )
    def test_every_grain_begins_on_its_day(self, grain, week_start, expected):
        """3 March 2024 is a Sunday."""
        row = self.row([event(datetime(2024, 3, 3, 12), "ad_seen")], grains=(grain,), week_start=week_start)

        assert expected == row["period_start"]

    def test_dimensions_are_those_of_the_entry(self):
        """The channel of the touchpoint that entered awareness, not of the later ones."""
        events = [
            event(NOON, "ad_seen", channel="agency"),
            event(NOON + DAY, "ad_seen", channel="site"),
            event(NOON + 2 * DAY, "quote", channel="app"),
        ]

        row = self.row(events, dimensions=(("channel",),))

        assert (["channel"], ["agency"], 1) == (row["dimensions"], row["dimension_values"], row["numerator"])

    def test_a_row_is_mature_when_the_window_of_its_last_moment_is_over(self):
        """2024 ends at 23:00 UTC on 31 December in Paris; past thirty days later its row is mature.

        A window is over when the instant is past its end, of funnels and figures alike.
        """
        events = [event(NOON, "ad_seen")]
        over = datetime(2024, 12, 31, 23) + 30 * DAY

        assert not self.row(events, as_of=over)["mature"]
        assert self.row(events, as_of=over + MICRO)["mature"]

    def test_without_a_window_nothing_is_too_late(self):
        """Unlimited is labelled by a null window."""
        events = [event(NOON, "ad_seen"), event(NOON + 399 * DAY, "quote")]

        row = self.row(events, unlimited_window=True)

        assert (1, None, 0) == (row["numerator"], row["window_days"], row["after_window"])


def test_it_shares_nothing_with_the_product():
    """The oracle imports the standard library and itself, so it cannot repeat the product's mistakes."""
    allowed = {
        "__future__",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "hashlib",
        "itertools",
        "json",
        "math",
        "reference",
        "statistics",
        "typing",
        "zoneinfo",
    }
    imported = set()
    for path in Path(reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])

    assert allowed >= imported
