-- Devices whose stored touchpoints may change hands: they turned, or met someone and do not simply stay with one person.
CREATE OR REPLACE TEMP TABLE relinked AS
WITH before AS (
    SELECT
        anonymous_id, min(coalesce(p.profile_id, l.customer_id)) AS lowest, max(coalesce(p.profile_id, l.customer_id)) AS highest
    FROM old_links AS l LEFT JOIN internal.people AS p USING (customer_id)
    WHERE status <> 'unlinked'
    GROUP BY ALL
)
FROM turned
UNION
SELECT anonymous_id
FROM (SELECT DISTINCT anonymous_id FROM new_links WHERE anonymous_id IS NOT NULL)
LEFT JOIN before USING (anonymous_id)
LEFT JOIN devices USING (anonymous_id)
WHERE NOT coalesce(
    before.lowest = before.highest AND devices.lowest = devices.highest AND before.lowest = devices.lowest, false
);
