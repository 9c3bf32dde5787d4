-- The taxonomy applied to every touchpoint, the last step of a rebuild: an update of roles, a list, writes the row anew
-- under another rowid, and by their rowids the rows are named until here. One statement: DuckDB 2.0 takes rows that
-- this transaction wrote anew for broken texts when they are updated once more.
UPDATE touchpoints
SET stage = coalesce(t.stage_given, e.stage), roles = coalesce(e.roles, []), money_role = e.money_role, medium = c.medium,
    is_direct = coalesce(c.is_direct, false)
FROM touchpoints AS t
LEFT JOIN taxonomy_events AS e USING (event_type)
LEFT JOIN taxonomy_channels AS c USING (channel)
WHERE touchpoints.rowid = t.rowid AND (
    t.stage IS DISTINCT FROM coalesce(t.stage_given, e.stage) OR t.roles <> coalesce(e.roles, [])
    OR t.money_role IS DISTINCT FROM e.money_role OR t.medium IS DISTINCT FROM c.medium
    OR t.is_direct <> coalesce(c.is_direct, false)
);
