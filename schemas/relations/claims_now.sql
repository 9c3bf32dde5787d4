CREATE VIEW claims_now AS FROM claims_at(default_as_of());

COMMENT ON VIEW claims_now IS 'Claims as they stand at default_as_of().';
COMMENT ON COLUMN claims_now.claim_id IS 'Business key of the claim.';
COMMENT ON COLUMN claims_now.profile_id IS 'The person: of the first touchpoint that names the claim and is a known customer''s, else of the first that names it.';
COMMENT ON COLUMN claims_now.first_at IS 'When the first touchpoint that names it occurred, UTC.';
COMMENT ON COLUMN claims_now.contract_id IS 'The contract that it is made on: by the opening, else by the first touchpoint that names both.';
COMMENT ON COLUMN claims_now.product IS 'Product line: of the opening, else of the first touchpoint that names claim and product.';
COMMENT ON COLUMN claims_now.opened_at IS 'When the first touchpoint with the role claim_opened occurred, UTC; null: none was seen.';
COMMENT ON COLUMN claims_now.opened_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN claims_now.closed_at IS 'When touchpoints with the role claim_closed occurred, UTC, in order.';
COMMENT ON COLUMN claims_now.reopened_at IS 'When touchpoints with the role claim_reopened occurred, UTC, in order.';
