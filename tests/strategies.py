"""Hypothesis strategies: small worlds of touchpoints in which whatever can collide does.

Few people, few devices and few instants, so that ties, shared devices and conflicts come by themselves;
times lie on limits and a microsecond to either side of them; ids are the odd ones that real data has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from reference import STAGES, Channel, EventType, Options

Event = dict[str, Any]

EVENT_TYPES = {
    "ad_seen": EventType("awareness", ("touch",)),
    "mail_opened": EventType("awareness", ("touch", "email_opened")),
    "quoted": EventType("consideration", ("quote_created",)),
    "bought": EventType("purchase", ("purchase",), "revenue"),
    "signed": EventType("purchase", ("purchase", "contract_signed"), "premium"),
    "claim_settled": EventType("service", ("claim_closed",), "claim_paid"),
    "reserve_moved": EventType("service", (), "claim_reserve"),
    "terminated": EventType("service", ("contract_terminated",)),
    "renewed": EventType("loyalty", ("contract_renewed",)),
    "praised": EventType("advocacy", ("review_posted",)),
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
    (),
    ("contract_terminated",),
    ("terminated", "purchase"),
    ("renewed",),
    ("an unlisted type",),
)

_KEYS: tuple[Event, ...] = (
    {},
    {"product": "auto"},
    {"product": "Auto"},
    {"product": "auto", "contract_id": "k1"},
    {"product": "home", "contract_id": "k1", "claim_id": "k1"},
    {"contract_id": "K1", "claim_id": "😀"},
    {"claim_id": "k1"},
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
class World:
    """Rules, and the valid records that were read, in the order in which they arrived."""

    options: Options
    events: list[Event]


@st.composite
def options(draw: st.DrawFn, units: Sequence[str] = UNITS) -> Options:
    """Journey and identity rules over the words above."""
    return Options(
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
def _contents(draw: st.DrawFn, customers: list[str], devices: list[str], times: list[datetime]) -> Event:
    """One valid touchpoint without its event_id."""
    customer, device = draw(
        st.one_of(
            st.tuples(st.none(), st.sampled_from(devices)),
            st.tuples(st.sampled_from(customers), st.sampled_from(devices)),
            st.tuples(st.sampled_from(customers), st.none()),
        )
    )
    event_types = (*EVENT_TYPES, "logged_in", "logged_in", "Ad_Seen", "an unlisted type")
    return {
        "occurred_at": draw(st.sampled_from(times)),
        "customer_id": customer,
        "anonymous_id": device,
        "event_type": draw(st.sampled_from(event_types)),
        "stage": draw(st.sampled_from((*[None] * 9, *STAGES))),
        "channel": draw(st.sampled_from((*CHANNELS, "site", "fax"))),
        **draw(st.sampled_from(_KEYS)),
        **draw(st.sampled_from(_MONEY)),
        **draw(st.sampled_from(_EXTRAS)),
    }


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
def _shared_device(
    draw: st.DrawFn, customers: list[str], times: list[datetime], contents: st.SearchStrategy[Event]
) -> list[Event]:
    """Two log-ins on one device, and it alone half-way between them, or a microsecond off."""
    start = draw(st.sampled_from(times))
    half = draw(st.sampled_from((timedelta(0), MICRO, 15 * MINUTE, DAY)))
    off = draw(st.sampled_from((timedelta(0), -MICRO, MICRO))) if half else half  # never before the start
    device = {"anonymous_id": "shared"}
    return [
        {**draw(contents), **device, "event_id": event_id, "customer_id": customer, "occurred_at": at}
        for event_id, customer, at in (
            ("shared 1", draw(st.sampled_from(customers)), start),
            ("shared 2", None, start + half + off),
            ("shared 3", draw(st.sampled_from(customers)), start + 2 * half),
        )
    ]


@st.composite
def touchpoints(
    draw: st.DrawFn, gap: timedelta | None = 10 * DAY, max_events: int = 20, max_copies: int = 6
) -> list[Event]:
    """Valid touchpoints of a few persons and devices, with duplicates and conflicts, in any order."""
    customers = draw(st.lists(st.sampled_from(CUSTOMERS), min_size=1, max_size=4, unique=True))
    devices = draw(st.lists(st.sampled_from(DEVICES), min_size=1, max_size=2, unique=True))
    times = draw(instants(gap))
    contents = _contents(customers, devices, times)
    size = draw(st.integers(1, max_events))  # drawn first: lists alone would mostly be short
    ids = draw(st.lists(st.sampled_from(EVENT_IDS), min_size=size, max_size=size, unique=True))
    events = [{"event_id": event_id, **draw(contents)} for event_id in ids]
    if draw(st.booleans()):
        events += draw(_shared_device(customers, times, contents))
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


@st.composite
def worlds(draw: st.DrawFn, units: Sequence[str] = UNITS, max_events: int = 20, max_copies: int = 6) -> World:
    """Rules, and touchpoints whose times lie on the limits of those rules."""
    rules = draw(options(units))
    return World(rules, draw(touchpoints(rules.gap, max_events, max_copies)))


@st.composite
def runs(draw: st.DrawFn, events: list[Event], max_runs: int = 5) -> list[list[Event]]:
    """The same records in another order, cut into runs; a run may be empty."""
    arrival = draw(st.permutations(events))
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=max_runs - 1)))
    return [arrival[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]
