-- Devices whose links changed other than by one more touchpoint, or whose customers did.
CREATE OR REPLACE TEMP TABLE turned AS
SELECT anonymous_id FROM changed_links WHERE anonymous_id IS NOT NULL
UNION
SELECT anonymous_id FROM identity_links SEMI JOIN changed_people USING (customer_id) WHERE anonymous_id IS NOT NULL;

-- The stored links of every device that the slice speaks of.
CREATE OR REPLACE TEMP TABLE old_links AS
SELECT anonymous_id, customer_id, linked_at, status
FROM identity_links
SEMI JOIN (SELECT anonymous_id FROM loaded WHERE anonymous_id IS NOT NULL UNION FROM turned) USING (anonymous_id);
