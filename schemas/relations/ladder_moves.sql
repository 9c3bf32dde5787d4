CREATE MACRO ladder_moves("from", "to") AS TABLE
SELECT
    profile_id,
    before.rung AS rung_before,
    after.rung AS rung_after,
    CASE
        WHEN before.rung IS NULL THEN 'new'
        WHEN list_position(ladder_rungs(), before.rung) < list_position(ladder_rungs(), after.rung) THEN 'up'
        WHEN before.rung = after.rung THEN 'same'
        ELSE 'down'
    END AS move
FROM profiles_at("to") AS after
LEFT JOIN profiles_at("from") AS before USING (profile_id);

COMMENT ON MACRO TABLE ladder_moves IS 'How persons moved on the loyalty ladder between two instants (UTC), a row a person known at the later one: rung_before (null: not known yet), rung_after, and move: up, down, same or new.';
