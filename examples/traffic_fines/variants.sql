-- Variants: the different ways from a journey's first event to its last, and how many journeys took each.
SELECT variant, count(*) AS journeys
FROM (
    SELECT string_agg(event_type, ' > ' ORDER BY position) AS variant
    FROM journey_steps
    GROUP BY journey_id
)
GROUP BY variant
ORDER BY journeys DESC, variant
