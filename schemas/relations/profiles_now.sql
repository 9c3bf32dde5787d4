CREATE VIEW profiles_now AS FROM profiles_at(default_as_of());

COMMENT ON VIEW profiles_now IS 'Persons as they stand at default_as_of().';
COMMENT ON COLUMN profiles_now.profile_id IS 'The person: customer id, or anon: and the anonymous id.';
COMMENT ON COLUMN profiles_now.identified IS 'True for a known customer, false for a device nobody claimed.';
COMMENT ON COLUMN profiles_now.first_at IS 'When the first touchpoint occurred, UTC.';
COMMENT ON COLUMN profiles_now.last_at IS 'When the last touchpoint up to the instant occurred, UTC.';
COMMENT ON COLUMN profiles_now.touchpoints IS 'How many touchpoints the person has up to the instant.';
COMMENT ON COLUMN profiles_now.journeys IS 'How many journeys had begun by the instant.';
COMMENT ON COLUMN profiles_now.purchases IS 'Touchpoints with the role purchase or contract_signed; one with both counts once.';
COMMENT ON COLUMN profiles_now.referrals IS 'Touchpoints with the role referral_made.';
COMMENT ON COLUMN profiles_now.good_reviews IS 'Reviews in the upper half of their scale: 4 or 5.';
COMMENT ON COLUMN profiles_now.last_nps IS 'The last answer on recommending (survey nps), 0 to 10; null: none.';
COMMENT ON COLUMN profiles_now.contracts_in_force IS 'Contracts in force at the instant: see contracts_at(as_of).';
COMMENT ON COLUMN profiles_now.longest_in_force_years IS 'For how many years the oldest contract in force has been; 0 where none is.';
COMMENT ON COLUMN profiles_now.unbroken_since IS 'Since when, UTC, at least one contract has been in force without a break; null where none is.';
COMMENT ON COLUMN profiles_now.tenure_years IS 'Years since then; 0 where no contract is in force.';
COMMENT ON COLUMN profiles_now.holds_nothing_any_more IS 'True where every contract that the person ever held has ended.';
COMMENT ON COLUMN profiles_now.rung IS 'The highest rung of the loyalty ladder whose condition in [ladder] holds; prospect where none does.';
