CREATE VIEW ref_indicators_now AS
SELECT name, month, value, valid_from, attributes
FROM ref_indicators
QUALIFY row_number() OVER (PARTITION BY name, month ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1;

COMMENT ON VIEW ref_indicators_now IS 'The newest version of each name and month: of the rows of ref_indicators with one key, the one with the latest valid_from.';
COMMENT ON COLUMN ref_indicators_now.name IS 'The indicator''s name.';
COMMENT ON COLUMN ref_indicators_now.month IS 'The month, by its first day.';
COMMENT ON COLUMN ref_indicators_now.value IS 'What was measured, in the unit of its publisher.';
COMMENT ON COLUMN ref_indicators_now.valid_from IS 'Since when this version holds, UTC; null: since ever.';
COMMENT ON COLUMN ref_indicators_now.attributes IS 'Other fields of the record, sorted by key.';
