-- Contracts as they stood at an instant: only touchpoints with occurred_at <= as_of count, and the reference input's
-- version in force then. Before its first version is in force, that one tells what no signing had told.
CREATE MACRO contracts_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
versions AS (
    SELECT
        v.contract_id, v.customer_id, v.product, v.effective_from, v.effective_to, v.due_at, v.annual_premium, v.currency,
        coalesce(p.profile_id, v.customer_id) AS profile_id,
        coalesce(v.valid_from, '-infinity'::TIMESTAMP) AS since,
        since <= until AS is_valid
    FROM ref_contracts AS v
    CROSS JOIN instant
    LEFT JOIN internal.people AS p USING (customer_id)
),
reference AS (
    SELECT contract_id, coalesce(arg_max(versions, since) FILTER (is_valid), arg_min(versions, since)) AS version
    FROM versions
    GROUP BY contract_id
),
seen AS (
    SELECT
        c.*,
        r.version,
        CASE WHEN r.version.is_valid THEN r.version END AS valid,
        CASE WHEN c.signed_at <= until THEN c.signed END AS told,
        until,
        least(c.signed_at, c.renewed_at[1]) AS first_held
    FROM contracts AS c
    CROSS JOIN instant
    LEFT JOIN reference AS r USING (contract_id)
    WHERE least(first_held, r.version.effective_from, c.terminated_at) <= until
),
known AS (
    SELECT
        * EXCLUDE (version, valid, told, first_held) REPLACE (
            coalesce(version.profile_id, profile_id) AS profile_id,
            coalesce(version.customer_id, customer_id) AS customer_id,
            coalesce(version.product, product) AS product,
            CASE
                WHEN first_held <= until THEN first_held WHEN version.effective_from <= until THEN version.effective_from
            END AS held_from,
            CASE WHEN signed_at <= until THEN signed_at END AS signed_at,
            CASE WHEN signed_at <= until THEN signed_by END AS signed_by,
            coalesce(valid.effective_from, told.effective_from, version.effective_from) AS effective_from,
            coalesce(valid.effective_to, told.effective_to, version.effective_to) AS effective_to,
            coalesce(valid.due_at, told.due_at, version.due_at) AS due_at,
            CASE WHEN terminated_at <= until THEN terminated_at END AS terminated_at,
            CASE WHEN terminated_at <= until THEN terminated_by END AS terminated_by,
            CASE WHEN terminated_at <= until THEN termination_effective_to END AS termination_effective_to,
            CASE WHEN terminated_at <= until THEN initiator END AS initiator,
            CASE WHEN terminated_at <= until THEN reason END AS reason,
            list_filter(renewed_at, lambda instant: instant <= until) AS renewed_at,
            coalesce(valid.annual_premium, told.annual_premium, version.annual_premium) AS annual_premium,
            CASE
                WHEN valid.annual_premium IS NOT NULL THEN valid.currency
                WHEN told.annual_premium IS NOT NULL THEN told.currency
                WHEN version.annual_premium IS NOT NULL THEN version.currency
            END AS currency,
            told AS signed,
            list_filter(renewals, lambda renewal: renewal.renewed_at <= until) AS renewals
        ),
        CASE
            WHEN terminated_at <= until THEN coalesce(termination_effective_to, terminated_at)
            ELSE version.effective_to
        END AS ends_at
    FROM seen
)
SELECT
    * EXCLUDE (until, ends_at),
    CASE WHEN coalesce(effective_from, held_from) <= until THEN coalesce(effective_from, held_from) END AS began_at,
    CASE WHEN ends_at <= until THEN ends_at END AS ended_at,
    began_at IS NOT NULL AND ended_at IS NULL AS in_force,
    CASE WHEN in_force THEN began_at END AS in_force_since
FROM known;

COMMENT ON MACRO TABLE contracts_at IS 'Contracts as they stood at an instant (UTC): those held, in force or terminated by then, the columns of contracts by what had occurred and by the version of the reference input in force then (before its first one: by the signing, else by that one), and whether, since when and until when each was in force: from effective_from, else held_from, to the end that the termination names, else the termination, else effective_to of the reference input. At its end it is no longer in force.';
