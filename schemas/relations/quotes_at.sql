-- Quotes as they stood at an instant: what later touchpoints said of the course of each is not known yet. Whose it is and
-- what it is about is taken as known today, as the person behind a device is.
CREATE MACRO quotes_at(as_of) AS TABLE
SELECT
    quotes.* REPLACE (
        CASE WHEN quoted_at <= until THEN quoted_at END AS quoted_at,
        CASE WHEN quoted_at <= until THEN quoted_by END AS quoted_by,
        CASE WHEN quoted_at <= until THEN value END AS value,
        CASE WHEN quoted_at <= until THEN currency END AS currency,
        CASE WHEN bound_at <= until THEN bound_at END AS bound_at,
        CASE WHEN bound_at <= until THEN bound_by END AS bound_by,
        CASE WHEN bound_at <= until THEN contract_id END AS contract_id
    )
FROM quotes
CROSS JOIN (SELECT CAST(as_of AS TIMESTAMP) AS until)
WHERE first_at <= until;

COMMENT ON MACRO TABLE quotes_at IS 'Quotes as they stood at an instant (UTC): those that a touchpoint had named by then, the columns of quotes by what had occurred. Person, product and channel are as known today.';
