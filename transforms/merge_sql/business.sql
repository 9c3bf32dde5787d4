-- Contracts, quotes, claims and cases of the touched keys, from every touchpoint that names them, whosever it is.
--
-- What a row says comes from the touchpoint that opens it (the signing, the quote …), and where that is silent from
-- the first one, in order of time and event_id, that says it. Instants that may come several times are lists, so that
-- the relation answers for any instant.

-- The first value of an attribute, as an instant in UTC; null where it is no ISO 8601 date or time. An offset is taken
-- off by hand: a cast to TIMESTAMP would drop it, one to TIMESTAMPTZ would put the session's zone where there is none.
CREATE OR REPLACE TEMP MACRO attribute(attributes, name) AS
    list_filter(attributes, lambda pair: pair.key = name)[1].value;
CREATE OR REPLACE TEMP MACRO as_instant(text) AS
    list_transform(
        [regexp_extract(
            text,
            '^(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.]\d+)?)?)?)(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?$',
            ['instant', 'sign', 'hours', 'minutes']
        )],
        lambda part: try_cast(part.instant AS TIMESTAMP)
            - to_minutes(coalesce(try_cast(part.sign || part.hours AS BIGINT), 0) * 60)
            - to_minutes(coalesce(try_cast(part.sign || part.minutes AS BIGINT), 0))
    )[1];

-- What the roles of each event type mean here: looked at once a type, not once a touchpoint.
CREATE OR REPLACE TEMP TABLE meanings AS
SELECT
    event_type,
    money_role = 'premium' AS is_premium,
    list_contains(roles, 'contract_signed') AS signs,
    list_contains(roles, 'contract_renewed') AS renews,
    list_contains(roles, 'contract_terminated') AS terminates,
    list_contains(roles, 'quote_created') AS quotes,
    list_contains(roles, 'claim_opened') AS opens_claim,
    list_contains(roles, 'claim_closed') AS closes_claim,
    list_contains(roles, 'claim_reopened') AS reopens_claim,
    list_has_any(roles, [
        'complaint_opened', 'request_opened', 'question_asked', 'listing_offered', 'listing_asked', 'meeting_attended',
        'survey_sent', 'email_delivered'
    ]) AS opens_case,
    list_contains(roles, 'complaint_acknowledged') AS acknowledges,
    list_contains(roles, 'question_forwarded') AS forwards,
    list_has_any(roles, ['complaint_answered', 'question_answered', 'survey_answered']) AS answers,
    list_contains(roles, 'question_reminded') AS reminds,
    list_contains(roles, 'request_closed') AS closes_case,
    list_contains(roles, 'listing_matched') AS matches,
    list_transform(roles, lambda role: regexp_extract(role, '^[a-z]+')) AS subjects,
    CASE
        WHEN list_contains(subjects, 'complaint') THEN 'complaint'
        WHEN list_contains(subjects, 'request') THEN 'request'
        WHEN list_contains(subjects, 'question') THEN 'question'
        WHEN list_contains(subjects, 'listing') THEN 'listing'
        WHEN list_contains(subjects, 'meeting') THEN 'meeting'
        WHEN list_has_any(subjects, ['email', 'survey']) THEN 'message'
        ELSE 'other'
    END AS kind
FROM taxonomy_events;

CREATE OR REPLACE TEMP TABLE business_events AS
SELECT
    k.profile_id, k.identified, t.event_id, t.occurred_at, t.customer_id, t.channel, t.product, t.contract_id,
    t.quote_id, t.claim_id, t.case_id, t.value, t.currency,
    CASE WHEN signs OR terminates THEN t.attributes END AS attributes,
    m.* EXCLUDE (event_type, subjects)
FROM (
    SELECT
        t.rowid AS stored_row, coalesce(m.profile_id, t.profile_id) AS profile_id,
        coalesce(m.identified, t.identified) AS identified
    FROM touchpoints AS t
    SEMI JOIN naming AS n ON n.stored_row = t.rowid
    ANTI JOIN demoted AS d ON d.stored_row = t.rowid
    LEFT JOIN moved AS m ON m.rid = -1 - t.rowid
) AS k
JOIN touchpoints AS t ON t.rowid = k.stored_row
LEFT JOIN meanings AS m USING (event_type)
UNION ALL
SELECT
    n.profile_id, n.identified, a.event_id, s.occurred_at, s.customer_id, s.channel, s.product, s.contract_id,
    s.quote_id, s.claim_id, s.case_id, s.value, s.currency, CASE WHEN signs OR terminates THEN s.attributes END,
    m.* EXCLUDE (event_type, subjects)
