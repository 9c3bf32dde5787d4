-- The terminations that leave their owner nothing, by what was known at their instant: no other contract was held then,
-- whether in force yet or not. One by another person than the owner ends nothing.
CREATE OR REPLACE TEMP TABLE last_ends AS
WITH held AS (
    SELECT contract_id, profile_id, held_from, terminated_at, terminated_by
    FROM (
        SELECT contract_id, profile_id, held_from, terminated_at, terminated_by
        FROM contracts ANTI JOIN touched_contracts USING (contract_id)
        UNION ALL
        SELECT contract_id, profile_id, held_from, terminated_at, terminated_by FROM built_contracts
    )
    SEMI JOIN touched USING (profile_id)
),
expiring AS (
    SELECT contract_id, effective_to
    FROM ref_contracts SEMI JOIN held USING (contract_id)
    QUALIFY row_number() OVER (PARTITION BY contract_id ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1
)
SELECT profile_id, terminated_by AS event_id
FROM held AS ended
WHERE terminated_by IS NOT NULL AND NOT EXISTS (
    FROM held AS other LEFT JOIN expiring USING (contract_id)
    WHERE other.profile_id = ended.profile_id
        AND other.held_from <= ended.terminated_at
        AND coalesce(other.terminated_at > ended.terminated_at, true)
        AND coalesce(effective_to > ended.terminated_at, true)
);
