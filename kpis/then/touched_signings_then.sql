-- Signings with the touch that brought them: the person's last other one at or before each, at most 90 days.
SELECT signings.*, touch.channel AS touch_channel, touch.campaign AS touch_campaign
FROM signings_then AS signings
LEFT JOIN (
    SELECT
        brought.event_id,
        max({
            occurred_at: touches.occurred_at, event_id: touches.event_id,
            channel: touches.channel, campaign: touches.campaign
        }) AS touch
    FROM touchpoints_then AS touches JOIN signings_then AS brought USING (profile_id)
    WHERE list_contains(touches.roles, 'touch') AND touches.event_id <> brought.event_id
        AND touches.occurred_at BETWEEN brought.signed_at - INTERVAL 90 DAY AND brought.signed_at
    GROUP BY brought.event_id
) USING (event_id)
