-- The person of each touchpoint that names a device alone: newly loaded, or stored and of a relinked device.
CREATE OR REPLACE TEMP TABLE subjects AS
SELECT rid, anonymous_id, occurred_at FROM loaded WHERE customer_id IS NULL
UNION ALL
SELECT -1 - t.rowid, t.anonymous_id, t.occurred_at
FROM touchpoints AS t SEMI JOIN relinked USING (anonymous_id)
ANTI JOIN demoted AS d ON d.stored_row = t.rowid
WHERE t.customer_id IS NULL;

-- The nearest link in time, the earlier on a tie, then the smaller profile_id: the last link before and the first
-- one after are enough.
CREATE OR REPLACE TEMP TABLE resolved AS
WITH settled AS (
    SELECT
        s.*,
        CASE
            WHEN d.persons = 1 THEN d.lowest
            WHEN d.persons <= $max_customers_per_device THEN NULL
            ELSE 'anon:' || s.anonymous_id
        END AS profile_id,
        coalesce(d.persons = 1, false) AS identified
    FROM subjects AS s LEFT JOIN devices AS d USING (anonymous_id)
),
torn AS (SELECT rid, anonymous_id, occurred_at FROM settled WHERE profile_id IS NULL),
moments AS (
    SELECT anonymous_id, linked_at, min(profile_id) AS profile_id
    FROM device_links SEMI JOIN torn USING (anonymous_id)
    GROUP BY ALL
)
SELECT rid, profile_id, identified FROM settled WHERE profile_id IS NOT NULL
UNION ALL
SELECT
    t.rid,
    CASE
        WHEN a.linked_at IS NULL OR t.occurred_at - b.linked_at <= a.linked_at - t.occurred_at THEN b.profile_id
        ELSE a.profile_id
    END,
    true
FROM torn AS t
ASOF LEFT JOIN moments AS b ON t.anonymous_id = b.anonymous_id AND t.occurred_at >= b.linked_at
ASOF LEFT JOIN moments AS a ON t.anonymous_id = a.anonymous_id AND t.occurred_at <= a.linked_at;
