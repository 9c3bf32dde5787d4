-- What was read and rejected, but for what somebody dealt with before.
CREATE OR REPLACE TEMP TABLE rejects AS
SELECT
    md5(concat_ws(chr(31), source_name, source_topic, source_partition, source_offset)) AS quarantine_id,
    source_name AS source, source_topic, source_partition, source_offset, broker_timestamp, record_key, headers,
    raw, step, reason, rule, field, value, message, context_id
FROM staged_rejected ANTI JOIN standing USING (source_name, source_topic, source_partition, source_offset);

-- Bytes and reason belong together: where a file was replaced, another record may stand at the place, and what was decided
-- about the bytes before says nothing of it.
UPDATE quarantine
SET attempts = attempts + 1, last_at = $now, broker_timestamp = r.broker_timestamp, record_key = r.record_key,
    headers = r.headers, raw = r.raw, step = r.step, reason = r.reason, rule = r.rule, field = r.field, value = r.value,
    message = r.message, status = 'open', closed_by_run = NULL, form = 'record', context_id = r.context_id,
    fixes = CASE WHEN quarantine.raw IS NOT DISTINCT FROM r.raw THEN fixes ELSE [] END
FROM rejects AS r WHERE quarantine.quarantine_id = r.quarantine_id;

INSERT INTO quarantine
SELECT r.* EXCLUDE (context_id), $run_id, $now, $now, 1, 'open', NULL, 'record', context_id, [], NULL
FROM rejects AS r ANTI JOIN quarantine AS q USING (quarantine_id);

INSERT INTO quarantine_attempts
SELECT quarantine_id, q.attempts, $now, $run_id, r.step, r.reason, r.rule, r.field, r.value, r.message
FROM rejects AS r JOIN quarantine AS q USING (quarantine_id);

-- A record that was rejected before and passes now, read again after a rewind, is settled; but not one of a log that was
-- forgotten since, as its id tells.
UPDATE quarantine SET status = 'replayed', closed_by_run = $run_id
FROM (
    SELECT source_name, source_topic, source_partition, source_offset FROM arrivals
    UNION ALL
    FROM reference_arrivals
) AS a
WHERE quarantine.status = 'open'
    AND quarantine.source_offset = a.source_offset
    AND quarantine.source_partition = a.source_partition AND quarantine.source_topic = a.source_topic
    AND quarantine.source = a.source_name
    AND quarantine.quarantine_id = md5(concat_ws(
        chr(31), quarantine.source, quarantine.source_topic, quarantine.source_partition, quarantine.source_offset
    ));
