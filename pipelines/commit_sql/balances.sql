-- What became of each record, by slice and topic-partition. Rows demoted may come from a partition that this slice did not read.
CREATE OR REPLACE TEMP TABLE balances AS
WITH counted AS (
    SELECT source_name, source_topic, source_partition, coalesce(fate, 'loaded') AS fate, count(*) AS rows
    FROM arrivals LEFT JOIN fates USING (rid)
    GROUP BY ALL
    UNION ALL
    SELECT source_name, source_topic, source_partition, 'demoted', count(*) FROM demoted GROUP BY ALL
    UNION ALL
    FROM reference_fates
),
fate_sums AS (
    SELECT
        source_name, source_topic, source_partition,
        coalesce(sum(rows) FILTER (fate = 'loaded'), 0) AS loaded,
        coalesce(sum(rows) FILTER (fate = 'duplicate'), 0) AS duplicate,
        coalesce(sum(rows) FILTER (fate = 'conflict'), 0) AS conflict,
        coalesce(sum(rows) FILTER (fate = 'demoted'), 0) AS demoted
    FROM counted GROUP BY ALL
),
read_sums AS (
    SELECT
        source, topic, partition, min(start) AS from_offset, max(next_offset) AS to_offset, sum(read) AS read,
        sum(invalid) AS invalid, sum(gap) AS gap, nullif(string_agg(DISTINCT gap_reason, '; '), '') AS gap_reason
    FROM manifests GROUP BY ALL
)
SELECT
    coalesce(r.source, f.source_name) AS source, coalesce(r.topic, f.source_topic) AS topic,
    coalesce(r.partition, f.source_partition) AS partition,
    coalesce(from_offset, 0)::BIGINT AS from_offset, coalesce(to_offset, 0)::BIGINT AS to_offset,
    coalesce(read, 0)::BIGINT AS read, coalesce(loaded, 0)::BIGINT AS loaded,
    coalesce(duplicate, 0)::BIGINT AS duplicate, (coalesce(invalid, 0) + coalesce(conflict, 0))::BIGINT AS quarantined,
    coalesce(demoted, 0)::BIGINT AS demoted, coalesce(gap, 0)::BIGINT AS gap, gap_reason
FROM read_sums AS r
FULL JOIN fate_sums AS f
    ON f.source_name = r.source AND f.source_topic = r.topic AND f.source_partition = r.partition;
