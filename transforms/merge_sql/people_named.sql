-- A person bears the id that is no other's name; of several, and in a circle, the one that was linked to last, then the
-- smaller one.
CREATE OR REPLACE TEMP TABLE new_people AS
WITH targets AS (
    SELECT customer_id, max(linked_at) AS linked_at, customer_id IN (SELECT other_customer_id FROM person_links) AS is_name
    FROM person_links GROUP BY customer_id
),
chosen AS (
    SELECT part, customer_id AS profile_id
    FROM targets JOIN members USING (customer_id) JOIN parts USING (number)
    QUALIFY row_number() OVER (PARTITION BY part ORDER BY is_name, coalesce(linked_at, '-infinity'::TIMESTAMP) DESC, customer_id) = 1
)
SELECT customer_id, profile_id
FROM members JOIN parts USING (number) JOIN chosen USING (part)
WHERE customer_id <> profile_id;

CREATE OR REPLACE TEMP TABLE changed_people AS
SELECT customer_id
FROM members
LEFT JOIN internal.people AS before USING (customer_id)
LEFT JOIN new_people AS after USING (customer_id)
WHERE before.profile_id IS DISTINCT FROM after.profile_id;
DELETE FROM internal.people WHERE customer_id IN (FROM changed_people);
INSERT INTO internal.people FROM new_people SEMI JOIN changed_people USING (customer_id);
