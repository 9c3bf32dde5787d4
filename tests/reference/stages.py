"""What the stages of one journey say. Every function takes the journey's touchpoints in order."""

from __future__ import annotations

from collections.abc import Collection

from reference.model import STAGES, Row, rank


def entries(touchpoints: list[Row]) -> dict[str, Row]:
    """Return, per entered stage, the touchpoint that entered it: the journey's first one in that stage."""
    found: dict[str, Row] = {}
    for touchpoint in touchpoints:
        if touchpoint["stage"] is not None:
            found.setdefault(touchpoint["stage"], touchpoint)
    return found


OF_THE_FIRST = ("channel", "medium", "source", "campaign", "product")
"""What a stage visit has from its first touchpoint."""


def visits(touchpoints: list[Row], first_of_product: Collection[str] = ()) -> list[Row]:
    """Return the stage visits: maximal runs of neighbours in one stage.

    Touchpoints without a stage neither break a run nor count in it. A visit of lower rank than the one
    before is a return, and has a kind. ``first_of_product`` holds the event_ids that are their person's
    first touchpoint of a product.
    """
    found: list[Row] = []
    for touchpoint in touchpoints:
        stage = touchpoint["stage"]
        if stage is None:
            continue
        if found and found[-1]["stage"] == stage:
            found[-1]["last_at"] = touchpoint["occurred_at"]
            found[-1]["touchpoints"] += 1
            continue
        is_return = bool(found) and rank(stage) < rank(found[-1]["stage"])
        found.append(
            {
                "position": len(found) + 1,
                "stage": stage,
                "entered_at": touchpoint["occurred_at"],
                "last_at": touchpoint["occurred_at"],
                "first_event_id": touchpoint["event_id"],
                "touchpoints": 1,
                "is_return": is_return,
                "return_kind": return_kind(touchpoint, first_of_product) if is_return else None,
                **{name: touchpoint[name] for name in OF_THE_FIRST},
            }
        )
    return found


CLAIM_ROLES = {"claim_opened", "claim_closed", "claim_reopened"}
REQUEST_ROLES = ("request_", "question_", "complaint_")


def return_kind(touchpoint: Row, first_of_product: Collection[str]) -> str:
    """Return why a person came back, by the first touchpoint of the stage visit."""
    if CLAIM_ROLES & set(touchpoint["roles"]) or touchpoint["claim_id"] is not None:
        return "claim"
    if any(role.startswith(REQUEST_ROLES) for role in touchpoint["roles"]):
        return "request"
    if touchpoint["case_id"] is not None:
        return "request"
    if touchpoint["event_id"] in first_of_product:
        return "new product"
    return "other"


def firsts_of_products(history: list[Row]) -> set[str]:
    """Return the event_ids of one profile's touchpoints in order before which none named their product."""
    named: set[str] = set()
    found: set[str] = set()
    for touchpoint in history:
        product = touchpoint["product"]
        if product is not None and product not in named:
            named.add(product)
            found.add(touchpoint["event_id"])
    return found


def skipped(touchpoints: list[Row]) -> list[str]:
    """Return the stages below an entered one that had not been entered when it was, in rank order."""
    entered: set[str] = set()
    missed: set[str] = set()
    for touchpoint in touchpoints:
        stage = touchpoint["stage"]
        if stage is None or stage in entered:
            continue
        missed |= {lower for lower in STAGES if rank(lower) < rank(stage) and lower not in entered}
        entered.add(stage)
    return [stage for stage in STAGES if stage in missed]


def furthest(touchpoints: list[Row]) -> str | None:
    """Return the stage of highest rank entered."""
    return max(entries(touchpoints), key=rank, default=None)


def current(touchpoints: list[Row]) -> str | None:
    """Return the stage of the last stage visit."""
    found = visits(touchpoints)
    return found[-1]["stage"] if found else None
