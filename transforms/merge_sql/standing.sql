-- Where a record stands that was rejected before and dealt with: somebody discarded it, or had it loaded with a fix. Read
-- again with the same bytes it is rejected again, which says nothing new: it is not opened again, and what was loaded stays.
CREATE OR REPLACE TEMP TABLE standing AS
SELECT s.source_name, s.source_topic, s.source_partition, s.source_offset
FROM staged_rejected AS s
JOIN quarantine AS q
    ON q.quarantine_id = md5(concat_ws(chr(31), s.source_name, s.source_topic, s.source_partition, s.source_offset))
        AND q.raw IS NOT DISTINCT FROM s.raw
WHERE q.status = 'discarded' OR (q.status = 'replayed' AND q.fixes <> []);
