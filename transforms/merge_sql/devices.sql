-- How many persons each device met, by the links that nobody took back.
CREATE OR REPLACE TEMP TABLE device_links AS
SELECT anonymous_id, coalesce(p.profile_id, l.customer_id) AS profile_id, linked_at
FROM (
    SELECT anonymous_id, customer_id, linked_at, status FROM old_links
    UNION ALL
    SELECT anonymous_id, customer_id, linked_at, status FROM new_links WHERE anonymous_id IS NOT NULL
) AS l
LEFT JOIN internal.people AS p USING (customer_id)
WHERE status <> 'unlinked';

CREATE OR REPLACE TEMP TABLE devices AS
WITH ends AS (
    SELECT anonymous_id, min(profile_id) AS lowest, max(profile_id) AS highest FROM device_links GROUP BY ALL
),
shared AS (
    SELECT anonymous_id, count(DISTINCT profile_id) AS persons
    FROM device_links SEMI JOIN (FROM ends WHERE lowest < highest) USING (anonymous_id)
    GROUP BY ALL
)
SELECT anonymous_id, lowest, highest, coalesce(persons, 1) AS persons
FROM ends LEFT JOIN shared USING (anonymous_id);
