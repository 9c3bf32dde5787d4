CREATE TABLE decisions (
    decision_id VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL
);

COMMENT ON TABLE decisions IS 'One row per decision of a person: about who is who, of which the last about a pair holds, for links that come later and for rebuilds too; and about marketing, of which a person''s last holds.';
COMMENT ON COLUMN decisions.decision_id IS 'The decision; of two at one instant that of the greater id is the last.';
COMMENT ON COLUMN decisions.decided_at IS 'When it was decided, UTC.';
COMMENT ON COLUMN decisions.kind IS 'unlink: the two are not tied, whatever links them; relink: takes an unlink back; opt_out: the person wants no marketing; opt_in: takes that back.';
COMMENT ON COLUMN decisions.id IS 'A device, cookie or call line, or a customer id; of an opt_out or opt_in the person: customer id, or anon: and the device.';
COMMENT ON COLUMN decisions.customer_id IS 'The customer id of the pair; two customer ids are one pair in either order. Of an opt_out or opt_in the same as id.';
COMMENT ON COLUMN decisions.run_id IS 'The run that recorded it.';
