CREATE TABLE dim_date AS
SELECT
    day::DATE AS date,
    isoyear(day)::BIGINT AS iso_year,
    weekofyear(day)::BIGINT AS iso_week,
    month(day)::BIGINT AS month,
    quarter(day)::BIGINT AS quarter,
    year(day)::BIGINT AS year,
    dayname(day) AS day_name
FROM generate_series(TIMESTAMP '2000-01-01', TIMESTAMP '2100-12-31', INTERVAL 1 DAY) AS days(day);

COMMENT ON TABLE dim_date IS 'One row per day from 2000 to 2100, to join periods with.';
COMMENT ON COLUMN dim_date.date IS 'The day.';
COMMENT ON COLUMN dim_date.iso_year IS 'The year that its ISO week belongs to.';
COMMENT ON COLUMN dim_date.iso_week IS 'ISO week number, 1 to 53; weeks begin on Monday.';
COMMENT ON COLUMN dim_date.month IS 'Month, 1 to 12.';
COMMENT ON COLUMN dim_date.quarter IS 'Quarter, 1 to 4.';
COMMENT ON COLUMN dim_date.year IS 'Calendar year.';
COMMENT ON COLUMN dim_date.day_name IS 'Day of the week, in English.';
