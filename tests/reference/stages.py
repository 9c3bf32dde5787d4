"""What the stages of one journey say. Every function takes the journey's touchpoints in order."""

from __future__ import annotations

from reference.model import STAGES, Row, rank


def entries(touchpoints: list[Row]) -> dict[str, Row]:
    """Return, per entered stage, the touchpoint that entered it: the journey's first one in that stage."""
    found: dict[str, Row] = {}
    for touchpoint in touchpoints:
        if touchpoint["stage"] is not None:
            found.setdefault(touchpoint["stage"], touchpoint)
    return found


def visits(touchpoints: list[Row]) -> list[Row]:
    """Return the stage visits: maximal runs of neighbours in one stage.

    Touchpoints without a stage neither break a run nor count in it. A visit of lower rank than the one
    before is a return; its kind is always ``other`` until claims and contracts are relations of their
    own.
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
                "return_kind": "other" if is_return else None,
            }
        )
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
