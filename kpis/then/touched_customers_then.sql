-- New customers with the touch that brought them: the last other one at or before their purchase, at most 90 days.
SELECT customers.*, touch.channel AS touch_channel, touch.campaign AS touch_campaign
FROM new_customers_then AS customers
LEFT JOIN (
    SELECT
        profile_id,
        max({
            occurred_at: touches.occurred_at, event_id: touches.event_id,
            channel: touches.channel, campaign: touches.campaign
        }) AS touch
    FROM touchpoints_then AS touches JOIN new_customers_then AS brought USING (profile_id)
    WHERE list_contains(touches.roles, 'touch') AND touches.event_id <> brought.event_id
        AND touches.occurred_at BETWEEN brought.occurred_at - INTERVAL 90 DAY AND brought.occurred_at
    GROUP BY profile_id
) USING (profile_id)
