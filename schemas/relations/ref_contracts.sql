CREATE TABLE ref_contracts (
    contract_id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    product VARCHAR,
    effective_from TIMESTAMP,
    effective_to TIMESTAMP,
    due_at TIMESTAMP,
    annual_premium DECIMAL(18, 4),
    currency VARCHAR,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_contracts IS 'One row per contract and valid_from, from the reference input contracts. Of several records of one the last counts: of the last file by name, its last row.';
COMMENT ON COLUMN ref_contracts.contract_id IS 'The contract, as touchpoints name it.';
COMMENT ON COLUMN ref_contracts.customer_id IS 'Who holds it.';
COMMENT ON COLUMN ref_contracts.product IS 'Product line (auto, home, health …).';
COMMENT ON COLUMN ref_contracts.effective_from IS 'From when it is in force, UTC; a date means midnight in the source''s zone.';
COMMENT ON COLUMN ref_contracts.effective_to IS 'When it ceases to be in force, UTC; null while no end is known.';
COMMENT ON COLUMN ref_contracts.due_at IS 'When it is next due, UTC.';
COMMENT ON COLUMN ref_contracts.annual_premium IS 'Premium of one year, in currency.';
COMMENT ON COLUMN ref_contracts.currency IS 'ISO 4217 code of the premium.';
COMMENT ON COLUMN ref_contracts.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_contracts.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_contracts.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_contracts.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_contracts.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_contracts.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_contracts.run_id IS 'The run that loaded the row.';
