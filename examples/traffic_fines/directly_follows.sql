-- How often one activity directly follows another, with the time between them.
SELECT
    event_type,
    next_event_type,
    count(*) AS steps,
    avg(seconds_to_next) AS mean_seconds,
    median(seconds_to_next) AS median_seconds
FROM (
    SELECT
        event_type,
        next_event_type,
        lead(seconds_since_previous) OVER (PARTITION BY journey_id ORDER BY position) AS seconds_to_next
    FROM journey_steps
)
WHERE next_event_type IS NOT NULL
GROUP BY event_type, next_event_type
ORDER BY steps DESC, event_type, next_event_type
