-- A rebuild: no record arrives, every link is made anew, every device is looked at, and everyone is touched.
CREATE OR REPLACE TEMP VIEW linking AS
SELECT
    event_id, occurred_at, anonymous_id, customer_id,
    CASE WHEN event_type IN (FROM merging) THEN merged_customer(attributes) END AS merged_customer_id
FROM touchpoints
WHERE customer_id IS NOT NULL;

CREATE OR REPLACE TEMP VIEW linking_aliases AS SELECT id_type, id, customer_id, valid_from FROM ref_aliases;
