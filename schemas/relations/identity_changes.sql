CREATE TABLE identity_changes (
    run_id VARCHAR NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    causes VARCHAR[] NOT NULL,
    profiles_before BIGINT NOT NULL,
    profiles_after BIGINT NOT NULL,
    touchpoints_moved BIGINT NOT NULL,
    journeys_before BIGINT NOT NULL,
    journeys_after BIGINT NOT NULL,
    stage_conversions STRUCT(
        from_stage VARCHAR, to_stage VARCHAR, entered_before BIGINT, converted_before BIGINT, entered_after BIGINT,
        converted_after BIGINT
    )[] NOT NULL
);

COMMENT ON TABLE identity_changes IS 'One row per slice in which a merge, an alias or a decision moved stored touchpoints from one person to another; part of the ledger. Before and after speak of the persons who lost or gained touchpoints by it.';
COMMENT ON COLUMN identity_changes.run_id IS 'The run.';
COMMENT ON COLUMN identity_changes.changed_at IS 'When it was committed, UTC.';
COMMENT ON COLUMN identity_changes.causes IS 'What of merge, alias, unlink and relink came in the slice, sorted.';
COMMENT ON COLUMN identity_changes.profiles_before IS 'How many persons they were.';
COMMENT ON COLUMN identity_changes.profiles_after IS 'How many persons they are.';
COMMENT ON COLUMN identity_changes.touchpoints_moved IS 'How many stored touchpoints changed hands by it.';
COMMENT ON COLUMN identity_changes.journeys_before IS 'How many journeys they had.';
COMMENT ON COLUMN identity_changes.journeys_after IS 'How many journeys they have.';
COMMENT ON COLUMN identity_changes.stage_conversions IS 'Per pair of stages that one of their journeys entered: journeys that entered from_stage, and of these those that entered to_stage after it, to date, before and after.';
