-- The working days of France, of which the deadlines of complaints speak. Easter is found by the anonymous Gregorian
-- rule (Nature, 20 April 1876; J. Meeus, Astronomical Algorithms, chapter 8); two of its numbers, which it uses again
-- and again, are macros of their own.

CREATE MACRO easter_moon(year) AS
    (19 * (year % 19) + year // 100 - year // 400 - (year // 100 - (year // 100 + 8) // 25 + 1) // 3 + 15) % 30;

CREATE MACRO easter_weekday(year) AS
    (32 + 2 * (year // 100 % 4) + 2 * (year % 100 // 4) - easter_moon(year) - year % 4) % 7;

CREATE MACRO easter_sunday(year) AS
CAST(make_date(year, 3, 22) + CAST(
    easter_moon(year) + easter_weekday(year)
    - 7 * ((year % 19 + 11 * easter_moon(year) + 22 * easter_weekday(year)) // 451)
AS INTEGER) AS DATE);

CREATE MACRO is_french_holiday(day) AS
    (month(day), day(day)) IN ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
    OR day - easter_sunday(year(day)) IN (1, 39, 50);

-- a working week has three days at least: twice as many days, and ten, are always enough
CREATE MACRO french_working_day_after(day, n) AS
CAST(list_filter(
    generate_series(CAST(day + 1 AS TIMESTAMP), CAST(day + CAST(2 * n + 10 AS INTEGER) AS TIMESTAMP), INTERVAL 1 DAY),
    lambda instant: isodow(instant) < 6 AND NOT is_french_holiday(CAST(instant AS DATE))
)[n] AS DATE);

COMMENT ON MACRO easter_sunday IS 'Easter Sunday of a year of the Gregorian calendar, from 1583 on.';
COMMENT ON MACRO is_french_holiday IS 'Whether a day is a public holiday in France: 1 January, Easter Monday, 1 and 8 May, Ascension, Whit Monday, 14 July, 15 August, 1 and 11 November, 25 December.';
COMMENT ON MACRO french_working_day_after IS 'The n-th working day after a day, which itself does not count: Monday to Friday without French holidays; n is at least 1.';
COMMENT ON MACRO easter_moon IS 'Days from 21 March to the full moon of Easter, by the anonymous Gregorian rule, before its correction.';
COMMENT ON MACRO easter_weekday IS 'Days from that full moon to the Sunday after it, less one.';
