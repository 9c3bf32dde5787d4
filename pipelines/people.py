"""Finding a person by what people have at hand: a customer id, the id of a device, or a profile id."""

from __future__ import annotations

import duckdb

NEAR = 0.85
"""Jaro-Winkler similarity from which an id is proposed instead of one that is not there."""


_BY_NAME = """
SELECT profile_id FROM touchpoints WHERE profile_id = $id OR customer_id = $id
UNION
SELECT profile_id FROM internal.people WHERE customer_id = $id
ORDER BY ALL
"""

_BY_DEVICE = """
SELECT DISTINCT profile_id FROM touchpoints
WHERE anonymous_id = $id OR 'anon:' || anonymous_id = $id
ORDER BY ALL
"""


class PersonError(Exception):
    """Nobody has this id, or more than one person has."""


def find_person(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """Return the profile_id of the person that an id belongs to.

    Args:
        connection: an open store.
        text: a profile id, a customer id, or else the id of a device, cookie or call line, or ``anon:`` and
            that id, whoever it is linked to.

    Raises:
        PersonError: nobody has it, or it is a device that several persons used.
    """
    for query in _BY_NAME, _BY_DEVICE:
        found = [row[0] for row in connection.execute(query, {"id": text}).fetchall()]
        if len(found) > 1:
            raise PersonError(
                f'several persons used the device "{text}": {", ".join(found)}; name one of them'
            )
        if found:
            return str(found[0])
    near = connection.execute(
        """
        SELECT profile_id FROM profiles
        WHERE jaro_winkler_similarity(profile_id, $id) >= $near
        ORDER BY jaro_winkler_similarity(profile_id, $id) DESC, profile_id LIMIT 1
        """,
        {"id": text, "near": NEAR},
    ).fetchone()
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise PersonError(f'no touchpoint has "{text}" as its customer, device or profile{hint}')
