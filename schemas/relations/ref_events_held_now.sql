CREATE VIEW ref_events_held_now AS
SELECT event, date, channel, headcount, valid_from, attributes
FROM ref_events_held
QUALIFY row_number() OVER (PARTITION BY event, date, channel ORDER BY coalesce(valid_from, '-infinity'::TIMESTAMP) DESC) = 1;

COMMENT ON VIEW ref_events_held_now IS 'The newest version of each event, date and channel: of the rows of ref_events_held with one key, the one with the latest valid_from.';
COMMENT ON COLUMN ref_events_held_now.event IS 'The event''s name, such as annual_meeting.';
COMMENT ON COLUMN ref_events_held_now.date IS 'The day on which it took place, or began.';
COMMENT ON COLUMN ref_events_held_now.channel IS 'Where, as touchpoints name channels: a venue or online.';
COMMENT ON COLUMN ref_events_held_now.headcount IS 'How many people came; null: nobody counted.';
COMMENT ON COLUMN ref_events_held_now.valid_from IS 'Since when this version holds, UTC; null: since ever.';
COMMENT ON COLUMN ref_events_held_now.attributes IS 'Other fields of the record, sorted by key.';
