-- Claims that were opened, with the channel of their opening and their first closing that is not before it.
SELECT
    claims.*,
    opening.channel,
    list_min(list_filter(closed_at, lambda instant: instant >= opened_at)) AS first_closed_at
FROM claims_then AS claims JOIN touchpoints AS opening USING (claim_id)
WHERE opening.event_id = opened_by
