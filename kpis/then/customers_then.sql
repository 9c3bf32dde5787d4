-- What the reference input says of each person by then: the row of the id that names the person, else of the
-- smallest other id, the newest version of it.
SELECT coalesce(people.profile_id, ref.customer_id) AS profile_id, region, segment, potential, birth_year
FROM ref_customers AS ref CROSS JOIN instant LEFT JOIN internal.people AS people USING (customer_id)
WHERE valid_from IS NULL OR valid_from <= until
QUALIFY row_number() OVER (
    PARTITION BY coalesce(people.profile_id, ref.customer_id)
    ORDER BY
        ref.customer_id <> coalesce(people.profile_id, ref.customer_id),
        ref.customer_id,
        coalesce(valid_from, '-infinity'::TIMESTAMP) DESC
) = 1
