"""Hypothesis strategies: small worlds of touchpoints in which whatever can collide does.

Few people, few devices and few instants, so that ties, shared devices and conflicts come by themselves;
times lie on limits and a microsecond to either side of them; ids are the odd ones that real data has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from reference import LAST_CONTRACT_ENDED, STAGES, Channel, EventType, Options

Event = dict[str, Any]

EVENT_TYPES = {
    "ad_seen": EventType("awareness", ("touch",)),
    "mail_opened": EventType("awareness", ("touch", "email_opened")),
    "quoted": EventType("consideration", ("quote_created",)),
    "bought": EventType("purchase", ("purchase",), "revenue"),
    "signed": EventType("purchase", ("purchase", "contract_signed"), "premium"),
    "claim_reported": EventType("service", ("claim_opened",)),
    "claim_settled": EventType("service", ("claim_closed",), "claim_paid"),
    "claim_again": EventType("service", ("claim_reopened",)),
    "reserve_moved": EventType("service", (), "claim_reserve"),
    "terminated": EventType("service", ("contract_terminated",)),
    "complained": EventType("service", ("complaint_opened",)),
    "complaint_seen": EventType("service", ("complaint_acknowledged",)),
    "complaint_over": EventType("service", ("complaint_answered",)),
    "requested": EventType("service", ("request_opened",)),
    "request_done": EventType("service", ("request_closed",)),
    "asked": EventType("service", ("question_asked",)),
    "forwarded": EventType("service", ("question_forwarded",)),
    "answered": EventType("service", ("question_answered",)),
    "reminded": EventType("service", ("question_reminded",)),
    "listed": EventType("loyalty", ("listing_offered",)),
    "matched": EventType("loyalty", ("listing_matched",)),
    "met": EventType("loyalty", ("meeting_attended",)),
    "renewed": EventType("loyalty", ("contract_renewed",), "premium"),
    "praised": EventType("advocacy", ("review_posted",)),
    "referred": EventType("advocacy", ("referral_made",)),
    "merged": EventType(None, ("customer_merged",)),
    "logged_in": EventType(),
}
CHANNELS = {
    "site": Channel("digital"),
    "app": Channel("digital", direct=True),
    "agency": Channel("physical"),
    "phone": Channel("human"),
    "letter": Channel("mail"),
}

# Two words that differ by case or accent are two persons; a device may bear a customer's name. U+FFEE stands
# before an emoji by code point, and after it in UTF-16.
CUSTOMERS = ("Ada", "ada", "NA", "é", "e\u0301", "\uffee", "😀", "10", "9", "c" * 128, "o'neil", 'a"b', "a,b")
DEVICES = ("d1", "D1", "NA", "Ada", "anon:d1", "\uffee", "😀", "d" * 128, "-1")
EVENT_IDS = (
    *(
        "a",
        "A",
        "b",
        "B",
        "10",
        "9",
        "NA",
        "é",
        "e\u0301",
        "\uffee",
        "😀",
        "e" * 128,
        "x y",
        "Ada",
        "%_",
        "\\",
    ),
    *(f"{letter}{n}" for letter in ("\uffee", "😀") for n in range(4)),
    *(f"e{n:02}" for n in range(20)),
)

ANCHORS = (
    datetime(2000, 1, 1),  # the first instant allowed by default
    datetime(2024, 2, 28, 23, 30),  # half an hour before a leap day
    datetime(2024, 3, 31, 0, 59, 59, 999_999),  # Paris is about to lose an hour
    datetime(2024, 10, 27, 0, 30),  # half an hour before Paris gains one
    datetime(
        2024, 12, 31, 22, 59, 59, 999_999
    ),  # the last instant of a year, quarter, month and day in Paris
    datetime(2025, 6, 15, 12),
)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MICRO = timedelta(microseconds=1)

UNITS = ("profile", "product", "contract", "claim")
GAPS = (None, 45 * MINUTE, 10 * DAY, 400 * DAY)
END_ONS: tuple[tuple[str, ...], ...] = (
    (LAST_CONTRACT_ENDED,),
    (LAST_CONTRACT_ENDED,),
    (LAST_CONTRACT_ENDED, "renewed"),
    (),
    ("contract_terminated",),
    ("terminated", "purchase"),
    ("renewed",),
    ("an unlisted type",),
)

OTHER_LADDER = {
    "o'fan": (
        "referrals + good_reviews >= 1 OR last_nps > 6",
        lambda facts: facts["referrals"] + facts["good_reviews"] >= 1 or (facts["last_nps"] or 0) > 6,
    ),
    "curious": (
        "touchpoints >= 3 AND NOT identified",
        lambda facts: facts["touchpoints"] >= 3 and not facts["identified"],
    ),
    "old friend": (
        "longest_in_force_years >= 1 AND journeys < 2",
        lambda facts: facts["longest_in_force_years"] >= 1 and facts["journeys"] < 2,
    ),
}
"""Rungs by other rules: as the config writes them, and what they mean."""

_KEYS: tuple[Event, ...] = (
    {},
    {"product": "auto"},
    {"product": "Auto"},
    {"product": "auto", "contract_id": "k1"},
    {"product": "home", "contract_id": "k1", "claim_id": "k1"},
    {"contract_id": "K1", "claim_id": "😀"},
    {"claim_id": "k1"},
    {"quote_id": "q", "product": "home"},
    {"quote_id": "q", "product": "home", "contract_id": "k1"},
    {"case_id": "k1", "product": "auto"},
)
_MONEY: tuple[Event, ...] = (
    {},
    {"cost": Decimal("0.0001")},
    {"value": Decimal("10.1000"), "currency": "EUR"},
    {"value": Decimal("0.2000"), "currency": "CHF", "cost": Decimal("1.5000")},
    {"value": Decimal("-10.1000"), "currency": "EUR", "cost": Decimal("0.0000")},
    {"value": Decimal("1234567890123.4567"), "currency": "EUR"},
)
_EXTRAS: tuple[Event, ...] = (
    {},
    {"source": "google", "campaign": "spring, été", "content": 'a "banner"'},
    {"survey": "nps", "score": 9.0, "case_id": "case"},
    {"consent": ["email", "ads"]},
    {"experiment": "landing", "variant": "B", "quote_id": "q", "referral_id": "r"},
    {"attributes": [{"key": "b", "value": "2"}, {"key": "B", "value": ""}, {"key": "a", "value": "😀"}]},
)


@dataclass(frozen=True)
class Theme:
    """What a world is about: its event types and keys, and how many customers and devices it has."""

    event_types: tuple[str, ...]
    keys: tuple[Event, ...]
    customers: tuple[int, int]
    devices: tuple[int, int]


EVERYTHING = Theme(
    (*EVENT_TYPES, "logged_in", "logged_in", "Ad_Seen", "an unlisted type"), _KEYS, (1, 4), (1, 2)
)
PEOPLE = Theme(
    ("merged", "merged", "logged_in", "quoted", "bought"), ({}, {"product": "auto"}), (2, 4), (1, 3)
)
CONTRACTS = Theme(
    ("signed", "signed", "terminated", "terminated", "terminated", "renewed", "quoted", "claim_reported"),
    (
        {"contract_id": "k1", "product": "auto", "quote_id": "q"},
        {"contract_id": "k1"},
        {"contract_id": "k2", "product": "home"},
        {"contract_id": "k2"},
        {"contract_id": "K1", "product": "auto"},
        {"quote_id": "q"},
    ),
    (1, 2),
    (1, 1),
)
SERVICE = Theme(
    (
        *("ad_seen", "quoted", "bought", "praised", "claim_reported", "claim_settled", "claim_again"),
        *("complained", "complaint_seen", "complaint_over", "requested", "request_done", "asked"),
        *("forwarded", "answered", "reminded", "listed", "matched", "met", "referred", "mail_opened"),
    ),
    (
        *(
            {},
            {"product": "auto"},
            {"product": "home"},
            {"claim_id": "k1"},
            {"claim_id": "k1", "contract_id": "k2"},
        ),
        *({"case_id": "k1"}, {"case_id": "k2", "product": "auto"}, {"case_id": "k1"}),
    ),
    (1, 2),
    (1, 1),
)
THEMES = (EVERYTHING, PEOPLE, CONTRACTS, SERVICE)


@dataclass(frozen=True)
class Cast:
    """Who a world is about, and when."""

    customers: list[str]
    devices: list[str]
    times: list[datetime]


@dataclass(frozen=True)
class World:
    """Rules, and what was read, in some order: valid touchpoints, reference records, people's decisions."""

    options: Options
    events: list[Event]
    references: dict[str, list[Event]] = field(default_factory=dict)
    decisions: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Slice:
    """What one run of a few reads and decides."""

    events: list[Event] = field(default_factory=list)
    references: dict[str, list[Event]] = field(default_factory=dict)
    decisions: list[Event] = field(default_factory=list)


