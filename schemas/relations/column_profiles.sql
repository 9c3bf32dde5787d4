CREATE TABLE column_profiles (
    profiled_at TIMESTAMP NOT NULL,
    relation VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    data_type VARCHAR NOT NULL,
    "rows" BIGINT NOT NULL,
    nulls BIGINT NOT NULL,
    distinct_values BIGINT NOT NULL,
    least VARCHAR,
    greatest VARCHAR,
    top STRUCT("value" VARCHAR, "rows" BIGINT)[] NOT NULL
);

COMMENT ON TABLE column_profiles IS 'One row per profile and column: what the column held then.';
COMMENT ON COLUMN column_profiles.profiled_at IS 'When it was profiled, UTC.';
COMMENT ON COLUMN column_profiles.relation IS 'The relation.';
COMMENT ON COLUMN column_profiles.column_name IS 'The column.';
COMMENT ON COLUMN column_profiles.data_type IS 'Its type.';
COMMENT ON COLUMN column_profiles."rows" IS 'Rows of the relation.';
COMMENT ON COLUMN column_profiles.nulls IS 'Rows in which it is null.';
COMMENT ON COLUMN column_profiles.distinct_values IS 'How many different values it has, null not counted; an estimate, off by a few percent.';
COMMENT ON COLUMN column_profiles.least IS 'The smallest value, as text.';
COMMENT ON COLUMN column_profiles.greatest IS 'The greatest value, as text.';
COMMENT ON COLUMN column_profiles.top IS 'The most frequent values with their rows, the most frequent first; empty for ids and other columns where hardly a value comes twice.';
