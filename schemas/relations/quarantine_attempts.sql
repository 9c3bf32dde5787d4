CREATE TABLE quarantine_attempts (
    quarantine_id VARCHAR NOT NULL,
    attempt BIGINT NOT NULL,
    attempted_at TIMESTAMP NOT NULL,
    run_id VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    rule VARCHAR,
    field VARCHAR,
    value VARCHAR,
    message VARCHAR
);

COMMENT ON TABLE quarantine_attempts IS 'One row per time that a record was rejected: quarantine has the last of them.';
COMMENT ON COLUMN quarantine_attempts.quarantine_id IS 'The record, as in quarantine.';
COMMENT ON COLUMN quarantine_attempts.attempt IS 'The how-manieth time, from 1.';
COMMENT ON COLUMN quarantine_attempts.attempted_at IS 'When, UTC.';
COMMENT ON COLUMN quarantine_attempts.run_id IS 'The run or replay that rejected it.';
COMMENT ON COLUMN quarantine_attempts.step IS 'Where it was rejected: decode, validate or conflict.';
COMMENT ON COLUMN quarantine_attempts.reason IS 'The reason''s code.';
COMMENT ON COLUMN quarantine_attempts.rule IS 'The rule that was broken.';
COMMENT ON COLUMN quarantine_attempts.field IS 'The field that broke it.';
COMMENT ON COLUMN quarantine_attempts.value IS 'The offending value, at most 200 characters.';
COMMENT ON COLUMN quarantine_attempts.message IS 'What was wrong, in a sentence.';
