-- Ids that came more than once, or are in the store: only these need a closer look.
CREATE OR REPLACE TEMP TABLE contested AS
SELECT event_key FROM arrivals GROUP BY event_key HAVING count(*) > 1
UNION
SELECT event_key FROM touchpoints SEMI JOIN arrivals USING (event_key);

-- All rows that claim a contested id. The event is the one with the smallest (occurred_at, content); a content
-- that is in the store, or lost before, is a duplicate however often it comes; a loser that is tried again loses again.
CREATE OR REPLACE TEMP TABLE claimants AS
SELECT rid, NULL::BIGINT AS stored_row, event_id, occurred_at, content_sha256
FROM arrivals SEMI JOIN contested USING (event_key)
UNION ALL
SELECT NULL, t.rowid, t.event_id, t.occurred_at, t.content_sha256
FROM touchpoints AS t
SEMI JOIN (SELECT event_key, event_id FROM arrivals SEMI JOIN contested USING (event_key)) AS a
    ON t.event_key = a.event_key AND t.event_id = a.event_id;

CREATE OR REPLACE TEMP TABLE fates AS
WITH judged AS (
    SELECT
        *,
        first_value(content_sha256) OVER (PARTITION BY event_id ORDER BY occurred_at, content_sha256) AS winner,
        bool_or(stored_row IS NOT NULL) OVER (PARTITION BY event_id, content_sha256) AS is_stored,
        row_number() OVER (PARTITION BY event_id, content_sha256 ORDER BY rid NULLS LAST) AS nth,
        md5(event_id || chr(31) || hex(content_sha256)) AS conflict_id
    FROM claimants
)
SELECT
    j.rid, j.stored_row, j.event_id, j.conflict_id,
    CASE
        WHEN j.stored_row IS NOT NULL THEN if(j.content_sha256 = j.winner, 'stays', 'demoted')
        WHEN j.is_stored OR j.nth > 1 THEN 'duplicate'
        WHEN j.content_sha256 = j.winner THEN 'loaded'
        WHEN q.quarantine_id IS NOT NULL AND n.range_id IS NULL THEN 'duplicate'
        ELSE 'conflict'
    END AS fate
FROM judged AS j
LEFT JOIN quarantine AS q ON q.quarantine_id = j.conflict_id
LEFT JOIN named_ranges AS n ON n.range_id = j.rid >> $range_bits;

CREATE OR REPLACE TEMP TABLE demoted AS
SELECT f.stored_row, f.conflict_id, t.event_id, t.profile_id, t.anonymous_id, t.customer_id, t.source_name,
    t.source_topic, t.source_partition
FROM fates AS f JOIN touchpoints AS t ON t.rowid = f.stored_row
WHERE f.fate = 'demoted'
UNION ALL
SELECT b.stored_row, NULL, t.event_id, t.profile_id, t.anonymous_id, t.customer_id, t.source_name, t.source_topic,
    t.source_partition
FROM breakers AS b JOIN touchpoints AS t ON t.rowid = b.stored_row;

CREATE OR REPLACE TEMP TABLE loaded AS
SELECT * FROM arrivals ANTI JOIN contested USING (event_key)
UNION ALL
SELECT arrivals.* FROM arrivals JOIN fates USING (rid) WHERE fate = 'loaded';
