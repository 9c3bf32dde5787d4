-- The person of each loaded row.
CREATE OR REPLACE TEMP TABLE newcomers AS
SELECT rid, customer_id AS profile_id, true AS identified FROM loaded WHERE customer_id IS NOT NULL
UNION ALL
SELECT rid, profile_id, identified FROM resolved WHERE rid >= 0;

-- Stored rows that change hands.
CREATE OR REPLACE TEMP TABLE moved AS
SELECT r.rid, t.profile_id AS left_profile, r.profile_id, r.identified
FROM resolved AS r JOIN touchpoints AS t ON t.rowid = -1 - r.rid
WHERE r.rid < 0 AND r.profile_id <> t.profile_id;

-- Everyone whose history changes: before and after a link moves rows, and before a row is demoted.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT profile_id FROM newcomers
UNION
SELECT profile_id FROM moved
UNION
SELECT left_profile FROM moved
UNION
SELECT profile_id FROM demoted;
