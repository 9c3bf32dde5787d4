"""What the taxonomy adds to an event: stage, roles, money role; medium, direct."""

from __future__ import annotations

from reference.model import Options, Row


def look_up(event: Row, options: Options) -> Row:
    """Return the event with its derived columns.

    The stage that the event came with stays as ``stage_given``; ``stage`` is that one, else the event
    type's, else null. An unknown channel has no medium and is not direct.
    """
    meaning = options.event_type(event["event_type"])
    channel = options.channels.get(event["channel"])
    return {
        **event,
        "stage_given": event["stage"],
        "stage": event["stage"] if event["stage"] is not None else meaning.stage,
        "roles": list(meaning.roles),
        "money_role": meaning.money_role,
        "medium": channel.medium if channel else None,
        "is_direct": channel.direct if channel else False,
    }
