"""What a figure reads: relations as they stood at an instant, limited to some touchpoints and persons."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from parcours.schemas.literal import literal

_BEGUN_BY = {"contracts": "signed_by", "quotes": "quoted_by", "claims": "opened_by", "cases": "opened_by"}
"""The touchpoint that began each row, by whose fields ``where`` judges it."""

RELATIONS = (
    "touchpoints_then",
    "visits_then",
    "journeys_then",
    *(f"{name}_then" for name in _BEGUN_BY),
    "premiums_then",
    "profiles_then",
)
"""What the rows of a figure are selected from, beside reference inputs and what the folder ``then`` has."""


@dataclass(frozen=True)
class Scope:
    """What is asked about.

    Attributes:
        as_of: SQL of the instant; only what had occurred by then counts.
        where: condition over touchpoints, checked by the caller: a touchpoint counts where it is true; a
            quote, contract, claim or case where it is true of the touchpoint that began it; a visit or
            journey where it is true of one of its touchpoints.
        segment: name of a segment: only persons who were in it at the instant count.
        consent: a purpose: only touchpoints with consent to it count, as for ``where``.
    """

    as_of: str
    where: str | None = None
    segment: str | None = None
    consent: str | None = None

    @property
    def is_limited(self) -> bool:
        """Whether less than everything is asked about."""
        return bool(self.where or self.segment or self.consent)

    def relations(self, text: str, time_zone: str) -> list[str]:
        """Return the common table expressions that a query needs, in their order.

        Args:
            text: the query that is to read them.
            time_zone: by which days begin.
        """
        asked = _named(text, _derived())
        needed = _named("\n".join((text, *(_derived()[name] for name in asked))), _derived())
        derived = {name: Template(_derived()[name]).substitute(time_zone=time_zone) for name in needed}
        read = "\n".join((text, *derived.values()))
        wanted = [*_named(read, RELATIONS)]
        if (self.where or self.consent) and (wanted or derived) and "touchpoints_then" not in wanted:
            wanted.insert(0, "touchpoints_then")
        tables = [f"instant AS MATERIALIZED (SELECT CAST({self.as_of} AS TIMESTAMP) AS until)"]
        if self.segment:
            tables.append(
                "in_segment AS MATERIALIZED (SELECT DISTINCT profile_id "
                f"FROM segment_members_at({self.as_of}) WHERE segment = {literal(self.segment)})"
            )
        return [
            *tables,
            *(f"{name} AS ({self._select(name.removesuffix('_then'))})" for name in wanted),
            *(f"{name} AS (\n{self._limited(name, query)}\n)" for name, query in derived.items()),
        ]

    def counts_person(self) -> str:
        """Return SQL that says whether a ``profile_id`` is one of those who count."""
        conditions = ["profile_id IN (FROM in_segment)"] if self.segment else []
        conditions += [_KEPT["profiles"]] if self.where or self.consent else []
        return " AND ".join(conditions) or "true"

    def _limited(self, name: str, query: str) -> str:
        """Limit what is read from reference inputs, and so of no relation that is limited."""
        limited = name in ("customers_then", "members_then") and self.is_limited
        return f"SELECT * FROM (\n{query}\n) WHERE {self.counts_person()}" if limited else query

    def _select(self, name: str) -> str:
        conditions = ["profile_id IN (FROM in_segment)"] if self.segment else []
        if name in ("touchpoints", "visits"):
            source = f"{name} CROSS JOIN instant"
            conditions.append(f"{'occurred_at' if name == 'touchpoints' else 'started_at'} <= until")
        else:
            source = f"{'contract_premiums' if name == 'premiums' else name}_at({self.as_of}) AS {name}"
        if name == "touchpoints":
            conditions += [f"({self.where})"] if self.where else []
            conditions += [f"list_contains(consent, {literal(self.consent)})"] if self.consent else []
        elif self.where or self.consent:
            conditions += [_KEPT[name].format(name=name)] if name in _KEPT else []
        return f"SELECT {name}.* FROM {source}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")


@cache
def _derived() -> dict[str, str]:
    """Return what several figures read, made of ``RELATIONS``: a query each, by name."""
    folder = resources.files(__package__).joinpath("then")
    files = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return {name.removesuffix(".sql"): file.read_text("utf-8").rstrip() for name, file in files}


def _named(text: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if re.search(rf"\b{name}\b", text)]


_KEPT = {
    **{name: f"{column} IN (SELECT event_id FROM touchpoints_then)" for name, column in _BEGUN_BY.items()},
    "visits": "visit_id IN (SELECT visit_id FROM touchpoints_then)",
    "journeys": "journey_id IN (SELECT journey_id FROM journey_steps "
    "WHERE event_id IN (SELECT event_id FROM touchpoints_then))",
    "premiums": "contract_id IN (SELECT contract_id FROM contracts "
    "WHERE signed_by IN (SELECT event_id FROM touchpoints_then))",
    "profiles": "profile_id IN (SELECT profile_id FROM touchpoints_then)",
}
