-- The rows of one figure. figures.py fills in the words with a dollar. It is one pipe from facts to rows, so that a filter
-- on grain and dimensions reaches the two small tables that the facts are crossed with and leaves one of each.
WITH $relations,
grains AS (
    SELECT *, $last_period AS last_period $first_period
    FROM (VALUES $grains) AS named(grain, step) CROSS JOIN instant
),
sets(set_number, dimensions) AS (VALUES $sets),
$periods
facts AS $materialized (
$facts
),
$moves
$summed
$dated
counted AS (
    SELECT
        grain, set_number, dimensions, $keys, period_start,
        $sums
    FROM dated
    $met
    GROUP BY ALL
),
followed AS (
    SELECT *, $stood lead(period_start) OVER following AS next_start
    FROM counted JOIN grains USING (grain)
    WINDOW following AS (PARTITION BY grain, dimensions, $keys ORDER BY period_start)
),
-- every period between a group's first and last, empty ones too
spread AS (
    SELECT
        *,
        unnest(
            generate_series($from_period::TIMESTAMP, coalesce(next_start - step, $last_of_group::TIMESTAMP), step)
        )::DATE AS period
    FROM followed
),
filled AS (
    SELECT grain, step, set_number, dimensions, $keys, period, $filled
    FROM spread
),
whole AS (
    SELECT * $shared, $ends_at AS ended_at
    FROM filled
),
$delivered
targets AS (
    SELECT dimension, period AS target_period, arg_max(value, coalesce(valid_from, '-infinity'::TIMESTAMP)) AS target
    FROM ref_targets CROSS JOIN instant
    WHERE kpi = $name AND coalesce(valid_from, '-infinity'::TIMESTAMP) <= until
    GROUP BY dimension, target_period
)
SELECT
    $name AS kpi,
    grain,
    period AS period_start,
    dimensions,
    [$keys][:len(dimensions)] AS dimension_values,
    $numerator AS numerator,
    $denominator AS denominator,
    $value AS value,
    $n::BIGINT AS n,
    $low AS low,
    $high AS high,
    $additive AS additive,
    coalesce(ended_at + INTERVAL '$window' < until AND len($incomplete) = 0, false) AS mature,
    $incomplete AS incomplete_sources,
    target,
    $options AS options,
    '$definition' AS definition
FROM whole
CROSS JOIN instant
$with_delivered
LEFT JOIN targets
    ON targets.dimension = $target_dimension
    AND target_period = CASE grain
        WHEN 'day' THEN strftime(period, '%Y-%m-%d')
        WHEN 'week' THEN strftime($week_name, '%G-W%V')
        WHEN 'month' THEN strftime(period, '%Y-%m')
        WHEN 'quarter' THEN strftime(period, '%Y-Q') || quarter(period)
        ELSE strftime(period, '%Y')
    END
WHERE $available
