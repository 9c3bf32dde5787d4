-- What winning customers costs: what was spent, and what touchpoints before and at a purchase cost.
SELECT
    timezone('UTC', timezone('$time_zone', day::TIMESTAMP)) AS occurred_at, amount, currency, channel, campaign
FROM ref_spend_now
UNION ALL
SELECT occurred_at, cost, coalesce(currency, 'EUR'), channel, campaign
FROM touchpoints_then
WHERE stage IN ('awareness', 'consideration', 'purchase') AND cost IS NOT NULL
