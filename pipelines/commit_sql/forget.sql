-- Another log's record may come to stand at the same place: it must neither overwrite nor settle what was rejected there.
CREATE OR REPLACE TEMP TABLE forgotten AS
SELECT quarantine_id, source_topic, status FROM quarantine
WHERE source = $source AND ($topic IS NULL OR source_topic = $topic)
    AND quarantine_id = md5(concat_ws(chr(31), source, source_topic, source_partition, source_offset));
UPDATE quarantine SET quarantine_id = quarantine_id || '@' || $run_id
WHERE quarantine_id IN (SELECT quarantine_id FROM forgotten);
UPDATE quarantine_attempts SET quarantine_id = quarantine_id || '@' || $run_id
WHERE quarantine_id IN (SELECT quarantine_id FROM forgotten);
UPDATE internal.dead_letters SET quarantine_id = quarantine_id || '@' || $run_id
WHERE quarantine_id IN (SELECT quarantine_id FROM forgotten);

-- Equal rows of a file are counted anew; where some are still to be tried, theirs go on being counted apart.
DELETE FROM internal.row_hashes
WHERE source = $source AND topic IN (
    SELECT topic FROM internal.offsets WHERE source = $source AND ($topic IS NULL OR topic = $topic)
    EXCEPT SELECT source_topic FROM forgotten WHERE status = 'open'
);
UPDATE internal.row_hashes SET topic = topic || '@' || $run_id
WHERE source = $source AND topic IN (SELECT source_topic FROM forgotten WHERE status = 'open');

DELETE FROM internal.offsets WHERE source = $source AND ($topic IS NULL OR topic = $topic);
