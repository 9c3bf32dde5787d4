CREATE TABLE journeys (
    journey_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    unit_key VARCHAR,
    started_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    closes_at TIMESTAMP,
    ended_by VARCHAR,
    first_channel VARCHAR NOT NULL,
    last_channel VARCHAR NOT NULL,
    touchpoints BIGINT NOT NULL,
    awareness_at TIMESTAMP,
    consideration_at TIMESTAMP,
    purchase_at TIMESTAMP,
    service_at TIMESTAMP,
    loyalty_at TIMESTAMP,
    advocacy_at TIMESTAMP,
    furthest_stage VARCHAR,
    current_stage VARCHAR,
    returns BIGINT NOT NULL,
    skipped_stages VARCHAR[] NOT NULL,
    days_to_purchase DOUBLE,
    gap_seconds DOUBLE
);

COMMENT ON TABLE journeys IS 'One row per journey: one person''s touchpoints (of one product, contract or claim, where the unit says so) with no gap longer than journey.gap and no ending event between. Whether it is closed depends on an instant: see journeys_at(as_of).';
COMMENT ON COLUMN journeys.journey_id IS 'MD5 of the unit, its key and the first event_id.';
COMMENT ON COLUMN journeys.profile_id IS 'The person: customer id, or anon: and the anonymous id.';
COMMENT ON COLUMN journeys.unit IS 'What a journey is cut by: profile, product, contract or claim.';
COMMENT ON COLUMN journeys.unit_key IS 'The product, contract_id or claim_id; the profile_id where the unit is profile; null: no product.';
COMMENT ON COLUMN journeys.started_at IS 'When its first touchpoint occurred, UTC.';
COMMENT ON COLUMN journeys.last_at IS 'When its last touchpoint occurred, UTC.';
COMMENT ON COLUMN journeys.closes_at IS 'When it closes, UTC: last_at where an event ended it, else last_at plus journey.gap; null where only an event can.';
COMMENT ON COLUMN journeys.ended_by IS 'The event type that ended it, the first in order of those at its last instant; null where no event did.';
COMMENT ON COLUMN journeys.first_channel IS 'Channel of its first touchpoint.';
COMMENT ON COLUMN journeys.last_channel IS 'Channel of its last touchpoint.';
COMMENT ON COLUMN journeys.touchpoints IS 'How many touchpoints it has.';
COMMENT ON COLUMN journeys.awareness_at IS 'When it entered awareness: the first touchpoint in that stage, UTC; null: never.';
COMMENT ON COLUMN journeys.consideration_at IS 'When it entered consideration, UTC; null: never.';
COMMENT ON COLUMN journeys.purchase_at IS 'When it entered purchase, UTC; null: never.';
COMMENT ON COLUMN journeys.service_at IS 'When it entered service, UTC; null: never.';
COMMENT ON COLUMN journeys.loyalty_at IS 'When it entered loyalty, UTC; null: never.';
COMMENT ON COLUMN journeys.advocacy_at IS 'When it entered advocacy, UTC; null: never.';
COMMENT ON COLUMN journeys.furthest_stage IS 'The highest stage it entered; null where no touchpoint has a stage.';
COMMENT ON COLUMN journeys.current_stage IS 'The stage of its last stage visit; null where no touchpoint has a stage.';
COMMENT ON COLUMN journeys.returns IS 'How many stage visits are of a lower rank than the one before.';
COMMENT ON COLUMN journeys.skipped_stages IS 'Stages, in rank order, that had not been entered when a higher one was; a later entry does not undo it.';
COMMENT ON COLUMN journeys.days_to_purchase IS 'Days of 24 hours from started_at to purchase_at; null without a purchase.';
COMMENT ON COLUMN journeys.gap_seconds IS 'The journey.gap that it was cut by, in seconds; null: never.';
