CREATE TABLE touchpoints (
    event_id VARCHAR NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    profile_id VARCHAR NOT NULL,
    identified BOOLEAN NOT NULL,
    customer_id VARCHAR,
    anonymous_id VARCHAR,
    event_type VARCHAR NOT NULL,
    stage_given VARCHAR,
    stage VARCHAR,
    roles VARCHAR[] NOT NULL,
    money_role VARCHAR,
    channel VARCHAR NOT NULL,
    medium VARCHAR,
    is_direct BOOLEAN NOT NULL,
    source VARCHAR,
    campaign VARCHAR,
    content VARCHAR,
    product VARCHAR,
    contract_id VARCHAR,
    quote_id VARCHAR,
    claim_id VARCHAR,
    referral_id VARCHAR,
    case_id VARCHAR,
    value DECIMAL(18, 4),
    currency VARCHAR,
    cost DECIMAL(18, 4),
    survey VARCHAR,
    score DOUBLE,
    consent VARCHAR[] NOT NULL,
    experiment VARCHAR,
    variant VARCHAR,
    attributes STRUCT("key" VARCHAR, "value" VARCHAR)[] NOT NULL,
    visit_id VARCHAR,
    source_name VARCHAR NOT NULL,
    source_topic VARCHAR NOT NULL,
    source_partition INTEGER NOT NULL,
    source_offset BIGINT NOT NULL,
    broker_timestamp TIMESTAMP,
    record_key BLOB,
    headers STRUCT("key" VARCHAR, "value" BLOB)[],
    schema_id INTEGER,
    loaded_at TIMESTAMP NOT NULL,
    run_id VARCHAR NOT NULL,
    event_key UBIGINT NOT NULL,
    content_sha256 BLOB NOT NULL
);

COMMENT ON TABLE touchpoints IS 'One row per event: something that happened between a person and the organisation.';
COMMENT ON COLUMN touchpoints.event_id IS 'The event''s id; the same id twice is one event.';
COMMENT ON COLUMN touchpoints.occurred_at IS 'When it happened, UTC, in microseconds.';
COMMENT ON COLUMN touchpoints.profile_id IS 'The person: the customer, or anon: and the anonymous id.';
COMMENT ON COLUMN touchpoints.identified IS 'True where the person is a known customer.';
COMMENT ON COLUMN touchpoints.customer_id IS 'The customer as given; never rewritten.';
COMMENT ON COLUMN touchpoints.anonymous_id IS 'The device, cookie or call line as given; never rewritten.';
COMMENT ON COLUMN touchpoints.event_type IS 'What happened.';
COMMENT ON COLUMN touchpoints.stage_given IS 'The stage as the source gave it.';
COMMENT ON COLUMN touchpoints.stage IS 'The stage: as given, else looked up from event_type in the taxonomy, else null.';
COMMENT ON COLUMN touchpoints.roles IS 'The roles of the event type, which formulas speak of.';
COMMENT ON COLUMN touchpoints.money_role IS 'What value is: revenue, premium (annual), claim_paid, claim_reserve (change), or null.';
COMMENT ON COLUMN touchpoints.channel IS 'Where it happened.';
COMMENT ON COLUMN touchpoints.medium IS 'The channel''s medium: digital, physical, human or mail; null where the taxonomy has none.';
COMMENT ON COLUMN touchpoints.is_direct IS 'True where the channel brings people without a marketing contact; false where the taxonomy does not know it.';
COMMENT ON COLUMN touchpoints.source IS 'Where the person came from.';
COMMENT ON COLUMN touchpoints.campaign IS 'The campaign that brought the person.';
COMMENT ON COLUMN touchpoints.content IS 'The variant of the message or page.';
COMMENT ON COLUMN touchpoints.product IS 'The product line.';
COMMENT ON COLUMN touchpoints.contract_id IS 'Business key of the contract.';
COMMENT ON COLUMN touchpoints.quote_id IS 'Business key of the quote.';
COMMENT ON COLUMN touchpoints.claim_id IS 'Business key of the claim.';
COMMENT ON COLUMN touchpoints.referral_id IS 'Business key of the referral.';
COMMENT ON COLUMN touchpoints.case_id IS 'What opens, is answered, reopens and closes: a complaint, question, request.';
COMMENT ON COLUMN touchpoints.value IS 'The amount, in currency; what it is stands in money_role.';
COMMENT ON COLUMN touchpoints.currency IS 'ISO 4217 code of value and cost.';
COMMENT ON COLUMN touchpoints.cost IS 'What this contact cost, in currency or the store''s.';
COMMENT ON COLUMN touchpoints.survey IS 'The survey that was answered.';
COMMENT ON COLUMN touchpoints.score IS 'The answer, a whole number on the survey''s scale.';
COMMENT ON COLUMN touchpoints.consent IS 'The purposes consented to at event time; empty means none recorded.';
COMMENT ON COLUMN touchpoints.experiment IS 'The A/B or multivariate test.';
COMMENT ON COLUMN touchpoints.variant IS 'The variant shown.';
COMMENT ON COLUMN touchpoints.attributes IS 'Everything else, as keys and values, sorted by key.';
COMMENT ON COLUMN touchpoints.visit_id IS 'The visit that this digital touchpoint belongs to; null for others.';
COMMENT ON COLUMN touchpoints.source_name IS 'The configured source that it was read from.';
COMMENT ON COLUMN touchpoints.source_topic IS 'The Kafka topic, or the file''s path below the source''s root.';
COMMENT ON COLUMN touchpoints.source_partition IS 'The Kafka partition; 0 for files.';
COMMENT ON COLUMN touchpoints.source_offset IS 'The Kafka offset, or the record''s ordinal in its file, from 0.';
COMMENT ON COLUMN touchpoints.broker_timestamp IS 'The broker''s timestamp, UTC; null for files.';
COMMENT ON COLUMN touchpoints.record_key IS 'The Kafka record''s key, as bytes.';
COMMENT ON COLUMN touchpoints.headers IS 'The Kafka record''s headers.';
COMMENT ON COLUMN touchpoints.schema_id IS 'The writer schema''s id in the registry.';
COMMENT ON COLUMN touchpoints.loaded_at IS 'When the slice that loaded it was committed, UTC.';
COMMENT ON COLUMN touchpoints.run_id IS 'The run that loaded it.';
COMMENT ON COLUMN touchpoints.event_key IS 'Lower 64 bits of event_id''s MD5: a number joins faster than a text.';
COMMENT ON COLUMN touchpoints.content_sha256 IS 'SHA-256 of the mapped fields before any look-up: tells a duplicate from a conflict.';
