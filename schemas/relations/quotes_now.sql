CREATE VIEW quotes_now AS FROM quotes_at(default_as_of());

COMMENT ON VIEW quotes_now IS 'Quotes as they stand at default_as_of().';
COMMENT ON COLUMN quotes_now.quote_id IS 'Business key of the quote.';
COMMENT ON COLUMN quotes_now.profile_id IS 'The person: of the first touchpoint that names the quote and is a known customer''s, else of the first that names it.';
COMMENT ON COLUMN quotes_now.first_at IS 'When the first touchpoint that names it occurred, UTC.';
COMMENT ON COLUMN quotes_now.product IS 'Product line: of the touchpoint that made the quote, else the first that names quote and product.';
COMMENT ON COLUMN quotes_now.channel IS 'Where it was made; where only its use was seen, where that was.';
COMMENT ON COLUMN quotes_now.quoted_at IS 'When the first touchpoint with the role quote_created occurred, UTC; null: none was seen.';
COMMENT ON COLUMN quotes_now.quoted_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN quotes_now.value IS 'The amount quoted, in currency.';
COMMENT ON COLUMN quotes_now.currency IS 'ISO 4217 code of value.';
COMMENT ON COLUMN quotes_now.bound_at IS 'When the first touchpoint with the role contract_signed that names it occurred, UTC; null: not bound.';
COMMENT ON COLUMN quotes_now.bound_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN quotes_now.contract_id IS 'The contract that was signed.';
