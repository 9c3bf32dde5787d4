"""What depends on when one asks: only what had happened by the instant counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reference.journeys import by_profile, by_unit_key, cut, journey_row
from reference.ladder import facts_of, rung_of
from reference.model import Options, Row, Tables


def journeys_at(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the journeys of the touchpoints up to an instant, and whether each is closed then."""
    known = [touchpoint for touchpoint in tables.touchpoints if touchpoint["occurred_at"] <= as_of]
    rows = []
    for history in by_profile(known).values():
        for key, group in by_unit_key(history, options).items():
            for journey in cut(group, options, tables.enders):
                row = journey_row(journey, key, options, tables.enders)
                over = row["closes_at"] is not None and row["closes_at"] < as_of
                rows.append({**row, "closed": row["ended_by_event"] is not None or over})
    return rows


def versions_of(tables: Tables) -> dict[str, list[Row]]:
    """Return the reference input's versions of each contract, the earliest first."""
    found: dict[str, list[Row]] = {}
    for row in sorted(tables.ref_contracts, key=since):
        found.setdefault(row["contract_id"], []).append(row)
    return found


def since(version: Row) -> datetime:
    """Return from when a version is in force; one without ``valid_from`` ever was."""
    return version["valid_from"] or datetime.min


def contracts_at(tables: Tables, as_of: datetime) -> list[Row]:
    """Return the contracts that were held, in force or terminated by an instant.

    A contract begins at its effective date, else when it was first held. It ends at the effective date
    of a termination that had happened by then, else at the termination, else at the end that the
    reference input gives. At its end it is no longer in force.
    """
    versions = versions_of(tables)
    person_of = {row["customer_id"]: row["profile_id"] for row in tables.people}
    rows = []
    for contract in tables.contracts:
        of_contract = versions.get(contract["contract_id"], [])
        in_force = [version for version in of_contract if since(version) <= as_of]
        version = in_force[-1] if in_force else of_contract[0] if of_contract else {}
        held = [at for at in (contract["signed_at"], *contract["renewed_at"]) if at is not None]
        first_held = min(held, default=None)
        reasons = (first_held, version.get("effective_from"), contract["terminated_at"])
        if not any(at is not None and at <= as_of for at in reasons):
            continue
        row = known_by(contract, version, bool(in_force), as_of)
        if version:
            row["profile_id"] = person_of.get(version["customer_id"], version["customer_id"])
            row["customer_id"] = version["customer_id"]
            row["product"] = version["product"] or row["product"]
        held_from = [
            at for at in (first_held, version.get("effective_from")) if at is not None and at <= as_of
        ]
        row["held_from"] = held_from[0] if held_from else None
        ends = version.get("effective_to")
        if row["terminated_at"] is not None:
            ends = row["termination_effective_to"] or row["terminated_at"]
        begins = row["effective_from"] or row["held_from"]
        begun = begins is not None and begins <= as_of
        ended = ends is not None and ends <= as_of
        rows.append(
            {
                **row,
                "began_at": begins if begun else None,
                "ended_at": ends if ended else None,
                "in_force": begun and not ended,
                "in_force_since": begins if begun and not ended else None,
            }
        )
    return rows


SAID_BY_THE_TERMINATION = (
    "terminated_at",
    "terminated_by",
    "termination_effective_to",
    "initiator",
    "reason",
)


def known_by(contract: Row, version: Row, is_in_force: bool, as_of: datetime) -> Row:
    """Return a contract's row by what was known at an instant.

    A version of the reference input that is in force goes before the signing, one that is not yet in force
    after it.
    """
    row = dict(contract)
    if row["signed_at"] is not None and row["signed_at"] > as_of:
        row["signed_at"] = row["signed_by"] = row["signed"] = None
    if row["terminated_at"] is not None and row["terminated_at"] > as_of:
        row.update(dict.fromkeys(SAID_BY_THE_TERMINATION))
    row["renewed_at"] = [at for at in row["renewed_at"] if at <= as_of]
    row["renewals"] = [renewal for renewal in row["renewals"] if renewal["renewed_at"] <= as_of]
    told = [version, row["signed"] or {}] if is_in_force else [row["signed"] or {}, version]
    for name in ("effective_from", "effective_to", "due_at"):
        row[name] = next((said[name] for said in told if said.get(name) is not None), None)
    premium = next((said for said in told if said.get("annual_premium") is not None), {})
    row["annual_premium"], row["currency"] = premium.get("annual_premium"), premium.get("currency")
    return row


