-- Cases as they stood at an instant: what later touchpoints said of the course of each is not known yet. Whose it is and
-- what it is about is taken as known today, as the person behind a device is.
CREATE MACRO cases_at(as_of) AS TABLE
SELECT
    cases.* REPLACE (
        CASE WHEN opened_at <= until THEN opened_at END AS opened_at,
        CASE WHEN opened_at <= until THEN opened_by END AS opened_by,
        CASE WHEN acknowledged_at <= until THEN acknowledged_at END AS acknowledged_at,
        list_filter(forwarded_at, lambda instant: instant <= until) AS forwarded_at,
        list_filter(answered_at, lambda instant: instant <= until) AS answered_at,
        list_filter(reminded_at, lambda instant: instant <= until) AS reminded_at,
        list_filter(closed_at, lambda instant: instant <= until) AS closed_at,
        list_filter(reopened_at, lambda instant: instant <= until) AS reopened_at,
        CASE WHEN matched_at <= until THEN matched_at END AS matched_at
    )
FROM cases
CROSS JOIN (SELECT CAST(as_of AS TIMESTAMP) AS until)
WHERE first_at <= until;

COMMENT ON MACRO TABLE cases_at IS 'Cases as they stood at an instant (UTC): those that a touchpoint had named by then, the columns of cases by what had occurred. Person, product and channel are as known today.';
