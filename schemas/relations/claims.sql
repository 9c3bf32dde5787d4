CREATE TABLE claims (
    claim_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    first_at TIMESTAMP NOT NULL,
    contract_id VARCHAR,
    product VARCHAR,
    opened_at TIMESTAMP,
    opened_by VARCHAR,
    closed_at TIMESTAMP[] NOT NULL,
    reopened_at TIMESTAMP[] NOT NULL
);

COMMENT ON TABLE claims IS 'One row per claim that a touchpoint names.';
COMMENT ON COLUMN claims.claim_id IS 'Business key of the claim.';
COMMENT ON COLUMN claims.profile_id IS 'The person: of the first touchpoint that names the claim and is a known customer''s, else of the first that names it.';
COMMENT ON COLUMN claims.first_at IS 'When the first touchpoint that names it occurred, UTC.';
COMMENT ON COLUMN claims.contract_id IS 'The contract that it is made on: by the opening, else by the first touchpoint that names both.';
COMMENT ON COLUMN claims.product IS 'Product line: of the opening, else of the first touchpoint that names claim and product.';
COMMENT ON COLUMN claims.opened_at IS 'When the first touchpoint with the role claim_opened occurred, UTC; null: none was seen.';
COMMENT ON COLUMN claims.opened_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN claims.closed_at IS 'When touchpoints with the role claim_closed occurred, UTC, in order.';
COMMENT ON COLUMN claims.reopened_at IS 'When touchpoints with the role claim_reopened occurred, UTC, in order.';
