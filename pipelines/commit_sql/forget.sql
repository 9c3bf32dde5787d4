DELETE FROM internal.offsets WHERE source = $source AND ($topic IS NULL OR topic = $topic);
DELETE FROM internal.row_hashes WHERE source = $source AND ($topic IS NULL OR topic = $topic);

-- Another log's record may come to stand at the same place: it must neither overwrite nor settle what was rejected there.
CREATE OR REPLACE TEMP TABLE forgotten AS
SELECT quarantine_id FROM quarantine
WHERE source = $source AND ($topic IS NULL OR source_topic = $topic)
    AND quarantine_id = md5(concat_ws(chr(31), source, source_topic, source_partition, source_offset));
UPDATE quarantine SET quarantine_id = quarantine_id || '@' || $run_id WHERE quarantine_id IN (FROM forgotten);
UPDATE quarantine_attempts SET quarantine_id = quarantine_id || '@' || $run_id WHERE quarantine_id IN (FROM forgotten);
UPDATE internal.dead_letters SET quarantine_id = quarantine_id || '@' || $run_id WHERE quarantine_id IN (FROM forgotten);
