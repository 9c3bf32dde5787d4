-- Members: persons one of whose ids has a member_since, from the earliest until the day after the latest member_until
-- (null: still; what is to come is not known yet). Region and segment are those of the person's customer row.
WITH versions AS (
    SELECT coalesce(people.profile_id, ref.customer_id) AS profile_id, member_since, member_until
    FROM ref_customers AS ref CROSS JOIN instant LEFT JOIN internal.people AS people USING (customer_id)
    WHERE valid_from IS NULL OR valid_from <= until
    QUALIFY row_number() OVER (
        PARTITION BY ref.customer_id ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC
    ) = 1
),
stays AS (
    SELECT
        profile_id,
        timezone('UTC', timezone('$time_zone', min(member_since)::TIMESTAMP)) AS member_from,
        CASE WHEN bool_and(member_until IS NOT NULL)
            THEN timezone('UTC', timezone('$time_zone', max(member_until)::TIMESTAMP + INTERVAL 1 DAY)) END AS member_to
    FROM versions
    WHERE member_since IS NOT NULL
    GROUP BY profile_id
)
SELECT
    profile_id, member_from, CASE WHEN member_to <= until THEN member_to END AS member_to, region, segment, potential
FROM stays CROSS JOIN instant LEFT JOIN customers_then USING (profile_id)
WHERE member_from <= until
