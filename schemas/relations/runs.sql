CREATE TABLE runs (
    run_id VARCHAR NOT NULL,
    command VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    status VARCHAR NOT NULL,
    rules_fingerprint VARCHAR NOT NULL
);

COMMENT ON TABLE runs IS 'One row per run that committed something.';
COMMENT ON COLUMN runs.run_id IS 'The run; ids sort by start.';
COMMENT ON COLUMN runs.command IS 'run, follow, rebuild; identity: a decision about who is who; or reset: a source''s offsets were forgotten.';
COMMENT ON COLUMN runs.started_at IS 'When it started, UTC.';
COMMENT ON COLUMN runs.ended_at IS 'When it last committed, UTC.';
COMMENT ON COLUMN runs.status IS 'running, done, or interrupted: it ended before it was done, and what it committed stands.';
COMMENT ON COLUMN runs.rules_fingerprint IS 'SHA-256 of the rules in force.';
