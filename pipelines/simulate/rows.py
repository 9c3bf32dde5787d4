"""Events as rows of numbers, and the draft that behaviour writes them into.

A row is 122 bytes whatever its event: texts are made of it only when it is written out. So ten million events
are drawn, copied, sorted and spooled as plain arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from parcours.pipelines.simulate.population import People
from parcours.pipelines.simulate.words import (
    ATTRIBUTE_DATES,
    ATTRIBUTES,
    DATES_FROM,
    DAY,
    END,
    START,
    WORDS,
    code,
    taxonomy,
)

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.void]

NONE = -1
NO_AMOUNT = int(np.iinfo(np.int64).min)

KEYS = ("contract", "quote", "claim", "referral", "case")
CODED = (
    "event_type",
    "stage",
    "channel",
    "source",
    "campaign",
    "content",
    "product",
    "currency",
    "survey",
    "score",
    "consent",
    "experiment",
    "variant",
)

ROW = np.dtype(
    [
        ("seq", np.int64),  # the event's number; its event_id is made of it
        ("person", np.int64),
        ("device", np.int64),  # NONE: no anonymous_id
        ("known", np.bool_),  # the record carries the customer_id
        ("occurred", np.int64),  # UTC microseconds
        ("arrival", np.int64),  # when it is written: the order of the log
        ("value", np.int64),  # cents; NO_AMOUNT: none
        ("cost", np.int64),  # cents; NO_AMOUNT: none
        *((key, np.int64) for key in KEYS),
        *((name, np.int8) for name in CODED),
        *((name, np.int16) for name in ATTRIBUTE_DATES),  # days since words.DATES_FROM
        *((name, np.int8) for name in ATTRIBUTES if name not in ATTRIBUTE_DATES),
        ("copy", np.int8),  # 0 an event, 1 an exact duplicate, 2 other content under the same id
        ("fault", np.int8),  # the position of its kind in faults.kinds(), NONE: a good record
    ]
)

_EMPTY: dict[str, Any] = dict.fromkeys(ROW.names or (), NONE) | {
    "value": NO_AMOUNT,
    "cost": NO_AMOUNT,
    "copy": 0,
    "known": False,
}

CONTACT_CENTS = {"email": 2, "mail": 85, "phone": 650, "agency": 1400, "video": 800, "event": 2200}
_BROWSED = ("site", "app", "forum")
_ADVERTISED = ("search", "display", "social", "comparator")
_CRM = [code("channel", name) for name in ("agency", "phone", "video", "mail", "event")]


class Draft:
    """Collects one chunk's events; every call adds one event for each person given."""

    def __init__(self, people: People, rng: np.random.Generator) -> None:
        self.people = people
        self.rng = rng
        self._blocks: list[Rows] = []
        self._numbers = people.first << 8

    def number(self, count: int) -> Ints:
        """Return that many business keys, never given out before in any chunk."""
        self._numbers += count
        return np.arange(self._numbers - count, self._numbers, dtype=np.int64)

    def emit(
        self, event: str, channel: str | npt.NDArray[np.str_], who: Ints, at: Ints, **fields: Any
    ) -> None:
        """Add one event a person; those outside the two years are left out.

        Args:
            event: the event type, one of the taxonomy.
            channel: one for all, or one each.
            who: persons, as positions in the chunk.
            at: when, UTC microseconds, one each.
            **fields: other fields by their row name: a word for a coded one, or numbers (codes, keys, cents,
                and microseconds for the dates among the attributes), one for all or one each.
        """
        rows = np.empty(len(who), ROW)
        for name, empty in _EMPTY.items():
            rows[name] = empty
        rows["person"] = who
        rows["occurred"] = at
        rows["event_type"] = code("event_type", event)
        names = np.asarray(channel)
        for name in np.unique(names):
            rows["channel"][np.broadcast_to(names == name, rows.shape)] = code("channel", str(name))
        for name, value in fields.items():
            if name in ATTRIBUTE_DATES:
                rows[name] = np.asarray(value) // DAY - DATES_FROM
            else:
                rows[name] = code(name, value) if isinstance(value, str) else value
        rows["currency"] = np.where(rows["value"] == NO_AMOUNT, NONE, self.people.currency[who])
        self._blocks.append(rows[(at >= START) & (at < END)])

    def finish(self) -> Rows:
        """Return the chunk's events with ids and costs, each person's in time order."""
        rows = np.concatenate(self._blocks)
        rows = rows[np.lexsort((rows["occurred"], rows["person"]))]
        self._identify(rows)
        self._charge(rows)
        who = rows["person"].copy()
        rows["consent"] = np.where(rows["known"], self.people.consent[who], NONE)
        # Desk systems name the stage themselves; the web leaves it to the taxonomy.
        desk = np.isin(rows["channel"], _CRM)
        rows["stage"] = np.where(desk, STAGE_OF[rows["event_type"]], NONE)
        rows["person"] += self.people.first
        return rows

    def _identify(self, rows: Rows) -> None:
        """Decide which ids each record carries: the customer's, the device's, or both."""
        people, who, n = self.people, rows["person"], len(rows)
        after = rows["occurred"] >= people.known_from[who]
        chance = self.rng.random(n)
        slot = np.minimum(self.rng.integers(0, 3, n), people.devices[who] - 1)
        browsed = _is_channel(rows, _BROWSED)
        clicked = np.isin(
            rows["event_type"], [code("event_type", f"{kind}_clicked") for kind in ("email", "newsletter")]
        )
        rows["known"] = after & ~_is_channel(rows, _ADVERTISED) & (~browsed | (chance < 0.7))
        # A stranger on the phone or in an agency is known by the line or the counter's ticket: slot 3.
        slot[~browsed & ~_is_channel(rows, (*_ADVERTISED, "email"))] = 3
        carries = ~rows["known"] | browsed | clicked
        rows["device"] = np.where(carries, people.device[who, slot], NONE)

    def _charge(self, rows: Rows) -> None:
        """Put the contact's price on what the organisation pays for."""
        for channel, cents in CONTACT_CENTS.items():
            rows["cost"][_is_channel(rows, (channel,))] = cents
        clicks = rows["event_type"] == code("event_type", "ad_clicked")
        rows["cost"][clicks] = self.rng.integers(20, 260, int(clicks.sum()))


def _is_channel(rows: Rows, names: tuple[str, ...]) -> Bools:
    return np.isin(rows["channel"], [code("channel", name) for name in names])


def _stage_codes() -> npt.NDArray[np.int8]:
    events = taxonomy().events
    return np.array([code("stage", events[name].stage or "") for name in WORDS["event_type"]], np.int8)


STAGE_OF = _stage_codes()
"""Per event type's code, its stage's."""
