CREATE TABLE ref_customers (
    customer_id VARCHAR NOT NULL,
    member_since DATE,
    member_until DATE,
    region VARCHAR,
    birth_year BIGINT,
    segment VARCHAR,
    potential VARCHAR,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_customers IS 'One row per customer and valid_from, from the reference input customers. Of several records of one the last counts: of the last file by name, its last row.';
COMMENT ON COLUMN ref_customers.customer_id IS 'The customer, as touchpoints name it.';
COMMENT ON COLUMN ref_customers.member_since IS 'The first day of membership.';
COMMENT ON COLUMN ref_customers.member_until IS 'The last day of membership; null while it lasts.';
COMMENT ON COLUMN ref_customers.region IS 'Where the customer lives, in the organisation''s words.';
COMMENT ON COLUMN ref_customers.birth_year IS 'Year of birth.';
COMMENT ON COLUMN ref_customers.segment IS 'The organisation''s segment.';
COMMENT ON COLUMN ref_customers.potential IS 'The organisation''s judgement of what the customer may still buy.';
COMMENT ON COLUMN ref_customers.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_customers.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_customers.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_customers.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_customers.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_customers.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_customers.run_id IS 'The run that loaded the row.';
