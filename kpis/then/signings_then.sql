-- Contracts that were signed, with the touchpoint that signed each: whose it is and where it was.
SELECT
    contract_id, contracts.product, signed_at, annual_premium, contracts.currency,
    signing.event_id, signing.profile_id, signing.channel, signing.medium
FROM contracts_then AS contracts
LEFT JOIN (
    SELECT event_id, profile_id, channel, medium FROM touchpoints_then WHERE list_contains(roles, 'contract_signed')
) AS signing ON event_id = signed_by
WHERE signed_at IS NOT NULL
