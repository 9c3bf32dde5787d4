-- Exposures, and whether the person bought within 30 days; is_over: they are over; mature: they are over for all who were
-- exposed to the experiment.
WITH bought AS (
    SELECT DISTINCT exposures_then.event_id
    FROM exposures_then JOIN touchpoints_then AS purchase USING (profile_id)
    WHERE (list_contains(purchase.roles, 'purchase') OR list_contains(purchase.roles, 'contract_signed'))
        AND purchase.event_id <> exposures_then.event_id
        AND purchase.occurred_at BETWEEN exposures_then.occurred_at AND exposures_then.occurred_at + INTERVAL 30 DAY
)
SELECT
    exposures_then.*,
    bought.event_id IS NOT NULL AS is_converted,
    occurred_at + INTERVAL 30 DAY < until AS is_over,
    bool_and(is_over) OVER (PARTITION BY experiment) AS mature
FROM exposures_then CROSS JOIN instant LEFT JOIN bought USING (event_id)
