"""What the insurer knows beside its touchpoints: customers, their contracts, ids of another name, figures.

The files are true to the events: a contract that was signed in the two years is effective from the day
that its signature names, one that ended ends on the day of its termination, and one that was signed before
the two years is known from here alone, and at least as many people came to events as said so. Some rows are
broken on purpose.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from parcours.pipelines.simulate import steering
from parcours.pipelines.simulate.acquisition import YEAR
from parcours.pipelines.simulate.behaviour import Chunk
from parcours.pipelines.simulate.fields import anonymous_ids, customer_ids
from parcours.pipelines.simulate.planted import Truths
from parcours.pipelines.simulate.rows import NONE, Ints, Rows
from parcours.pipelines.simulate.words import DATES, DAY, END, START, WORDS, code

COLUMNS = {
    "contracts": (
        "contract_id",
        "customer_id",
        "product",
        "effective_from",
        "effective_to",
        "due_at",
        "annual_premium",
        "currency",
    ),
    "customers": (
        "customer_id",
        "member_since",
        "member_until",
        "region",
        "birth_year",
        "segment",
        "potential",
        "valid_from",
    ),
    "aliases": ("id_type", "id", "customer_id", "valid_from"),
    "spend": ("day", "campaign", "channel", "amount", "currency", "valid_from"),
    "events_held": ("event", "date", "channel", "headcount"),
    "indicators": ("name", "month", "value"),
    "targets": ("kpi", "dimension", "period", "value", "direction"),
}
"""The files' columns, named as parcours names its fields."""

_BROKEN = {
    "contracts": ({"customer_id": ""}, {"effective_from": "2024-02-30"}, {"annual_premium": "n/a"}),
    "customers": ({"customer_id": ""}, {"birth_year": "unknown"}, {"member_since": "00/00/0000"}),
    "aliases": ({"customer_id": ""}, {"id_type": "loyalty_card"}, {"id": ""}),
    "spend": ({"amount": "n/a"}, {"day": "2024-02-30"}, {"currency": "euro"}),
    "events_held": ({"headcount": "-5"}, {"date": "soon"}, {"event": ""}),
    "indicators": ({"value": "high"}, {"month": "2024-13"}),
    "targets": ({"period": "2025-Q5"}, {"direction": "sideways"}, {"dimension": "email"}),
}  # fmt: skip
"""Per file, the ways in which a row is broken: what stands in it instead."""

_REGIONS = ("Bretagne", "Grand Est", "Île-de-France", "Normandie", "Nouvelle-Aquitaine", "Occitanie")
_SEGMENTS = ("young", "family", "senior", "professional")
_POTENTIALS = ("low", "medium", "high")

_STREAM = 2
"""Keeps this generator apart from those that draw a chunk's events (none) and spoil them (1)."""


_ATTENDED = [code("event_type", name) for name in ("public_event_attended", "meeting_attended")]


