CREATE TABLE ref_spend (
    day DATE NOT NULL,
    campaign VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    amount DECIMAL(18, 4) NOT NULL,
    currency VARCHAR NOT NULL,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_spend IS 'One row per day, campaign, channel and currency and valid_from, from the reference input spend: what was spent on marketing, beside what single touchpoints cost. Of several records of one the last counts: of the last file by name, its last row. Figures read ref_spend_now.';
COMMENT ON COLUMN ref_spend.day IS 'The day that it was spent for.';
COMMENT ON COLUMN ref_spend.campaign IS 'The campaign, as touchpoints name it.';
COMMENT ON COLUMN ref_spend.channel IS 'The channel, as touchpoints name it.';
COMMENT ON COLUMN ref_spend.amount IS 'What was spent, in currency; negative where some came back.';
COMMENT ON COLUMN ref_spend.currency IS 'ISO 4217 code of the amount.';
COMMENT ON COLUMN ref_spend.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_spend.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_spend.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_spend.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_spend.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_spend.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_spend.run_id IS 'The run that loaded the row.';
