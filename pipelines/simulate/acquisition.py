"""How strangers come, look, ask for a price and sign: a funnel that narrows at each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from parcours.pipelines.simulate.population import after, opening_hours, seasonal, some
from parcours.pipelines.simulate.rows import Draft, Ints
from parcours.pipelines.simulate.words import DAY, END, START, WORDS, code

SECOND = 1_000_000
MINUTE = 60 * SECOND
YEAR = 365 * DAY

PREMIUM_CENTS = np.array([62_000, 24_000, 88_000, 45_000])
"""Median annual premium by product, in the order of the product codes."""


@dataclass(frozen=True)
class Contracts:
    """Contracts held in the chunk, one element each; ``since`` and ``until`` are microseconds."""

    who: Ints
    number: Ints
    product: npt.NDArray[np.int8]
    since: Ints
    premium: Ints


def draw_products(draft: Draft, count: int) -> npt.NDArray[np.int8]:
    """Draw product codes: mostly auto and home."""
    return draft.rng.choice(4, count, p=[0.45, 0.33, 0.15, 0.07]).astype(np.int8)


def draw_premiums(draft: Draft, product: npt.NDArray[np.int8]) -> Ints:
    """Draw annual premiums in cents around the product's median."""
    factor = np.exp(0.35 * draft.rng.standard_normal(len(product)))
    return np.asarray(PREMIUM_CENTS[product] * factor, np.int64)


def acquire(draft: Draft) -> Contracts:
    """Emit what leads strangers to a signature, and return the contracts they signed."""
    who = np.flatnonzero(~draft.people.member)
    start = seasonal(draft.rng, len(who))
    last = _hear_of_us(draft, who, start)
    looking = some(draft.rng, who, 0.62)
    who, at = who[looking], last[looking] + draft.rng.integers(10, 600, len(looking)) * SECOND
    product = draw_products(draft, len(who))
    for _ in range(2):
        draft.emit("product_viewed", "site", who, at, product=product, page=_pages(draft, len(who)))
        at = at + draft.rng.integers(5, 400, len(who)) * SECOND
    quoting = some(draft.rng, who, 0.55)
    return ask_and_sign(draft, who[quoting], after(draft.rng, at[quoting], 0.02, 2.5), product[quoting], 0.36)


def _hear_of_us(draft: Draft, who: Ints, start: Ints) -> Ints:
    """Emit one to five marketing contacts each; return the time of the last one."""
    rng = draft.rng
    touches = 1 + rng.binomial(4, 0.35, len(who))
    at = start.copy()
    for turn in range(5):
        on = np.flatnonzero(touches > turn)
        if turn:
            at[on] = after(rng, at[on], 4)
        people, now = who[on], at[on]
        kind = rng.choice(6, len(on), p=[0.46, 0.14, 0.2, 0.09, 0.06, 0.05])
        campaign = rng.integers(0, len(WORDS["campaign"]), len(on))
        ads = kind == 0
        channel = rng.choice(
            ["search", "display", "social", "comparator"], int(ads.sum()), p=[0.45, 0.15, 0.25, 0.15]
        )
        origin = {
            "search": "google",
            "display": "partner",
            "social": "facebook",
            "comparator": "comparator_one",
        }
        source = np.array([code("source", origin[name]) for name in WORDS["channel"] if name in origin])
        named = [name for name in WORDS["channel"] if name in origin]
        came = source[[named.index(name) for name in channel]]
        marks = {"campaign": campaign[ads], "source": came, "content": rng.integers(0, 5, len(channel))}
        draft.emit("ad_clicked", channel, people[ads], now[ads], **marks)
        # The page opens within seconds of the click, and often in the same one: equal times.
        pause = rng.integers(1, 9, len(channel)) * SECOND * (rng.random(len(channel)) < 0.6)
        draft.emit("site_visited", "site", people[ads], now[ads] + pause, page="home", **marks)
        own = kind == 1
        draft.emit("site_visited", "site", people[own], now[own], page="home")
        e_mail(draft, "email", people[kind == 2], now[kind == 2], campaign[kind == 2])
        draft.emit("letter_sent", "mail", people[kind == 3], now[kind == 3], campaign=campaign[kind == 3])
        draft.emit("public_event_attended", "event", people[kind == 4], opening_hours(rng, now[kind == 4]))
        draft.emit("advice_given", "phone", people[kind == 5], opening_hours(rng, now[kind == 5]))
    return at


