CREATE OR REPLACE MACRO segment_members_at(as_of) AS TABLE
$members;

COMMENT ON MACRO TABLE segment_members_at IS 'Who is in each segment of [segment] at an instant (UTC), a row a segment and person: segment, profile_id, over (profiles, contracts, journeys, quotes or cases: what its condition judges) and matter, the ids of the rows that it holds for.';

CREATE OR REPLACE VIEW segment_members_now AS FROM segment_members_at(default_as_of());

COMMENT ON VIEW segment_members_now IS 'Who is in each segment of [segment] at default_as_of().';

COMMENT ON COLUMN segment_members_now.segment IS 'Its name in the config.';

COMMENT ON COLUMN segment_members_now.profile_id IS 'The person: customer id, or anon: and the anonymous id.';

COMMENT ON COLUMN segment_members_now."over" IS 'What the condition judges: profiles, contracts, journeys, quotes or cases.';

COMMENT ON COLUMN segment_members_now.matter IS 'The ids of the person''s rows that it holds for, in order.';

CREATE OR REPLACE MACRO segment_moves("from", "to") AS TABLE
SELECT
    segment,
    profile_id,
    CASE WHEN before."over" IS NULL THEN 'entered' WHEN after."over" IS NULL THEN 'left' ELSE 'stayed' END AS move
FROM segment_members_at("from") AS before FULL JOIN segment_members_at("to") AS after USING (segment, profile_id);

COMMENT ON MACRO TABLE segment_moves IS 'Who entered, left or stayed in each segment between two instants (UTC), a row a segment and person who is in it at either: segment, profile_id, move. What happened in between and was undone does not show.';

CREATE OR REPLACE MACRO segment_history_at(as_of) AS TABLE
WITH known AS MATERIALIZED (
    SELECT min(occurred_at) AS since, CAST(as_of AS TIMESTAMP) AS until
    FROM touchpoints
    WHERE occurred_at <= CAST(as_of AS TIMESTAMP)
    GROUP BY ALL
),
months AS MATERIALIZED (
    SELECT
        CAST(last_day(month) AS DATE) AS ends_on,
        timezone('UTC', timezone('$time_zone', month + INTERVAL 1 MONTH)) AS ends_at,
        row_number() OVER (ORDER BY month) AS place
    FROM (
        SELECT unnest(generate_series(
            CAST(date_trunc('month', local_day(since)) AS TIMESTAMP),
            CAST(local_day(until) AS TIMESTAMP),
            INTERVAL 1 MONTH
        )) AS month
        FROM known
    )
    CROSS JOIN known
    WHERE timezone('UTC', timezone('$time_zone', month + INTERVAL 1 MONTH)) <= until
),
-- what is dated at a month's very end belongs to the next
members AS (
    SELECT place, segment, profile_id
    FROM months, LATERAL (SELECT segment, profile_id FROM segment_members_at(ends_at - INTERVAL 1 MICROSECOND))
),
stays AS (
    SELECT segment, profile_id, min(place) AS entered, max(place) AS stayed
    FROM (
        SELECT *, place - row_number() OVER (PARTITION BY segment, profile_id ORDER BY place) AS stay FROM members
    )
    GROUP BY segment, profile_id, stay
)
SELECT segment, profile_id, first.ends_on AS entered_on, next.ends_on AS left_on
FROM stays
JOIN months AS first ON first.place = entered
LEFT JOIN months AS next ON next.place = stayed + 1;

COMMENT ON MACRO TABLE segment_history_at IS 'Entries to each segment and exits from it, seen at the ends of the months (in the configured time zone) that are over at an instant (UTC), a row a stay: segment, profile_id, entered_on (last day of the first month at whose end the person is in it), left_on (last day of the month at whose end no longer; null: still in it). It asks once for each month since the first touchpoint: minutes, where there are many.';

CREATE OR REPLACE MACRO value_cells_at(as_of) AS TABLE
$cells;

COMMENT ON MACRO TABLE value_cells_at IS 'Customers (who bought or held a contract) by value and potential at an instant (UTC), by the conditions of [value_cells]: profile_id, profitable, potential (high), and cell: one of four, as "profitable, high potential". Who does not fit a condition, or of whom it is not known, is not profitable, or of low potential.';

CREATE OR REPLACE VIEW value_cells_now AS FROM value_cells_at(default_as_of());

COMMENT ON VIEW value_cells_now IS 'Customers by value and potential at default_as_of(), by [value_cells].';

COMMENT ON COLUMN value_cells_now.profile_id IS 'The person: customer id, or anon: and the anonymous id.';

COMMENT ON COLUMN value_cells_now.profitable IS 'True where the condition profitable holds.';

COMMENT ON COLUMN value_cells_now.potential IS 'True where the condition high_potential holds.';

COMMENT ON COLUMN value_cells_now.cell IS 'Both in words: "profitable, high potential", "profitable, low potential", "not profitable, high potential" or "not profitable, low potential".';

CREATE OR REPLACE MACRO value_cell_moves("from", "to") AS TABLE
SELECT
    profile_id,
    before.cell AS cell_before,
    after.cell AS cell_after,
    CASE WHEN before.cell IS NULL THEN 'new' WHEN before.cell = after.cell THEN 'same' ELSE 'moved' END AS move
FROM value_cells_at("to") AS after LEFT JOIN value_cells_at("from") AS before USING (profile_id);

COMMENT ON MACRO TABLE value_cell_moves IS 'How customers moved between the four cells from one instant to another (UTC), a row a customer at the later one: profile_id, cell_before (null: no customer yet), cell_after, and move: new, same or moved.';
