-- The selected records that are open, and what was decided about each.
CREATE OR REPLACE TEMP TABLE tried_records AS
WITH decided AS (
    SELECT
        quarantine_id,
        -- given up and come back, a record is read as before
        coalesce(list(change ORDER BY nth) FILTER (change NOT IN ('{}', '{"discard": true}')), []) AS changes,
        max_by(fix_id, nth) FILTER (edited IS NOT NULL) AS edited_by
    FROM (
        SELECT quarantine_id, unnest(fixes) AS fix_id, generate_subscripts(fixes, 1) AS nth
        FROM quarantine SEMI JOIN selected USING (quarantine_id)
        WHERE status = 'open' AND fixes <> []
    )
    JOIN fixes USING (fix_id)
    GROUP BY quarantine_id
)
SELECT
    q.rowid AS stored_row, q.quarantine_id, q.source, q.source_topic, q.source_partition, q.source_offset, q.form,
    -- what a person wrote in place of an Avro or Parquet record is JSON
    CASE WHEN d.edited_by IS NULL OR f.format = 'csv' THEN q.context_id END AS context_id,
    coalesce(d.changes, []) AS changes, d.edited_by, octet_length(coalesce(q.raw, ''::BLOB)) AS bytes,
    CASE
        WHEN q.reason = 'too_large' AND d.edited_by IS NULL THEN 'cut'
        WHEN q.step = 'conflict' AND q.fixes = [] AND k.event_key IS NOT NULL THEN 'conflict'
    END AS why_not
FROM quarantine AS q
SEMI JOIN selected USING (quarantine_id)
LEFT JOIN decided AS d USING (quarantine_id)
LEFT JOIN source_formats AS f USING (source)
LEFT JOIN (
    SELECT DISTINCT event_key, event_id FROM touchpoints
    SEMI JOIN (
        SELECT md5_number_lower(value) AS event_key FROM quarantine SEMI JOIN selected USING (quarantine_id)
        WHERE status = 'open' AND step = 'conflict'
    ) USING (event_key)
) AS k ON q.step = 'conflict' AND k.event_key = md5_number_lower(q.value) AND k.event_id = q.value
WHERE q.status = 'open';

CREATE OR REPLACE TEMP TABLE not_tried AS
SELECT quarantine_id, why_not AS why FROM tried_records WHERE why_not IS NOT NULL
UNION ALL
SELECT quarantine_id, 'open' FROM (SELECT DISTINCT quarantine_id FROM selected) ANTI JOIN tried_records USING (quarantine_id);
DELETE FROM tried_records WHERE why_not IS NOT NULL;

-- Of one place several may be tried: of logs that were forgotten, and of files that were replaced.
CREATE OR REPLACE TEMP TABLE placed_records AS
SELECT
    *, split_part(quarantine_id, '@', 2) AS forgotten_by, edited_by IS NOT NULL AS edited,
    row_number() OVER (
        PARTITION BY source, source_topic, source_partition, source_offset, contains(quarantine_id, '@')
        ORDER BY quarantine_id
    ) AS copy
FROM tried_records;

CREATE OR REPLACE TEMP TABLE alike AS
SELECT
    source, form, changes, edited, source_topic, source_partition, context_id, forgotten_by, copy,
    row_number() OVER (
        ORDER BY source, form, changes, edited, source_topic, source_partition, context_id, forgotten_by, copy
    ) AS number
FROM (
    SELECT DISTINCT source, form, changes, edited, source_topic, source_partition, context_id, forgotten_by, copy
    FROM placed_records
);

CREATE OR REPLACE TEMP TABLE tried AS
WITH numbered AS (
    SELECT p.stored_row, p.quarantine_id, p.source_offset, p.edited_by, a.number, p.bytes
    FROM placed_records AS p
    JOIN alike AS a
        ON a.source = p.source AND a.form = p.form AND a.changes = p.changes AND a.edited = p.edited
            AND a.source_topic = p.source_topic AND a.source_partition = p.source_partition
            AND a.context_id IS NOT DISTINCT FROM p.context_id AND a.forgotten_by = p.forgotten_by AND a.copy = p.copy
),
measured AS (
    SELECT
        *,
        (row_number() OVER ordered - 1) // $most_records AS by_records,
        sum(bytes) OVER (ordered ROWS UNBOUNDED PRECEDING) // $most_bytes AS by_bytes
    FROM numbered WINDOW ordered AS (PARTITION BY number ORDER BY source_offset)
)
SELECT
    stored_row, quarantine_id, edited_by, number, batch::INTEGER AS batch,
    (batch << $range_bits) + source_offset - min(source_offset) OVER (PARTITION BY batch) AS rid
FROM (SELECT *, dense_rank() OVER (ORDER BY number, by_records, by_bytes) AS batch FROM measured);

CREATE OR REPLACE TEMP TABLE batches AS
SELECT
    t.batch, a.source, a.source_topic, a.source_partition, a.form, a.context_id, a.changes, a.edited,
    CASE WHEN a.forgotten_by <> '' THEN a.copy END AS copy, nullif(a.forgotten_by, '') AS forgotten_by
FROM alike AS a JOIN (SELECT DISTINCT number, batch FROM tried) AS t USING (number);
