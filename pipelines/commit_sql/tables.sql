DELETE FROM internal.row_hashes USING restarted
WHERE row_hashes.source = restarted.source AND row_hashes.topic = restarted.topic;
UPDATE internal.row_hashes SET seen = n.seen
FROM (SELECT source_name, source_topic, hash, max(nth) AS seen FROM row_numbers GROUP BY ALL) AS n
WHERE row_hashes.source = n.source_name AND row_hashes.topic = n.source_topic AND row_hashes.hash = n.hash;
INSERT INTO internal.row_hashes
SELECT source_name, source_topic, hash, max(nth) FROM row_numbers
ANTI JOIN internal.row_hashes AS h
    ON h.source = row_numbers.source_name AND h.topic = row_numbers.source_topic AND h.hash = row_numbers.hash
GROUP BY ALL;

DELETE FROM touchpoints WHERE rowid IN (SELECT stored_row FROM demoted);

-- Stored touchpoints are rewritten only where a link or a late event moved them to another person or visit.
UPDATE touchpoints
SET profile_id = coalesce(c.profile_id, touchpoints.profile_id), identified = coalesce(c.identified, touchpoints.identified),
    visit_id = CASE WHEN c.changes_visit THEN c.visit_id ELSE touchpoints.visit_id END
FROM (
    SELECT rid, m.profile_id, m.identified, v.visit_id, v.rid IS NOT NULL AS changes_visit
    FROM moved AS m FULL JOIN (FROM built_visit_changes WHERE rid < 0) AS v USING (rid)
) AS c
WHERE touchpoints.rowid = -1 - c.rid;

INSERT INTO touchpoints
SELECT
    a.event_id, s.occurred_at, n.profile_id, n.identified, s.customer_id, s.anonymous_id, s.event_type, s.stage,
    coalesce(s.stage, e.stage), coalesce(e.roles, []), e.money_role, s.channel, c.medium, coalesce(c.is_direct, false), s.source,
    s.campaign, s.content, s.product, s.contract_id, s.quote_id, s.claim_id, s.referral_id, s.case_id, s.value, s.currency, s.cost,
    s.survey, s.score, s.consent, s.experiment, s.variant, s.attributes, v.visit_id, s.source_name, s.source_topic,
    s.source_partition, s.source_offset, s.broker_timestamp, s.record_key, s.headers, s.schema_id, $now, $run_id,
    a.event_key, s.content_sha256
FROM staged AS s
JOIN newcomers AS n USING (rid)
JOIN arrivals AS a USING (rid)
LEFT JOIN built_visit_changes AS v USING (rid)
LEFT JOIN taxonomy_events AS e ON e.event_type = s.event_type
LEFT JOIN taxonomy_channels AS c ON c.channel = s.channel;

-- Links that went are deleted by then. A device's limit is over or not for all of its links that nobody took back.
INSERT INTO identity_links
SELECT link_id, anonymous_id, other_customer_id, customer_id, event_id, linked_at, kind, status FROM new_links;
UPDATE identity_links SET status = s.status
FROM (
    SELECT anonymous_id, if(persons > $max_customers_per_device, 'over_limit', 'active') AS status FROM devices
) AS s
WHERE identity_links.anonymous_id = s.anonymous_id AND identity_links.status NOT IN ('unlinked', s.status);

DELETE FROM journey_amounts WHERE journey_id IN (SELECT journey_id FROM journeys SEMI JOIN touched USING (profile_id));
DELETE FROM stage_visits WHERE journey_id IN (SELECT journey_id FROM journeys SEMI JOIN touched USING (profile_id));
DELETE FROM journey_steps WHERE profile_id IN (FROM touched);
DELETE FROM journeys WHERE profile_id IN (FROM touched);
DELETE FROM visits WHERE profile_id IN (FROM touched);
DELETE FROM profiles WHERE profile_id IN (FROM touched);
DELETE FROM contracts WHERE contract_id IN (FROM touched_contracts);
DELETE FROM quotes WHERE quote_id IN (FROM touched_quotes);
DELETE FROM claims WHERE claim_id IN (FROM touched_claims);
DELETE FROM cases WHERE case_id IN (FROM touched_cases);
INSERT INTO contracts BY NAME FROM built_contracts;
INSERT INTO quotes BY NAME FROM built_quotes;
INSERT INTO claims BY NAME FROM built_claims;
INSERT INTO cases BY NAME FROM built_cases;
INSERT INTO profiles BY NAME FROM built_profiles;
INSERT INTO visits BY NAME FROM built_visits;
INSERT INTO journeys BY NAME FROM built_journeys;
INSERT INTO journey_steps BY NAME FROM built_journey_steps;
INSERT INTO stage_visits BY NAME FROM built_stage_visits;
INSERT INTO journey_amounts BY NAME FROM built_journey_amounts;
