-- What journeys looked like at an instant: only touchpoints with occurred_at <= as_of count. A journey that went on
-- afterwards was open then, and loses what came later; its id, start and unit stand, because cuts look backwards only.
CREATE MACRO journeys_at(as_of) AS TABLE
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
under_way AS (SELECT journey_id, until FROM journeys, instant WHERE started_at <= until AND last_at > until),
steps AS (
    SELECT
        journey_id,
        max(occurred_at) AS last_at,
        max_by(channel, position) AS last_channel,
        count(*) AS touchpoints
    FROM journey_steps JOIN under_way USING (journey_id)
    WHERE occurred_at <= until
    GROUP BY journey_id
),
stays AS (
    SELECT
        journey_id,
        max_by(stage, position) AS current_stage,
        count(*) FILTER (is_return) AS returns
    FROM stage_visits JOIN under_way USING (journey_id)
    WHERE entered_at <= until
    GROUP BY journey_id
)
SELECT
    journey_id,
    profile_id,
    unit,
    unit_key,
    started_at,
    CASE WHEN journeys.last_at <= until THEN journeys.last_at ELSE steps.last_at END AS last_at,
    CASE WHEN journeys.last_at <= until THEN closes_at ELSE steps.last_at + to_microseconds(round(gap_seconds * 1e6)::BIGINT) END
        AS closes_at,
    CASE WHEN journeys.last_at <= until THEN ended_by END AS ended_by,
    first_channel,
    CASE WHEN journeys.last_at <= until THEN journeys.last_channel ELSE steps.last_channel END AS last_channel,
    CASE WHEN journeys.last_at <= until THEN journeys.touchpoints ELSE steps.touchpoints END AS touchpoints,
    CASE WHEN awareness_at <= until THEN awareness_at END AS awareness_at,
    CASE WHEN consideration_at <= until THEN consideration_at END AS consideration_at,
    CASE WHEN purchase_at <= until THEN purchase_at END AS purchase_at,
    CASE WHEN service_at <= until THEN service_at END AS service_at,
    CASE WHEN loyalty_at <= until THEN loyalty_at END AS loyalty_at,
    CASE WHEN advocacy_at <= until THEN advocacy_at END AS advocacy_at,
    CASE
        WHEN advocacy_at <= until THEN 'advocacy'
        WHEN loyalty_at <= until THEN 'loyalty'
        WHEN service_at <= until THEN 'service'
        WHEN purchase_at <= until THEN 'purchase'
        WHEN consideration_at <= until THEN 'consideration'
        WHEN awareness_at <= until THEN 'awareness'
    END AS furthest_stage,
    CASE WHEN journeys.last_at <= until THEN journeys.current_stage ELSE stays.current_stage END AS current_stage,
    CASE WHEN journeys.last_at <= until THEN journeys.returns ELSE coalesce(stays.returns, 0) END AS returns,
    -- a stage is skipped from the instant until which a higher one is entered
    list_filter(
        skipped_stages,
        lambda skipped: CASE skipped
            WHEN 'awareness' THEN least(consideration_at, purchase_at, service_at, loyalty_at, advocacy_at)
            WHEN 'consideration' THEN least(purchase_at, service_at, loyalty_at, advocacy_at)
            WHEN 'purchase' THEN least(service_at, loyalty_at, advocacy_at)
            WHEN 'service' THEN least(loyalty_at, advocacy_at)
            ELSE advocacy_at
        END <= until
    ) AS skipped_stages,
    CASE WHEN purchase_at <= until THEN days_to_purchase END AS days_to_purchase,
    gap_seconds,
    journeys.last_at <= until AND (ended_by IS NOT NULL OR coalesce(closes_at < until, false)) AS closed
FROM journeys
CROSS JOIN instant
LEFT JOIN steps USING (journey_id)
LEFT JOIN stays USING (journey_id)
WHERE started_at <= until;

COMMENT ON MACRO TABLE journeys_at IS 'Journeys as they stood at an instant (UTC): the columns of journeys, counting touchpoints up to it, and closed: ended by an event, or closes_at before the instant.';
