-- Touchpoints that break a rule in force go back where they came from: into the row of the record that the run loaded them
-- of, where it was in quarantine before, or as contents: with the id that they have, where that is the hash of them and tells
-- how many equal rows came before.
CREATE OR REPLACE TEMP TABLE broken AS
SELECT
    coalesce(q.quarantine_id, md5(t.event_id || chr(31) || hex(t.content_sha256))) AS quarantine_id, t.source_name,
    t.source_topic, t.source_partition, t.source_offset, t.broker_timestamp, t.record_key, t.headers,
    encode($stored_json) AS raw, b.step, b.reason, b.rule, b.field, b.value, b.message, t.content_sha256
FROM breakers AS b
JOIN touchpoints AS t ON t.rowid = b.stored_row
LEFT JOIN (
    SELECT source, source_topic, source_partition, source_offset, closed_by_run, min(quarantine_id) AS quarantine_id
    FROM quarantine WHERE status = 'replayed'
    GROUP BY ALL HAVING count(*) = 1
) AS q
    ON q.source = t.source_name AND q.source_topic = t.source_topic AND q.source_partition = t.source_partition
        AND q.source_offset = t.source_offset AND q.closed_by_run = t.run_id
        AND NOT starts_with(t.event_id, lower(hex(t.content_sha256)));

UPDATE quarantine
SET attempts = attempts + 1, last_at = $now, status = 'open', closed_by_run = NULL, step = b.step, reason = b.reason,
    rule = b.rule, field = b.field, value = b.value, message = b.message
FROM broken AS b WHERE quarantine.quarantine_id = b.quarantine_id;

INSERT INTO quarantine
SELECT b.* EXCLUDE (content_sha256), $run_id, $now, $now, 1, 'open', NULL, 'contents', NULL, [], content_sha256
FROM broken AS b ANTI JOIN quarantine AS q USING (quarantine_id);

INSERT INTO quarantine_attempts
SELECT quarantine_id, q.attempts, $now, $run_id, b.step, b.reason, b.rule, b.field, b.value, b.message
FROM broken AS b JOIN quarantine AS q USING (quarantine_id);
