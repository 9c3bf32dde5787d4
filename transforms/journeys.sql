-- From a profile's whole history to its visits, journeys, steps and stage visits.
--
-- Reads `history`; the session variables journey_unit, journey_gap (microseconds or null), journey_ends (event types,
-- roles and last_contract_ended) and store_currency. Leaves temporary tables built_NAME with the columns of the relation NAME.
--
-- Each sort is paid once and over narrow rows: profiles and units are numbered by small integers, because
-- partitioning by one costs half of partitioning by the text. Which number one gets is arbitrary: nothing kept
-- depends on it.

CREATE OR REPLACE TEMP MACRO stage_rank(stage) AS
    CASE stage
        WHEN 'awareness' THEN 1 WHEN 'consideration' THEN 2 WHEN 'purchase' THEN 3
        WHEN 'service' THEN 4 WHEN 'loyalty' THEN 5 WHEN 'advocacy' THEN 6 ELSE 0
    END::TINYINT;

CREATE OR REPLACE TEMP MACRO stage_name(rank) AS
    ['awareness', 'consideration', 'purchase', 'service', 'loyalty', 'advocacy'][rank];

-- The key's length in bytes makes the text unambiguous whatever the ids hold.
CREATE OR REPLACE TEMP MACRO hashed_id(kind, key, event_id) AS
    md5(kind || ':' || coalesce(strlen(key) || ':' || key, 'none') || ':' || event_id);

-- Later in time than the one before by more than the limit: a gap equal to the limit does not cut.
CREATE OR REPLACE TEMP MACRO is_cut(earlier, later, limit_us) AS
    coalesce(epoch_us(later) - epoch_us(earlier) > limit_us, false);

CREATE OR REPLACE TEMP TABLE numbered_profiles AS
SELECT profile_id, row_number() OVER ()::INTEGER AS profile_number
FROM (SELECT DISTINCT profile_id FROM history);

CREATE OR REPLACE TEMP TABLE numbered_units AS
SELECT profile_id, unit_key, row_number() OVER ()::INTEGER AS unit_number
FROM (
    SELECT DISTINCT
        profile_id,
        CASE getvariable('journey_unit')
            WHEN 'product' THEN product WHEN 'contract' THEN contract_id WHEN 'claim' THEN claim_id
            ELSE profile_id
        END AS unit_key
    FROM history
)
-- Touchpoints without a contract or claim are in no journey; those without a product share the product null.
WHERE unit_key IS NOT NULL OR getvariable('journey_unit') = 'product';

-- Visits ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE TEMP TABLE ordered_digital AS
SELECT
    profile_number,
    row_number() OVER in_order AS n,
    rid,
    event_id,
    occurred_at,
    n = 1 OR is_cut(lag(occurred_at) OVER in_order, occurred_at, 1_800_000_000) AS starts
FROM (
    SELECT profile_number, rid, event_id, occurred_at, stage_rank(stage) AS rank
    FROM history JOIN numbered_profiles USING (profile_id)
    WHERE medium = 'digital'
)
WINDOW in_order AS (PARTITION BY profile_number ORDER BY occurred_at, rank, event_id);

CREATE OR REPLACE TEMP TABLE visit_starts AS
SELECT profile_number, n AS first_n, rid, profile_id, hashed_id('visit', profile_id, event_id) AS visit_id
FROM ordered_digital JOIN numbered_profiles USING (profile_number)
WHERE starts;

CREATE OR REPLACE TEMP TABLE visit_members AS
SELECT
    profile_number,
    max(n) FILTER (starts) OVER (PARTITION BY profile_number ORDER BY n) AS first_n,
    rid,
    occurred_at
FROM ordered_digital;

CREATE OR REPLACE TEMP TABLE visits_of AS
SELECT visit_members.rid, visit_id FROM visit_members JOIN visit_starts USING (profile_number, first_n);

-- Mostly the touchpoints that are new: a late one changes the visits around it, no others.
CREATE OR REPLACE TEMP TABLE built_visit_changes AS
SELECT rid, visits_of.visit_id
FROM history LEFT JOIN visits_of USING (rid)
WHERE history.visit_id IS DISTINCT FROM visits_of.visit_id;

