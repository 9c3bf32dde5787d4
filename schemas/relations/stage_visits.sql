CREATE TABLE stage_visits (
    journey_id VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    stage VARCHAR NOT NULL,
    entered_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    first_event_id VARCHAR NOT NULL,
    touchpoints BIGINT NOT NULL,
    is_return BOOLEAN NOT NULL,
    return_kind VARCHAR,
    channel VARCHAR NOT NULL,
    medium VARCHAR,
    source VARCHAR,
    campaign VARCHAR,
    product VARCHAR
);

COMMENT ON TABLE stage_visits IS 'One row per stay of a journey in a stage: a longest run of touchpoints in it. Touchpoints without a stage neither break a run nor count in it.';
COMMENT ON COLUMN stage_visits.journey_id IS 'The journey.';
COMMENT ON COLUMN stage_visits.position IS 'Place among the journey''s stage visits, from 1.';
COMMENT ON COLUMN stage_visits.stage IS 'The stage.';
COMMENT ON COLUMN stage_visits.entered_at IS 'When the run''s first touchpoint occurred, UTC.';
COMMENT ON COLUMN stage_visits.last_at IS 'When the run''s last touchpoint occurred, UTC.';
COMMENT ON COLUMN stage_visits.first_event_id IS 'The run''s first touchpoint; the journey entered the stage with it where no earlier visit is in that stage.';
COMMENT ON COLUMN stage_visits.touchpoints IS 'How many touchpoints of the stage the run has.';
COMMENT ON COLUMN stage_visits.is_return IS 'True where the visit before is of a higher rank.';
COMMENT ON COLUMN stage_visits.return_kind IS 'Why the person came back, by the visit''s first touchpoint: claim (a claim''s role or claim_id); request (a request''s, question''s or complaint''s role, or a case_id); new product (one that the person had never named); other. Null where it is no return.';
COMMENT ON COLUMN stage_visits.channel IS 'Channel of the run''s first touchpoint.';
COMMENT ON COLUMN stage_visits.medium IS 'Medium of that channel: digital, physical, human or mail; null: the taxonomy does not say.';
COMMENT ON COLUMN stage_visits.source IS 'Where the run''s first touchpoint came from.';
COMMENT ON COLUMN stage_visits.campaign IS 'Campaign of the run''s first touchpoint.';
COMMENT ON COLUMN stage_visits.product IS 'Product line of the run''s first touchpoint.';
