CREATE TABLE run_balances (
    run_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    from_offset BIGINT NOT NULL,
    to_offset BIGINT NOT NULL,
    read BIGINT NOT NULL,
    loaded BIGINT NOT NULL,
    duplicate BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    suppressed BIGINT NOT NULL,
    demoted BIGINT NOT NULL,
    gap BIGINT NOT NULL,
    gap_reason VARCHAR,
    committed_at TIMESTAMP NOT NULL
);

COMMENT ON TABLE run_balances IS 'One row per slice and topic-partition: read = loaded + duplicate + quarantined + suppressed, and to_offset - from_offset = read + gap. A replay of quarantined records has no offsets: both are 0, and read counts the records tried.';
COMMENT ON COLUMN run_balances.run_id IS 'The run.';
COMMENT ON COLUMN run_balances.source IS 'The configured source.';
COMMENT ON COLUMN run_balances.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN run_balances.source_partition IS 'The Kafka partition; 0 for files.';
COMMENT ON COLUMN run_balances.from_offset IS 'The first offset of the slice.';
COMMENT ON COLUMN run_balances.to_offset IS 'The offset after the last one of the slice.';
COMMENT ON COLUMN run_balances.read IS 'Records read.';
COMMENT ON COLUMN run_balances.loaded IS 'Records that became touchpoints, or rows of a reference input.';
COMMENT ON COLUMN run_balances.duplicate IS 'Records whose event, with the same contents, was there already; of a reference input, records that a later one of their key stands for.';
COMMENT ON COLUMN run_balances.quarantined IS 'Records rejected with their reason.';
COMMENT ON COLUMN run_balances.suppressed IS 'Records of people who asked not to be kept.';
COMMENT ON COLUMN run_balances.demoted IS 'Touchpoints from here that lost to a conflicting duplicate read in this run, and reference rows from here that gave way to later ones.';
COMMENT ON COLUMN run_balances.gap IS 'Offsets that the log no longer has or that belong to no record.';
COMMENT ON COLUMN run_balances.gap_reason IS 'Why there is a gap.';
COMMENT ON COLUMN run_balances.committed_at IS 'When the slice was committed, UTC.';
