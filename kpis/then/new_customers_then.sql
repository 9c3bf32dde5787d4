-- Persons at their first touchpoint with the role purchase or contract_signed who held no contract before it.
SELECT firsts.profile_id, bought.*
FROM (
    SELECT
        profile_id,
        min({occurred_at: occurred_at, event_id: event_id, product: product, channel: channel}) AS bought
    FROM touchpoints_then
    WHERE list_contains(roles, 'purchase') OR list_contains(roles, 'contract_signed')
    GROUP BY profile_id
) AS firsts
WHERE NOT EXISTS (
    FROM contracts_then AS earlier
    WHERE earlier.profile_id = firsts.profile_id
        AND coalesce(signed_at < bought.occurred_at, true) AND least(held_from, effective_from) < bought.occurred_at
)
