"""Conditions that users write: what has a place in one, and what is said of the rest."""

import duckdb
import pytest

from parcours.kpis.conditions import Mistake, check, check_expression, columns_of

COLUMNS = {
    "purchases": "BIGINT",
    "premium": "DECIMAL(18,4)",
    "region": "VARCHAR",
    "vip": "BOOLEAN",
    "seen_at": "TIMESTAMP",
    "day": "DATE",
    "roles": "VARCHAR[]",
    "attributes": 'STRUCT("key" VARCHAR, "value" VARCHAR)[]',
    "two words": "VARCHAR",
}


@pytest.mark.parametrize(
    "condition",
    [
        "vip",
        "NOT vip OR Purchases >= 2 AND premium * 1.2 <= 1000",
        "purchases BETWEEN 1 AND 2.5",
        "region IN ('Bretagne', 'Corse') AND region IS NOT NULL",
        "region LIKE 'B%' AND region NOT ILIKE '%x' AND \"two words\" <> ''",
        "region = 'not a comment: -- or /* this'",
        "CASE WHEN vip THEN region = 'a' ELSE false END",
        "if(vip, true, purchases > 1)",
        " OR ".join(["purchases = 1"] * 120),
        "+".join(["purchases"] * 90) + " > 3",
        "region = 'it''s -- $$ E''' AND \"two words\" <> 'E'",
        "coalesce(purchases, 0) + abs(premium) > 1",
        "seen_at > DATE '2025-01-01' - INTERVAL 30 DAY AND day < TIMESTAMP '2026-01-01 12:00:00'",
        "seen_at + INTERVAL '3 months' > day",
        "date_diff('day', seen_at, day) > 3 AND year(seen_at) = 2025 AND date_trunc('month', day) = day",
        "list_contains(roles, 'touch') AND len(roles) > 1 AND roles[1] = 'visit'",
        "list_has_any(roles, ['touch', 'visit'])",
        "list_contains(attributes, {'key': 'tier', 'value': 'gold'})",
        "TRY_CAST(region AS BIGINT) > 3",
        "length(lower(region) || 'x') > 3 AND starts_with(region, 'B')",
    ],
)
def test_a_condition(condition):
    """Comparisons, logic, arithmetic, lists, casts, constants and functions of one row have a place."""
    assert [] == check(condition, COLUMNS, "column")


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("  ", "it is empty"),
        ("purchases > 1 -- really", "it has a comment (-- or /*): leave it out"),
        ("purchases /* really */ > 1", "it has a comment"),
        ("region = $$--$$", "write texts in plain quotes"),
        ("region = $a$x$a$", "write texts in plain quotes"),
        ("region = E'a\\'--b'", "write texts in plain quotes"),
        ("+".join(["purchases"] * 101) + " > 3", "it is nested too deeply: write it shorter"),
        ("+".join(["purchases"] * 900) + " > 3", "it is nested too deeply: write it shorter"),
        ("+".join(["purchases"] * 5000) + " > 3", "it is nested too deeply: write it shorter"),
        ("purchases >", "it ends too early"),
        ("(purchases > 1", "it ends too early"),
        ("purchases >>>> 1 1", "it is no condition: syntax error"),
        ("purchases", "it is a bigint, not true or false"),
        ("region", "it is a varchar, not true or false"),
        ("true) OR (true", "a statement of its own"),
        ("true); SELECT (true", "a statement of its own"),
        ("true) UNION SELECT (true", "a statement of its own"),
        ("1) FROM secrets WHERE (true", "a statement of its own"),
        ("lower(E'\\'') = 'x') -- '", "write texts in plain quotes"),
        ("(SELECT true)", "a subquery has no place"),
        ("coalesce((SELECT 1), 1) > 1", "a subquery has no place"),
        ("if(vip, EXISTS (SELECT 1), true)", "a subquery has no place"),
        ("purchases IN (SELECT 1)", "a subquery has no place"),
        ("row_number() OVER () > 1", "a window has no place"),
        ("COLUMNS(*) > 1", "a star has no place"),
        ("purchases = ?", "a parameter has no place"),
        ("#1", "a positional reference has no place"),
        ("region COLLATE nocase = 'x'", "a collate has no place"),
        ("sum(purchases) > 1", "not sum"),
        ("[sum(purchases)] = [1]", "not sum"),
        ("random() < 0.5", "not random"),
        ("now() > seen_at", "not now"),
        ("region ~ 'x'", "a function has no place"),
        ("list_filter(roles, lambda role: role = 'x') = []", "a lambda has no place"),
        ("seen_at::TIMESTAMPTZ > seen_at", "a time with a zone has no place"),
        # each would stop a query, for one row alone
        ("purchases > 'nine'", "it is no condition: Conversion Error"),
        ("purchases < 3 OR purchases > 'nine'", "it is no condition: Conversion Error"),
        ("CASE WHEN vip THEN true ELSE purchases > 'nine' END", "it is no condition: Conversion Error"),
        ("coalesce(purchases, 'nine') > 2", "it is no condition: Conversion Error"),
        ("region > 5", "it is no condition: Binder Error"),
        ("region IN (1, 2)", "it is no condition: Conversion Error"),
        ("region::BIGINT > 5", "it is no condition: Conversion Error"),
        ("seen_at > '2025-13-01'", "it is no condition: Conversion Error"),
        ("date_diff(region, seen_at, day) > 3", "it is no condition"),
        ("grouping(region) = 1", "it is no condition: Binder Error"),
    ],
)
def test_what_is_no_condition(condition, problem):
    """Anything that asks for more than the row, or would fail in a query, says what is wrong with it."""
    assert any(problem in mistake.problem for mistake in check(condition, COLUMNS, "column"))


