"""Audiences: who is in each ready-made one and who just is not, and for which cause one is left out."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from loading import Loader, config_of, hashed
from parcours.kpis.audiences import list_people, packs, shown
from parcours.kpis.segments import create_statements
from parcours.schemas.config import Config
from reference import Channel, EventType, Options
from strategies import Slice

AS_OF = datetime(2026, 3, 31, 12)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)

OPTIONS = Options(
    events={
        "signed": EventType("purchase", ("contract_signed",), "premium"),
        "left": EventType(None, ("contract_terminated",)),
        "quoted": EventType("consideration", ("quote_created",)),
        "answered": EventType("advocacy", ("survey_answered",)),
        "called": EventType("service", ()),
        "complained": EventType("service", ("complaint_opened",)),
        "complaint_over": EventType("service", ("complaint_answered",)),
        "mailed": EventType("awareness", ("touch",)),
        "logged_in": EventType(),
        "merged": EventType(None, ("customer_merged",)),
    },
    channels={"site": Channel("digital"), "phone": Channel("human")},
)
CONSENTS = {"consent": ["marketing"]}


@pytest.fixture(scope="module")
def loader():
    """One store for all tests."""
    made = Loader()
    for statement in create_statements(config_of(OPTIONS)):
        made.connection.execute(statement)
    return made


def listed(loader, name, *events, tables=None, language="en", contracts=(), decisions=()):
    """An audience in a store with these events (person, event type, how long before AS_OF, fields)."""
    rows = [
        {
            "event_id": f"e{n}",
            "occurred_at": AS_OF - before,
            "customer_id": None if person.startswith("anon:") else person,
            "anonymous_id": person.removeprefix("anon:") if person.startswith("anon:") else None,
            "event_type": kind,
            "channel": "site",
            **{key: value for fields in more for key, value in fields.items()},
            **coordinates(n),
        }
        for n, (person, kind, before, *more) in enumerate(events)
    ]
    references = {"contracts": [{**row, **coordinates(n, "contracts")} for n, row in enumerate(contracts)]}
    loader.empty()
    loader.load([Slice(hashed(rows), references)], OPTIONS)
    for n, (kind, person) in enumerate(decisions):
        loader.connection.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, 'run')",
            [f"d{n}", AS_OF + n * DAY, kind, person, person],
        )
    config = Config.model_validate({**config_of(OPTIONS).model_dump(), **(tables or {})})
    return list_people(loader.connection, config, name, AS_OF, language)


def coordinates(offset, name="world"):
    """Where a record came from."""
    return {"source_name": name, "source_topic": name, "source_partition": 0, "source_offset": offset}


def who(found):
    """The persons in an audience."""
    return [person.profile_id for person in found.people]


def contract(key, person, product="auto", **terms):
    """A contract of the reference input, in force for years."""
    return {
        "contract_id": key,
        "customer_id": person,
        "product": product,
        "effective_from": datetime(2020, 1, 1),
        **terms,
    }


def known(*persons):
    """Someone who logged in and consents, each."""
    return [(person, "logged_in", 3 * DAY, CONSENTS) for person in persons]


def test_due_within_60_days(loader):
    """The next due date counts from the day that it is in Paris; what was terminated is not renewed."""
    found = listed(
        loader,
        "due_within_60_days",
        *known("ada", "bob", "cyd", "dan", "eve", "fay"),
        ("eve", "left", DAY, {"contract_id": "k5"}),
        contracts=[
            contract("k1", "ada", due_at=datetime(2026, 5, 30)),  # 60 days on
            contract("k2", "bob", due_at=datetime(2026, 5, 31)),
            contract("k3", "cyd", product=None, effective_from=datetime(2019, 4, 2)),  # anniversary
            contract("k4", "dan", due_at=datetime(2026, 3, 30, 21)),  # yesterday
            contract("k5", "eve", due_at=datetime(2026, 4, 30)),
            contract("k6", "fay", due_at=datetime(2026, 3, 30, 22)),  # today's midnight in Paris
            contract("k7", "fay", due_at=datetime(2025, 4, 1)),
        ],
    )
    assert ["ada", "cyd", "fay"] == who(found)
    assert [["k1"], ["k3"], ["k6", "k7"]] == [person.matter for person in found.people]
    assert [
        "contract k1 (auto) is due on 2026-05-30",
        "contract k3 (unknown) is due on 2026-04-02",
        "contract k6 (auto) is due on 2026-03-31; contract k7 (auto) is due on 2026-04-01",
    ] == [person.reason for person in found.people]


def test_quote_unbound(loader):
    """A quote of the last 90 days that no contract followed; one who holds the product needs no other."""
    quoted = ("quoted", 90 * DAY)
    found = listed(
        loader,
        "quote_unbound",
        *known("ada", "bob", "cyd", "dan", "anon:d1"),
        ("ada", *quoted, {"quote_id": "q1", "product": "auto"}),
        ("bob", "quoted", 90 * DAY + SECOND, {"quote_id": "q2", "product": "auto"}),
        ("cyd", *quoted, {"quote_id": "q3", "product": "auto"}),
        ("cyd", "signed", 80 * DAY, {"quote_id": "q3", "product": "auto", "contract_id": "k1"}),
        ("dan", *quoted, {"quote_id": "q4", "product": "auto"}),
        ("dan", *quoted, {"quote_id": "q5", "product": "home"}),
        ("dan", "signed", 80 * DAY, {"product": "auto", "contract_id": "k2"}),
        ("anon:d1", *quoted, {"quote_id": "q6", "product": "home"}),
        language="fr",
    )
    assert ["ada", "anon:d1", "dan"] == who(found)
    assert [["ada"], [], ["dan"]] == [person.customer_ids for person in found.people]
    assert [["q1"], ["q6"], ["q5"]] == [person.matter for person in found.people]
    assert "le devis q1 (auto) du 31/12/2025 n'a pas été suivi d'une souscription" == found.people[0].reason


def test_detractor_without_call_back(loader):
    """Six or less in the last 90 days, the last answer counts, and nobody spoke with them after it."""
    asked = {"survey": "nps", "channel": "phone"}
    call = {"channel": "phone"}
    found = listed(
        loader,
        "detractor_without_call_back",
        ("ada", "answered", 90 * DAY, {**asked, "score": 6.0}),
        ("bob", "answered", 90 * DAY + SECOND, {**asked, "score": 6.0}),
        ("cyd", "answered", 5 * DAY, {**asked, "score": 7.0}),
        ("dan", "answered", 5 * DAY, {**asked, "score": 0.0}),
        ("dan", "called", 4 * DAY, call),
        ("eve", "called", 5 * DAY + SECOND, call),
        ("eve", "answered", 5 * DAY, {**asked, "score": 3.0}),
        ("fay", "answered", 5 * DAY, {**asked, "score": 0.0}),
        ("fay", "answered", 4 * DAY, {**asked, "score": 9.0}),
    )
    assert ["ada", "eve"] == who(found)
    assert "gave 3 out of 10 on 2026-03-26 and has spoken with nobody since" == found.people[1].reason
    assert {"consent": 0, "suppressed": 0, "contacted": 0} == found.left_out


def test_complaint_near_deadline(loader):
    """Two months end within 15 days, on the last day too; answered is not open, reopened is."""

    def complaint(person, day, key, kind="complained"):
        return person, kind, AS_OF - day, {"case_id": key}

    found = listed(
        loader,
        "complaint_near_deadline",
        complaint("ada", datetime(2026, 2, 15, 10), "c1"),  # until 15 April
        complaint("bob", datetime(2026, 2, 16), "c2"),
        complaint("cyd", datetime(2026, 1, 31), "c3"),  # until today, March's last day
        complaint("dan", datetime(2026, 1, 30, 12), "c4"),  # until yesterday
        complaint("eve", datetime(2026, 2, 10), "c5"),
        complaint("eve", datetime(2026, 2, 12), "c5", "complaint_over"),
        complaint("fay", datetime(2026, 2, 10), "c6"),
        complaint("fay", datetime(2026, 2, 12), "c6", "complaint_over"),
        complaint("fay", datetime(2026, 2, 13), "c6"),
        language="fr",
    )
    assert [("ada", "c1"), ("cyd", "c3"), ("fay", "c6")] == [(p.profile_id, *p.matter) for p in found.people]
    assert (
        "la réclamation c1 du 15/02/2026 doit recevoir une réponse au plus tard le 15/04/2026"
        == found.people[0].reason
    )


def test_loyal_with_one_contract(loader):
    """Three years of unbroken tenure make a loyal customer; who has two contracts is not in it."""
    found = listed(
        loader,
        "loyal_with_one_contract",
        *known("ada", "bob", "cyd"),
        contracts=[
            contract("k1", "ada", effective_from=datetime(2023, 3, 31, 12)),
            contract("k2", "bob", effective_from=datetime(2023, 3, 31, 13)),
            contract("k3", "cyd"),
            contract("k4", "cyd", product="home"),
        ],
    )
    assert ["ada"] == who(found)
    assert "customer for 3 years with one contract (auto)" == found.people[0].reason


def test_each_cause_counts_a_person_once(loader):
    """Consent is asked first, then opt-outs, then contacts; the newest recorded consent is what stands."""
    quotes = [
        (person, "quoted", 9 * DAY, {"quote_id": person})
        for person in ("ada", "bob", "cyd", "dan", "eve", "fay", "gus")
    ]
    found = listed(
        loader,
        "quote_unbound",
        *quotes,
        ("ada", "logged_in", 8 * DAY, CONSENTS),
        ("ada", "logged_in", 7 * DAY, {"consent": []}),  # none recorded: what stood still stands
        ("ada", "mailed", 30 * DAY + SECOND),
        ("bob", "logged_in", 8 * DAY, CONSENTS),
        ("bob", "logged_in", 7 * DAY, {"consent": ["service"]}),  # no marketing any more
        ("bob", "mailed", DAY),
        ("cyd", "logged_in", 8 * DAY, CONSENTS),
        ("cyd", "mailed", 30 * DAY),
        ("dan", "logged_in", 8 * DAY, CONSENTS),
        ("dan", "mailed", DAY),
        ("eve", "logged_in", 8 * DAY, CONSENTS),
        ("fay", "logged_in", 8 * DAY, CONSENTS),
        decisions=[("opt_out", "dan"), ("opt_out", "eve"), ("opt_in", "eve"), ("opt_out", "fay")],
    )
    assert ["ada", "eve"] == who(found)
    assert {"consent": 2, "suppressed": 2, "contacted": 1} == found.left_out


def test_an_opt_out_follows_the_person(loader):
    """It holds for whoever the id or the device turns out to be, and not for others on that device."""
    found = listed(
        loader,
        "quote_unbound",
        *((person, "quoted", 9 * DAY, {"quote_id": person}, CONSENTS) for person in ("ada", "bob", "cyd")),
        ("ada", "merged", 8 * DAY, {"attributes": [{"key": "merged_customer_id", "value": "zoe"}]}),
        ("anon:d1", "logged_in", 7 * DAY),
        ("bob", "logged_in", 6 * DAY, {"anonymous_id": "d1"}),
        ("cyd", "logged_in", DAY, {"anonymous_id": "d1"}),
        decisions=[("opt_out", "zoe"), ("opt_out", "anon:d1")],
    )
    assert ["cyd"] == who(found)
    assert 2 == found.left_out["suppressed"]


def test_an_opt_out_is_no_decision_about_who_is_who(loader):
    """A device may bear its customer's name; what was unlinked stays so when the customer opts out."""
    row = {
        "event_id": "e1",
        "occurred_at": AS_OF,
        "customer_id": "ada",
        "anonymous_id": "ada",
        "event_type": "logged_in",
        "channel": "site",
        **coordinates(0),
    }
    decision = {"decision_id": "d1", "decided_at": AS_OF, "id": "ada", "customer_id": "ada"}
    loader.empty()
    loader.load([Slice(hashed([row]), decisions=[{**decision, "kind": "unlink"}])], OPTIONS)
    loader.connection.execute(
        "INSERT INTO decisions VALUES ('d2', ?, 'opt_out', 'ada', 'ada', 'run')", [AS_OF + DAY]
    )
    loader.rebuild(OPTIONS)
    assert [("unlinked",)] == loader.connection.execute("SELECT status FROM identity_links").fetchall()