FROM newcomers AS n
JOIN arrivals AS a USING (rid)
JOIN staged AS s USING (rid)
LEFT JOIN meanings AS m ON m.event_type = s.event_type
WHERE s.contract_id IS NOT NULL OR s.quote_id IS NOT NULL OR s.claim_id IS NOT NULL OR s.case_id IS NOT NULL;

-- Contracts ---------------------------------------------------------------------------------------------------------

CREATE OR REPLACE TEMP TABLE built_contracts AS
WITH events AS (
    SELECT *, (occurred_at, event_id) AS place FROM business_events SEMI JOIN touched_contracts USING (contract_id)
),
told AS (
    SELECT
        contract_id,
        arg_min(profile_id, place) AS first_profile,
        arg_min(customer_id, place) AS customer_id,
        arg_min(product, place) AS product,
        min(occurred_at) FILTER (signs OR renews) AS held_from,
        arg_min({
            profile_id: profile_id, customer_id: customer_id, product: product, occurred_at: occurred_at,
            event_id: event_id, premium: CASE WHEN is_premium THEN value END, currency: currency, attributes: attributes
        }, place) FILTER (signs) AS signing,
        arg_min({occurred_at: occurred_at, event_id: event_id, attributes: attributes}, place)
            FILTER (terminates) AS ending,
        list(occurred_at) FILTER (renews) AS renewed_at,
        list({renewed_at: occurred_at, annual_premium: value, currency: currency} ORDER BY place)
            FILTER (renews AND is_premium AND value IS NOT NULL) AS renewals
    FROM events
    GROUP BY contract_id
),
said AS (
    SELECT
        *,
        CASE WHEN signing IS NOT NULL THEN {
            effective_from: as_instant(attribute(signing.attributes, 'effective_from')),
            effective_to: as_instant(attribute(signing.attributes, 'effective_to')),
            due_at: as_instant(attribute(signing.attributes, 'due_at')),
            annual_premium: signing.premium,
            currency: CASE WHEN signing.premium IS NOT NULL THEN signing.currency END
        } END AS signed
    FROM told
),
reference AS (
    SELECT r.*, coalesce(p.profile_id, r.customer_id) AS profile_id
    FROM ref_contracts AS r
    SEMI JOIN touched_contracts USING (contract_id)
    LEFT JOIN internal.people AS p USING (customer_id)
    QUALIFY row_number() OVER (PARTITION BY contract_id ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1
)
SELECT
    contract_id,
    coalesce(r.profile_id, t.signing.profile_id, t.first_profile) AS profile_id,
    coalesce(r.customer_id, t.signing.customer_id, t.customer_id) AS customer_id,
    coalesce(r.product, t.signing.product, t.product) AS product,
    coalesce(t.held_from, r.effective_from) AS held_from,
    t.signing.occurred_at AS signed_at,
    t.signing.event_id AS signed_by,
    coalesce(r.effective_from, t.signed.effective_from) AS effective_from,
    coalesce(r.effective_to, t.signed.effective_to) AS effective_to,
    coalesce(r.due_at, t.signed.due_at) AS due_at,
    t.ending.occurred_at AS terminated_at,
    t.ending.event_id AS terminated_by,
    as_instant(attribute(t.ending.attributes, 'effective_to')) AS termination_effective_to,
    attribute(t.ending.attributes, 'initiator') AS initiator,
    attribute(t.ending.attributes, 'reason') AS reason,
    coalesce(list_sort(t.renewed_at), []) AS renewed_at,
    coalesce(r.annual_premium, t.signed.annual_premium) AS annual_premium,
    CASE WHEN r.annual_premium IS NOT NULL THEN r.currency ELSE t.signed.currency END AS currency,
    t.signed,
    coalesce(t.renewals, []) AS renewals
FROM said AS t FULL JOIN reference AS r USING (contract_id);

-- Quotes ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE TEMP TABLE built_quotes AS
WITH events AS (
    SELECT *, (occurred_at, event_id) AS place FROM business_events SEMI JOIN touched_quotes USING (quote_id)
),
told AS (
    SELECT
        quote_id,
        min(occurred_at) AS first_at,
        coalesce(arg_min(profile_id, place) FILTER (identified), arg_min(profile_id, place)) AS profile_id,
        arg_min(product, place) AS product,
        arg_min(channel, place) AS channel,
        arg_min({
            occurred_at: occurred_at, event_id: event_id, product: product, channel: channel, value: value,
            currency: currency
        }, place) FILTER (quotes) AS quoting,
        arg_min({occurred_at: occurred_at, event_id: event_id, contract_id: contract_id}, place)
            FILTER (signs) AS binding
    FROM events
    GROUP BY quote_id
)
SELECT
    quote_id,
    profile_id,
    first_at,
    coalesce(quoting.product, product) AS product,
    coalesce(quoting.channel, channel) AS channel,
    quoting.occurred_at AS quoted_at,
    quoting.event_id AS quoted_by,
    quoting.value AS value,
    CASE WHEN quoting.value IS NOT NULL THEN quoting.currency END AS currency,
    binding.occurred_at AS bound_at,
    binding.event_id AS bound_by,
    binding.contract_id AS contract_id
FROM told;

-- Claims ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE TEMP TABLE built_claims AS
WITH events AS (
    SELECT *, (occurred_at, event_id) AS place FROM business_events SEMI JOIN touched_claims USING (claim_id)
),
told AS (
    SELECT
        claim_id,
        min(occurred_at) AS first_at,
        coalesce(arg_min(profile_id, place) FILTER (identified), arg_min(profile_id, place)) AS profile_id,
        arg_min(contract_id, place) AS contract_id,
        arg_min(product, place) AS product,
        arg_min({occurred_at: occurred_at, event_id: event_id, contract_id: contract_id, product: product}, place)
            FILTER (opens_claim) AS opening,
        list(occurred_at) FILTER (closes_claim) AS closed_at,
        list(occurred_at) FILTER (reopens_claim) AS reopened_at
    FROM events
    GROUP BY claim_id
)
SELECT
    claim_id,
    profile_id,
    first_at,
    coalesce(opening.contract_id, contract_id) AS contract_id,
    coalesce(opening.product, product) AS product,
    opening.occurred_at AS opened_at,
    opening.event_id AS opened_by,
    coalesce(list_sort(closed_at), []) AS closed_at,
    coalesce(list_sort(reopened_at), []) AS reopened_at
FROM told;

-- Cases: complaints, requests, questions, listings, meetings, messages ----------------------------------------------

CREATE OR REPLACE TEMP TABLE built_cases AS
WITH events AS (
    SELECT *, (occurred_at, event_id) AS place FROM business_events SEMI JOIN touched_cases USING (case_id)
),
told AS (
    SELECT
        case_id,
        min(occurred_at) AS first_at,
        coalesce(arg_min(profile_id, place) FILTER (identified), arg_min(profile_id, place)) AS profile_id,
        arg_min(coalesce(kind, 'other'), place) AS kind,
        arg_min(product, place) AS product,
        arg_min(channel, place) AS channel,
        arg_min({occurred_at: occurred_at, event_id: event_id, product: product, channel: channel}, place)
            FILTER (opens_case) AS opening,
        min(occurred_at) FILTER (acknowledges) AS acknowledged_at,
        list(occurred_at) FILTER (forwards) AS forwarded_at,
        list(occurred_at) FILTER (answers) AS answered_at,
        list(occurred_at) FILTER (reminds) AS reminded_at,
        list(occurred_at) FILTER (closes_case) AS closed_at,
        list(occurred_at) FILTER (opens_case) AS openings,
        min(occurred_at) FILTER (answers OR closes_case) AS settled_at,
        min(occurred_at) FILTER (matches) AS matched_at
    FROM events
    GROUP BY case_id
)
SELECT
    case_id,
    profile_id,
    first_at,
    kind,
    coalesce(opening.product, product) AS product,
    coalesce(opening.channel, channel) AS channel,
    opening.occurred_at AS opened_at,
    opening.event_id AS opened_by,
    acknowledged_at,
    coalesce(list_sort(forwarded_at), []) AS forwarded_at,
    coalesce(list_sort(answered_at), []) AS answered_at,
    coalesce(list_sort(reminded_at), []) AS reminded_at,
    coalesce(list_sort(closed_at), []) AS closed_at,
    -- opened once more after it was answered or closed
    coalesce(list_sort(list_filter(openings, lambda instant: instant > settled_at)), []) AS reopened_at,
    matched_at
FROM told;

DROP TABLE business_events;
DROP TABLE meanings;

-- The owners of touched contracts, before and after: an end of a contract may end their journeys.
INSERT INTO touched
SELECT profile_id FROM contracts SEMI JOIN touched_contracts USING (contract_id)
UNION
SELECT profile_id FROM built_contracts
EXCEPT
FROM touched;
