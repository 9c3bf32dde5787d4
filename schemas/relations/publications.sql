CREATE TABLE publications (
    published_at TIMESTAMP NOT NULL,
    run_id VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    touchpoints BIGINT NOT NULL,
    newest_at TIMESTAMP
);

COMMENT ON TABLE publications IS 'One row per copy that was published.';
COMMENT ON COLUMN publications.published_at IS 'When the copy was taken, UTC: it holds what was committed until then.';
COMMENT ON COLUMN publications.run_id IS 'The check that allowed it, as in gate.';
COMMENT ON COLUMN publications.file IS 'The name of the copy''s file.';
COMMENT ON COLUMN publications.touchpoints IS 'Touchpoints in it.';
COMMENT ON COLUMN publications.newest_at IS 'The newest occurred_at in it, UTC.';
