"""People: which customer ids are one person, worked out anew for those whose links changed.

Merges and aliases tie customer ids; ids that active links tie, however many steps apart, are one person. Who
is who is kept in ``internal.people``, so that a slice without such a link costs nothing, however many there
are.
"""

from __future__ import annotations

import duckdb

from parcours.transforms.merge_steps import sql


def merge_people(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring ``internal.people`` up to date, inside the caller's transaction.

    Expects ``seeds(customer_id)``, the ids of every link that changed, and ``customer_links``, the active
    links between customer ids. Leaves ``changed_people(customer_id)``: the ids whose person is another than
    before.
    """
    if not connection.execute("FROM seeds LIMIT 1").fetchone():
        connection.execute("CREATE OR REPLACE TEMP TABLE changed_people(customer_id VARCHAR)")
        return
    connection.execute(sql("people"))
    # rounds and jumps are few, whatever the shape: in each, what hangs together shrinks to its smallest ids
    while connection.execute("FROM edges LIMIT 1").fetchone():
        connection.execute(sql("people_hook"))
        while True:
            connection.execute(sql("people_jump"))
            if not connection.execute("FROM jumped WHERE is_new LIMIT 1").fetchone():
                break
        connection.execute(sql("people_contract"))
    connection.execute(sql("people_named"))
