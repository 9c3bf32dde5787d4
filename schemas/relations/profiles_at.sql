-- Persons at an instant: only touchpoints with occurred_at <= as_of count. A contract is in force from its first
-- signing to its first termination; effective dates of the reference inputs are not known here yet. Scales of reviews
-- are the built-in one, 1 to 5.
CREATE MACRO profiles_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
known AS (SELECT touchpoints.* FROM touchpoints, instant WHERE occurred_at <= until),
persons AS (
    SELECT
        profile_id,
        bool_or(identified) AS identified,
        min(occurred_at) AS first_at,
        max(occurred_at) AS last_at,
        count(*) AS touchpoints,
        count(*) FILTER (list_has_any(roles, ['purchase', 'contract_signed'])) AS purchases,
        coalesce(
            bool_or(list_contains(roles, 'referral_made'))
            OR bool_or(survey = 'review' AND score > 3)
            OR max_by(score, (occurred_at, event_id)) FILTER (survey = 'nps') >= 9,
            false
        ) AS recommends
    FROM known
    GROUP BY profile_id
),
contracts AS (
    SELECT
        profile_id,
        min(occurred_at) FILTER (list_contains(roles, 'contract_signed')) AS signed_at,
        coalesce(
            min(occurred_at) FILTER (list_contains(roles, 'contract_terminated')), 'infinity'::TIMESTAMP
        ) AS ended_at
    FROM known
    WHERE contract_id IS NOT NULL AND list_has_any(roles, ['contract_signed', 'contract_terminated'])
    GROUP BY profile_id, contract_id
    HAVING signed_at IS NOT NULL
),
-- a contract signed while none was in force begins a new unbroken stretch
stretches AS (
    SELECT
        *,
        signed_at > max(ended_at) OVER (
            PARTITION BY profile_id ORDER BY signed_at, ended_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) IS NOT FALSE AS begins
    FROM contracts
),
holdings AS (
    SELECT
        profile_id,
        count(*) FILTER (ended_at = 'infinity') AS contracts_in_force,
        min(signed_at) FILTER (ended_at = 'infinity') AS oldest_at,
        CASE WHEN contracts_in_force > 0 THEN max(signed_at) FILTER (begins) END AS unbroken_since
    FROM stretches
    GROUP BY profile_id
),
begun AS (SELECT profile_id, count(*) AS journeys FROM journeys, instant WHERE started_at <= until GROUP BY profile_id)
SELECT
    profile_id,
    identified,
    first_at,
    last_at,
    touchpoints,
    coalesce(journeys, 0) AS journeys,
    purchases,
    coalesce(contracts_in_force, 0) AS contracts_in_force,
    unbroken_since,
    CASE
        WHEN purchases = 0 THEN 'prospect'
        WHEN recommends AND coalesce(contracts_in_force, 1) > 0 THEN 'advocate'
        WHEN contracts_in_force >= 2 OR unbroken_since <= until - INTERVAL 3 YEARS THEN 'loyal customer'
        WHEN purchases >= 2 OR oldest_at < until - INTERVAL 1 YEAR THEN 'customer'
        ELSE 'consumer'
    END AS rung
FROM persons
CROSS JOIN instant
LEFT JOIN holdings USING (profile_id)
LEFT JOIN begun USING (profile_id);

COMMENT ON MACRO TABLE profiles_at IS 'Persons as they stood at an instant (UTC), from touchpoints up to it: the columns of profiles, purchases, contracts in force, and the rung of the loyalty ladder by its default rules.';
