CREATE TABLE journey_amounts (
    journey_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    amount DECIMAL(18, 4)
);

COMMENT ON TABLE journey_amounts IS 'What a journey''s touchpoints add up to, one row per kind and currency that occurs in it. Amounts in different currencies are never added.';
COMMENT ON COLUMN journey_amounts.journey_id IS 'The journey.';
COMMENT ON COLUMN journey_amounts.kind IS 'revenue, premium (annual), claim_paid, claim_reserve (change) by the event type''s money role, or cost, what the contacts cost.';
COMMENT ON COLUMN journey_amounts.currency IS 'ISO 4217 code; a cost that names none is in the store''s.';
COMMENT ON COLUMN journey_amounts.amount IS 'The sum, in currency; null where it is beyond DECIMAL(18, 4).';
