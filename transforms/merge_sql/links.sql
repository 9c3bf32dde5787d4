-- A touchpoint with both ids links its device to its customer, for all of the device's touchpoints.
CREATE OR REPLACE TEMP TABLE new_links AS
SELECT
    md5('device' || chr(31) || anonymous_id || chr(31) || customer_id || chr(31) || event_id) AS link_id,
    anonymous_id, customer_id, event_id, occurred_at AS linked_at
FROM loaded
WHERE anonymous_id IS NOT NULL AND customer_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE old_links AS
SELECT anonymous_id, customer_id, event_id, linked_at
FROM identity_links
SEMI JOIN (
    SELECT anonymous_id FROM loaded WHERE anonymous_id IS NOT NULL
    UNION
    SELECT anonymous_id FROM demoted WHERE anonymous_id IS NOT NULL
) USING (anonymous_id);

CREATE OR REPLACE TEMP TABLE device_links AS
SELECT * FROM old_links ANTI JOIN demoted USING (event_id)
UNION ALL
SELECT anonymous_id, customer_id, event_id, linked_at FROM new_links;
