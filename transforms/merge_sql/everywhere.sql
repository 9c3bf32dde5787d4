-- A rebuild's devices: no link is an old one, and the touchpoints of all may change hands.
CREATE OR REPLACE TEMP TABLE old_links AS
SELECT anonymous_id, customer_id, linked_at, status FROM identity_links WHERE false;

CREATE OR REPLACE TEMP TABLE relinked AS SELECT DISTINCT anonymous_id FROM touchpoints WHERE anonymous_id IS NOT NULL;
