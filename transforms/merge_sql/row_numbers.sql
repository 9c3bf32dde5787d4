-- Rows of a file that are equal are told apart by their number, counted over the whole file by offset, so
-- that cuts do not matter: the n-th equal row has the id HASH-n, the first has HASH. A file that is read again from
-- its beginning is counted anew, and with it the rows of it that were loaded with a fix; one that was forgotten is another
-- file, counted apart. Contents that are tried again bear their id.
CREATE OR REPLACE TEMP TABLE row_numbers AS
WITH numbered AS (
    SELECT
        rid, source_name, concat_ws('@', source_topic, f.run_id) AS source_topic, source_offset, event_id
    FROM arrivals
    SEMI JOIN hashed_sources USING (source_name)
    ANTI JOIN named_ranges AS n ON n.range_id = arrivals.rid >> $range_bits
    LEFT JOIN forgotten_ranges AS f ON f.range_id = arrivals.rid >> $range_bits
    UNION ALL
    SELECT NULL, source_name, source_topic, source_offset, split_part(event_id, '-', 1)
    FROM touchpoints
    SEMI JOIN (FROM standing SEMI JOIN hashed_sources USING (source_name))
    USING (source_name, source_topic, source_partition, source_offset)
)
SELECT
    a.rid, a.source_name, a.source_topic, md5_number(a.event_id) AS hash,
    coalesce(h.seen, 0) + row_number() OVER (
        PARTITION BY a.source_name, a.source_topic, a.event_id ORDER BY a.source_offset
    ) AS nth
FROM numbered AS a
LEFT JOIN (FROM internal.row_hashes ANTI JOIN restarted USING (source, topic)) AS h
    ON h.source = a.source_name AND h.topic = a.source_topic AND h.hash = md5_number(a.event_id);

UPDATE arrivals
SET event_id = arrivals.event_id || '-' || nth, event_key = md5_number_lower(arrivals.event_id || '-' || nth)
FROM row_numbers
WHERE arrivals.rid = row_numbers.rid AND nth > 1;
