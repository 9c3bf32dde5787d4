CREATE TABLE ref_events_held (
    event VARCHAR NOT NULL,
    date DATE NOT NULL,
    channel VARCHAR NOT NULL,
    headcount BIGINT,
    valid_from TIMESTAMP,
    attributes STRUCT(key VARCHAR, value VARCHAR)[] NOT NULL,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE ref_events_held IS 'One row per event, date and channel and valid_from, from the reference input events_held: meetings, fairs and webinars that took place. Of several records of one the last counts: of the last file by name, its last row. Figures read ref_events_held_now.';
COMMENT ON COLUMN ref_events_held.event IS 'The event''s name, such as annual_meeting.';
COMMENT ON COLUMN ref_events_held.date IS 'The day on which it took place, or began.';
COMMENT ON COLUMN ref_events_held.channel IS 'Where, as touchpoints name channels: a venue or online.';
COMMENT ON COLUMN ref_events_held.headcount IS 'How many people came; null: nobody counted.';
COMMENT ON COLUMN ref_events_held.valid_from IS 'Since when the row holds, UTC; null: since ever. A key may have several rows, each with its own.';
COMMENT ON COLUMN ref_events_held.attributes IS 'Other fields of the record, sorted by key.';
COMMENT ON COLUMN ref_events_held.source_name IS 'The configured source.';
COMMENT ON COLUMN ref_events_held.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN ref_events_held.source_partition IS 'The Kafka partition; 0 for files. 1,000,000 lower for each reset of the source since it was read.';
COMMENT ON COLUMN ref_events_held.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN ref_events_held.run_id IS 'The run that loaded the row.';