@st.composite
def options(draw: st.DrawFn, units: Sequence[str] = UNITS) -> Options:
    """Journey and identity rules over the words above."""
    ladder = {}
    if draw(st.integers(0, 3)) == 3:
        ladder = {
            "ladder": {rung: means for rung, (_, means) in OTHER_LADDER.items()},
            "ladder_as_written": {rung: text for rung, (text, _) in OTHER_LADDER.items()},
        }
    return Options(
        **ladder,
        events=EVENT_TYPES,
        channels=CHANNELS,
        unit=draw(st.sampled_from(units)),
        gap=draw(st.sampled_from(GAPS)),
        end_on=draw(st.sampled_from(END_ONS)),
        max_customers_per_device=draw(st.integers(1, 3)),
    )


@st.composite
def instants(draw: st.DrawFn, gap: timedelta | None) -> list[datetime]:
    """A few instants, one after the other from an anchor, for many touchpoints to share.

    The steps between them are the visit's limit and the journey's, each exactly and a microsecond to either
    side, and the few that make ties and symmetries.
    """
    limits = [30 * MINUTE, *([] if gap is None else [gap])]
    steps = [MICRO, 15 * MINUTE, DAY]
    steps += [limit + nudge for limit in limits for nudge in (timedelta(0), -MICRO, MICRO)]
    # Few kinds of step in one world: steps that repeat put instants half-way between two others.
    few = draw(st.lists(st.sampled_from(steps), min_size=1, max_size=2, unique=True))
    found = [draw(st.sampled_from(ANCHORS))]
    for step in draw(st.lists(st.sampled_from(few), min_size=1, max_size=8)):
        found.append(found[-1] + step)
    return found


