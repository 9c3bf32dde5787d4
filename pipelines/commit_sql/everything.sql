-- Before a rebuild's tables are written: the taxonomy is applied to every touchpoint, and what is derived is emptied.
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
DELETE FROM identity_links;
DELETE FROM journey_amounts;
DELETE FROM stage_visits;
DELETE FROM journey_steps;
DELETE FROM journeys;
DELETE FROM visits;
DELETE FROM profiles;
