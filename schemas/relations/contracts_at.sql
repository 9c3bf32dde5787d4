-- Contracts as they stood at an instant: only touchpoints with occurred_at <= as_of count, and what the reference input
-- says. Where an instant's source is one or the other, the reference input is asked again: it counts at any instant,
-- what a signing said from that signing on.
CREATE MACRO contracts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
reference AS (
    SELECT contract_id, effective_from, effective_to, due_at, annual_premium, currency
    FROM ref_contracts
    QUALIFY row_number() OVER (PARTITION BY contract_id ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1
),
known AS (
    SELECT
        c.* REPLACE (
            CASE WHEN c.held_from <= until THEN c.held_from END AS held_from,
            CASE WHEN signed_at <= until THEN signed_at END AS signed_at,
            CASE WHEN signed_at <= until THEN signed_by END AS signed_by,
            CASE WHEN signed_at > until THEN r.effective_from ELSE c.effective_from END AS effective_from,
            CASE WHEN signed_at > until THEN r.effective_to ELSE c.effective_to END AS effective_to,
            CASE WHEN signed_at > until THEN r.due_at ELSE c.due_at END AS due_at,
            CASE WHEN terminated_at <= until THEN terminated_at END AS terminated_at,
            CASE WHEN terminated_at <= until THEN terminated_by END AS terminated_by,
            CASE WHEN terminated_at <= until THEN termination_effective_to END AS termination_effective_to,
            CASE WHEN terminated_at <= until THEN initiator END AS initiator,
            CASE WHEN terminated_at <= until THEN reason END AS reason,
            list_filter(renewed_at, lambda instant: instant <= until) AS renewed_at,
            CASE WHEN signed_at > until THEN r.annual_premium ELSE c.annual_premium END AS annual_premium,
            CASE WHEN signed_at > until THEN r.currency ELSE c.currency END AS currency
        ),
        until,
        CASE
            WHEN terminated_at <= until THEN coalesce(termination_effective_to, terminated_at)
            ELSE r.effective_to
        END AS ends_at
    FROM contracts AS c
    CROSS JOIN instant
    LEFT JOIN reference AS r USING (contract_id)
    WHERE least(c.held_from, r.effective_from, c.terminated_at) <= until
)
SELECT
    * EXCLUDE (until, ends_at),
    CASE WHEN coalesce(effective_from, held_from) <= until THEN coalesce(effective_from, held_from) END AS began_at,
    CASE WHEN ends_at <= until THEN ends_at END AS ended_at,
    began_at IS NOT NULL AND ended_at IS NULL AS in_force,
    CASE WHEN in_force THEN began_at END AS in_force_since
FROM known;

COMMENT ON MACRO TABLE contracts_at IS 'Contracts as they stood at an instant (UTC): those held, in force or terminated by then, the columns of contracts by what had occurred, and whether, since when and until when each was in force: from effective_from, else held_from, to the end that the termination names, else the termination, else effective_to of the reference input. At its end it is no longer in force.';
