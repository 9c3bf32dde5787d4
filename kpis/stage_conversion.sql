-- Stage conversion at one grain by one dimension. stage_conversion.py fills in the words with a dollar and unites the
-- branches: grain and dimensions are constants of a branch, so that a filter on them leaves one branch to compute.
-- An instant at or after another is enough to say what follows what: at one instant the lower stage comes first.
(
WITH instant AS MATERIALIZED (SELECT CAST(as_of AS TIMESTAMP) AS until),
-- journeys that went on after the instant stood in an earlier stage then
earlier AS (
    SELECT journey_id, max_by(stage, position) AS current_stage
    FROM stage_visits JOIN (SELECT journey_id, until FROM journeys, instant WHERE last_at > until) USING (journey_id)
    WHERE entered_at <= until
    GROUP BY journey_id
),
standing AS (
    SELECT
        journeys.journey_id,
        CASE WHEN last_at <= until THEN journeys.current_stage ELSE earlier.current_stage END AS current_stage,
        [
            CASE WHEN awareness_at <= until THEN awareness_at END,
            CASE WHEN consideration_at <= until THEN consideration_at END,
            CASE WHEN purchase_at <= until THEN purchase_at END,
            CASE WHEN service_at <= until THEN service_at END,
            CASE WHEN loyalty_at <= until THEN loyalty_at END,
            CASE WHEN advocacy_at <= until THEN advocacy_at END
        ] AS instants
    FROM journeys CROSS JOIN instant LEFT JOIN earlier USING (journey_id)
    WHERE started_at <= until
),
stages AS (
    SELECT rank, stage
    FROM (VALUES
        (1, 'awareness'), (2, 'consideration'), (3, 'purchase'), (4, 'service'), (5, 'loyalty'), (6, 'advocacy')
    ) AS named(rank, stage)
),
entries AS (
    SELECT
        rank,
        instants,
        instants[rank] AS entered_at,
        current_stage,
        $dimension_value AS dimension_value,
        date_trunc('$grain', timezone('$time_zone', timezone('UTC', instants[rank])) + INTERVAL $shift DAY)::DATE - $shift
            AS period_start
    FROM $entries
),
-- An entry counts once for each higher stage, as the start; and for each lower stage that it passed over.
pairs AS (
    SELECT
        least(entries.rank, other.rank) AS from_rank,
        greatest(entries.rank, other.rank) AS to_rank,
        dimension_value,
        period_start,
        current_stage,
        other.rank < entries.rank AS is_skip,
        CASE
            WHEN unlimited THEN NULL WHEN to_rank = 2 THEN 30 WHEN to_rank = 3 THEN 90 ELSE 365
        END AS window_days,
        epoch_us(instants[other.rank]) - epoch_us(entered_at) AS lag_us,
        lag_us BETWEEN 0 AND coalesce(window_days * 86_400_000_000, lag_us) AS is_converted
    FROM entries, stages AS other
    WHERE other.rank > entries.rank
        OR (other.rank < entries.rank AND coalesce(instants[other.rank] > entered_at, true))
),
counted AS (
    SELECT
        from_rank,
        to_rank,
        any_value(window_days) AS window_days,
        dimension_value,
        period_start,
        count(*) FILTER (NOT is_skip) AS entered,
        count(*) FILTER (NOT is_skip AND is_converted) AS converted,
        count(*) FILTER (NOT is_skip AND lag_us < 0) AS b_before_a,
        count(*) FILTER (NOT is_skip AND lag_us > window_days * 86_400_000_000) AS after_window,
        count(*) FILTER (NOT is_skip AND lag_us IS NULL) AS not_yet,
        count(*) FILTER (is_skip) AS skipped_in,
        quantile_cont(lag_us / 1e6, [0.5, 0.9]) FILTER (NOT is_skip AND is_converted) AS seconds,
        {
            awareness: count(*) FILTER (NOT is_skip AND lag_us IS NULL AND current_stage = 'awareness'),
            consideration: count(*) FILTER (NOT is_skip AND lag_us IS NULL AND current_stage = 'consideration'),
            purchase: count(*) FILTER (NOT is_skip AND lag_us IS NULL AND current_stage = 'purchase'),
            service: count(*) FILTER (NOT is_skip AND lag_us IS NULL AND current_stage = 'service'),
            loyalty: count(*) FILTER (NOT is_skip AND lag_us IS NULL AND current_stage = 'loyalty'),
            advocacy: count(*) FILTER (NOT is_skip AND lag_us IS NULL AND current_stage = 'advocacy')
        } AS not_yet_by_stage
    FROM pairs
    GROUP BY from_rank, to_rank, dimension_value, period_start
),
-- every period between a group's first and last, empty ones too
periods AS (
    SELECT
        from_rank, to_rank, window_days, dimension_value,
        unnest(generate_series(min(period_start)::TIMESTAMP, max(period_start)::TIMESTAMP, INTERVAL 1 $grain))::DATE
            AS period_start
    FROM counted
    GROUP BY from_rank, to_rank, window_days, dimension_value
)
SELECT
    'stage_conversion' AS kpi,
    '$grain' AS grain,
    periods.period_start,
    ['$dimension'] AS dimensions,
    [periods.dimension_value] AS dimension_values,
    coalesce(converted, 0) AS numerator,
    coalesce(entered, 0) AS denominator,
    converted / nullif(entered, 0) AS value,
    coalesce(entered, 0) AS n,
    -- Wilson's interval at 95 %: z = 1.959964, z squared = 3.841458881296, no continuity correction
    CASE WHEN entered > 0 THEN greatest(0, (2 * converted + 3.841458881296 - 1.959964 * sqrt(
        3.841458881296 + 4 * converted * (entered - converted) / entered
    )) / (2 * (entered + 3.841458881296))) END AS low,
    CASE WHEN entered > 0 THEN least(1, (2 * converted + 3.841458881296 + 1.959964 * sqrt(
        3.841458881296 + 4 * converted * (entered - converted) / entered
    )) / (2 * (entered + 3.841458881296))) END AS high,
    false AS additive,
    coalesce(
        timezone('UTC', timezone('$time_zone', periods.period_start + INTERVAL 1 $grain))
            + to_days(periods.window_days) < until,
        false
    ) AS mature,
    CAST(NULL AS DOUBLE) AS target,
    CASE WHEN unlimited THEN '$options_unlimited' ELSE '$options' END AS options,
    CASE WHEN unlimited THEN '$definition_unlimited' ELSE '$definition' END AS definition,
    ['awareness', 'consideration', 'purchase', 'service', 'loyalty', 'advocacy'][periods.from_rank] AS from_stage,
    ['awareness', 'consideration', 'purchase', 'service', 'loyalty', 'advocacy'][periods.to_rank] AS to_stage,
    periods.window_days::BIGINT AS window_days,
    coalesce(b_before_a, 0) AS b_before_a,
    coalesce(after_window, 0) AS after_window,
    coalesce(not_yet, 0) AS not_yet,
    coalesce(skipped_in, 0) AS skipped_in,
    seconds[1] AS median_seconds,
    seconds[2] AS p90_seconds,
    coalesce(
        not_yet_by_stage, {awareness: 0, consideration: 0, purchase: 0, service: 0, loyalty: 0, advocacy: 0}
    ) AS not_yet_by_stage
FROM periods
CROSS JOIN instant
LEFT JOIN counted
    ON counted.from_rank = periods.from_rank
    AND counted.to_rank = periods.to_rank
    AND counted.period_start = periods.period_start
    AND counted.dimension_value IS NOT DISTINCT FROM periods.dimension_value
)