def contract_premiums_at(tables: Tables, as_of: datetime) -> list[Row]:
    """Return the annual premium of each contract over time, by what was known at an instant.

    Each statement of a premium holds from its instant until the next. At the beginning of the contract it
    is, of these, the first that there is: the reference input's version in force, the last signing or
    renewal (a signing counts, though it came after the beginning), the reference input's first version.
    """
    versions = versions_of(tables)
    rows = []
    for contract in contracts_at(tables, as_of):
        begins, ends = contract["began_at"], contract["ended_at"]
        if begins is None:
            continue
        of_contract = versions.get(contract["contract_id"], [])
        by_reference = [(since(version), version) for version in of_contract if since(version) <= as_of]
        by_event = [(renewal["renewed_at"], renewal) for renewal in contract["renewals"]]
        if contract["signed"] is not None:
            by_event.insert(0, (min(contract["signed_at"], begins), contract["signed"]))
        first_version = [(datetime.min, version) for version in of_contract[:1]]
        premiums: dict[datetime, Row] = {}
        for statements in (first_version, by_event, by_reference):  # those of greater weight come later
            for at, said in sorted(statements, key=lambda statement: statement[0]):
                if said["annual_premium"] is not None and (ends is None or max(at, begins) < ends):
                    premiums[max(at, begins)] = {name: said[name] for name in ("annual_premium", "currency")}
        starts = sorted(premiums)
        starts = [  # equal ones are one stretch
            start
            for before, start in zip([None, *starts], starts, strict=False)
            if before is None or premiums[before] != premiums[start]
        ]
        for start, following in zip(starts, [*starts[1:], ends], strict=True) if starts else ():
            rows.append(
                {
                    "contract_id": contract["contract_id"],
                    "profile_id": contract["profile_id"],
                    "product": contract["product"],
                    **premiums[start],
                    "from_at": start,
                    "until_at": following,
                }
            )
    return rows


def quotes_at(tables: Tables, as_of: datetime) -> list[Row]:
    """Return the quotes that were named by an instant, without what came later."""
    by_step = {
        "quoted_at": ("quoted_at", "quoted_by", "value", "currency"),
        "bound_at": ("bound_at", "bound_by", "contract_id"),
    }
    return [matter_by(row, by_step, as_of) for row in tables.quotes if row["first_at"] <= as_of]


def claims_at(tables: Tables, as_of: datetime) -> list[Row]:
    """Return the claims that were named by an instant, without what came later."""
    by_step = {"opened_at": ("opened_at", "opened_by")}
    return [matter_by(row, by_step, as_of) for row in tables.claims if row["first_at"] <= as_of]


def cases_at(tables: Tables, as_of: datetime) -> list[Row]:
    """Return the cases that were named by an instant, without what came later."""
    by_step = {
        "opened_at": ("opened_at", "opened_by"),
        "acknowledged_at": ("acknowledged_at",),
        "matched_at": ("matched_at",),
    }
    return [matter_by(row, by_step, as_of) for row in tables.cases if row["first_at"] <= as_of]


def matter_by(row: Row, by_step: dict[str, tuple[str, ...]], as_of: datetime) -> Row:
    """Return a row without what was said by steps later than an instant; person and subject stand."""
    known = {
        name: [at for at in value if at <= as_of] if isinstance(value, list) else value
        for name, value in row.items()
    }
    for step, said in by_step.items():
        if row[step] is not None and row[step] > as_of:
            known.update(dict.fromkeys(said))
    return known


def profiles_at(tables: Tables, as_of: datetime, options: Options) -> list[Row]:
    """Return the persons that had a touchpoint by an instant, with the facts and the rung of the ladder."""
    known = [touchpoint for touchpoint in tables.touchpoints if touchpoint["occurred_at"] <= as_of]
    contracts = contracts_at(tables, as_of)
    journeys: dict[str, int] = {}
    for journey in journeys_at(tables, as_of, options):
        journeys[journey["profile_id"]] = journeys.get(journey["profile_id"], 0) + 1
    rows = []
    for profile_id, history in by_profile(known).items():
        own = [contract for contract in contracts if contract["profile_id"] == profile_id]
        facts = {
            "identified": history[0]["identified"],
            "touchpoints": len(history),
            "journeys": journeys.get(profile_id, 0),
            **facts_of(history, own, as_of),
        }
        rows.append(
            {
                "profile_id": profile_id,
                "first_at": history[0]["occurred_at"],
                "last_at": history[-1]["occurred_at"],
                **facts,
                "rung": rung_of(facts, options),
            }
        )
    return rows


def ladder_moves(tables: Tables, before: datetime, after: datetime, options: Options) -> list[Row]:
    """Return each person's rungs at two instants, and the way between them."""
    earlier = {row["profile_id"]: row["rung"] for row in profiles_at(tables, before, options)}
    rungs = options.rungs()
    rows = []
    for row in profiles_at(tables, after, options):
        rung_before: Any = earlier.get(row["profile_id"])
        move = "new"
        if rung_before is not None:
            steps = rungs.index(row["rung"]) - rungs.index(rung_before)
            move = "up" if steps > 0 else "down" if steps < 0 else "same"
        rows.append(
            {
                "profile_id": row["profile_id"],
                "rung_before": rung_before,
                "rung_after": row["rung"],
                "move": move,
            }
        )
    return rows
