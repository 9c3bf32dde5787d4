-- Questions, requests and complaints, with their first answer and closing that are not before their opening, the
-- earlier of both (settled_at), and when the person opened the next of any kind, later than this one.
SELECT
    *,
    list_min(list_filter(answered_at, lambda instant: instant >= opened_at)) AS first_answered_at,
    list_min(list_filter(closed_at, lambda instant: instant >= opened_at)) AS first_closed_at,
    least(first_answered_at, first_closed_at) AS settled_at,
    min(opened_at) OVER (
        PARTITION BY profile_id ORDER BY opened_at GROUPS BETWEEN 1 FOLLOWING AND 1 FOLLOWING
    ) AS next_opened_at
FROM cases_then
WHERE kind IN ('question', 'request', 'complaint') AND opened_at IS NOT NULL
