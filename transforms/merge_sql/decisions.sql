-- The pairs that people hold apart: of the decisions of a pair the last counts. Two customer ids are one pair in either
-- order; a device and a customer id are another pair, even where the device bears a customer's name.
CREATE OR REPLACE TEMP TABLE unlinked AS
WITH about_pairs AS (FROM decisions WHERE kind IN ('unlink', 'relink')),
pairs AS (
    SELECT true AS is_device, id, customer_id, kind, decided_at, decision_id FROM about_pairs
    UNION ALL
    SELECT false, least(id, customer_id), greatest(id, customer_id), kind, decided_at, decision_id FROM about_pairs
),
apart AS (
    SELECT is_device, id, customer_id
    FROM pairs
    GROUP BY ALL
    HAVING arg_max(kind, (decided_at, decision_id)) = 'unlink'
)
FROM apart
UNION ALL
SELECT false, customer_id, id FROM apart WHERE NOT is_device;

CREATE OR REPLACE TEMP TABLE merging AS
SELECT event_type FROM taxonomy_events WHERE list_contains(roles, 'customer_merged');

CREATE OR REPLACE TEMP MACRO merged_customer(attributes) AS
    nullif(list_filter(attributes, lambda pair: pair.key = 'merged_customer_id')[1].value, '');
