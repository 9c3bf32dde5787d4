-- A rebuild: no record arrives, every device is looked at anew, and everyone is touched.
CREATE OR REPLACE TEMP TABLE new_links AS
SELECT
    md5('device' || chr(31) || anonymous_id || chr(31) || customer_id || chr(31) || event_id) AS link_id,
    anonymous_id, customer_id, event_id, occurred_at AS linked_at
FROM touchpoints
WHERE anonymous_id IS NOT NULL AND customer_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE device_links AS SELECT anonymous_id, customer_id, event_id, linked_at FROM new_links;

CREATE OR REPLACE TEMP TABLE relinked AS SELECT DISTINCT anonymous_id FROM touchpoints WHERE anonymous_id IS NOT NULL;