@st.composite
def _contents(draw: st.DrawFn, theme: Theme, cast: Cast) -> Event:
    """One valid touchpoint without its event_id."""
    customer, device = draw(
        st.one_of(
            st.tuples(st.none(), st.sampled_from(cast.devices)),
            st.tuples(st.sampled_from(cast.customers), st.sampled_from(cast.devices)),
            st.tuples(st.sampled_from(cast.customers), st.none()),
        )
    )
    event_type = draw(st.sampled_from(theme.event_types))
    event = {
        "occurred_at": draw(st.sampled_from(cast.times)),
        "customer_id": customer,
        "anonymous_id": device,
        "event_type": event_type,
        "stage": draw(st.sampled_from((*[None] * 9, *STAGES))),
        "channel": draw(st.sampled_from((*CHANNELS, "site", "fax"))),
        **draw(st.sampled_from(theme.keys)),
        **draw(st.sampled_from(_MONEY)),
        **draw(st.sampled_from(_EXTRAS)),
    }
    if event_type == "merged" and customer is not None:
        event["attributes"] = [{"key": "merged_customer_id", "value": draw(st.sampled_from(cast.customers))}]
    if event_type in ("signed", "terminated"):
        event["attributes"] = draw(_terms(cast.times))
    return event


@st.composite
def _terms(draw: st.DrawFn, times: list[datetime]) -> list[Event]:
    """What a signing or a termination says of its contract, as attributes."""
    terms = draw(
        st.lists(
            st.sampled_from(("effective_from", "effective_to", "due_at", "reason")), unique=True, max_size=2
        )
    )
    return [
        {
            "key": key,
            "value": "price"
            if key == "reason"
            else draw(
                st.one_of(
                    st.sampled_from([at.date().isoformat() for at in times]),
                    st.sampled_from([at.isoformat() + "Z" for at in times]),
                    st.sampled_from([at.isoformat() + "+02:00" for at in times]),
                    st.sampled_from([at.isoformat(" ") for at in times] + ["soon", ""]),
                )
            ),
        }
        for key in terms
    ]


