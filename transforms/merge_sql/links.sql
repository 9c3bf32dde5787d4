-- What of a slice links: its touchpoints, and the aliases that changed.
CREATE OR REPLACE TEMP VIEW linking AS
SELECT event_id, occurred_at, anonymous_id, customer_id, merged_customer_id
FROM loaded
LEFT JOIN (
    SELECT rid, merged_customer(attributes) AS merged_customer_id FROM staged SEMI JOIN merging USING (event_type)
) USING (rid)
WHERE customer_id IS NOT NULL;

CREATE OR REPLACE TEMP VIEW linking_aliases AS
SELECT id_type, id, customer_id, valid_from FROM ref_aliases SEMI JOIN changed_aliases USING (id_type, id);

-- Stored links that no longer stand: their touchpoint was demoted, or their alias says something else now.
CREATE OR REPLACE TEMP TABLE gone_links AS
SELECT rowid AS stored_row, anonymous_id, other_customer_id, customer_id, kind
FROM identity_links SEMI JOIN demoted USING (event_id)
UNION ALL
SELECT rowid, anonymous_id, other_customer_id, customer_id, kind
FROM identity_links SEMI JOIN (SELECT id AS anonymous_id FROM changed_aliases WHERE id_type = 'anonymous_id')
USING (anonymous_id)
WHERE kind = 'alias'
UNION ALL
SELECT rowid, anonymous_id, other_customer_id, customer_id, kind
FROM identity_links SEMI JOIN (SELECT id AS other_customer_id FROM changed_aliases WHERE id_type = 'customer_id')
USING (other_customer_id)
WHERE kind = 'alias';
DELETE FROM identity_links WHERE rowid IN (SELECT stored_row FROM gone_links);

-- Stored links of a pair that was just decided about.
CREATE OR REPLACE TEMP TABLE decided_links AS
SELECT
    l.rowid AS stored_row, l.anonymous_id, l.other_customer_id, l.customer_id, d.kind,
    if(u.id IS NULL, 'active', 'unlinked') AS status
FROM (
    SELECT true AS is_device, id, customer_id, kind FROM decided
    UNION
    SELECT false, id, customer_id, kind FROM decided
    UNION
    SELECT false, customer_id, id, kind FROM decided
) AS d
JOIN identity_links AS l
    ON coalesce(l.anonymous_id, l.other_customer_id) = d.id AND l.customer_id = d.customer_id
        AND (l.anonymous_id IS NOT NULL) = d.is_device
LEFT JOIN unlinked AS u ON u.is_device = d.is_device AND u.id = d.id AND u.customer_id = d.customer_id;
UPDATE identity_links SET status = d.status FROM decided_links AS d WHERE identity_links.rowid = d.stored_row;
