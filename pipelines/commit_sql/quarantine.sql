CREATE OR REPLACE TEMP TABLE rejects AS
SELECT
    md5(concat_ws(chr(31), source_name, source_topic, source_partition, source_offset)) AS quarantine_id,
    source_name AS source, source_topic, source_partition, source_offset, broker_timestamp, record_key, headers,
    raw, step, reason, rule, field, value, message
FROM staged_rejected;

-- Bytes and reason belong together: where a file was replaced, another record may stand at the place.
UPDATE quarantine
SET attempts = attempts + 1, last_at = $now, broker_timestamp = r.broker_timestamp, record_key = r.record_key,
    headers = r.headers, raw = r.raw, step = r.step, reason = r.reason, rule = r.rule, field = r.field, value = r.value,
    message = r.message, status = 'open', closed_by_run = NULL
FROM rejects AS r WHERE quarantine.quarantine_id = r.quarantine_id;

INSERT INTO quarantine
SELECT r.*, $run_id, $now, $now, 1, 'open', NULL, 'record', NULL, [] FROM rejects AS r ANTI JOIN quarantine AS q USING (quarantine_id);

-- A record that was rejected before and passes now, read again after a rewind, is settled; but not one of a log that was
-- forgotten since, as its id tells.
UPDATE quarantine SET status = 'replayed', closed_by_run = $run_id
FROM (
    SELECT source_name, source_topic, source_partition, source_offset FROM arrivals
    UNION ALL
    FROM reference_arrivals
) AS a
WHERE quarantine.status = 'open' AND quarantine.step <> 'conflict' AND NOT contains(quarantine.quarantine_id, '@')
    AND quarantine.source_offset = a.source_offset
    AND quarantine.source_partition = a.source_partition AND quarantine.source_topic = a.source_topic
    AND quarantine.source = a.source_name;

-- Losers of a conflict: read now, or stored until now. Their bytes are no longer at hand; their contents are.
INSERT INTO quarantine
SELECT
    f.conflict_id, s.source_name, s.source_topic, s.source_partition, s.source_offset, s.broker_timestamp, s.record_key,
    s.headers, encode($staged_json), 'conflict', 'conflicting_duplicate', 'event_id.one_content', 'event_id', s.event_id,
    'another record with this event_id has other contents and an earlier (occurred_at, content)', $run_id, $now, $now,
    1, 'open', NULL, 'contents', NULL, []
FROM fates AS f JOIN staged AS s USING (rid) WHERE f.fate = 'conflict'
UNION ALL
SELECT
    d.conflict_id, s.source_name, s.source_topic, s.source_partition, s.source_offset, s.broker_timestamp, s.record_key,
    s.headers, encode($stored_json), 'conflict', 'conflicting_duplicate', 'event_id.one_content', 'event_id', s.event_id,
    'a later record with this event_id has other contents and an earlier (occurred_at, content)', $run_id, $now, $now,
    1, 'open', NULL, 'contents', NULL, []
FROM demoted AS d JOIN touchpoints AS s ON s.rowid = d.stored_row;
