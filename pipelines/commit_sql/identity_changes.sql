-- What merges, aliases and decisions moved, read before the slice is written: no row where they moved nothing.
CREATE OR REPLACE TEMP TABLE moved_by_identity AS
WITH turned_by_identity AS (
    SELECT anonymous_id FROM changed_links WHERE anonymous_id IS NOT NULL AND cause <> 'device'
    UNION
    SELECT anonymous_id FROM identity_links SEMI JOIN changed_people USING (customer_id) WHERE anonymous_id IS NOT NULL
)
SELECT m.left_profile, m.profile_id
FROM moved AS m JOIN touchpoints AS t ON t.rowid = -1 - m.rid
WHERE t.customer_id IS NOT NULL OR t.anonymous_id IN (FROM turned_by_identity);

CREATE OR REPLACE TEMP TABLE identity_change AS
WITH persons AS (SELECT left_profile AS profile_id FROM moved_by_identity UNION SELECT profile_id FROM moved_by_identity),
stages AS (
    SELECT rank, stage
    FROM (VALUES
        (1, 'awareness'), (2, 'consideration'), (3, 'purchase'), (4, 'service'), (5, 'loyalty'), (6, 'advocacy')
    ) AS named(rank, stage)
),
theirs AS (
    SELECT true AS before, COLUMNS('.*_at$') FROM journeys SEMI JOIN persons USING (profile_id)
    UNION ALL BY NAME
    SELECT false AS before, COLUMNS('.*_at$') FROM built_journeys SEMI JOIN persons USING (profile_id)
),
entries AS (
    SELECT before, [awareness_at, consideration_at, purchase_at, service_at, loyalty_at, advocacy_at] AS instants
    FROM theirs
),
conversions AS (
    SELECT
        a.rank AS from_rank, b.rank AS to_rank, a.stage AS from_stage, b.stage AS to_stage,
        count(*) FILTER (before) AS entered_before,
        count(*) FILTER (before AND instants[b.rank] >= instants[a.rank]) AS converted_before,
        count(*) FILTER (NOT before) AS entered_after,
        count(*) FILTER (NOT before AND instants[b.rank] >= instants[a.rank]) AS converted_after
    FROM entries JOIN stages AS a ON instants[a.rank] IS NOT NULL JOIN stages AS b ON b.rank > a.rank
    GROUP BY ALL
)
SELECT
    $run_id AS run_id, $now::TIMESTAMP AS changed_at,
    (SELECT list(DISTINCT cause ORDER BY cause) FROM changed_links WHERE cause <> 'device') AS causes,
    (SELECT count(*) FROM profiles SEMI JOIN persons USING (profile_id)) AS profiles_before,
    (SELECT count(*) FROM built_profiles SEMI JOIN persons USING (profile_id)) AS profiles_after,
    (SELECT count(*) FROM moved_by_identity) AS touchpoints_moved,
    (SELECT count(*) FROM entries WHERE before) AS journeys_before,
    (SELECT count(*) FROM entries WHERE NOT before) AS journeys_after,
    (
        SELECT coalesce(list({
            from_stage: from_stage, to_stage: to_stage, entered_before: entered_before, converted_before: converted_before,
            entered_after: entered_after, converted_after: converted_after
        } ORDER BY from_rank, to_rank), [])
        FROM conversions
    ) AS stage_conversions
WHERE (SELECT count(*) FROM moved_by_identity) > 0;

INSERT INTO identity_changes BY NAME FROM identity_change;
