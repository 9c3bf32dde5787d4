-- How far people get on the way to a purchase: once counted by profile, once by visit.
--
-- An ordered funnel with an open window: other events may stand between two steps, and any time may pass. A unit
-- (profile or visit) has reached step k where a chain of k events, in this order, lies wholly in it. It is enough to
-- follow the earliest match: whoever gets anywhere from a later one gets there from the earliest too.
-- Ties are allowed: events of one instant stand in whichever order serves the chain best (>= below; > forbids it).
-- A step at an event type of its own cannot serve two steps; a list that names one twice needs more than this query.
WITH RECURSIVE funnel(step, event_type) AS (
    VALUES
        (1, 'product_view'),
        (2, 'add_to_cart'),
        (3, 'cart'),
        (4, 'shipping_details'),
        (5, 'payment_details'),
        (6, 'purchase')
),
events AS (
    SELECT 'profile' AS unit, profile_id AS unit_id, event_type, occurred_at FROM journey_steps
    UNION ALL
    SELECT 'visit', visit_id, event_type, occurred_at FROM journey_steps WHERE visit_id IS NOT NULL
),
reached AS (
    SELECT unit, unit_id, step, min(occurred_at) AS reached_at
    FROM events JOIN funnel USING (event_type)
    WHERE step = 1
    GROUP BY ALL
    UNION ALL
    SELECT unit, unit_id, funnel.step, min(occurred_at)
    FROM reached
    JOIN funnel ON funnel.step = reached.step + 1
    JOIN events USING (unit, unit_id, event_type)
    WHERE occurred_at >= reached_at
    GROUP BY ALL
)
SELECT
    step,
    event_type,
    count(*) FILTER (unit = 'profile') AS profiles,
    count(*) FILTER (unit = 'visit') AS visits
FROM reached JOIN funnel USING (step)
GROUP BY step, event_type
ORDER BY step
