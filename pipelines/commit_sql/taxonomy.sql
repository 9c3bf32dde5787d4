-- The taxonomy applied to every touchpoint, the last step of a rebuild: an update of roles, a list, writes the row anew
-- under another rowid, and by their rowids the rows are named until here.
UPDATE touchpoints
SET stage = coalesce(t.stage_given, e.stage), roles = coalesce(e.roles, []), money_role = e.money_role
FROM touchpoints AS t LEFT JOIN taxonomy_events AS e USING (event_type)
WHERE touchpoints.rowid = t.rowid AND (
    t.stage IS DISTINCT FROM coalesce(t.stage_given, e.stage) OR t.roles <> coalesce(e.roles, [])
    OR t.money_role IS DISTINCT FROM e.money_role
);
UPDATE touchpoints
SET medium = c.medium, is_direct = coalesce(c.is_direct, false)
FROM touchpoints AS t LEFT JOIN taxonomy_channels AS c USING (channel)
WHERE touchpoints.rowid = t.rowid AND (t.medium IS DISTINCT FROM c.medium OR t.is_direct <> coalesce(c.is_direct, false));
