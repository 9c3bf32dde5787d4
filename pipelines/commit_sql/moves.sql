-- What a rebuild moves, read before it is written: stored tables against merged and built ones.
CREATE OR REPLACE TEMP TABLE touchpoint_moves AS
WITH compared AS (
    SELECT
        t.stage IS DISTINCT FROM coalesce(t.stage_given, e.stage) AS stage,
        t.roles <> coalesce(e.roles, []) AS roles,
        t.money_role IS DISTINCT FROM e.money_role AS money_role,
        t.medium IS DISTINCT FROM c.medium AS medium,
        t.is_direct <> coalesce(c.is_direct, false) AS is_direct,
        t.profile_id <> k.profile_id AS profile_id,
        v.rid IS NOT NULL AS visit_id
    FROM touchpoints AS t
    JOIN kept AS k ON t.rowid = -1 - k.rid
    LEFT JOIN built_visit_changes AS v USING (rid)
    LEFT JOIN taxonomy_events AS e USING (event_type)
    LEFT JOIN taxonomy_channels AS c USING (channel)
)
SELECT
    count(*) AS touchpoints,
    count(*) FILTER (stage OR roles OR money_role OR medium OR is_direct OR profile_id OR visit_id) AS moved,
    count(*) FILTER (stage) AS stage,
    count(*) FILTER (roles) AS roles,
    count(*) FILTER (money_role) AS money_role,
    count(*) FILTER (medium) AS medium,
    count(*) FILTER (is_direct) AS is_direct,
    count(*) FILTER (profile_id) AS profile_id,
    count(*) FILTER (visit_id) AS visit_id
FROM compared;

-- Two sets of rows are equal where the sums of their rows' hashes are: one pass, and no set is held in memory.
CREATE OR REPLACE TEMP TABLE keyed_moves AS
WITH rows AS (
    SELECT
        'profiles' AS relation, profile_id AS key, stored, true AS is_key,
        hash(*COLUMNS(* EXCLUDE (stored))) AS hash, 0::UBIGINT AS closing
    FROM (SELECT *, true AS stored FROM profiles UNION ALL BY NAME SELECT *, false AS stored FROM built_profiles)
    UNION ALL
    SELECT
        'journeys', journey_id, stored, true, hash(*COLUMNS(* EXCLUDE (stored, closes_at, gap_seconds))), hash(closes_at)
    FROM (SELECT *, true AS stored FROM journeys UNION ALL BY NAME SELECT *, false AS stored FROM built_journeys)
    UNION ALL
    SELECT 'journeys', journey_id, stored, false, hash(*COLUMNS(* EXCLUDE (stored))), 0
    FROM (SELECT *, true AS stored FROM journey_steps UNION ALL BY NAME SELECT *, false AS stored FROM built_journey_steps)
    UNION ALL
    SELECT 'journeys', journey_id, stored, false, hash(*COLUMNS(* EXCLUDE (stored))), 0
    FROM (SELECT *, true AS stored FROM stage_visits UNION ALL BY NAME SELECT *, false AS stored FROM built_stage_visits)
    UNION ALL
    SELECT 'journeys', journey_id, stored, false, hash(*COLUMNS(* EXCLUDE (stored))), 0
    FROM (SELECT *, true AS stored FROM journey_amounts UNION ALL BY NAME SELECT *, false AS stored FROM built_journey_amounts)
),
keys AS (
    SELECT
        relation, key, bool_or(is_key AND stored) AS was, bool_or(is_key AND NOT stored) AS is_built,
        sum(if(stored, hash::HUGEINT, -hash::HUGEINT)) <> 0 AS differs,
        sum(if(stored, closing::HUGEINT, -closing::HUGEINT)) <> 0 AS closes_elsewhen
    FROM rows
    GROUP BY ALL
)
SELECT
    relation,
    count(*) FILTER (was) AS stored,
    count(*) FILTER (was AND NOT is_built) AS gone,
    count(*) FILTER (was AND is_built AND differs) AS changed,
    count(*) FILTER (is_built AND NOT was) AS new,
    count(*) FILTER (was AND is_built AND closes_elsewhen AND NOT differs) AS closing
FROM keys
GROUP BY relation;
