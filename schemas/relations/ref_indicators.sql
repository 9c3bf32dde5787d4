CREATE TABLE ref_indicators (
    name VARCHAR NOT NULL,
    month DATE NOT NULL,
    value DOUBLE NOT NULL,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_indicators IS 'One row per name and month and valid_from, from the reference input indicators: figures that others measure, such as brand awareness or market share. Of several records of one the last counts: of the last file by name, its last row. Figures read ref_indicators_now.';
COMMENT ON COLUMN ref_indicators.name IS 'The indicator''s name.';
COMMENT ON COLUMN ref_indicators.month IS 'The month, by its first day.';
COMMENT ON COLUMN ref_indicators.value IS 'What was measured, in the unit of its publisher.';
COMMENT ON COLUMN ref_indicators.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_indicators.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_indicators.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_indicators.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_indicators.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_indicators.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_indicators.run_id IS 'The run that loaded the row.';
