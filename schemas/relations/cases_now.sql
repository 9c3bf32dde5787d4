CREATE VIEW cases_now AS FROM cases_at(default_as_of());

COMMENT ON VIEW cases_now IS 'Cases as they stand at default_as_of().';
COMMENT ON COLUMN cases_now.case_id IS 'Business key of the case.';
COMMENT ON COLUMN cases_now.profile_id IS 'The person: of the first touchpoint that names the case and is a known customer''s, else of the first that names it.';
COMMENT ON COLUMN cases_now.first_at IS 'When the first touchpoint that names it occurred, UTC.';
COMMENT ON COLUMN cases_now.kind IS 'complaint, request, question, listing, meeting, message or other: by the roles of the first touchpoint that names it (complaint_…, request_… and so on; message: email_… or survey_…).';
COMMENT ON COLUMN cases_now.product IS 'Product line: of the opening, else of the first touchpoint that names case and product.';
COMMENT ON COLUMN cases_now.channel IS 'Where it was opened; where no opening was seen, where it was first named.';
COMMENT ON COLUMN cases_now.opened_at IS 'When the first touchpoint that opens it occurred, UTC (roles complaint_opened, request_opened, question_asked, listing_offered, listing_asked, meeting_attended, survey_sent, email_delivered); null: none was seen.';
COMMENT ON COLUMN cases_now.opened_by IS 'The event_id of that touchpoint.';
COMMENT ON COLUMN cases_now.acknowledged_at IS 'When it was first acknowledged (complaint_acknowledged), UTC.';
COMMENT ON COLUMN cases_now.forwarded_at IS 'When it was forwarded (question_forwarded), UTC, in order.';
COMMENT ON COLUMN cases_now.answered_at IS 'When it was answered (complaint_answered, question_answered, survey_answered), UTC, in order.';
COMMENT ON COLUMN cases_now.reminded_at IS 'When it was reminded of (question_reminded), UTC, in order.';
COMMENT ON COLUMN cases_now.closed_at IS 'When it was closed (request_closed), UTC, in order.';
COMMENT ON COLUMN cases_now.reopened_at IS 'When it was opened once more after an answer or a closing, UTC, in order.';
COMMENT ON COLUMN cases_now.matched_at IS 'When a listing was first matched (listing_matched), UTC.';