def test_an_audience_of_a_segment(loader):
    """It has the persons of the segment, and every customer id of each."""
    segment = {"over": "profiles", "where": "touchpoints > 1"}
    audience = {"segment": "lively", "reason": {"en": "{Touchpoints} touchpoints", "fr": "{touchpoints}"}}
    found = listed(
        loader,
        "regulars",
        ("ada", "logged_in", DAY),
        ("bob", "logged_in", DAY),
        ("bob", "merged", DAY, {"attributes": [{"key": "merged_customer_id", "value": "al"}]}),
        tables={"segment": {"lively": segment}, "audience": {"regulars": audience}},
    )
    assert [("bob", ["al", "bob"], "2 touchpoints")] == [
        (person.profile_id, person.customer_ids, person.reason) for person in found.people
    ]


def test_every_pack_is_in_both_languages():
    """Each has a label and a reason in English and French."""
    for pack in packs().values():
        assert pack.label is not None
        assert pack.label.en != pack.label.fr
        assert pack.reason.en != pack.reason.fr


@pytest.mark.parametrize(
    ("value", "english", "french"),
    [
        (None, "unknown", "inconnu"),
        (True, "yes", "oui"),
        (6.0, "6", "6"),
        (1234.56, "1,234.6", "1\u202f234,6"),
        (Decimal("1234.5000"), "1,234.50", "1\u202f234,50"),
        (datetime(2025, 12, 31, 23, 30), "2026-01-01", "01/01/2026"),
        (["auto", "home"], "auto, home", "auto, home"),
    ],
)
def test_values_in_reasons(value, english, french):
    """Days are the configured zone's; numbers and days are written as people of the language do."""
    assert (english, french) == tuple(
        shown(value, language, ZoneInfo("Europe/Paris")) for language in ("en", "fr")
    )
