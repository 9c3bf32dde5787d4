-- Links that changed, but for a touchpoint's new link of a device, and why.
CREATE OR REPLACE TEMP TABLE changed_links AS
SELECT anonymous_id, other_customer_id, customer_id, kind AS cause FROM gone_links
UNION ALL
SELECT anonymous_id, other_customer_id, customer_id, kind FROM decided_links
UNION ALL
SELECT anonymous_id, other_customer_id, customer_id, kind FROM new_links WHERE kind <> 'device';

CREATE OR REPLACE TEMP VIEW customer_links AS
SELECT other_customer_id, customer_id, linked_at FROM identity_links
WHERE other_customer_id IS NOT NULL AND status = 'active'
UNION ALL
SELECT other_customer_id, customer_id, linked_at FROM new_links WHERE other_customer_id IS NOT NULL AND status = 'active';

CREATE OR REPLACE TEMP TABLE seeds AS
SELECT customer_id FROM changed_links WHERE other_customer_id IS NOT NULL
UNION
SELECT other_customer_id FROM changed_links WHERE other_customer_id IS NOT NULL;
