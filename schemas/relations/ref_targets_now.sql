CREATE VIEW ref_targets_now AS
SELECT kpi, dimension, period, value, direction, valid_from, attributes
FROM ref_targets
QUALIFY row_number() OVER (PARTITION BY kpi, dimension, period ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1;

COMMENT ON VIEW ref_targets_now IS 'The newest version of each kpi, dimension and period: of the rows of ref_targets with one key, the one with the latest valid_from.';
COMMENT ON COLUMN ref_targets_now.kpi IS 'The figure''s name, as in parcours kpi list.';
COMMENT ON COLUMN ref_targets_now.dimension IS 'Of which row: total, or channel=site, or channel=site,product=auto.';
COMMENT ON COLUMN ref_targets_now.period IS 'For which period: 2025, 2025-Q1, 2025-03, 2025-W12 or 2025-03-14.';
COMMENT ON COLUMN ref_targets_now.value IS 'The target, in the figure''s unit: a share of 80 % is 0.8.';
COMMENT ON COLUMN ref_targets_now.direction IS 'up: at or above it is good; down: at or below it is.';
COMMENT ON COLUMN ref_targets_now.valid_from IS 'Since when this version holds, UTC; null: since ever.';
COMMENT ON COLUMN ref_targets_now.attributes IS 'Other fields of the record, sorted by key.';
