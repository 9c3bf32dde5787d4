-- When each person holds a contract without a break: what begins at the very end of another leaves none.
SELECT
    profile_id,
    min(began_at) AS held_from,
    CASE WHEN bool_and(ended_at IS NOT NULL) THEN max(ended_at) END AS held_to
FROM (
    SELECT *, count(*) FILTER (follows_a_break) OVER (PARTITION BY profile_id ORDER BY began_at, contract_id) AS stretch
    FROM (
        SELECT
            *,
            began_at > max(coalesce(ended_at, 'infinity'::TIMESTAMP)) OVER (
                PARTITION BY profile_id ORDER BY began_at, contract_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS follows_a_break
        FROM contracts_then
        WHERE began_at < coalesce(ended_at, 'infinity'::TIMESTAMP)
    )
)
GROUP BY profile_id, stretch
