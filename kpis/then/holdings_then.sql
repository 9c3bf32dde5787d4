-- How many contracts each person has in force, from one change to the next.
SELECT profile_id, changed_at AS since, lead(changed_at) OVER changes AS until, sum(change) OVER changes AS held
FROM (
    SELECT profile_id, changed_at, sum(change) AS change
    FROM (
        SELECT profile_id, began_at AS changed_at, 1 AS change FROM contracts_then
        WHERE began_at < coalesce(ended_at, 'infinity'::TIMESTAMP)
        UNION ALL
        SELECT profile_id, ended_at, -1 FROM contracts_then WHERE began_at < ended_at
    )
    GROUP BY profile_id, changed_at
)
WINDOW changes AS (PARTITION BY profile_id ORDER BY changed_at)
QUALIFY held > 0