@st.composite
def _copy(draw: st.DrawFn, originals: list[Event], contents: st.SearchStrategy[Event]) -> Event:
    """One of the events again: the same, its attributes the other way round, or with another content."""
    original = draw(st.sampled_from(originals))
    kind = draw(st.sampled_from(("same", "turned", "other channel", "other contents")))
    if kind == "turned":
        return {**original, "attributes": original.get("attributes", [])[::-1]}
    if kind == "other channel":  # at the same instant, so that the hash decides
        return {**original, "channel": draw(st.sampled_from(tuple(CHANNELS)))}
    if kind == "other contents":
        return {"event_id": original["event_id"], **draw(contents)}
    return dict(original)


@st.composite
def _shared_device(draw: st.DrawFn, cast: Cast, contents: st.SearchStrategy[Event]) -> list[Event]:
    """Two log-ins on one device, and it alone half-way between them, or a microsecond off."""
    start = draw(st.sampled_from(cast.times))
    half = draw(st.sampled_from((timedelta(0), MICRO, 15 * MINUTE, DAY)))
    off = draw(st.sampled_from((timedelta(0), -MICRO, MICRO))) if half else half  # never before the start
    device = {"anonymous_id": "shared"}
    return [
        {**draw(contents), **device, "event_id": event_id, "customer_id": customer, "occurred_at": at}
        for event_id, customer, at in (
            ("shared 1", draw(st.sampled_from(cast.customers)), start),
            ("shared 2", None, start + half + off),
            ("shared 3", draw(st.sampled_from(cast.customers)), start + 2 * half),
        )
    ]


@st.composite
def touchpoints(draw: st.DrawFn, theme: Theme, cast: Cast, max_events: int, max_copies: int) -> list[Event]:
    """Valid touchpoints of a few persons and devices, with duplicates and conflicts, in any order."""
    contents = _contents(theme, cast)
    size = draw(st.integers(1, max_events))  # drawn first: lists alone would mostly be short
    ids = draw(st.lists(st.sampled_from(EVENT_IDS), min_size=size, max_size=size, unique=True))
    events = [{"event_id": event_id, **draw(contents)} for event_id in ids]
    if draw(st.booleans()):
        events += draw(_shared_device(cast, contents))
    events += draw(st.lists(_copy(events, contents), max_size=max_copies))
    return [
        {
            **event,
            "source_name": "world",
            "source_topic": "touchpoints",
            "source_partition": place % 2,
            "source_offset": place // 2,
        }
        for place, event in enumerate(draw(st.permutations(events)))
    ]


def _ends_in_order(contract: Event) -> Event:
    """Let a contract end no earlier than it begins: another is rejected before it is loaded."""
    ends = (contract["effective_from"], contract["effective_to"])
    if None in ends:
        return contract
    return {**contract, "effective_from": min(ends), "effective_to": max(ends)}


