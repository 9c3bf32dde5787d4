CREATE TABLE fixes (
    fix_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    run_id VARCHAR NOT NULL,
    change VARCHAR NOT NULL,
    edited BLOB,
    note VARCHAR,
    records BIGINT NOT NULL
);

COMMENT ON TABLE fixes IS 'One row per decision of a person on how quarantined records are to be read when they are replayed, or to give them up.';
COMMENT ON COLUMN fixes.fix_id IS 'The fix, as in quarantine.fixes.';
COMMENT ON COLUMN fixes.decided_at IS 'When it was decided, UTC.';
COMMENT ON COLUMN fixes.run_id IS 'The run that recorded it.';
COMMENT ON COLUMN fixes.change IS 'JSON: keys of the source that count instead of the config''s, mapping and expressions among them; {} where the record was edited, {"discard": true} where the records were given up.';
COMMENT ON COLUMN fixes.edited IS 'The bytes that count instead of the record''s, where it was edited.';
COMMENT ON COLUMN fixes.note IS 'Why, in the words of whoever decided.';
COMMENT ON COLUMN fixes.records IS 'How many records it was decided for.';