CREATE OR REPLACE TEMP TABLE built_visits AS
SELECT
    s.visit_id, s.profile_id, started_at, ended_at, touchpoints, f.channel, f.source, f.campaign, f.content, f.product
FROM visit_starts AS s
JOIN history AS f USING (rid)
JOIN (
    SELECT
        profile_number, first_n, min(occurred_at) AS started_at, max(occurred_at) AS ended_at, count(*) AS touchpoints
    FROM visit_members
    GROUP BY ALL
) USING (profile_number, first_n);

DROP TABLE ordered_digital;
DROP TABLE visit_starts;
DROP TABLE visit_members;
DROP TABLE numbered_profiles;

-- Journeys: each unit's touchpoints in order, cut ------------------------------------------------------------------

CREATE OR REPLACE TEMP TABLE keyed AS
SELECT
    unit_number, rid, event_id, occurred_at, stage_rank(stage) AS rank,
    list_contains(getvariable('journey_ends'), event_type)
        OR coalesce(list_has_any(getvariable('journey_ends'), roles), false)
        OR (ends_holding AND list_contains(getvariable('journey_ends'), 'last_contract_ended')) AS ends
FROM history
JOIN numbered_units
    ON numbered_units.profile_id = history.profile_id
    AND unit_key IS NOT DISTINCT FROM CASE getvariable('journey_unit')
        WHEN 'product' THEN product WHEN 'contract' THEN contract_id WHEN 'claim' THEN claim_id
        ELSE history.profile_id
    END;

-- An ending event closes the journey after everything at its instant, in whatever order that stands.
CREATE OR REPLACE TEMP TABLE ending_instants AS
SELECT DISTINCT unit_number, occurred_at AS previous_at FROM keyed WHERE ends;

CREATE OR REPLACE TEMP TABLE ordered AS
SELECT
    unit_number, n, rid, event_id, occurred_at, rank, ends,
    n = 1
        OR is_cut(previous_at, occurred_at, getvariable('journey_gap'))
        OR (previous_at < occurred_at AND ending_instants.unit_number IS NOT NULL) AS starts
FROM (
    SELECT
        unit_number, rid, event_id, occurred_at, rank, ends,
        row_number() OVER in_order AS n,
        lag(occurred_at) OVER in_order AS previous_at
    FROM keyed
    WINDOW in_order AS (PARTITION BY unit_number ORDER BY occurred_at, rank, event_id)
)
LEFT JOIN ending_instants USING (unit_number, previous_at);

DROP TABLE keyed;
DROP TABLE ending_instants;

CREATE OR REPLACE TEMP TABLE journey_starts AS
SELECT
    unit_number, n AS first_n, row_number() OVER ()::INTEGER AS journey_number, profile_id, unit_key,
    hashed_id(getvariable('journey_unit'), unit_key, event_id) AS journey_id
FROM ordered JOIN numbered_units USING (unit_number)
WHERE starts;

CREATE OR REPLACE TEMP TABLE members AS
SELECT journey_number, n - first_n + 1 AS position, rid, event_id, occurred_at, rank, ends
FROM (
    SELECT
        unit_number, n, rid, event_id, occurred_at, rank, ends,
        max(n) FILTER (starts) OVER (PARTITION BY unit_number ORDER BY n) AS first_n
    FROM ordered
)
JOIN journey_starts USING (unit_number, first_n);

DROP TABLE ordered;
DROP TABLE numbered_units;

-- Steps -------------------------------------------------------------------------------------------------------------

-- Long texts are joined after the window: sorting them with the rest would double its cost.
CREATE OR REPLACE TEMP TABLE built_journey_steps AS
SELECT
    journey_id, profile_id, position, event_id, occurred_at,
    event_type, previous_event_type, next_event_type,
    channel, previous_channel, next_channel,
    stage_name(rank) AS stage, stage_name(previous_rank) AS previous_stage, stage_name(next_rank) AS next_stage,
    (epoch_us(occurred_at) - epoch_us(previous_at)) / 1e6 AS seconds_since_previous,
    visit_id
