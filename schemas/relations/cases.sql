CREATE TABLE cases (
    case_id VARCHAR NOT NULL,
    profile_id VARCHAR NOT NULL,
    first_at TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,
    product VARCHAR,
    channel VARCHAR NOT NULL,
    opened_at TIMESTAMP,
    opened_by VARCHAR,
    acknowledged_at TIMESTAMP,
    forwarded_at TIMESTAMP[] NOT NULL,
    answered_at TIMESTAMP[] NOT NULL,
    reminded_at TIMESTAMP[] NOT NULL,
    closed_at TIMESTAMP[] NOT NULL,
    reopened_at TIMESTAMP[] NOT NULL,
    matched_at TIMESTAMP
);

COMMENT ON TABLE cases IS 'One row per case that a touchpoint names: what opens, is answered, reopens and closes.';
COMMENT ON COLUMN cases.case_id IS 'Business key of the case.';
COMMENT ON COLUMN cases.profile_id IS 'The person: of the first touchpoint that names the case and is a known customer''s, else of the first that names it.';
COMMENT ON COLUMN cases.first_at IS 'When the first touchpoint that names it occurred, UTC.';
COMMENT ON COLUMN cases.kind IS 'complaint, request, question, listing, meeting, message or other: by the roles of the first touchpoint that names it (complaint_…, request_… and so on; message: email_… or survey_…).';
COMMENT ON COLUMN cases.product IS 'Product line: of the opening, else of the first touchpoint that names case and product.';
COMMENT ON COLUMN cases.channel IS 'Where it was opened; where no opening was seen, where it was first named.';
COMMENT ON COLUMN cases.opened_at IS 'When the first touchpoint that opens it occurred, UTC (roles complaint_opened, request_opened, question_asked, listing_offered, listing_asked, meeting_attended, survey_sent, email_delivered); null: none was seen.';
COMMENT ON COLUMN cases.opened_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN cases.acknowledged_at IS 'When it was first acknowledged (complaint_acknowledged), UTC.';
COMMENT ON COLUMN cases.forwarded_at IS 'When it was forwarded (question_forwarded), UTC, in order.';
COMMENT ON COLUMN cases.answered_at IS 'When it was answered (complaint_answered, question_answered, survey_answered), UTC, in order.';
COMMENT ON COLUMN cases.reminded_at IS 'When it was reminded of (question_reminded), UTC, in order.';
COMMENT ON COLUMN cases.closed_at IS 'When it was closed (request_closed), UTC, in order.';
COMMENT ON COLUMN cases.reopened_at IS 'When it was opened once more after an answer or a closing, UTC, in order.';
COMMENT ON COLUMN cases.matched_at IS 'When a listing was first matched (listing_matched), UTC.';
