-- Persons at an instant: only touchpoints with occurred_at <= as_of count, and contracts as they stood then. Scales of
-- reviews are the built-in one, 1 to 5.
CREATE MACRO profiles_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
persons AS (
    SELECT
        profile_id,
        bool_or(identified) AS identified,
        min(occurred_at) AS first_at,
        max(occurred_at) AS last_at,
        count(*) AS touchpoints,
        count(*) FILTER (list_has_any(roles, ['purchase', 'contract_signed'])) AS purchases,
        count(*) FILTER (list_contains(roles, 'referral_made')) AS referrals,
        count(*) FILTER (survey = 'review' AND score > 3) AS good_reviews,
        max_by(score, (occurred_at, event_id)) FILTER (survey = 'nps') AS last_nps
    FROM touchpoints, instant
    WHERE occurred_at <= until
    GROUP BY profile_id
),
-- a contract that begins while none was in force begins a new unbroken stretch
stretches AS (
    SELECT
        profile_id, began_at, ended_at, in_force,
        began_at IS NOT NULL AND began_at > max(coalesce(ended_at, 'infinity'::TIMESTAMP)) OVER (
            PARTITION BY profile_id, began_at IS NULL ORDER BY began_at, ended_at NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) IS NOT FALSE AS begins
    FROM contracts_at(as_of)
    WHERE held_from IS NOT NULL OR began_at IS NOT NULL
),
holdings AS (
    SELECT
        profile_id,
        count(*) FILTER (in_force) AS contracts_in_force,
        min(began_at) FILTER (in_force) AS longest_since,
        CASE WHEN contracts_in_force > 0 THEN max(began_at) FILTER (begins) END AS unbroken_since,
        bool_and(ended_at IS NOT NULL) AS holds_nothing_any_more
    FROM stretches
    GROUP BY profile_id
),
begun AS (SELECT profile_id, count(*) AS journeys FROM journeys, instant WHERE started_at <= until GROUP BY profile_id),
facts AS (
    SELECT
        profile_id,
        identified,
        first_at,
        last_at,
        touchpoints,
        coalesce(journeys, 0) AS journeys,
        purchases,
        referrals,
        good_reviews,
        last_nps,
        coalesce(contracts_in_force, 0) AS contracts_in_force,
        coalesce(years_between(longest_since, until), 0)::DOUBLE AS longest_in_force_years,
        unbroken_since,
        coalesce(years_between(unbroken_since, until), 0)::DOUBLE AS tenure_years,
        coalesce(holds_nothing_any_more, false) AS holds_nothing_any_more
    FROM persons
    CROSS JOIN instant
    LEFT JOIN holdings USING (profile_id)
    LEFT JOIN begun USING (profile_id)
)
SELECT
    *,
    ladder_rung(
        identified, touchpoints, journeys, purchases, referrals, good_reviews, last_nps, contracts_in_force,
        longest_in_force_years, tenure_years, holds_nothing_any_more
    ) AS rung
FROM facts;

COMMENT ON MACRO TABLE profiles_at IS 'Persons as they stood at an instant (UTC), from touchpoints up to it: the columns of profiles, the facts that [ladder] may speak of, and the rung of the loyalty ladder.';
