-- The whole history of everyone touched. A touched profile is always rebuilt whole. Stored rows bear rid = -1 - rowid.
CREATE OR REPLACE TEMP TABLE kept AS
SELECT
    -1 - t.rowid AS rid, coalesce(m.profile_id, t.profile_id) AS profile_id,
    coalesce(m.identified, t.identified) AS identified
FROM touchpoints AS t
SEMI JOIN touched USING (profile_id)
ANTI JOIN demoted AS d ON d.stored_row = t.rowid
LEFT JOIN moved AS m ON m.rid = -1 - t.rowid;

CREATE OR REPLACE TEMP TABLE buckets AS
WITH sizes AS (
    SELECT profile_id, count(*) AS size
    FROM (SELECT profile_id FROM kept UNION ALL SELECT profile_id FROM newcomers)
    GROUP BY ALL
)
SELECT profile_id, (sum(size) OVER (ORDER BY profile_id) // $bucket_rows)::INTEGER AS bucket FROM sizes;

CREATE OR REPLACE TEMP VIEW history AS
SELECT
    k.rid, k.profile_id, k.identified, t.event_id, t.occurred_at, t.event_type, e.roles,
    coalesce(t.stage_given, e.stage) AS stage, t.channel, c.medium, t.source, t.campaign, t.content, t.product, t.contract_id, t.claim_id,
    t.case_id, e.money_role, t.value, t.currency, t.cost, l.event_id IS NOT NULL AS ends_holding, t.visit_id
FROM kept AS k
JOIN touchpoints AS t ON t.rowid = -1 - k.rid
LEFT JOIN taxonomy_events AS e USING (event_type)
LEFT JOIN taxonomy_channels AS c USING (channel)
LEFT JOIN last_ends AS l ON l.event_id = t.event_id AND l.profile_id = k.profile_id
UNION ALL
SELECT
    n.rid, n.profile_id, n.identified, a.event_id, s.occurred_at, s.event_type, e.roles,
    coalesce(s.stage, e.stage), s.channel, c.medium, s.source, s.campaign, s.content, s.product, s.contract_id, s.claim_id,
    s.case_id, e.money_role, s.value, s.currency, s.cost, l.event_id IS NOT NULL, NULL
FROM newcomers AS n
JOIN arrivals AS a USING (rid)
JOIN staged AS s USING (rid)
LEFT JOIN taxonomy_events AS e ON e.event_type = s.event_type
LEFT JOIN taxonomy_channels AS c ON c.channel = s.channel
LEFT JOIN last_ends AS l ON l.event_id = a.event_id AND l.profile_id = n.profile_id;
