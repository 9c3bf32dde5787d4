-- Stage conversion. stage_conversion.py fills in the words with a dollar. It is one pipe from journeys to rows: a filter on
-- grain reaches the small table of grains, one on dimensions leaves one branch of the entries, and neither the steps nor
-- the touchpoints of journeys are read. Counts are made in two steps, first by the stage that journeys stand in too.
-- An instant at or after another is enough to say what follows what: at one instant the lower stage comes first.
WITH instant AS MATERIALIZED (SELECT CAST($as_of AS TIMESTAMP) AS until),
grains(grain, step) AS (VALUES $grains),
-- How far local time is from UTC on each UTC day: asking for the zone once a touchpoint would cost more than the counting.
days AS (
    SELECT day, epoch_us(timezone('$time_zone', make_timestamptz(starts))) - starts AS ahead,
        epoch_us(timezone('$time_zone', make_timestamptz(starts + 86_400_000_000))) - starts - 86_400_000_000 = ahead AS is_plain
    FROM (
        SELECT unnest(range(min(epoch_us(started_at)) // 86_400_000_000, max(epoch_us(last_at)) // 86_400_000_000 + 1)) AS day,
            day * 86_400_000_000 AS starts
        FROM journeys
    )
),
-- journeys that went on after the instant stood in an earlier stage then
earlier AS NOT MATERIALIZED (
    SELECT journey_id, max_by(stage, position) AS current_stage
    FROM stage_visits JOIN (SELECT journey_id, until FROM journeys, instant WHERE last_at > until) USING (journey_id)
    WHERE entered_at <= until
    GROUP BY journey_id
),
standing AS NOT MATERIALIZED (
    SELECT
        journeys.journey_id,
        NOT starts_with(profile_id, 'anon:') AS identified, -- no customer id begins so
        list_position($stages, CASE WHEN last_at <= until THEN journeys.current_stage ELSE earlier.current_stage END)::TINYINT
            AS current_rank,
        $instants
    FROM journeys CROSS JOIN instant LEFT JOIN earlier USING (journey_id)
    WHERE started_at <= until AND $limits
),
entries AS NOT MATERIALIZED (
$entries
),
dated AS (
    SELECT
        grain, step, dimension, group_value, rank, current_rank, $numbered,
        $period AS period_start,
        $waited,
        $crossed
    FROM entries JOIN days ON day = entered // 86_400_000_000 CROSS JOIN grains
),
grouped AS (
    SELECT
        grain, step, dimension, group_value, period_start, rank, current_rank, count(*) AS entered,
        $counts,
        $listed
    FROM dated
    GROUP BY ALL
),
-- an entry counts once for each higher stage, as the start; and for each lower stage that it passed over
paired AS (
    SELECT
        grain, step, dimension, group_value, period_start, rank, current_rank, entered,
        unnest([1, 2, 3, 4, 5, 6]) AS other,
        unnest([$reached]) AS reached,
        unnest([$against]) AS against,
        unnest([NULL, $waits]) AS waits
    FROM grouped
),
counted AS (
    SELECT
        grain, step, dimension, group_value, period_start,
        least(rank, other) AS from_rank,
        greatest(rank, other) AS to_rank,
        sum(entered) FILTER (other > rank) AS entered,
        sum(len(waits)) AS converted,
        sum(against) FILTER (other > rank) AS b_before_a,
        sum(entered - reached) FILTER (other > rank) AS not_yet,
        sum(entered - reached + against) FILTER (other < rank) AS skipped_in,
        flatten(list(waits) FILTER (waits IS NOT NULL)) AS waits,
        $standing
    FROM paired
    WHERE other <> rank
    GROUP BY ALL
    HAVING coalesce(entered, 0) + coalesce(skipped_in, 0) > 0
),
followed AS (
    SELECT *, lead(period_start) OVER (
        PARTITION BY grain, dimension, group_value, from_rank, to_rank ORDER BY period_start
    ) AS next_start
    FROM counted
),
-- every period between a group's first and last, empty ones too
spread AS (
    SELECT *, unnest(generate_series(
        period_start::TIMESTAMP, coalesce(next_start - step, period_start::TIMESTAMP), step
    ))::DATE AS period
    FROM followed
),
filled AS (
    SELECT
        grain, dimension, group_value, period,
        $stages[from_rank] AS from_stage,
        $stages[to_rank] AS to_stage,
        CASE WHEN $unlimited THEN NULL WHEN to_rank = 2 THEN 30 WHEN to_rank = 3 THEN 90 ELSE 365 END AS window_days,
        timezone('UTC', timezone('$time_zone', period + step)) AS ended_at,
        $filled,
        CASE WHEN period = period_start THEN list_aggregate(waits, 'quantile_cont', [0.5, 0.9]) END AS seconds
    FROM spread
),
$delivered
targets AS (
    SELECT kpi, dimension AS row, period AS target_period, arg_max(value, coalesce(valid_from, '-infinity'::TIMESTAMP)) AS target
    FROM ref_targets CROSS JOIN instant
    WHERE starts_with(kpi, 'stage_conversion.') AND coalesce(valid_from, '-infinity'::TIMESTAMP) <= until
    GROUP BY kpi, row, target_period
)
SELECT
    'stage_conversion' AS kpi,
    grain,
    period AS period_start,
    [dimension] AS dimensions,
    [group_value] AS dimension_values,
    converted AS numerator,
    entered AS denominator,
    converted / nullif(entered, 0) AS value,
    entered AS n,
    wilson_low(converted, entered) AS low,
    wilson_high(converted, entered) AS high,
    false AS additive,
    coalesce(ended_at + to_days(window_days) < until AND len($incomplete) = 0, false) AS mature,
    $incomplete AS incomplete_sources,
    target,
    CASE WHEN $unlimited THEN '$options_unlimited' ELSE '$options' END AS options,
    CASE WHEN $unlimited THEN '$definition_unlimited' ELSE '$definition' END AS definition,
    from_stage,
    to_stage,
    window_days::BIGINT AS window_days,
    b_before_a,
    entered - converted - b_before_a - not_yet AS after_window,
    not_yet,
    skipped_in,
    seconds[1] / 1e6 AS median_seconds,
    seconds[2] / 1e6 AS p90_seconds,
    {$by_stage} AS not_yet_by_stage
FROM filled
CROSS JOIN instant
$with_delivered
LEFT JOIN targets
    ON targets.kpi = 'stage_conversion.' || from_stage || '.' || to_stage
    AND row = CASE WHEN dimension = 'total' THEN 'total' ELSE dimension || '=' || group_value END
    AND target_period = CASE grain
        WHEN 'day' THEN strftime(period, '%Y-%m-%d')
        WHEN 'week' THEN strftime($week_name, '%G-W%V')
        WHEN 'month' THEN strftime(period, '%Y-%m')
        WHEN 'quarter' THEN strftime(period, '%Y-Q') || quarter(period)
        ELSE strftime(period, '%Y')
    END
