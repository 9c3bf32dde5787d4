-- How many customers each device met.
CREATE OR REPLACE TEMP TABLE devices AS
WITH ends AS (
    SELECT anonymous_id, min(customer_id) AS lowest, max(customer_id) AS highest FROM device_links GROUP BY ALL
),
shared AS (
    SELECT anonymous_id, count(DISTINCT customer_id) AS customers
    FROM device_links SEMI JOIN (FROM ends WHERE lowest < highest) USING (anonymous_id)
    GROUP BY ALL
)
SELECT anonymous_id, lowest, highest, coalesce(customers, 1) AS customers
FROM ends LEFT JOIN shared USING (anonymous_id);
