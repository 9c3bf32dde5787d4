-- What a test of variants shows: how each converts beside the control. experiments.py fills in the words with a dollar.
-- Facts are the exposures whose time to convert is over, a row each; control is null for the first variant by name.
WITH $relations,
configured(experiment, control, minimum_sample) AS ($configured),
facts AS (
$facts
),
counted AS (
    SELECT
        $names,
        any_value(facts.control) AS control,
        bool_and(mature) AS mature,
        min(counted_at) AS began_at,
        max(counted_at) AS last_at,
        count(*) FILTER (numerator) AS converted,
        count(*) AS exposed
    FROM facts
    GROUP BY $names
),
variants AS (
    SELECT
        * REPLACE (
            coalesce(control, min($variant) OVER (PARTITION BY $beside)) AS control,
            min(began_at) OVER (PARTITION BY experiment) AS began_at
        ),
        max(last_at) OVER (PARTITION BY experiment) + INTERVAL '$window' AS ended_at
    FROM counted
),
paired AS (
    SELECT
        variants.*,
        variants.$variant = variants.control AS is_control,
        coalesce(other.exposed, 0) AS control_exposed,
        coalesce(other.converted, 0) AS control_converted,
        variants.converted / variants.exposed AS rate,
        other.converted / other.exposed AS control_rate,
        (variants.converted + control_converted) / (variants.exposed + control_exposed) AS common_rate
    FROM variants LEFT JOIN counted AS other ON $is_control
),
tested AS (
    SELECT
        *,
        -- of the logarithm of rate / control_rate
        1.959964 * sqrt(
            (exposed - converted) / nullif(converted * exposed, 0)
            + (control_exposed - control_converted) / nullif(control_converted * control_exposed, 0)
        ) AS margin,
        CASE WHEN NOT is_control AND control_exposed > 0 AND common_rate > 0 AND common_rate < 1
            THEN normal_two_sided(
                (rate - control_rate) / sqrt(common_rate * (1 - common_rate) * (1 / exposed + 1 / control_exposed))
            )
        END AS p_value
    FROM paired
),
-- Holm: of k p-values the smallest is taken k times, the next k - 1 times, and none less than the one before
ranked AS (
    SELECT
        *,
        count(p_value) OVER (PARTITION BY experiment) + 1 - row_number() OVER in_order AS times
    FROM tested
    WINDOW in_order AS (PARTITION BY experiment ORDER BY p_value NULLS LAST, $names)
),
adjusted AS (
    SELECT
        *,
        CASE WHEN p_value IS NOT NULL THEN max(least(1, times * p_value)) OVER in_order END AS p_adjusted
    FROM ranked
    WINDOW in_order AS (PARTITION BY experiment ORDER BY p_value NULLS LAST, $names)
),
$delivered
judged AS (
    SELECT
        *,
        $incomplete AS incomplete_sources,
        CASE
            WHEN is_control THEN 'control'
            WHEN least(exposed, control_exposed) < coalesce(minimum_sample, $minimum_sample) THEN 'too few'
            WHEN coalesce(p_adjusted >= 0.05, true) THEN 'no difference seen'
            WHEN rate > control_rate THEN 'better'
            ELSE 'worse'
        END AS verdict
    FROM adjusted LEFT JOIN (SELECT experiment, minimum_sample FROM configured) USING (experiment) $with_delivered
)
SELECT
    $name AS kpi,
    'all' AS grain,
    local_day(began_at) AS period_start,
    [$dimensions] AS dimensions,
    [$names] AS dimension_values,
    converted AS numerator,
    exposed AS denominator,
    CASE WHEN NOT is_control THEN rate / nullif(control_rate, 0) - 1 END AS value,
    exposed AS n,
    CASE WHEN NOT is_control THEN rate / control_rate * exp(-margin) - 1 END AS low,
    CASE WHEN NOT is_control THEN rate / control_rate * exp(margin) - 1 END AS high,
    false AS additive,
    mature AND len(incomplete_sources) = 0 AS mature,
    incomplete_sources,
    CAST(NULL AS DOUBLE) AS target,
    $options AS options,
    '$definition' AS definition,
    rate,
    control,
    control_rate,
    p_value,
    p_adjusted,
    verdict
FROM judged
WHERE $available
