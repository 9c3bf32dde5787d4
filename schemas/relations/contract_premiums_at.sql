-- What each contract costs a year, from its beginning to its end, by what was known at an instant.
CREATE MACRO contract_premiums_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
begun AS MATERIALIZED (FROM contracts_at(as_of) WHERE began_at IS NOT NULL),
versions AS (
    SELECT contract_id, coalesce(valid_from, '-infinity'::TIMESTAMP) AS since, annual_premium, currency
    FROM ref_contracts
),
-- Of what is said at one instant, and of what was said by the beginning, the greater weight holds, then the later.
statements AS (
    SELECT contract_id, 3 AS weight, since AS stated_at, 1 AS place, annual_premium, currency
    FROM versions, instant WHERE since <= until
    UNION ALL
    SELECT contract_id, 2, renewal.renewed_at, place, renewal.annual_premium, renewal.currency
    FROM (SELECT contract_id, unnest(renewals) AS renewal, generate_subscripts(renewals, 1) AS place FROM begun)
    UNION ALL
    SELECT contract_id, 2, least(signed_at, began_at), 0, signed.annual_premium, signed.currency FROM begun
    UNION ALL
    SELECT contract_id, 1, '-infinity'::TIMESTAMP, 1, first.annual_premium, first.currency
    FROM (SELECT contract_id, arg_min(versions, since) AS first FROM versions GROUP BY contract_id)
),
held AS (
    SELECT
        contract_id, profile_id, product, ended_at, greatest(stated_at, began_at) AS from_at,
        arg_max({annual_premium: s.annual_premium, currency: s.currency}, (weight, stated_at, place)) AS premium
    FROM statements AS s JOIN begun USING (contract_id)
    WHERE s.annual_premium IS NOT NULL AND coalesce(greatest(stated_at, began_at) < ended_at, true)
    GROUP BY ALL
),
changes AS (
    FROM held
    QUALIFY lag(premium) OVER (PARTITION BY contract_id ORDER BY from_at) IS DISTINCT FROM premium
)
SELECT
    contract_id,
    profile_id,
    product,
    premium.currency AS currency,
    premium.annual_premium AS annual_premium,
    from_at,
    coalesce(lead(from_at) OVER (PARTITION BY contract_id ORDER BY from_at), ended_at) AS until_at
FROM changes;

COMMENT ON MACRO TABLE contract_premiums_at IS 'The annual premium of each contract over time, by what was known at an instant (UTC): one row per contract and stretch of one premium, from from_at until until_at (null: still). It begins with the contract (began_at): with the premium of the reference input''s version in force then, else of the last signing or renewal by then, else of the reference input''s first version, else with the first premium known later. It changes with each later version that has a premium (from its valid_from) and each renewal whose value is one; of both at one instant the reference input holds. It ends with the contract.';