FROM (
    SELECT
        journey_number, rid, position, event_id, occurred_at, rank, event_type, channel,
        lag(occurred_at) OVER in_order AS previous_at,
        lag(event_type) OVER in_order AS previous_event_type,
        lead(event_type) OVER in_order AS next_event_type,
        lag(channel) OVER in_order AS previous_channel,
        lead(channel) OVER in_order AS next_channel,
        lag(rank) OVER in_order AS previous_rank,
        lead(rank) OVER in_order AS next_rank
    FROM (
        SELECT journey_number, rid, position, members.event_id, members.occurred_at, rank, event_type, channel
        FROM members JOIN history USING (rid)
    )
    WINDOW in_order AS (PARTITION BY journey_number ORDER BY position)
)
JOIN journey_starts USING (journey_number)
LEFT JOIN visits_of USING (rid);

-- Stage visits: maximal runs of one stage; a touchpoint without a stage does not break a run -----------------------

CREATE OR REPLACE TEMP TABLE stage_runs AS
SELECT
    journey_number, run, any_value(rank) AS rank, min(occurred_at) AS entered_at, max(occurred_at) AS last_at,
    count(*) AS touchpoints,
    -- only a run's first touchpoint differs from the one before
    any_value(rid) FILTER (rank IS DISTINCT FROM previous_rank) AS first_rid,
    any_value(rid) FILTER (rank < previous_rank) AS returning_rid,
    any_value(previous_rank) FILTER (rank <> previous_rank) AS previous_rank
FROM (
    SELECT
        *,
        count(*) FILTER (rank IS DISTINCT FROM previous_rank)
            OVER (PARTITION BY journey_number ORDER BY position) AS run
    FROM (
        SELECT
            journey_number, position, rid, occurred_at, rank,
            lag(rank) OVER (PARTITION BY journey_number ORDER BY position) AS previous_rank
        FROM members
        WHERE rank > 0
    )
)
GROUP BY journey_number, run;

-- A return's kind is told by its first touchpoint. A product is new to a person who never named it before, in this
-- journey or in another.
CREATE OR REPLACE TEMP TABLE comebacks AS
SELECT
    rid, profile_id, product,
    CASE
        WHEN claim_id IS NOT NULL OR list_has_any(roles, ['claim_opened', 'claim_closed', 'claim_reopened']) THEN 'claim'
        WHEN case_id IS NOT NULL OR len(list_filter(roles, lambda role: regexp_matches(
            role, '^(request|question|complaint)_'
        ))) > 0 THEN 'request'
    END AS kind
FROM history SEMI JOIN stage_runs ON rid = returning_rid;

CREATE OR REPLACE TEMP TABLE first_named AS
SELECT arg_min(rid, (occurred_at, stage_rank(stage), event_id)) AS rid
FROM history
SEMI JOIN (FROM comebacks WHERE kind IS NULL AND product IS NOT NULL) USING (profile_id, product)
GROUP BY profile_id, product;

CREATE OR REPLACE TEMP TABLE built_stage_visits AS
SELECT
    journey_id, run AS position, stage_name(rank) AS stage, entered_at, last_at, f.event_id AS first_event_id, touchpoints,
    returning_rid IS NOT NULL AS is_return,
    CASE
        WHEN returning_rid IS NULL THEN NULL
        WHEN kind IS NOT NULL THEN kind
        WHEN first_named.rid IS NOT NULL THEN 'new product'
        ELSE 'other'
    END AS return_kind,
    f.channel, f.medium, f.source, f.campaign, f.product
FROM stage_runs
JOIN journey_starts USING (journey_number)
JOIN history AS f ON f.rid = first_rid
LEFT JOIN comebacks ON comebacks.rid = returning_rid
LEFT JOIN first_named ON first_named.rid = returning_rid;

-- Journeys ----------------------------------------------------------------------------------------------------------

-- s is skipped if a higher stage was entered, and s not before it. Instants suffice: at one instant the lower rank
-- comes first.
CREATE OR REPLACE TEMP MACRO was_skipped(entered_at, higher_at) AS
    coalesce(higher_at < coalesce(entered_at, 'infinity'::TIMESTAMP), false);

