-- The person of each loaded row.
CREATE OR REPLACE TEMP TABLE newcomers AS
SELECT rid, coalesce(p.profile_id, l.customer_id) AS profile_id, true AS identified
FROM loaded AS l LEFT JOIN internal.people AS p USING (customer_id)
WHERE l.customer_id IS NOT NULL
UNION ALL
SELECT rid, profile_id, identified FROM resolved WHERE rid >= 0;

-- Stored rows that change hands: of a device, and of a customer id whose person is another now.
CREATE OR REPLACE TEMP TABLE moved AS
SELECT r.rid, t.profile_id AS left_profile, r.profile_id, r.identified
FROM resolved AS r JOIN touchpoints AS t ON t.rowid = -1 - r.rid
WHERE r.rid < 0 AND r.profile_id <> t.profile_id
UNION ALL
SELECT -1 - t.rowid, t.profile_id, coalesce(p.profile_id, t.customer_id), true
FROM touchpoints AS t
SEMI JOIN changed_people USING (customer_id)
ANTI JOIN demoted AS d ON d.stored_row = t.rowid
LEFT JOIN internal.people AS p ON p.customer_id = t.customer_id
WHERE t.profile_id <> coalesce(p.profile_id, t.customer_id);

-- Everyone whose history changes: before and after a link moves rows, and before a row is demoted.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT profile_id FROM newcomers
UNION
SELECT profile_id FROM moved
UNION
SELECT left_profile FROM moved
UNION
SELECT profile_id FROM demoted;