class ReferenceFiles:
    """Writes the files, chunk by chunk of people and at last the figures; ``counts`` says what each has.

    ``rows`` counts all rows of a file and ``broken`` those broken on purpose; ``known_only_here`` counts
    contracts without a signature among the events, ``devices`` aliases of devices that never logged in.
    """

    def __init__(self, folder: Path, seed: int, broken: float, truths: Truths) -> None:
        self._seed = seed
        self._broken = broken
        self._truths = truths
        self._attended = np.zeros(len(steering.MONTHS), np.int64)
        self._files = ExitStack()
        self.counts = {name: {"rows": 0, "broken": 0} for name in COLUMNS}
        self.counts["contracts"]["known_only_here"] = 0
        self.counts["aliases"]["devices"] = 0
        self._writers = {}
        for name, columns in COLUMNS.items():
            file = self._files.enter_context((folder / f"{name}.csv").open("w", encoding="utf-8", newline=""))
            self._writers[name] = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            self._writers[name].writeheader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def add(self, chunk: Chunk, events: Rows) -> None:
        """Write what is known of one chunk's people.

        Args:
            chunk: the people, what they do and hold.
            events: those of their events that are written; people after the last of them are left out.
        """
        first = chunk.people.first
        rng = np.random.Generator(np.random.PCG64([self._seed, first, _STREAM]))
        signed = events[events["event_type"] == code("event_type", "contract_signed")]
        held = chunk.contracts
        known = (held.since < START) | np.isin(held.number, signed["contract"])
        chosen = np.flatnonzero(known & (held.who + first <= events["person"].max()))
        self.counts["contracts"]["known_only_here"] += int((held.since[chosen] < START).sum())
        self._write("contracts", _contracts(chunk, chosen, signed))
        customers = np.unique(held.who[chosen])
        self._write("customers", _customers(chunk, chosen, customers, rng))
        self._write("aliases", self._aliases(customers + first, events, rng))
        self._truths.count("members", len(np.unique(held.who[chosen][chunk.until[chosen] >= END])))
        came = events["occurred"][np.isin(events["event_type"], _ATTENDED)].astype("datetime64[us]")
        month = (came.astype("datetime64[M]") - steering.MONTHS[0]).astype(np.int64)
        self._attended += np.bincount(month, minlength=len(self._attended))

    def finish(self, records: int) -> None:
        """Write what marketing and the board know, once all people are known.

        Args:
            records: how many are written in all: spend grows with them.
        """
        self._write("spend", self._spend(records))
        self._write("events_held", self._events_held())
        self._write("indicators", steering.indicators(self._seed))
        self._write("targets", steering.targets(self._seed))

    def _spend(self, records: int) -> Iterator[dict[str, Any]]:
        for row, cents, newest in steering.spend(self._seed, records):
            if newest:
                self._truths.pay("spend", cents, currency=row["currency"])
            yield row | {"amount": f"{cents / 100:.2f}"}

    def _events_held(self) -> Iterator[dict[str, Any]]:
        for row in steering.events_held(self._seed, self._attended):
            self._truths.count("events_held", 1)
            self._truths.count("event_attendance", row["headcount"])
            yield row

    def _write(self, name: str, rows: Iterator[dict[str, Any]]) -> None:
        counts, writer = self.counts[name], self._writers[name]
        for row in rows:
            writer.writerow(row)
            counts["rows"] += 1
            if counts["broken"] < self._broken * (counts["rows"] - counts["broken"]):
                # a good row that comes again, broken: it would be seen if it were loaded all the same
                writer.writerow(row | _BROKEN[name][counts["broken"] % len(_BROKEN[name])])
                counts["rows"] += 1
                counts["broken"] += 1

    def _aliases(self, customers: Ints, events: Rows, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
        """Old numbers of some customers, and devices on which they never logged in and nobody else was."""
        old = customers[rng.random(len(customers)) < 0.05]
        for number, customer in zip(old.tolist(), customer_ids(old).to_pylist(), strict=True):
            yield {"id_type": "customer_id", "id": f"OLD-{number}", "customer_id": customer}
        seen = events["device"] != NONE
        pairs = np.unique(np.column_stack([events["device"][seen], events["person"][seen]]), axis=0)
        devices, at, people = np.unique(pairs[:, 0], return_index=True, return_counts=True)
        person = pairs[at, 1]
        silent = ~np.isin(devices, events["device"][seen & events["known"]])
        real = silent & (people == 1) & np.isin(person, customers) & (rng.random(len(devices)) < 0.3)
        self.counts["aliases"]["devices"] += int(real.sum())
        ids = anonymous_ids(devices[real], self._seed).to_pylist()
        for device, customer in zip(ids, customer_ids(person[real]).to_pylist(), strict=True):
            yield {
                "id_type": "anonymous_id",
                "id": device,
                "customer_id": customer,
                "valid_from": "2024-01-01",
            }


def _contracts(chunk: Chunk, chosen: Ints, signed: Rows) -> Iterator[dict[str, Any]]:
    held = chunk.contracts
    since, until = held.since[chosen], chunk.until[chosen]
    begins = dict(zip(signed["contract"].tolist(), signed["effective_from"].tolist(), strict=True))
    due = since + YEAR * np.maximum((END - since) // YEAR + 1, 1)
    columns = zip(
        held.number[chosen].tolist(),
        customer_ids(held.who[chosen] + chunk.people.first).to_pylist(),
        _words(WORDS["product"], held.product[chosen]),
        _days(since),
        _days(np.where(until < END, until, NONE)),
        _days(np.where(until < END, NONE, due)),
        held.premium[chosen].tolist(),
        _words(WORDS["currency"], chunk.people.currency[held.who[chosen]]),
        strict=True,
    )
    for number, customer, product, begin, end, due_at, cents, currency in columns:
        yield {
            "contract_id": f"K{number}",
            "customer_id": customer,
            "product": product,
            "effective_from": DATES[begins[number]] if number in begins else begin,
            "effective_to": end,
            "due_at": due_at,
            "annual_premium": f"{cents / 100:.2f}",
            "currency": currency,
        }


def _customers(
    chunk: Chunk, chosen: Ints, customers: Ints, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """A row since ever for each, and for some a later version: they moved to another segment."""
    place = np.searchsorted(customers, chunk.contracts.who[chosen])
    since = np.full(len(customers), np.iinfo(np.int64).max)
    np.minimum.at(since, place, chunk.contracts.since[chosen])
    until = np.zeros(len(customers), np.int64)
    np.maximum.at(until, place, chunk.until[chosen])
    count = len(customers)
    segment = rng.integers(0, len(_SEGMENTS), count)
    moved = rng.random(count) < 0.1
    columns = zip(
        customer_ids(customers + chunk.people.first).to_pylist(),
        _days(since),
        _days(np.where(until < END, until, NONE)),
        _words(_REGIONS, rng.integers(0, len(_REGIONS), count)),
        rng.integers(1940, 2006, count).tolist(),
        segment.tolist(),
        _words(_POTENTIALS, rng.integers(0, len(_POTENTIALS), count)),
        moved.tolist(),
        _days(START + rng.integers(30, 700, count) * DAY),
        strict=True,
    )
    for customer, begin, end, region, born, kind, potential, again, at in columns:
        row = {
            "customer_id": customer,
            "member_since": begin,
            "member_until": end,
            "region": region,
            "birth_year": born,
            "segment": _SEGMENTS[kind],
            "potential": potential,
        }
        yield row
        if again:
            yield row | {"segment": _SEGMENTS[(kind + 1) % len(_SEGMENTS)], "valid_from": at}


def _days(instants: Ints) -> list[str]:
    """Return calendar days, an empty text for none."""
    days = (instants // DAY).astype("datetime64[D]")
    return ["" if none else str(day) for none, day in zip(instants == NONE, days, strict=True)]


def _words(words: Sequence[str], codes: npt.NDArray[Any]) -> list[str]:
    return [words[place] for place in codes.tolist()]
