-- Exposures: the first touchpoint of each person and experiment that says a variant.
SELECT profile_id, experiment, unnest(exposure)
FROM (
    SELECT
        profile_id, experiment,
        min({occurred_at: occurred_at, event_id: event_id, variant: variant, channel: channel}) AS exposure
    FROM touchpoints_then
    WHERE experiment IS NOT NULL AND variant IS NOT NULL
    GROUP BY profile_id, experiment
)
