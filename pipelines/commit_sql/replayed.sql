-- Of the records that were tried again: those that are rejected again, and the others. Losers of a conflict that lose again
-- are left to what is said of all losers.
CREATE OR REPLACE TEMP TABLE refused AS
SELECT t.quarantine_id, r.step, r.reason, r.rule, r.field, r.value, r.message
FROM tried AS t JOIN refused_again AS r USING (rid);

UPDATE quarantine
SET attempts = attempts + 1, last_at = $now, step = r.step, reason = r.reason, rule = r.rule, field = r.field,
    value = r.value, message = r.message
FROM refused AS r WHERE quarantine.quarantine_id = r.quarantine_id;

INSERT INTO quarantine_attempts
SELECT quarantine_id, q.attempts, $now, $run_id, r.* EXCLUDE (quarantine_id)
FROM refused AS r JOIN quarantine AS q USING (quarantine_id);

UPDATE quarantine SET status = 'replayed', closed_by_run = $run_id
WHERE quarantine_id IN (
    SELECT quarantine_id
    FROM tried
    ANTI JOIN refused USING (quarantine_id)
    ANTI JOIN (SELECT conflict_id AS quarantine_id FROM fates WHERE fate = 'conflict') USING (quarantine_id)
);
