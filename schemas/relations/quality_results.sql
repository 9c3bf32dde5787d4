CREATE TABLE quality_results (
    run_id VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    observed VARCHAR NOT NULL,
    expected VARCHAR NOT NULL,
    failed BIGINT NOT NULL,
    sample VARCHAR[] NOT NULL,
    checked_at TIMESTAMP NOT NULL
);

COMMENT ON TABLE quality_results IS 'One row per run and check of the store''s own consistency; a failed check refuses the commit.';
COMMENT ON COLUMN quality_results.run_id IS 'The run.';
COMMENT ON COLUMN quality_results.rule IS 'The check.';
COMMENT ON COLUMN quality_results.severity IS 'stop: the commit is refused where it fails.';
COMMENT ON COLUMN quality_results.observed IS 'What was found.';
COMMENT ON COLUMN quality_results.expected IS 'What is right.';
COMMENT ON COLUMN quality_results.failed IS 'How many rows break it.';
COMMENT ON COLUMN quality_results.sample IS 'Some of their ids.';
COMMENT ON COLUMN quality_results.checked_at IS 'When it was checked, UTC.';
