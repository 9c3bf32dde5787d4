-- Devices whose stored touchpoints may change hands: their links changed, and they do not simply stay with one customer.
CREATE OR REPLACE TEMP TABLE relinked AS
WITH before AS (
    SELECT anonymous_id, min(customer_id) AS lowest, max(customer_id) AS highest FROM old_links GROUP BY ALL
),
changed AS (
    SELECT anonymous_id FROM new_links
    UNION
    SELECT anonymous_id FROM demoted WHERE anonymous_id IS NOT NULL AND customer_id IS NOT NULL
)
SELECT anonymous_id
FROM changed
LEFT JOIN before USING (anonymous_id)
LEFT JOIN devices USING (anonymous_id)
WHERE NOT coalesce(
    before.lowest = before.highest AND devices.lowest = devices.highest AND before.lowest = devices.lowest, false
);
