CREATE TABLE decisions (
    decision_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE decisions IS 'One row per decision of a person about who is who. Of several about one pair the last holds, for links that come later and for rebuilds too.';
COMMENT ON COLUMN decisions.decision_id IS 'The decision; of two at one instant that of the greater id is the last.';
COMMENT ON COLUMN decisions.decided_at IS 'When it was decided, UTC.';
COMMENT ON COLUMN decisions.kind IS 'unlink: the two are not tied, whatever links them; relink: takes an unlink back.';
COMMENT ON COLUMN decisions.id IS 'A device, cookie or call line, or a customer id.';
COMMENT ON COLUMN decisions.customer_id IS 'The customer id of the pair; two customer ids are one pair in either order.';
COMMENT ON COLUMN decisions.run_id IS 'The run that recorded it.';
