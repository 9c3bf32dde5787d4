CREATE TABLE profiles (
    profile_id VARCHAR NOT NULL,
    identified BOOLEAN NOT NULL,
    first_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    touchpoints BIGINT NOT NULL,
    journeys BIGINT NOT NULL
);

COMMENT ON TABLE profiles IS 'One row per person with at least one touchpoint. Nothing in it depends on an instant; profiles_at(as_of) gives what does.';
COMMENT ON COLUMN profiles.profile_id IS 'The person: customer id, or anon: and the anonymous id.';
COMMENT ON COLUMN profiles.identified IS 'True for a known customer, false for a device nobody claimed.';
COMMENT ON COLUMN profiles.first_at IS 'When the first touchpoint occurred, UTC.';
COMMENT ON COLUMN profiles.last_at IS 'When the last touchpoint occurred, UTC.';
COMMENT ON COLUMN profiles.touchpoints IS 'How many touchpoints the person has.';
COMMENT ON COLUMN profiles.journeys IS 'How many journeys the person has; 0 where no touchpoint carries the journey unit''s key.';
