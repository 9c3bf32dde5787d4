DELETE FROM internal.offsets WHERE source = $source AND ($topic IS NULL OR topic = $topic);
DELETE FROM internal.row_hashes WHERE source = $source AND ($topic IS NULL OR topic = $topic);

-- Another log's record may come to stand at the same place: it must neither overwrite nor settle what was rejected there.
UPDATE quarantine SET quarantine_id = quarantine_id || '@' || $run_id
WHERE source = $source AND ($topic IS NULL OR source_topic = $topic) AND step <> 'conflict'
    AND NOT contains(quarantine_id, '@');
