-- Every end of a link is hooked to its smallest neighbour, if that is smaller.
CREATE OR REPLACE TEMP TABLE hooks AS
SELECT number, least(number, min(other)) AS part
FROM (SELECT a AS number, b AS other FROM edges UNION ALL SELECT b, a FROM edges)
GROUP BY number;
