CREATE TABLE quotes (
    quote_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    first_at TIMESTAMP NOT NULL,
    product VARCHAR,
    channel VARCHAR NOT NULL,
    quoted_at TIMESTAMP,
    quoted_by VARCHAR,
    value DECIMAL(18, 4),
    currency VARCHAR,
    bound_at TIMESTAMP,
    bound_by VARCHAR,
    contract_id VARCHAR
);

COMMENT ON TABLE quotes IS 'One row per quote that a touchpoint names.';
COMMENT ON COLUMN quotes.quote_id IS 'Business key of the quote.';
COMMENT ON COLUMN quotes.profile_id IS 'The person: of the first touchpoint that names the quote and is a known customer''s, else of the first that names it.';
COMMENT ON COLUMN quotes.first_at IS 'When the first touchpoint that names it occurred, UTC.';
COMMENT ON COLUMN quotes.product IS 'Product line: of the touchpoint that made the quote, else the first that names quote and product.';
COMMENT ON COLUMN quotes.channel IS 'Where it was made; where only its use was seen, where that was.';
COMMENT ON COLUMN quotes.quoted_at IS 'When the first touchpoint with the role quote_created occurred, UTC; null: none was seen.';
COMMENT ON COLUMN quotes.quoted_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN quotes.value IS 'The amount quoted, in currency.';
COMMENT ON COLUMN quotes.currency IS 'ISO 4217 code of value.';
COMMENT ON COLUMN quotes.bound_at IS 'When the first touchpoint with the role contract_signed that names it occurred, UTC; null: not bound.';
COMMENT ON COLUMN quotes.bound_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN quotes.contract_id IS 'The contract that was signed.';