def e_mail(draft: Draft, kind: str, who: Ints, at: Ints, campaign: Ints) -> None:
    """Emit a mailing (``email`` or ``newsletter``): delivered, then opened by some, clicked by fewer."""
    marks = {"source": "newsletter" if kind == "newsletter" else "crm"}
    draft.emit(f"{kind}_delivered", "email", who, at, campaign=campaign, **marks)
    opened = some(draft.rng, who, 0.34)
    at = after(draft.rng, at[opened], 0.2, 1.5)
    draft.emit(f"{kind}_opened", "email", who[opened], at, campaign=campaign[opened], **marks)
    clicked = some(draft.rng, opened, 0.18)
    at = at[clicked] + draft.rng.integers(0, 90, len(clicked)) * SECOND
    draft.emit(
        f"{kind}_clicked", "email", who[opened][clicked], at, campaign=campaign[opened][clicked], **marks
    )


def ask_and_sign(
    draft: Draft, who: Ints, at: Ints, product: npt.NDArray[np.int8], signing: float
) -> Contracts:
    """Emit quotes and what follows, up to the signature; many begin online and end in an agency or by phone.

    Args:
        draft: where events go.
        who: persons, as positions in the chunk.
        at: when each asks.
        product: what each asks for.
        signing: the share that signs.

    Returns:
        The contracts signed before the two years' end.
    """
    rng, people = draft.rng, draft.people
    premium, quote = draw_premiums(draft, product), draft.number(len(who))
    channel = rng.choice(["site", "app", "phone", "agency"], len(who), p=[0.66, 0.1, 0.13, 0.11])
    account = rng.random(len(who)) < 0.8
    people.known_from[who[account]] = np.minimum(people.known_from[who[account]], at[account])
    test = {"experiment": "quote_form", "variant": people.variant[who]}
    draft.emit("quote_created", channel, who, at, product=product, quote=quote, value=premium, **test)
    draft.emit("quote_sent", "email", who, at, product=product, quote=quote)
    fate = rng.random(len(who)) / (1 + 0.12 * people.variant[who])
    slow = np.flatnonzero((fate > signing) & (rng.random(len(who)) < 0.5))
    draft.emit(
        "quote_reminded", "email", who[slow], at[slow] + 7 * DAY, product=product[slow], quote=quote[slow]
    )
    helped = some(rng, who, 0.22)
    means = rng.choice(["phone", "video"], len(helped), p=[0.85, 0.15])
    told = opening_hours(rng, at[helped])
    draft.emit(
        "advice_given", means, who[helped], told, product=product[helped], quote=quote[helped], page="advice"
    )
    came = some(rng, who, 0.12)
    draft.emit(
        "agency_visited", "agency", who[came], opening_hours(rng, at[came] + 2 * DAY), quote=quote[came]
    )

    signs = np.flatnonzero(fate < signing)
    when = after(rng, at[signs], 5, 1.1)
    signs, when = signs[when < END], when[when < END]
    place = rng.choice(
        ["site", "agency", "phone", "app", "video"], len(signs), p=[0.44, 0.3, 0.17, 0.06, 0.03]
    )
    desk = np.isin(place, ["agency", "phone", "video"])
    when[desk] = opening_hours(rng, when[desk])
    who, product, premium = who[signs], product[signs], premium[signs]
    people.known_from[who] = np.minimum(people.known_from[who], when)
    contracts = Contracts(who, draft.number(len(who)), product, when, premium)
    start = when + rng.integers(1, 30, len(who)) * DAY
    draft.emit(
        "contract_signed",
        place,
        who,
        when,
        product=product,
        quote=quote[signs],
        value=premium,
        contract=contracts.number,
        effective_from=start,
        effective_to=start + YEAR,
        due_at=start + YEAR,
        **_of(test, signs),
    )
    extra = some(rng, who, 0.09)
    draft.emit(
        "assistance_purchased",
        place[extra],
        who[extra],
        when[extra],
        product=product[extra],
        contract=contracts.number[extra],
        value=rng.choice([2900, 4900, 7990], len(extra)),
    )
    greeted = some(rng, who, 0.5)
    series = rng.integers(2, 4, len(greeted))
    draft.emit(
        "welcome_given",
        np.array(["mail", "phone"])[series - 2],
        who[greeted],
        opening_hours(rng, when[greeted]),
        contract=contracts.number[greeted],
        experiment="welcome_series",
        variant=series,
    )
    return contracts


def held_before(draft: Draft) -> Contracts:
    """Draw the contracts that members hold when the two years begin; their signatures lie before it."""
    rng = draft.rng
    members = np.flatnonzero(draft.people.member)
    who = np.repeat(members, rng.choice([1, 2, 3], len(members), p=[0.6, 0.3, 0.1]))
    product = draw_products(draft, len(who))
    since = START - rng.integers(1, 3600, len(who)) * DAY
    return Contracts(who, draft.number(len(who)), product, since, draw_premiums(draft, product))


def _pages(draft: Draft, count: int) -> Ints:
    return draft.rng.integers(0, len(WORDS["page"]), count)


def _of(fields: Mapping[str, Any], chosen: Ints) -> dict[str, Any]:
    return {name: value[chosen] if isinstance(value, np.ndarray) else value for name, value in fields.items()}
