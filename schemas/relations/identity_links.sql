CREATE TABLE identity_links (
    link_id VARCHAR NOT NULL,
    anonymous_id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    event_id VARCHAR NOT NULL,
    linked_at TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,
    status VARCHAR NOT NULL
);

COMMENT ON TABLE identity_links IS 'One row per touchpoint that links a device to a customer.';
COMMENT ON COLUMN identity_links.link_id IS 'Hash of kind, both ids and event_id.';
COMMENT ON COLUMN identity_links.anonymous_id IS 'The device, cookie or call line.';
COMMENT ON COLUMN identity_links.customer_id IS 'The customer that it is tied to.';
COMMENT ON COLUMN identity_links.event_id IS 'The touchpoint that carries both ids.';
COMMENT ON COLUMN identity_links.linked_at IS 'When that touchpoint happened, UTC.';
COMMENT ON COLUMN identity_links.kind IS 'device.';
COMMENT ON COLUMN identity_links.status IS 'active; over_limit: the device met too many customers and is left unlinked.';
