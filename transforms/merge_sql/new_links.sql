-- Each link of the touchpoints in linking and of the aliases in linking_aliases. One that holds since ever stands for a
-- device at the first instant that a touchpoint may have, so that the nearest in time is always told.
CREATE OR REPLACE TEMP TABLE new_links AS
WITH told AS (
    SELECT
        'device' AS kind, anonymous_id, NULL::VARCHAR AS other_customer_id, customer_id, event_id,
        occurred_at AS linked_at, event_id AS told_by
    FROM linking WHERE anonymous_id IS NOT NULL
    UNION ALL
    SELECT 'merge', NULL, merged_customer_id, customer_id, event_id, occurred_at, event_id
    FROM linking WHERE merged_customer_id <> customer_id
    UNION ALL
    SELECT
        'alias', id, NULL, customer_id, NULL, coalesce(valid_from, TIMESTAMP '2000-01-01'), coalesce(valid_from::VARCHAR, '')
    FROM linking_aliases WHERE id_type = 'anonymous_id'
    UNION ALL
    SELECT 'alias', NULL, id, customer_id, NULL, valid_from, coalesce(valid_from::VARCHAR, '')
    FROM linking_aliases WHERE id_type = 'customer_id'
)
SELECT
    md5(concat_ws(
        chr(31), kind, if(anonymous_id IS NULL, 'customer_id', 'anonymous_id'), coalesce(anonymous_id, other_customer_id),
        told.customer_id, told_by
    )) AS link_id,
    anonymous_id, other_customer_id, told.customer_id, event_id, linked_at, kind,
    if(u.id IS NULL, 'active', 'unlinked') AS status
FROM told
LEFT JOIN unlinked AS u
    ON u.is_device = (anonymous_id IS NOT NULL) AND u.id = coalesce(anonymous_id, other_customer_id)
        AND u.customer_id = told.customer_id;
