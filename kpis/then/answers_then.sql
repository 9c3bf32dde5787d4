-- Touchpoints that answer a survey with a score.
SELECT * FROM touchpoints_then WHERE survey IS NOT NULL AND score IS NOT NULL
