CREATE TABLE contracts (
    contract_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    customer_id VARCHAR,
    product VARCHAR,
    held_from TIMESTAMP,
    signed_at TIMESTAMP,
    signed_by VARCHAR,
    effective_from TIMESTAMP,
    effective_to TIMESTAMP,
    due_at TIMESTAMP,
    terminated_at TIMESTAMP,
    terminated_by VARCHAR,
    termination_effective_to TIMESTAMP,
    initiator VARCHAR,
    reason VARCHAR,
    renewed_at TIMESTAMP[] NOT NULL,
    annual_premium DECIMAL(18, 4),
    currency VARCHAR,
    signed STRUCT(
        effective_from TIMESTAMP, effective_to TIMESTAMP, due_at TIMESTAMP, annual_premium DECIMAL(18, 4), currency VARCHAR
    ),
    renewals STRUCT(renewed_at TIMESTAMP, annual_premium DECIMAL(18, 4), currency VARCHAR)[] NOT NULL
);

COMMENT ON TABLE contracts IS 'One row per contract that a touchpoint or the reference input contracts names. What the reference input says (its newest valid_from) wins over what touchpoints say. Whether it is in force depends on an instant: see contracts_at(as_of).';
COMMENT ON COLUMN contracts.contract_id IS 'Business key of the contract.';
COMMENT ON COLUMN contracts.profile_id IS 'Who owns it: the reference input''s customer, else the person of the signing, else of the first touchpoint that names it.';
COMMENT ON COLUMN contracts.customer_id IS 'The customer as given: by the reference input, else by the signing, else by the first touchpoint that names contract and customer.';
COMMENT ON COLUMN contracts.product IS 'Product line: by the reference input, else by the signing, else by the first touchpoint that names contract and product.';
COMMENT ON COLUMN contracts.held_from IS 'Since when it is held, UTC, in force yet or not: its first signing or renewal, else effective_from of the reference input; null: neither is known.';
COMMENT ON COLUMN contracts.signed_at IS 'When the first touchpoint with the role contract_signed occurred, UTC.';
COMMENT ON COLUMN contracts.signed_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN contracts.effective_from IS 'From when it is in force, UTC: by the reference input, else by the signing''s attribute of that name.';
COMMENT ON COLUMN contracts.effective_to IS 'Until when it is agreed, UTC: by the reference input, else by the signing''s attribute. Only the reference input''s ends it: what was signed for a year is renewed tacitly.';
COMMENT ON COLUMN contracts.due_at IS 'When it is due, UTC: by the reference input, else by the signing''s attribute.';
COMMENT ON COLUMN contracts.terminated_at IS 'When the first touchpoint with the role contract_terminated occurred, UTC.';
COMMENT ON COLUMN contracts.terminated_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN contracts.termination_effective_to IS 'When the termination takes effect, UTC: its attribute effective_to; null: at once.';
COMMENT ON COLUMN contracts.initiator IS 'Who ended it: the termination''s attribute of that name.';
COMMENT ON COLUMN contracts.reason IS 'Why it was ended: the termination''s attribute of that name.';
COMMENT ON COLUMN contracts.renewed_at IS 'When touchpoints with the role contract_renewed occurred, UTC, in order; a tacit renewal sends none.';
COMMENT ON COLUMN contracts.annual_premium IS 'Premium of one year, in currency: by the reference input, else the signing''s value where its money role is premium.';
COMMENT ON COLUMN contracts.currency IS 'ISO 4217 code of annual_premium.';
COMMENT ON COLUMN contracts.signed IS 'What the signing said, whatever the reference input says; null: no signing was seen.';
COMMENT ON COLUMN contracts.renewals IS 'Touchpoints with the role contract_renewed whose value is a premium, in order: when each occurred, UTC, and what it said.';
