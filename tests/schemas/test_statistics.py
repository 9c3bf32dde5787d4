"""Intervals and p-values as SQL expressions, against scipy."""

from decimal import Decimal, getcontext

import duckdb
import numpy as np
import pytest
from scipy import stats

from parcours.schemas import relations

COUNTS = [*range(2001), *(10**power for power in range(4, 10)), 123_456_789]


@pytest.fixture(scope="module")
def ask():
    """Evaluate an expression over x (and y) for each value, or pair of values."""
    connection = duckdb.connect()
    connection.execute(relations.statement("statistics"))

    def evaluate(expression, *columns, type_="BIGINT"):
        names = ", ".join(
            f"unnest(${n})::{type_} AS {name}"
            for n, name in zip("123", "xyz", strict=False)
            if int(n) <= len(columns)
        )
        return [
            row[0]
            for row in connection.execute(f"SELECT {expression} FROM (SELECT {names})", columns).fetchall()
        ]

    return evaluate


@pytest.mark.parametrize("type_", ["BIGINT", "HUGEINT", "DOUBLE"])
def test_quantiles(ask, type_):
    """Student's t, and the exact limits of a count, from lists and beyond them, of any type."""
    half = np.array(COUNTS, float)
    low = np.where(half > 0, stats.chi2.ppf(0.025, 2 * np.maximum(half, 1)) / 2, 0)
    np.testing.assert_allclose(ask("poisson_low(x)", COUNTS, type_=type_), low, rtol=1e-10, atol=0)
    high = stats.chi2.ppf(0.975, 2 * half + 2) / 2
    np.testing.assert_allclose(ask("poisson_high(x)", COUNTS, type_=type_), high, rtol=1e-10, atol=0)
    t = stats.t.ppf(0.975, half[1:])
    np.testing.assert_allclose(ask("t_975(x)", COUNTS[1:], type_=type_), t, rtol=1e-10, atol=0)


def test_two_sided(ask):
    """The p-value keeps its digits far into the tail, and is 1 at 0."""
    z = [*np.linspace(-37, 37, 7401), 1e-9, 0.0]
    expected = 2 * stats.norm.sf(np.abs(z))
    np.testing.assert_allclose(ask("normal_two_sided(x)", z, type_="DOUBLE"), expected, rtol=1e-10, atol=0)
    assert [1.0, 0.0] == ask("normal_two_sided(x)", [0, 1000], type_="DOUBLE")


def wilson(successes, n):
    """The interval by its formula, in decimals of fifty digits."""
    getcontext().prec = 50
    z = Decimal("1.959964")
    share = Decimal(successes) / n
    middle = share + z**2 / (2 * n)
    half = z * (share * (1 - share) / n + z**2 / (4 * n**2)).sqrt()
    return [float((middle + sign * half) / (1 + z**2 / n)) for sign in (-1, 1)]


def test_wilson(ask):
    """The interval of a share is the formula's, within 0 and 1, and scipy's but for digits of z."""
    pairs = [(s, n) for n in (*range(1, 60), 10**6, 10**9) for s in {0, 1, n // 3, n // 2, n - 1, n}]
    successes, n = map(list, zip(*pairs, strict=True))
    for name, end in (("wilson_low(x, y)", 0), ("wilson_high(x, y)", 1)):
        found = ask(name, successes, n)
        assert all(0 <= limit <= 1 for limit in found)
        np.testing.assert_allclose(found, [wilson(*pair)[end] for pair in pairs], rtol=1e-10, atol=1e-16)
        scipy = [stats.binomtest(*pair).proportion_ci(method="wilson")[end] for pair in pairs]
        np.testing.assert_allclose(found, scipy, rtol=1e-7, atol=1e-12)


def test_nps_margin(ask):
    """The margin is z standard errors of answers that are 1, 0 or -1, in points."""
    answers = [(7, 2, 12), (5, 0, 5), (0, 0, 3), (3, 3, 6), (400_000_000, 100_000_000, 10**9)]
    expected = []
    for promoters, detractors, n in answers:
        mean = (promoters - detractors) / n
        squares = promoters * (1 - mean) ** 2 + detractors * (1 + mean) ** 2
        squares += (n - promoters - detractors) * mean**2
        expected.append(195.9964 * (squares / n / n) ** 0.5)
    found = ask("nps_margin(x, y, z)", *map(list, zip(*answers, strict=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_no_answer(ask):
    """Nothing counted, nothing known, or no whole number: null, never 0."""
    none = ["wilson_low(0, 0)", "wilson_high(0, 0)", "nps_margin(0, 0, 0)", "wilson_low(NULL, 1)"]
    none += [
        f"{name}({x})" for name in ("t_975", "poisson_low", "poisson_high") for x in ("-1", "2.5", "NULL")
    ]
    none += ["t_975(0)", "normal_two_sided(NULL)", "wilson_high(NULL, 1)", "nps_margin(NULL, 1, 1)"]
    assert [None] * len(none) == [value for expression in none for value in ask(expression, [0])]
