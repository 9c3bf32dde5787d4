-- Every valid record of the slice, narrow: what deciding its fate takes.
CREATE OR REPLACE TEMP TABLE arrivals AS
SELECT
    rid, event_id, md5_number_lower(event_id) AS event_key, occurred_at, content_sha256, customer_id,
    anonymous_id, source_name, source_topic, source_partition, source_offset
FROM staged;
