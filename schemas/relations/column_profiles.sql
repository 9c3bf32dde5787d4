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
COMMENT ON COLUMN column_profiles.nulls IS 'Rows in which it is null; for a list, null or empty.';
COMMENT ON COLUMN column_profiles.distinct_values IS 'How many different values it has, null not counted; for a list, different elements, for attributes, different keys. An estimate, off by a tenth or so, where there are more than a thousand and no top values.';
COMMENT ON COLUMN column_profiles.least IS 'The smallest value, as text; null for ids, lists, and texts of which hardly one comes twice.';
COMMENT ON COLUMN column_profiles.greatest IS 'The greatest value, as text; null as least is.';
COMMENT ON COLUMN column_profiles.top IS 'The most frequent values with their rows, the most frequent first, at most ten; empty for ids, times and other columns where hardly a value comes twice.';
