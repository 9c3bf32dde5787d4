-- Whose links changed, and with them all ids that are or become one person with theirs. A person that falls apart does so
-- between two ids of a link that went: each part has one of them.
CREATE OR REPLACE TEMP TABLE members AS
WITH persons AS (
    SELECT DISTINCT coalesce(p.profile_id, s.customer_id) AS profile_id
    FROM seeds AS s LEFT JOIN internal.people AS p USING (customer_id)
)
SELECT customer_id, row_number() OVER () AS number
FROM (
    SELECT customer_id FROM internal.people SEMI JOIN persons USING (profile_id)
    UNION
    FROM persons
    UNION
    FROM seeds
);

CREATE OR REPLACE TEMP TABLE person_links AS
SELECT other_customer_id, customer_id, linked_at FROM customer_links SEMI JOIN members USING (customer_id);

-- Ids that active links tie are found in rounds, on numbers: each id is hooked to its smallest neighbour, chains of hooks
-- are cut short, and the links are drawn between what is left.
CREATE OR REPLACE TEMP TABLE parts AS SELECT number, number AS part FROM members;
CREATE OR REPLACE TEMP TABLE edges AS
SELECT DISTINCT least(a.number, b.number) AS a, greatest(a.number, b.number) AS b
FROM person_links AS l
JOIN members AS a ON a.customer_id = l.other_customer_id
JOIN members AS b ON b.customer_id = l.customer_id;
