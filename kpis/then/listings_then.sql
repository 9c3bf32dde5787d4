-- Listings: the first touchpoint that offered or asked under each case_id; matched_at is when it was first matched, by
-- whomever, within 30 days.
WITH listed AS (
    SELECT
        event_id, case_id, occurred_at, channel,
        CASE WHEN list_contains(roles, 'listing_offered') THEN 'offered' ELSE 'asked' END AS listing,
        coalesce(list_filter(attributes, lambda a: a.key = 'theme' AND trim(a.value) <> '')[1].value, product) AS theme
    FROM touchpoints_then
    WHERE list_has_any(roles, ['listing_offered', 'listing_asked']) AND case_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY occurred_at, event_id) = 1
),
matched AS (
    SELECT listed.event_id, min(matched.occurred_at) AS matched_at
    FROM listed JOIN touchpoints_then AS matched USING (case_id)
    WHERE list_contains(matched.roles, 'listing_matched') AND matched.event_id <> listed.event_id
        AND matched.occurred_at BETWEEN listed.occurred_at AND listed.occurred_at + INTERVAL 30 DAY
    GROUP BY listed.event_id
)
SELECT listed.*, matched_at FROM listed LEFT JOIN matched USING (event_id)
