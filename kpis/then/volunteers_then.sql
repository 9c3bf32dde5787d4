-- Volunteers: from a joining that follows none or a leaving, to the next leaving (null: still).
WITH steps AS (
    SELECT profile_id, occurred_at, event_id, list_contains(roles, 'volunteer_left') AS leaves
    FROM touchpoints_then
    WHERE list_has_any(roles, ['volunteer_joined', 'volunteer_left'])
),
turns AS (
    SELECT * FROM steps
    QUALIFY leaves IS DISTINCT FROM coalesce(lag(leaves) OVER (PARTITION BY profile_id ORDER BY occurred_at, event_id), true)
)
SELECT
    profile_id, leaves, occurred_at AS joined_at,
    lead(occurred_at) OVER (PARTITION BY profile_id ORDER BY occurred_at, event_id) AS left_at
FROM turns
QUALIFY NOT leaves
