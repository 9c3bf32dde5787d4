"""French holidays and working days as SQL expressions, against calendars as they were published."""

from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from parcours.schemas import relations

EASTERS = """
1818-03-22 1943-04-25 2000-04-23 2001-04-15 2002-03-31 2003-04-20 2004-04-11 2005-03-27 2006-04-16 2007-04-08
2008-03-23 2009-04-12 2010-04-04 2011-04-24 2012-04-08 2013-03-31 2014-04-20 2015-04-05 2016-03-27 2017-04-16
2018-04-01 2019-04-21 2020-04-12 2021-04-04 2022-04-17 2023-04-09 2024-03-31 2025-04-20 2026-04-05 2027-03-28
2028-04-16 2029-04-01 2030-04-21 2038-04-25 2100-03-28
"""
"""The earliest and the latest that can be, and those of one generation."""

HOLIDAYS = {
    2008: "01-01 03-24 05-01 05-08 05-12 07-14 08-15 11-01 11-11 12-25",  # Ascension fell on 1 May
    2025: "01-01 04-21 05-01 05-08 05-29 06-09 07-14 08-15 11-01 11-11 12-25",
    2026: "01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25",
}


@pytest.fixture(scope="module")
def ask():
    """Evaluate an expression over x for each value."""
    with duckdb.connect() as connection:
        connection.execute(relations.statement("french_working_days"))

        def evaluate(expression, values, type_="DATE"):
            query = f"SELECT {expression} FROM (SELECT unnest($1)::{type_} AS x)"
            return [row[0] for row in connection.execute(query, [values]).fetchall()]

        yield evaluate


def year_of(year):
    """Every day of a year."""
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


def test_easter_is_that_of_the_tables(ask):
    """The Sunday of each year, the earliest and the latest there can be too."""
    days = [date.fromisoformat(text) for text in EASTERS.split()]
    assert days == ask("easter_sunday(x)", [day.year for day in days], "BIGINT")


@pytest.mark.parametrize("year", HOLIDAYS)
def test_holidays_are_those_of_the_year(ask, year):
    """All that are, and no other day."""
    days = year_of(year)
    found = [day for day, is_ in zip(days, ask("is_french_holiday(x)", days), strict=True) if is_]
    assert HOLIDAYS[year].split() == [f"{day:%m-%d}" for day in found]


@pytest.mark.parametrize("n", [1, 2, 10, 60])
def test_working_days_are_counted_from_the_day_after(ask, n):
    """From each day of two years: weekends, holidays and the day itself do not count."""
    days = [*year_of(2025), *year_of(2026)][:-120]
    holidays = [f"{year}-{day}" for year, listed in HOLIDAYS.items() for day in listed.split()]
    expected = np.busday_offset(days, n, roll="backward", holidays=holidays).astype(object)
    assert list(expected) == ask(f"french_working_day_after(x, {n})", days)
