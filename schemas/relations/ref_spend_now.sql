CREATE VIEW ref_spend_now AS
SELECT day, campaign, channel, amount, currency, valid_from, attributes
FROM ref_spend
QUALIFY row_number() OVER (PARTITION BY day, campaign, channel, currency ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1;

COMMENT ON VIEW ref_spend_now IS 'The newest version of each day, campaign, channel and currency: of the rows of ref_spend with one key, the one with the latest valid_from.';
COMMENT ON COLUMN ref_spend_now.day IS 'The day that it was spent for.';
COMMENT ON COLUMN ref_spend_now.campaign IS 'The campaign, as touchpoints name it.';
COMMENT ON COLUMN ref_spend_now.channel IS 'The channel, as touchpoints name it.';
COMMENT ON COLUMN ref_spend_now.amount IS 'What was spent, in currency; negative where some came back.';
COMMENT ON COLUMN ref_spend_now.currency IS 'ISO 4217 code of the amount.';
COMMENT ON COLUMN ref_spend_now.valid_from IS 'Since when this version holds, UTC; null: since ever.';
COMMENT ON COLUMN ref_spend_now.attributes IS 'Other fields of the record, sorted by key.';
