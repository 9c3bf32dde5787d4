-- Counted back from the later instant, by the calendar: at the same day and time three years on it is exactly 3.
CREATE MACRO years_between(since, until) AS
    date_diff('year', since, until)
    + (epoch_us(until - to_years(date_diff('year', since, until)::INTEGER)) - epoch_us(since))
    / CASE
        WHEN since <= until - to_years(date_diff('year', since, until)::INTEGER)
            THEN epoch_us(until - to_years(date_diff('year', since, until)::INTEGER))
                - epoch_us(until - to_years(date_diff('year', since, until)::INTEGER + 1))
        ELSE epoch_us(until - to_years(date_diff('year', since, until)::INTEGER - 1))
            - epoch_us(until - to_years(date_diff('year', since, until)::INTEGER))
    END;

COMMENT ON MACRO years_between IS 'Years from one instant to a later one: whole ones by the calendar, and the part of the year that is begun.';
