-- Of several records of one key the last by its place counts: what came of a topic that is forgotten stands before all that
-- its successor has, and at none of its places. Files are told by their paths, and read again they take their own rows' place.
UPDATE $relation SET source_partition = source_partition - 1000000
WHERE source_name = $source AND ($topic IS NULL OR source_topic = $topic) AND source_topic IN (
    SELECT topic FROM internal.offsets WHERE source = $source AND contains(resume, '"topic_id"')
);
