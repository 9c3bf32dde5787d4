CREATE TABLE quarantine (
    quarantine_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    broker_timestamp TIMESTAMP,
    record_key BLOB,
    headers STRUCT("key" VARCHAR, "value" BLOB)[],
    raw BLOB,
    step VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    rule VARCHAR,
    field VARCHAR,
    value VARCHAR,
    message VARCHAR,
    run_id VARCHAR NOT NULL,
    first_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    attempts BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    closed_by_run VARCHAR,
    form VARCHAR NOT NULL,
    context_id VARCHAR,
    fixes VARCHAR[] NOT NULL,
    content_sha256 BLOB
);

COMMENT ON TABLE quarantine IS 'One row per rejected record, with its bytes and the rule that it broke.';
COMMENT ON COLUMN quarantine.quarantine_id IS 'Hash of the record''s coordinates; where form is contents, of the event''s id and contents. With @ and the id of a reset behind it, the record stood in a log that is no longer read.';
COMMENT ON COLUMN quarantine.source IS 'The configured source.';
COMMENT ON COLUMN quarantine.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN quarantine.source_partition IS 'The Kafka partition; 0 for files.';
COMMENT ON COLUMN quarantine.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN quarantine.broker_timestamp IS 'The broker''s timestamp, UTC; null for files.';
COMMENT ON COLUMN quarantine.record_key IS 'The Kafka record''s key, as bytes.';
COMMENT ON COLUMN quarantine.headers IS 'The Kafka record''s headers.';
COMMENT ON COLUMN quarantine.raw IS 'The record''s bytes, cut at max_record_bytes; canonical JSON where form is contents.';
COMMENT ON COLUMN quarantine.step IS 'Where it was rejected: decode, validate or conflict.';
COMMENT ON COLUMN quarantine.reason IS 'The reason''s code.';
COMMENT ON COLUMN quarantine.rule IS 'The rule that was broken.';
COMMENT ON COLUMN quarantine.field IS 'The field that broke it.';
COMMENT ON COLUMN quarantine.value IS 'The offending value, at most 200 characters.';
COMMENT ON COLUMN quarantine.message IS 'What is wrong, in a sentence.';
COMMENT ON COLUMN quarantine.run_id IS 'The run that rejected it first.';
COMMENT ON COLUMN quarantine.first_at IS 'When it was first rejected, UTC.';
COMMENT ON COLUMN quarantine.last_at IS 'When it was last rejected, UTC.';
COMMENT ON COLUMN quarantine.attempts IS 'How often it was rejected.';
COMMENT ON COLUMN quarantine.status IS 'open, replayed (loaded since) or discarded.';
COMMENT ON COLUMN quarantine.closed_by_run IS 'The run that closed it.';
COMMENT ON COLUMN quarantine.form IS 'record: raw is what the source holds; contents: raw is canonical JSON of our own fields, as of a conflicting duplicate or a touchpoint that was loaded before.';
COMMENT ON COLUMN quarantine.context_id IS 'What is needed to read raw and stands once in its file: the header of a CSV file, the schema of an Avro container; of Parquet the rejected rows with their types. Null where nothing is.';
COMMENT ON COLUMN quarantine.fixes IS 'The fixes that a replay applies to it, in their order.';
COMMENT ON COLUMN quarantine.content_sha256 IS 'Where form is contents: the hash that tells them from others of the event, as in touchpoints.';