@st.composite
def references(draw: st.DrawFn, theme: Theme, cast: Cast) -> dict[str, list[Event]]:
    """Records of the reference inputs: few keys with several records each, some of one ``valid_from``."""
    contracts = sorted({key["contract_id"] for key in theme.keys if "contract_id" in key})
    customer, instant = st.sampled_from(cast.customers), st.sampled_from(cast.times)
    maybe = st.one_of(st.none(), instant)
    kinds = {
        "contracts": st.fixed_dictionaries(
            {
                "contract_id": st.sampled_from([*contracts, "k9"]),
                "valid_from": maybe,
                "customer_id": customer,
                "product": st.sampled_from((None, "auto", "home")),
                "effective_from": maybe,
                "effective_to": maybe,
                "due_at": maybe,
            }
        )
        .map(_ends_in_order)
        .flatmap(
            lambda row: st.sampled_from(
                (row, row, *({**row, "annual_premium": Decimal(n), "currency": "EUR"} for n in (120, 90)))
            )
        ),
        "customers": st.fixed_dictionaries(
            {
                "customer_id": customer,
                "valid_from": maybe,
                "member_since": st.one_of(st.none(), instant.map(datetime.date)),
                "region": st.sampled_from((None, "Île-de-France", "NA")),
                "birth_year": st.sampled_from((None, 1980)),
                "attributes": st.sampled_from(([], [{"key": "b", "value": "2"}, {"key": "a", "value": ""}])),
            }
        ),
        "aliases": st.one_of(
            st.tuples(st.just("anonymous_id"), st.sampled_from([*cast.devices, "shared"]), maybe, customer),
            st.tuples(st.just("customer_id"), customer, maybe, customer).filter(lambda row: row[1] != row[3]),
        ).map(lambda row: dict(zip(("id_type", "id", "valid_from", "customer_id"), row, strict=True))),
    }
    if len(cast.customers) == 1:
        kinds["aliases"] = kinds["aliases"].filter(lambda row: row["id_type"] == "anonymous_id")
    found = {}
    for name, record in kinds.items():
        records = draw(st.lists(record, max_size=5))
        offsets: dict[str, int] = {}
        found[name] = []
        for row in records:
            topic = draw(st.sampled_from((f"{name}/1.csv", f"{name}/10.csv", f"{name}/2.csv")))
            offset = offsets[topic] = offsets.get(topic, -1) + 1
            found[name].append(
                {
                    **row,
                    "source_name": name,
                    "source_topic": topic,
                    "source_partition": 0,
                    "source_offset": offset,
                }
            )
    return found


@st.composite
def decisions(draw: st.DrawFn, pairs: list[tuple[str, str]]) -> list[Event]:
    """Unlinks and relinks of one pair or two, some the other way round, some at one instant."""
    few = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=2)) if pairs else []
    decided = draw(st.lists(st.sampled_from(few), max_size=4)) if few else []
    ids = draw(st.permutations([f"{n}" for n in range(len(decided))]))
    found = []
    for decision_id, pair in zip(ids, decided, strict=True):
        one, other = draw(st.sampled_from((pair, pair, pair[::-1])))
        found.append(
            {
                "decision_id": decision_id,
                "decided_at": datetime(2026, 1, 1) + draw(st.integers(0, 2)) * DAY,
                "kind": draw(st.sampled_from(("unlink", "unlink", "relink"))),
                "id": one,
                "customer_id": other,
            }
        )
    return found


def pairs_of(events: list[Event], aliases: list[Event]) -> list[tuple[str, str]]:
    """Return the pairs that touchpoints and aliases link: those that people decide about."""
    found = []
    for event in events:
        if event["customer_id"] is None:
            continue
        if event["anonymous_id"] is not None:
            found.append((event["anonymous_id"], event["customer_id"]))
        if event["event_type"] == "merged":
            found += [(pair["value"], event["customer_id"]) for pair in event.get("attributes", [])]
    found += [(alias["id"], alias["customer_id"]) for alias in aliases]
    return sorted(set(found))


@st.composite
def worlds(
    draw: st.DrawFn,
    units: Sequence[str] = UNITS,
    max_events: int = 20,
    max_copies: int = 6,
    themes: Sequence[Theme] = THEMES,
) -> World:
    """Rules, touchpoints whose times lie on the limits of those rules, reference records and decisions."""
    return draw(_world(draw(options(units)), draw(st.sampled_from(themes)), max_events, max_copies))


