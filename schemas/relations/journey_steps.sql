CREATE TABLE journey_steps (
    journey_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    event_id VARCHAR NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    event_type VARCHAR NOT NULL,
    previous_event_type VARCHAR,
    next_event_type VARCHAR,
    channel VARCHAR NOT NULL,
    previous_channel VARCHAR,
    next_channel VARCHAR,
    stage VARCHAR,
    previous_stage VARCHAR,
    next_stage VARCHAR,
    seconds_since_previous DOUBLE,
    visit_id VARCHAR
);

COMMENT ON TABLE journey_steps IS 'One row per touchpoint of a journey, with its neighbours in that journey. Order: occurred_at, stage rank (no stage first), event_id.';
COMMENT ON COLUMN journey_steps.journey_id IS 'The journey.';
COMMENT ON COLUMN journey_steps.profile_id IS 'The person: customer id, or anon: and the anonymous id.';
COMMENT ON COLUMN journey_steps.position IS 'Place in the journey, from 1.';
COMMENT ON COLUMN journey_steps.event_id IS 'The touchpoint.';
COMMENT ON COLUMN journey_steps.occurred_at IS 'When it occurred, UTC.';
COMMENT ON COLUMN journey_steps.event_type IS 'What happened.';
COMMENT ON COLUMN journey_steps.previous_event_type IS 'Event type of the step before; null at the first.';
COMMENT ON COLUMN journey_steps.next_event_type IS 'Event type of the step after; null at the last.';
COMMENT ON COLUMN journey_steps.channel IS 'Where it happened.';
COMMENT ON COLUMN journey_steps.previous_channel IS 'Channel of the step before; null at the first.';
COMMENT ON COLUMN journey_steps.next_channel IS 'Channel of the step after; null at the last.';
COMMENT ON COLUMN journey_steps.stage IS 'Its stage; null where its event type has none.';
COMMENT ON COLUMN journey_steps.previous_stage IS 'Stage of the step before, null where that has none or at the first.';
COMMENT ON COLUMN journey_steps.next_stage IS 'Stage of the step after, null where that has none or at the last.';
COMMENT ON COLUMN journey_steps.seconds_since_previous IS 'Seconds since the step before, to the microsecond; null at the first.';
COMMENT ON COLUMN journey_steps.visit_id IS 'The visit it is part of; null where its medium is not digital.';
