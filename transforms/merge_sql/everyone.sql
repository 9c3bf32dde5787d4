-- A rebuild's seeds: every customer id that has or had another name.
CREATE OR REPLACE TEMP VIEW customer_links AS
SELECT other_customer_id, customer_id, linked_at FROM new_links WHERE other_customer_id IS NOT NULL AND status = 'active';

CREATE OR REPLACE TEMP TABLE seeds AS
SELECT customer_id FROM customer_links
UNION
SELECT other_customer_id FROM customer_links
UNION
SELECT customer_id FROM internal.people
UNION
SELECT profile_id FROM internal.people;
