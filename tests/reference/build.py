"""From a heap of valid events, reference rows and decisions to the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reference import stages
from reference.conflicts import settle
from reference.contracts import contract_rows, enders
from reference.identity import device_links, resolve
from reference.journeys import (
    amount_rows,
    by_profile,
    by_unit_key,
    cut,
    journey_row,
    mark_visits,
    step_rows,
)
from reference.matters import case_rows, claim_rows, quote_rows
from reference.model import Options, Row, Tables
from reference.people import customer_links, persons
from reference.references import newest, winners
from reference.taxonomy import look_up


def build(
    events: list[Row],
    options: Options,
    references: Mapping[str, list[Row]] | None = None,
    decisions: Sequence[Row] = (),
) -> Tables:
    """Return the tables that a set of valid inputs makes, in whatever order they stand.

    Args:
        events: dictionaries of ``FIELDS`` as they are once valid (occurred_at a naive UTC datetime,
            value and cost Decimal, consent a list, attributes a list of ``{"key", "value"}``),
            optionally ``COORDINATES`` and ``content_sha256``.
        options: the rules.
        references: per reference input (``customers``, ``contracts``, ``aliases``) its valid records:
            ``REFERENCE_FIELDS`` and ``COORDINATES``.
        decisions: dictionaries of decision_id, decided_at, kind (unlink, relink), id and customer_id.
    """
    tables = Tables()
    for name, records in (references or {}).items():
        setattr(tables, f"ref_{name}", winners(name, records))
    kept, tables.conflicts, counts = settle(events)
    touchpoints = [look_up(event, options) for event in kept]

    between_customers = customer_links(touchpoints, tables.ref_aliases, list(decisions))
    person_of = persons(between_customers)
    of_devices = device_links(touchpoints, tables.ref_aliases, list(decisions), person_of, options)
    tables.identity_links = between_customers + of_devices
    tables.people = [
        {"customer_id": customer_id, "profile_id": person}
        for customer_id, person in person_of.items()
        if customer_id != person
    ]
    touchpoints = [resolve(touchpoint, of_devices, person_of) for touchpoint in touchpoints]

    tables.newest_contracts = newest(tables.ref_contracts, "contract_id")
    tables.contracts = contract_rows(touchpoints, tables.newest_contracts, person_of)
    tables.quotes = quote_rows(touchpoints)
    tables.claims = claim_rows(touchpoints)
    tables.cases = case_rows(touchpoints)
    tables.enders = enders(touchpoints, tables.contracts, tables.newest_contracts, options)

    for profile_id, history in by_profile(touchpoints).items():
        tables.visits.extend(mark_visits(history))
        first_of_product = stages.firsts_of_products(history)
        journeys = 0
        for key, group in by_unit_key(history, options).items():
            for journey in cut(group, options, tables.enders):
                journeys += 1
                row = journey_row(journey, key, options, tables.enders)
                tables.journeys.append(row)
                journey_id = row["journey_id"]
                tables.journey_steps.extend(step_rows(journey, journey_id))
                tables.journey_amounts.extend(amount_rows(journey, journey_id, options))
                tables.stage_visits.extend(
                    {"journey_id": journey_id, **visit} for visit in stages.visits(journey, first_of_product)
                )
        tables.profiles.append(
            {
                "profile_id": profile_id,
                "identified": history[0]["identified"],
                "first_at": history[0]["occurred_at"],
                "last_at": history[-1]["occurred_at"],
                "touchpoints": len(history),
                "journeys": journeys,
            }
        )
        tables.touchpoints.extend(history)
    over_limit = {row["anonymous_id"] for row in tables.identity_links if row["status"] == "over_limit"}
    tables.counts = {
        **counts,
        "unmapped_stages": sum(row["stage"] is None for row in touchpoints),
        "unmapped_channels": sum(row["medium"] is None for row in touchpoints),
        "devices_over_limit": len(over_limit),
    }
    return tables
