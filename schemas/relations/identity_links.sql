CREATE TABLE identity_links (
    link_id VARCHAR NOT NULL,
    anonymous_id VARCHAR,
    other_customer_id VARCHAR,
    customer_id VARCHAR NOT NULL,
    event_id VARCHAR,
    linked_at TIMESTAMP,
    kind VARCHAR NOT NULL,
    status VARCHAR NOT NULL
);

COMMENT ON TABLE identity_links IS 'One row per touchpoint or alias that ties a device to a customer, or two customer ids to one person.';
COMMENT ON COLUMN identity_links.link_id IS 'Hash of kind, both ids, and event_id or the alias''s valid_from.';
COMMENT ON COLUMN identity_links.anonymous_id IS 'The device, cookie or call line; null where two customer ids are tied.';
COMMENT ON COLUMN identity_links.other_customer_id IS 'The customer id that is another name of customer_id; null where a device is tied.';
COMMENT ON COLUMN identity_links.customer_id IS 'The customer that it is tied to, as given.';
COMMENT ON COLUMN identity_links.event_id IS 'The touchpoint that ties them; null for an alias.';
COMMENT ON COLUMN identity_links.linked_at IS 'When that touchpoint happened, or since when the alias holds, UTC. An alias that holds since ever has null, that of a device 2000-01-01.';
COMMENT ON COLUMN identity_links.kind IS 'device: a touchpoint with both ids; merge: one with the role customer_merged; alias: a row of the reference input aliases.';
COMMENT ON COLUMN identity_links.status IS 'active; over_limit: the device met too many persons and is left unlinked; unlinked: a person decided that the two are not tied.';
