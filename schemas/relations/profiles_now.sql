CREATE VIEW profiles_now AS FROM profiles_at(default_as_of());

COMMENT ON VIEW profiles_now IS 'Persons as they stand at default_as_of().';
COMMENT ON COLUMN profiles_now.profile_id IS 'The person: customer id, or anon: and the anonymous id.';
COMMENT ON COLUMN profiles_now.identified IS 'True for a known customer, false for a device nobody claimed.';
COMMENT ON COLUMN profiles_now.first_at IS 'When the first touchpoint occurred, UTC.';
COMMENT ON COLUMN profiles_now.last_at IS 'When the last touchpoint up to the instant occurred, UTC.';
COMMENT ON COLUMN profiles_now.touchpoints IS 'How many touchpoints the person has up to the instant.';
COMMENT ON COLUMN profiles_now.journeys IS 'How many journeys had begun by the instant.';
COMMENT ON COLUMN profiles_now.purchases IS 'Touchpoints with the role purchase or contract_signed; one with both counts once.';
COMMENT ON COLUMN profiles_now.contracts_in_force IS 'Contracts signed and not terminated; as long as no reference input tells effective dates, by the dates of those events.';
COMMENT ON COLUMN profiles_now.unbroken_since IS 'Since when, UTC, at least one contract has been in force without a break; null where none is.';
COMMENT ON COLUMN profiles_now.rung IS 'The highest of prospect, consumer, customer, loyal customer, advocate that holds; one who holds no contract any more is at most customer.';