CREATE OR REPLACE TEMP TABLE built_journeys AS
SELECT
    journey_id,
    profile_id,
    getvariable('journey_unit') AS unit,
    unit_key,
    started_at,
    last_at,
    CASE WHEN ended_by IS NOT NULL THEN last_at ELSE last_at + to_microseconds(getvariable('journey_gap')) END
        AS closes_at,
    ended_by,
    first_channel,
    last_channel,
    touchpoints,
    awareness_at,
    consideration_at,
    purchase_at,
    service_at,
    loyalty_at,
    advocacy_at,
    stage_name(furthest_rank) AS furthest_stage,
    stage_name(current_rank) AS current_stage,
    coalesce(returns, 0) AS returns,
    list_filter([
        CASE WHEN was_skipped(
            awareness_at, least(consideration_at, purchase_at, service_at, loyalty_at, advocacy_at)
        ) THEN 'awareness' END,
        CASE WHEN was_skipped(consideration_at, least(purchase_at, service_at, loyalty_at, advocacy_at))
            THEN 'consideration' END,
        CASE WHEN was_skipped(purchase_at, least(service_at, loyalty_at, advocacy_at)) THEN 'purchase' END,
        CASE WHEN was_skipped(service_at, least(loyalty_at, advocacy_at)) THEN 'service' END,
        CASE WHEN was_skipped(loyalty_at, advocacy_at) THEN 'loyalty' END
    ], lambda stage: stage IS NOT NULL) AS skipped_stages,
    (epoch_us(purchase_at) - epoch_us(started_at)) / 86_400e6 AS days_to_purchase,
    getvariable('journey_gap') / 1e6 AS gap_seconds
FROM journey_starts
JOIN (
    SELECT
        journey_number,
        min(members.occurred_at) AS started_at,
        max(members.occurred_at) AS last_at,
        min_by(event_type, position) FILTER (ends) AS ended_by,
        min_by(channel, position) AS first_channel,
        max_by(channel, position) AS last_channel,
        count(*) AS touchpoints
    FROM members JOIN history USING (rid)
    GROUP BY journey_number
) USING (journey_number)
LEFT JOIN (
    SELECT
        journey_number,
        min(entered_at) FILTER (rank = 1) AS awareness_at,
        min(entered_at) FILTER (rank = 2) AS consideration_at,
        min(entered_at) FILTER (rank = 3) AS purchase_at,
        min(entered_at) FILTER (rank = 4) AS service_at,
        min(entered_at) FILTER (rank = 5) AS loyalty_at,
        min(entered_at) FILTER (rank = 6) AS advocacy_at,
        max(rank) AS furthest_rank,
        max_by(rank, run) AS current_rank,
        count(*) FILTER (rank < previous_rank) AS returns
    FROM stage_runs
    GROUP BY journey_number
) USING (journey_number);

CREATE OR REPLACE TEMP TABLE built_journey_amounts AS
SELECT journey_id, kind, currency, try_cast(sum(amount) AS DECIMAL(18, 4)) AS amount
FROM (
    SELECT rid, money_role AS kind, currency, value AS amount
    FROM history WHERE money_role IS NOT NULL AND value IS NOT NULL
    UNION ALL
    SELECT rid, 'cost', coalesce(currency, getvariable('store_currency')), cost
    FROM history WHERE cost IS NOT NULL
)
JOIN members USING (rid)
JOIN journey_starts USING (journey_number)
GROUP BY journey_id, kind, currency;

CREATE OR REPLACE TEMP TABLE built_profiles AS
SELECT profile_id, identified, first_at, last_at, touchpoints, coalesce(journeys, 0) AS journeys
FROM (
    SELECT
        profile_id, bool_or(identified) AS identified, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS touchpoints
    FROM history
    GROUP BY profile_id
)
LEFT JOIN (SELECT profile_id, count(*) AS journeys FROM journey_starts GROUP BY profile_id) USING (profile_id);

DROP TABLE stage_runs;
DROP TABLE comebacks;
DROP TABLE first_named;
DROP TABLE members;
DROP TABLE journey_starts;
DROP TABLE visits_of;
