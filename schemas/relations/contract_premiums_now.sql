CREATE VIEW contract_premiums_now AS FROM contract_premiums_at(default_as_of());

COMMENT ON VIEW contract_premiums_now IS 'The annual premium of each contract over time, as known at default_as_of(): one row per contract and stretch of one premium.';
COMMENT ON COLUMN contract_premiums_now.contract_id IS 'Business key of the contract.';
COMMENT ON COLUMN contract_premiums_now.profile_id IS 'Who owns the contract.';
COMMENT ON COLUMN contract_premiums_now.product IS 'Product line of the contract.';
COMMENT ON COLUMN contract_premiums_now.currency IS 'ISO 4217 code of annual_premium.';
COMMENT ON COLUMN contract_premiums_now.annual_premium IS 'Premium of one year, in currency.';
COMMENT ON COLUMN contract_premiums_now.from_at IS 'From when it holds, UTC.';
COMMENT ON COLUMN contract_premiums_now.until_at IS 'Until when it holds, UTC; null: still.';
