CREATE SCHEMA internal;
CREATE TABLE internal.meta (key VARCHAR NOT NULL, value VARCHAR NOT NULL);
CREATE TABLE internal.offsets (
    source VARCHAR NOT NULL,
    topic VARCHAR NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    resume VARCHAR NOT NULL
);
CREATE TABLE internal.row_hashes (
    source VARCHAR NOT NULL,
    topic VARCHAR NOT NULL,
    hash UHUGEINT NOT NULL,
    seen BIGINT NOT NULL
);
CREATE TABLE internal.people (customer_id VARCHAR NOT NULL, profile_id VARCHAR NOT NULL);
CREATE TABLE internal.contexts (context_id VARCHAR NOT NULL, context BLOB NOT NULL);
CREATE TABLE internal.dead_letters (quarantine_id VARCHAR NOT NULL, attempt BIGINT NOT NULL, run_id VARCHAR NOT NULL);

COMMENT ON TABLE internal.contexts IS 'What quarantined records of a file need to be read: its header, its schema.';
COMMENT ON TABLE internal.dead_letters IS 'Rejections that are still to be sent to the dead-letter topic.';
COMMENT ON TABLE internal.people IS 'The person of each customer id that is another name of a person.';
COMMENT ON TABLE internal.meta IS 'The store''s format version and the text of the rules in force.';
COMMENT ON TABLE internal.offsets IS 'The next offset to read of each topic-partition: the truth about what was read.';
COMMENT ON TABLE internal.row_hashes IS 'How often a row of a file was seen, for sources whose event_id is @hash; of a file that was forgotten, with @ and the run behind its name.';
