CREATE TABLE ref_targets (
    kpi VARCHAR NOT NULL,
    dimension VARCHAR NOT NULL,
    period VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    direction VARCHAR NOT NULL,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_targets IS 'One row per kpi, dimension and period and valid_from, from the reference input targets: what figures ought to be. Of several records of one the last counts: of the last file by name, its last row. Figures read ref_targets_now.';
COMMENT ON COLUMN ref_targets.kpi IS 'The figure''s name, as in parcours kpi list.';
COMMENT ON COLUMN ref_targets.dimension IS 'Of which row: total, or channel=site, or channel=site,product=auto.';
COMMENT ON COLUMN ref_targets.period IS 'For which period: 2025, 2025-Q1, 2025-03, 2025-W12 or 2025-03-14.';
COMMENT ON COLUMN ref_targets.value IS 'The target, in the figure''s unit: a share of 80 % is 0.8.';
COMMENT ON COLUMN ref_targets.direction IS 'up: at or above it is good; down: at or below it is.';
COMMENT ON COLUMN ref_targets.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_targets.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_targets.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_targets.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_targets.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_targets.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_targets.run_id IS 'The run that loaded the row.';
