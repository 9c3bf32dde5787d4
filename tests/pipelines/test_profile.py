"""What a profile says of columns, held against tables small enough to count by hand."""

from datetime import datetime, timedelta

import duckdb
import pytest

from parcours.pipelines.profile import DEFAULT, Change, changes, keep, last_kept, profile, relations_of
from parcours.schemas import relations

AT = datetime(2026, 3, 1, 12)
LONG = "é" * 128


@pytest.fixture(scope="module")
def store():
    """An empty store in memory; tests put tables of their own beside it."""
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in (*relations.INTERNAL, *relations.TABLES):
            connection.execute(relations.statement(name))
        yield connection


def of(connection, query, name="made"):
    """The profile of a query's rows, kept as a table; its columns by name."""
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS {query}")
    found = profile(connection, name, AT)
    return found, {column.name: column for column in found.columns}


def test_the_figures_are_exact(store):
    """Nulls, different values, range and frequent values of each kind of column."""
    found, columns = of(
        store,
        """
        SELECT * FROM (VALUES
            ('site', 10, 1.50::DECIMAL(18,4), true, TIMESTAMP '2026-01-02 10:00:00', DATE '2026-01-02'),
            ('site', 9, 2.25, true, TIMESTAMP '2026-01-02 10:00:00', DATE '2026-01-02'),
            ('app', 10, NULL, false, TIMESTAMP '2026-01-01 09:00:00', DATE '2026-01-01'),
            (NULL, NULL, -3, true, NULL, NULL)
        ) AS t(channel, score, value, direct, seen, day)
        """,
    )
    assert (found.relation, found.at, found.rows) == ("made", AT, 4)
    shown = {
        name: (column.nulls, column.distinct, column.least, column.greatest, column.top)
        for name, column in columns.items()
    }
    assert shown == {
        "channel": (1, 2, "app", "site", (("site", 2), ("app", 1))),
        "score": (1, 2, "9", "10", (("10", 2), ("9", 1))),
        "value": (1, 3, "-3.0000", "2.2500", (("-3.0000", 1), ("1.5000", 1), ("2.2500", 1))),
        "direct": (0, 2, "false", "true", (("true", 3), ("false", 1))),
        "seen": (1, 2, "2026-01-01 09:00:00", "2026-01-02 10:00:00", ()),
        "day": (1, 2, "2026-01-01", "2026-01-02", (("2026-01-02", 2), ("2026-01-01", 1))),
    }


def test_lists_are_profiled_by_their_elements(store):
    """A list that is empty counts as null; attributes are known by their keys; other structures by number."""
    _, columns = of(
        store,
        """
        SELECT * FROM (VALUES
            (['touch', 'visit', 'touch'], [{'key': 'page', 'value': 'a'}, {'key': 'lang', 'value': 'fr'}],
                {'a': 1}),
            (['visit'], [{'key': 'page', 'value': 'b'}], {'a': 2}),
            ([], [], NULL),
            (NULL, NULL, {'a': 2})
        ) AS t(roles, attributes, nested)
        """,
    )
    roles, attributes, nested = columns.values()
    assert (roles.nulls, roles.distinct, roles.top) == (2, 2, (("visit", 2), ("touch", 1)))
    assert (attributes.nulls, attributes.distinct, attributes.top) == (2, 2, (("page", 2), ("lang", 1)))
    assert (nested.nulls, nested.distinct, nested.least, nested.top) == (1, 2, None, ())


def test_no_person_and_no_bytes_are_shown(store):
    """Of ids only nulls and number; of texts of which hardly one comes twice the same; of bytes nothing."""
    _, columns = of(
        store,
        """
        SELECT 'M-' || i % 5 AS customer_id, 'M-1' AS id, i % 3 AS event_key, 'name ' || i AS note,
            'x'::BLOB AS raw, [{'key': 'h', 'value': 'x'::BLOB}] AS headers, i AS amount
        FROM range(100) AS t(i)
        """,
    )
    assert list(columns) == ["customer_id", "id", "event_key", "note", "amount"]
    for name, distinct in (("customer_id", 5), ("id", 1), ("event_key", 3), ("note", 100)):
        column = columns[name]
        assert (column.distinct, column.least, column.greatest, column.top) == (distinct, None, None, ())
    assert (columns["amount"].least, columns["amount"].greatest, columns["amount"].top) == ("0", "99", ())


def test_odd_values(store):
    """NaN is a value outside the range; long texts, emoji and blanks stand as they are; so do nulls alone."""
    _, columns = of(
        store,
        f"""
        SELECT *
        FROM (VALUES ('nan'::DOUBLE, '{LONG}', NULL), (1.5, '🦊', NULL), (-1, ' ', NULL), ('nan', ' ', NULL))
            AS t(score, text, nothing)
        """,
    )
    score, text, nothing = columns.values()
    assert (score.distinct, score.least, score.greatest, score.top[0]) == (3, "-1.0", "1.5", ("nan", 2))
    assert text.top == ((" ", 2), (LONG, 1), ("🦊", 1))
    assert (nothing.nulls, nothing.distinct, nothing.least, nothing.top) == (4, 0, None, ())


def test_an_empty_relation(store):
    """A table without rows has a profile: nothing of everything."""
    found = profile(store, "touchpoints", AT)
    assert found.rows == 0
    assert {(column.nulls, column.distinct, column.least, column.top) for column in found.columns} == {
        (0, 0, None, ())
    }


def test_many_values_are_estimated(store):
    """The number of very many different values is about right, and never more than there are rows."""
    _, columns = of(store, "SELECT 'id ' || i AS event_id, i // 100 AS often FROM range(200_000) AS t(i)")
    assert 150_000 < columns["event_id"].distinct <= 200_000
    assert columns["often"].distinct == 2_000
    assert columns["often"].top == (), "each of them is one of two thousand"


def test_a_view_is_computed_once(store):
    """A view, named as users like, is profiled as a table is, and leaves nothing behind."""
    store.execute("""CREATE VIEW "my ""own"" view" AS SELECT i % 3 AS n FROM range(9) AS t(i)""")
    (column,) = profile(store, 'my "own" view', AT).columns
    assert (column.distinct, column.top) == (3, (("0", 3), ("1", 3), ("2", 3)))
    assert "profiled" not in relations_of(store)


def test_what_is_profiled_by_default_is_there(store):
    """Every relation that is profiled unasked is one of the store's."""
    assert set(DEFAULT) <= set(relations_of(store))


def test_the_newest_profile_is_kept_and_compared(store):
    """A kept profile comes back as it was; the next one tells what is more, gone, new, and moved."""
    assert last_kept(store, "made") is None
    first, _ = of(
        store, "SELECT i % 2 AS n, if(i = 0, NULL, 'telex') AS channel, 1 AS old FROM range(4) AS t(i)"
    )
    keep(store, [first])
    assert last_kept(store, "made") == first
    store.execute(
        "CREATE OR REPLACE TABLE made AS SELECT i AS n, 'fax' AS channel, 2 AS young FROM range(3) AS t(i)"
    )
    second = profile(store, "made", AT + timedelta(days=1))
    keep(store, [second])
    assert last_kept(store, "made") == second
    assert changes(first, second) == {
        "n": Change(0, 1, "0", "1", ("2",), ()),
        "channel": Change(-0.25, 0, "telex", "telex", ("fax",), ("telex",)),
    }
    assert changes(second, second)["n"] == Change(0, 0, "0", "2", (), ())
