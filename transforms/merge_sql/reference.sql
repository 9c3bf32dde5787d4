-- One reference input's part of a slice: which rows of $relation it brings, replaces and leaves.

INSERT INTO reference_arrivals SELECT source_name, source_topic, source_partition, source_offset FROM $staged;

-- Stored rows that no longer stand: their place was read again, or their file was from its beginning.
CREATE OR REPLACE TEMP TABLE reference_reread AS
SELECT t.rowid AS stored_row
FROM $relation AS t
SEMI JOIN (
    SELECT source_name, source_topic, source_partition, source_offset FROM $staged
    UNION ALL
    SELECT source_name, source_topic, source_partition, source_offset FROM staged_rejected
    ANTI JOIN standing USING (source_name, source_topic, source_partition, source_offset)
) USING (source_name, source_topic, source_partition, source_offset)
UNION
SELECT t.rowid
FROM $relation AS t
SEMI JOIN reloaded USING (source_name, source_topic)
-- a row that was loaded with a fix does not come again by itself
ANTI JOIN (FROM quarantine WHERE status = 'replayed' AND fixes <> []) AS q
    ON q.source = t.source_name AND q.source_topic = t.source_topic AND q.source_partition = t.source_partition
        AND q.source_offset = t.source_offset
UNION
-- but it does not outlive its place: a file that is read to its end has nothing behind it
SELECT t.rowid
FROM $relation AS t JOIN ended AS e USING (source_name, source_topic)
WHERE t.source_partition = 0 AND t.source_offset >= e.next_offset;

CREATE OR REPLACE TEMP TABLE reference_keys AS
SELECT $key FROM $staged
UNION
SELECT $key FROM $relation WHERE rowid IN (FROM reference_reread);

CREATE OR REPLACE TEMP TABLE reference_before AS
SELECT rowid AS stored_row, $columns FROM $relation SEMI JOIN reference_keys USING ($key);

-- Of all records of one key and valid_from the one that stands last counts, so that the order of arrival does not.
CREATE OR REPLACE TEMP TABLE reference_after AS
SELECT $columns
FROM (
    SELECT $columns FROM reference_before ANTI JOIN reference_reread USING (stored_row)
    UNION ALL
    SELECT $columns FROM $staged
)
QUALIFY row_number() OVER (
    PARTITION BY $key, valid_from
    ORDER BY source_topic DESC, source_partition DESC, source_offset DESC, source_name DESC
) = 1;

-- What is equal before and after is left alone, also where it was read again.
CREATE OR REPLACE TEMP TABLE reference_new AS
SELECT $columns FROM reference_after EXCEPT SELECT $columns FROM reference_before;
CREATE OR REPLACE TEMP TABLE reference_gone AS
SELECT $columns FROM reference_before EXCEPT SELECT $columns FROM reference_after;

INSERT INTO $changed
SELECT $key
FROM (
    (SELECT $fields FROM reference_new EXCEPT SELECT $fields FROM reference_gone)
    UNION ALL
    (SELECT $fields FROM reference_gone EXCEPT SELECT $fields FROM reference_new)
)
GROUP BY ALL;

INSERT INTO reference_fates
SELECT source_name, source_topic, source_partition, 'loaded', count(*) FROM reference_new GROUP BY ALL
UNION ALL
SELECT source_name, source_topic, source_partition, 'demoted', count(*) FROM reference_gone GROUP BY ALL
UNION ALL
SELECT source_name, source_topic, source_partition, 'duplicate', count(*)
FROM $staged ANTI JOIN reference_new USING (source_name, source_topic, source_partition, source_offset)
GROUP BY ALL;

DELETE FROM $relation WHERE rowid IN (
    SELECT stored_row
    FROM reference_before
    SEMI JOIN reference_gone USING (source_name, source_topic, source_partition, source_offset)
);
INSERT INTO $relation BY NAME SELECT $columns, '$run_id' AS run_id FROM reference_new;
