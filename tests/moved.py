"""What differs between two stores of one set of events, found by comparing their tables row by row."""

from parcours.pipelines.moves import COLUMNS, Moves


def moved_between(connection):
    """Compare the relations of ``old`` with those of ``new``, two databases or schemas of a connection."""
    named = ", ".join(f"count(*) FILTER (o.{c} IS DISTINCT FROM n.{c})" for c in COLUMNS)
    different = " OR ".join(f"o.{c} IS DISTINCT FROM n.{c}" for c in COLUMNS)
    touchpoints = connection.execute(
        f"SELECT count(*), count(*) FILTER ({different}), {named} "
        "FROM old.touchpoints AS o JOIN new.touchpoints AS n USING (event_id)"
    ).fetchone()
    journeys = _keys(connection, "journeys", "journey_id")
    changed = set()
    for part in ("journeys", "journey_steps", "stage_visits", "journey_amounts"):
        changed |= _different(connection, part, "journey_id", "closes_at", "gap_seconds")
    stay = journeys[0] & journeys[1]
    closing = (_different(connection, "journeys", "journey_id", "gap_seconds") - changed) & stay
    profiles = _different(connection, "profiles", "profile_id")
    return Moves(
        *touchpoints[:2],
        len(journeys[0]),
        len(journeys[0] - stay),
        len(changed & stay),
        len(journeys[1] - stay),
        len(closing),
        len(_keys(connection, "profiles", "profile_id")[0]),
        len(profiles),
        dict(zip(COLUMNS, touchpoints[2:], strict=True)),
    )


def _keys(connection, relation, key):
    """The keys of a relation in both stores."""
    queries = (f"SELECT {key} FROM {name}.{relation}" for name in ("old", "new"))
    return [{row[0] for row in connection.execute(query).fetchall()} for query in queries]


def _different(connection, relation, key, *left_out):
    """The keys whose rows are not equal in both stores, in other columns than those left out."""
    columns = f"COLUMNS(lambda name: NOT list_contains({list(left_out)}::VARCHAR[], name))"
    old, new = (f"SELECT {columns} FROM {name}.{relation}" for name in ("old", "new"))
    queries = (f"SELECT {key} FROM ({a} EXCEPT ALL {b})" for a, b in ((old, new), (new, old)))
    return {row[0] for query in queries for row in connection.execute(query).fetchall()}
