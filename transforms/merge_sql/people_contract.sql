-- What hangs on one hook is one; links between different ones are left for another round.
CREATE OR REPLACE TEMP TABLE parts AS
SELECT p.number, coalesce(h.part, p.part) AS part FROM parts AS p LEFT JOIN hooks AS h ON h.number = p.part;
CREATE OR REPLACE TEMP TABLE edges AS
SELECT DISTINCT least(a.part, b.part) AS a, greatest(a.part, b.part) AS b
FROM edges AS e
JOIN hooks AS a ON a.number = e.a
JOIN hooks AS b ON b.number = e.b
WHERE a.part <> b.part;
