CREATE TABLE visits (
    visit_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP NOT NULL,
    touchpoints BIGINT NOT NULL,
    channel VARCHAR NOT NULL,
    source VARCHAR,
    campaign VARCHAR,
    content VARCHAR,
    product VARCHAR
);

COMMENT ON TABLE visits IS 'One row per visit: digital touchpoints of one profile with gaps of at most 30 minutes. It belongs to the period of its start.';
COMMENT ON COLUMN visits.visit_id IS 'MD5 of the profile and the visit''s first event_id.';
COMMENT ON COLUMN visits.profile_id IS 'The person: customer id, or anon: and the anonymous id.';
COMMENT ON COLUMN visits.started_at IS 'When its first touchpoint occurred, UTC.';
COMMENT ON COLUMN visits.ended_at IS 'When its last touchpoint occurred, UTC.';
COMMENT ON COLUMN visits.touchpoints IS 'How many digital touchpoints it has.';
COMMENT ON COLUMN visits.channel IS 'Channel of its first touchpoint.';
COMMENT ON COLUMN visits.source IS 'Where the first touchpoint came from.';
COMMENT ON COLUMN visits.campaign IS 'Campaign of its first touchpoint.';
COMMENT ON COLUMN visits.content IS 'Content of its first touchpoint.';
COMMENT ON COLUMN visits.product IS 'Product line of its first touchpoint.';
