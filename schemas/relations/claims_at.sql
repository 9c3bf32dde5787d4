-- Claims as they stood at an instant: what later touchpoints said of the course of each is not known yet. Whose it is and
-- what it is about is taken as known today, as the person behind a device is.
CREATE MACRO claims_at(as_of) AS TABLE
SELECT
    claims.* REPLACE (
        CASE WHEN opened_at <= until THEN opened_at END AS opened_at,
        CASE WHEN opened_at <= until THEN opened_by END AS opened_by,
        list_filter(closed_at, lambda instant: instant <= until) AS closed_at,
        list_filter(reopened_at, lambda instant: instant <= until) AS reopened_at
    )
FROM claims
CROSS JOIN (SELECT CAST(as_of AS TIMESTAMP) AS until)
WHERE first_at <= until;

COMMENT ON MACRO TABLE claims_at IS 'Claims as they stood at an instant (UTC): those that a touchpoint had named by then, the columns of claims by what had occurred. Person, contract and product are as known today.';
