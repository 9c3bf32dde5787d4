CREATE TABLE gate (
    decided_at TIMESTAMP NOT NULL,
    run_id VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reasons VARCHAR[] NOT NULL,
    since TIMESTAMP NOT NULL
);

COMMENT ON TABLE gate IS 'One row per check of the store: whether what it holds may be published. The newest row counts.';
COMMENT ON COLUMN gate.decided_at IS 'When it was checked, UTC.';
COMMENT ON COLUMN gate.run_id IS 'The run or the check, as in quality_results.';
COMMENT ON COLUMN gate.state IS 'open: it may be published; held: it may not.';
COMMENT ON COLUMN gate.reasons IS 'The rules that hold it, each with what was found; empty where it is open.';
COMMENT ON COLUMN gate.since IS 'Since when it has been in this state, UTC.';