def test_every_unknown_name_is_said():
    """Each name that is no column is a mistake; the clock is none, nor is a column of another relation."""
    found = check("regoin = 'x' AND current_date > day AND t.region = 'x'", COLUMNS, "column")
    assert [
        Mistake('"regoin" is no column', "regoin"),
        Mistake('"current_date" is no column', "current_date"),
        Mistake('"t.region" is no column', "t.region"),
    ] == sorted(found, key=lambda mistake: ["regoin", "current_date", "t.region"].index(mistake.unknown))


@pytest.mark.parametrize("condition", ["purchases > 'nine'", "region = 'x'", "day > DATE '2025-01-01'"])
def test_without_texts(condition):
    """Where no fact is a text, none has a place."""
    problems = [mistake.problem for mistake in check(condition, COLUMNS, "fact", texts=False)]
    assert ["a text has no place in it: compare facts with numbers"] == problems


def test_several_are_named_as_several():
    """Whatever one of them is called."""
    (mistake,) = check("purchases IN (SELECT 1)", COLUMNS, "column of touchpoints")
    assert mistake.problem.endswith("compare columns of touchpoints with constants")


def test_true_and_false_are_no_texts():
    """Whatever DuckDB makes of them."""
    assert [] == check("vip = true AND NOT false", COLUMNS, "fact", texts=False)


def test_columns_of():
    """What a condition over a relation may speak of."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (a BIGINT, b VARCHAR[])")
        connection.execute("CREATE MACRO f(x) AS TABLE SELECT x AS c")
        assert {"a": "BIGINT", "b": "VARCHAR[]"} == columns_of(connection, "t")
        assert {"c": "TIMESTAMP"} == columns_of(connection, "f(TIMESTAMP '2025-01-01')")


TEXTS = {"value": "VARCHAR", "day": "VARCHAR"}


@pytest.mark.parametrize(
    "expression",
    [
        "replace(value, '€', '')",
        "CAST(value AS DOUBLE) * 2",
        "TRY_CAST(value AS DOUBLE)",
        "CASE WHEN value ~ '^[0-9]+$' THEN value END",
        "value ->> '$.amount'",
        "strptime(day, '%d.%m.%Y')",
        "split_part(value, '-', 2)[1:3]",
        "'x'",
    ],
)
def test_what_an_expression_may_be(expression):
    """It need not be true or false, and may fail on some values."""
    assert [] == check_expression(expression, TEXTS, "field")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "it is empty"),
        ("vlaue", '"vlaue" is no field'),
        ("(SELECT 1)", "a subquery has no place"),
        ("now()", "a function has no place in it"),
        ("getenv('HOME')", "a function has no place in it"),
        ("upper(value", "it ends too early"),
        ("value) FROM (SELECT 1", "it is no expression"),
        ("value -- x", "it has a comment"),
        ("value + 1", "it is no expression: Binder Error"),
        ("strptime(day, '%')", "it is no expression"),
        ("regexp_replace(value, '(', '')", "it is no expression: Invalid Input Error: missing )"),
    ],
)
def test_what_an_expression_may_not_be(expression, problem):
    """More than the row, the clock and the machine have no place in it, nor has what cannot be computed."""
    assert any(problem in found.problem for found in check_expression(expression, TEXTS, "field"))
