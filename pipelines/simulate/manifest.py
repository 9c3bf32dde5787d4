"""What was planted: every count that a reader of the records must arrive at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from parcours.pipelines.simulate.faults import Fault
from parcours.pipelines.simulate.planted import Planted, Truths
from parcours.pipelines.simulate.rows import NO_AMOUNT, NONE, STAGE_OF, Rows
from parcours.pipelines.simulate.text_records import iso
from parcours.pipelines.simulate.words import WORDS, taxonomy
from parcours.schemas.config import Identity


@dataclass
class Manifest:
    """Counts of records, events, people and amounts.

    ``records = events + exact_duplicates + conflicting_duplicates + broken``. From ``persons`` on, everything
    but ``parts`` speaks of the distinct good events alone, that is of what ``touchpoints`` must hold.

    ``conflicting_duplicates`` counts distinct losing contents. ``links`` counts touchpoints with both ids,
    ``linked_devices`` the devices that have one, ``shared_devices`` those of two customers up to the limit,
    ``over_limit_devices`` those beyond it. ``profiles`` counts persons as the identity rules see them.
    ``amounts`` is currency → money role → exact decimal text. ``parts`` counts records per file or partition.
    ``references`` is reference input → count → rows: see ``references.ReferenceFiles``; events and persons
    are counted without regard to them. ``planted`` is what figures must come to: see ``planted``.
    """

    arguments: dict[str, Any]
    records: int = 0
    events: int = 0
    exact_duplicates: int = 0
    conflicting_duplicates: int = 0
    broken: int = 0
    broken_by_kind: dict[str, int] = field(default_factory=dict)
    broken_by_reason: dict[str, int] = field(default_factory=dict)
    reason_of_kind: dict[str, str] = field(default_factory=dict)
    persons: int = 0
    customers: int = 0
    devices: int = 0
    links: int = 0
    linked_devices: int = 0
    shared_devices: int = 0
    over_limit_devices: int = 0
    profiles: int = 0
    amounts: dict[str, dict[str, str]] = field(default_factory=dict)
    by_event_type: dict[str, int] = field(default_factory=dict)
    by_stage: dict[str, int] = field(default_factory=dict)
    by_channel: dict[str, int] = field(default_factory=dict)
    first_at: str = ""
    last_at: str = ""
    parts: dict[str, int] = field(default_factory=dict)
    references: dict[str, dict[str, int]] = field(default_factory=dict)
    planted: Planted = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read what ``write`` wrote."""
        return cls(**json.loads(path.read_text("utf-8")))


class Tally:
    """Counts chunk by chunk. People and devices never straddle two chunks, so their counts add up."""

    def __init__(self, arguments: dict[str, Any], faults: Sequence[Fault], truths: Truths) -> None:
        self._manifest = Manifest(arguments)
        self._truths = truths
        self._faults = faults
        self._kinds = np.zeros(len(faults), np.int64)
        self._counts = {name: np.zeros(len(WORDS[name]), np.int64) for name in ("event_type", "channel")}
        self._cents = np.zeros((len(WORDS["currency"]), len(WORDS["event_type"])), np.int64)
        self._first, self._last = np.iinfo(np.int64).max, np.iinfo(np.int64).min

    def add(self, events: Rows, records: Rows) -> None:
        """Count one chunk.

        Args:
            events: its distinct good events.
            records: all that is written of it.
        """
        found = self._manifest
        found.records += len(records)
        found.events += len(events)
        found.exact_duplicates += int((records["copy"] == 1).sum())
        found.conflicting_duplicates += int((records["copy"] == 2).sum())
        self._kinds += np.bincount(records["fault"][records["fault"] != NONE], minlength=len(self._kinds))
        for name in self._counts:
            self._counts[name] += np.bincount(events[name], minlength=len(WORDS[name]))
        paid = events[events["value"] != NO_AMOUNT]
        np.add.at(self._cents, (paid["currency"], paid["event_type"]), paid["value"])
        self._first = min(self._first, int(events["occurred"].min()))
        self._last = max(self._last, int(events["occurred"].max()))
        self._add_people(events)
        self._truths.add(events)

    def _add_people(self, events: Rows) -> None:
        found, known, device = self._manifest, events["known"], events["device"]
        customers = np.unique(events["person"][known])
        found.persons += len(np.unique(events["person"]))
        found.customers += len(customers)
        devices = np.unique(device[device != NONE])
        found.devices += len(devices)
        both = known & (device != NONE)
        found.links += int(both.sum())
        pairs = np.unique(np.column_stack([device[both], events["person"][both]]), axis=0)
        linked, met = np.unique(pairs[:, 0], return_counts=True)
        most = Identity.model_validate({}).max_customers_per_device
        found.linked_devices += len(linked)
        found.shared_devices += int(((met > 1) & (met <= most)).sum())
        found.over_limit_devices += int((met > most).sum())
        # A device without a usable link is a person of its own, once it was seen without a customer.
        alone = np.setdiff1d(np.unique(device[~known]), linked[met <= most])
        found.profiles += len(customers) + len(alone)

    def finish(self, parts: dict[str, int], references: dict[str, dict[str, int]]) -> Manifest:
        """Return the manifest, given the records per file or partition, and the rows of reference inputs."""
        found = self._manifest
        found.parts, found.references, found.planted = parts, references, self._truths.as_planted()
        found.broken = int(self._kinds.sum())
        for fault, count in zip(self._faults, self._kinds.tolist(), strict=True):
            found.reason_of_kind[fault.kind] = fault.reason
            found.broken_by_kind[fault.kind] = count
            found.broken_by_reason[fault.reason] = found.broken_by_reason.get(fault.reason, 0) + count
        found.by_event_type = _named("event_type", self._counts["event_type"])
        found.by_channel = _named("channel", self._counts["channel"])
        stages = np.zeros(len(WORDS["stage"]), np.int64)
        np.add.at(stages, STAGE_OF, self._counts["event_type"])
        found.by_stage = _named("stage", stages)
        found.first_at, found.last_at = iso(self._first), iso(self._last)
        for currency, by_type in zip(WORDS["currency"], self._cents, strict=True):
            cents: dict[str, int] = {}
            for name, amount in zip(WORDS["event_type"], by_type.tolist(), strict=True):
                role = taxonomy().events[name].money_role
                if role:
                    cents[role] = cents.get(role, 0) + amount
            found.amounts[currency] = {role: str(Decimal(sum_).scaleb(-2)) for role, sum_ in cents.items()}
        return found


def _named(field_: str, counts: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, int]:
    return {word: count for word, count in zip(WORDS[field_], counts.tolist(), strict=True) if count}
