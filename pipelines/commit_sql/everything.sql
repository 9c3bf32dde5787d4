-- Before a rebuild's tables are written: what is derived is emptied.
DELETE FROM identity_links;
DELETE FROM journey_amounts;
DELETE FROM stage_visits;
DELETE FROM journey_steps;
DELETE FROM journeys;
DELETE FROM visits;
DELETE FROM contracts;
DELETE FROM quotes;
DELETE FROM claims;
DELETE FROM cases;
DELETE FROM profiles;
