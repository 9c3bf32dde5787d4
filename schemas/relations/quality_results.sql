CREATE TABLE quality_results (
    run_id VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    relation VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    passed BOOLEAN NOT NULL,
    observed VARCHAR NOT NULL,
    expected VARCHAR NOT NULL,
    failed BIGINT NOT NULL,
    sample VARCHAR[] NOT NULL,
    owner VARCHAR NOT NULL,
    checked_at TIMESTAMP NOT NULL
);

COMMENT ON TABLE quality_results IS 'One row per check and rule: what each slice''s commit was held against, and what the checks of the store found.';
COMMENT ON COLUMN quality_results.run_id IS 'The run or the check.';
COMMENT ON COLUMN quality_results.rule IS 'The rule.';
COMMENT ON COLUMN quality_results.relation IS 'The relation it is about; slice: what a commit was held against.';
COMMENT ON COLUMN quality_results.severity IS 'warn; stop: nothing is published where it fails, and of a slice nothing is committed.';
COMMENT ON COLUMN quality_results.passed IS 'Whether nothing broke it.';
COMMENT ON COLUMN quality_results.observed IS 'What was found.';
COMMENT ON COLUMN quality_results.expected IS 'What is right.';
COMMENT ON COLUMN quality_results.failed IS 'How many rows, groups or days break it.';
COMMENT ON COLUMN quality_results.sample IS 'Ids of at most ten of them, in their order.';
COMMENT ON COLUMN quality_results.owner IS 'Who is to be asked.';
COMMENT ON COLUMN quality_results.checked_at IS 'When it was checked, UTC.';