@st.composite
def _world(draw: st.DrawFn, rules: Options, theme: Theme, max_events: int = 20, max_copies: int = 6) -> World:
    if rules.unit in ("contract", "claim"):  # what has no key is in no journey: half of it gets one
        theme = replace(theme, keys=theme.keys + ({f"{rules.unit}_id": "k1"},) * len(theme.keys))
    cast = Cast(
        customers=draw(_some(CUSTOMERS, theme.customers)),
        devices=draw(_some(DEVICES, theme.devices)),
        times=draw(instants(rules.gap)),
    )
    events = draw(touchpoints(theme, cast, max_events, max_copies))
    records = draw(references(theme, cast))
    decided = draw(decisions(pairs_of(events, records["aliases"])))
    return World(rules, events, records, decided)


@st.composite
def crowds(draw: st.DrawFn, theme: Theme, size: int) -> World:
    """Several worlds by the same rules as one: what loads them costs hardly more than for one.

    The ids of all but the first are marked, so that the worlds have nobody in common.
    """
    rules = draw(options())
    parts = [_marked(draw(_world(rules, theme)), number) for number in range(size)]
    return World(
        rules,
        [event for part in parts for event in part.events],
        {name: [r for part in parts for r in part.references[name]] for name in parts[0].references},
        [decision for part in parts for decision in part.decisions],
    )


def _marked(world: World, number: int) -> World:
    """Return a world with other ids, read from other places."""
    ids = ("event_id", "customer_id", "anonymous_id", "contract_id", "quote_id", "claim_id", "case_id", "id")

    def marked(name: str) -> str:
        return f"{name[:126]}~{number}" if number else name

    def row(fields: Event) -> Event:
        changed = {name: marked(fields[name]) for name in ids if fields.get(name) is not None}
        if "attributes" in fields:
            changed["attributes"] = [
                {**pair, "value": marked(pair["value"])} if pair["key"] == "merged_customer_id" else pair
                for pair in fields["attributes"]
            ]
        if "decision_id" in fields:
            changed["decision_id"] = marked(fields["decision_id"])
        if "source_topic" in fields and number:
            changed["source_topic"] = f"{number}/{fields['source_topic']}"
        return {**fields, **changed}

    return World(
        world.options,
        [row(event) for event in world.events],
        {name: [row(record) for record in records] for name, records in world.references.items()},
        [row(decision) for decision in world.decisions],
    )


def _some(words: Sequence[str], size: tuple[int, int]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), min_size=size[0], max_size=size[1], unique=True)


@st.composite
def runs(draw: st.DrawFn, world: World, max_runs: int = 5) -> list[Slice]:
    """What a world holds in another order, cut into slices; a slice may be empty."""
    everything = [("events", event) for event in world.events]
    everything += [(name, record) for name, records in world.references.items() for record in records]
    everything += [("decisions", decision) for decision in world.decisions]
    arrival = draw(st.permutations(everything))
    cuts = sorted(draw(st.lists(st.integers(0, len(arrival)), max_size=max_runs - 1)))
    return [
        Slice(
            [item for kind, item in part if kind == "events"],
            {name: [item for kind, item in part if kind == name] for name in world.references},
            [item for kind, item in part if kind == "decisions"],
        )
        for part in (arrival[start:end] for start, end in zip([0, *cuts], [*cuts, len(arrival)], strict=True))
    ]


@st.composite
def moments(draw: st.DrawFn, world: World) -> datetime:
    """An instant at which something happened, or a microsecond off it, or years after it."""

    def told(event_type: str, column: str) -> set[datetime]:
        rows = world.references.get("contracts", [])
        found = {event["occurred_at"] for event in world.events if event["event_type"] == event_type}
        return found | {row[column] for row in rows if row[column] is not None}

    begins, ends = told("signed", "effective_from"), told("terminated", "effective_to")
    known = begins | ends | {event["occurred_at"] for event in world.events}
    known = draw(st.sampled_from([group for group in (known, begins, ends) if group]))
    at = draw(st.sampled_from(sorted(known)))
    years = draw(st.sampled_from((0, 0, 1, 3)))
    if (at.month, at.day) != (2, 29):
        at = at.replace(year=at.year + years)
    return at + draw(st.sampled_from((timedelta(0), timedelta(0), -MICRO, MICRO, DAY)))
