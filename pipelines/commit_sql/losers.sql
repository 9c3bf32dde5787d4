-- Losers of a conflict: arrived now, or stored until now. Their bytes are no longer at hand; their contents are.
CREATE OR REPLACE TEMP TABLE losers AS
SELECT
    f.conflict_id AS quarantine_id, s.source_name, s.source_topic, s.source_partition, s.source_offset, s.broker_timestamp,
    s.record_key, s.headers, encode($staged_json) AS raw, 'conflict' AS step, 'conflicting_duplicate' AS reason,
    'event_id.one_content' AS rule, 'event_id' AS field, a.event_id AS value,
    'another record with this event_id has other contents and an earlier (occurred_at, content)' AS message,
    s.content_sha256
FROM fates AS f JOIN arrivals AS a USING (rid) JOIN staged AS s USING (rid) WHERE f.fate = 'conflict'
UNION ALL
SELECT
    d.conflict_id, t.source_name, t.source_topic, t.source_partition, t.source_offset, t.broker_timestamp, t.record_key,
    t.headers, encode($stored_json), 'conflict', 'conflicting_duplicate', 'event_id.one_content', 'event_id', t.event_id,
    'a later record with this event_id has other contents and an earlier (occurred_at, content)', t.content_sha256
FROM demoted AS d JOIN touchpoints AS t ON t.rowid = d.stored_row
WHERE d.conflict_id IS NOT NULL;

-- One that had lost before was loaded while the winner was away.
UPDATE quarantine
SET attempts = attempts + 1, last_at = $now, status = 'open', closed_by_run = NULL, step = l.step, reason = l.reason,
    rule = l.rule, field = l.field, value = l.value, message = l.message
FROM losers AS l WHERE quarantine.quarantine_id = l.quarantine_id;

INSERT INTO quarantine
SELECT l.* EXCLUDE (content_sha256), $run_id, $now, $now, 1, 'open', NULL, 'contents', NULL, [], content_sha256
FROM losers AS l ANTI JOIN quarantine AS q USING (quarantine_id);

INSERT INTO quarantine_attempts
SELECT quarantine_id, q.attempts, $now, $run_id, l.step, l.reason, l.rule, l.field, l.value, l.message
FROM losers AS l JOIN quarantine AS q USING (quarantine_id);
