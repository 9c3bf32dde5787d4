CREATE TABLE ref_aliases (
    id_type VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_aliases IS 'One row per alias and valid_from, from the reference input aliases: an id that is another name of a customer. Of several records of one the last counts: of the last file by name, its last row.';
COMMENT ON COLUMN ref_aliases.id_type IS 'customer_id: another customer id; anonymous_id: a device, cookie or call line.';
COMMENT ON COLUMN ref_aliases.id IS 'The id that is another name.';
COMMENT ON COLUMN ref_aliases.customer_id IS 'The customer that it belongs to.';
COMMENT ON COLUMN ref_aliases.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_aliases.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_aliases.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_aliases.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_aliases.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_aliases.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_aliases.run_id IS 'The run that loaded the row.';
