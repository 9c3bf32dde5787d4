-- What must hold before anything is written; each row is one check, with how many rows break it and some of their ids.
CREATE OR REPLACE TEMP TABLE checks AS
WITH rebuilt AS (SELECT profile_id FROM kept UNION SELECT profile_id FROM newcomers),
broken AS (
    SELECT 'event_id.unique' AS rule, event_id AS id FROM loaded
    SEMI JOIN (SELECT event_key FROM loaded GROUP BY ALL HAVING count(*) > 1) USING (event_key)
    GROUP BY event_id HAVING count(*) > 1
    UNION ALL
    SELECT 'event_id.new', l.event_id
    FROM loaded AS l JOIN touchpoints AS t ON t.event_key = l.event_key AND t.event_id = l.event_id
    ANTI JOIN demoted AS d ON d.stored_row = t.rowid
    UNION ALL
    SELECT 'touchpoint.has_person', event_id FROM loaded ANTI JOIN newcomers USING (rid)
    UNION ALL
    SELECT 'profile.rebuilt', profile_id FROM rebuilt ANTI JOIN built_profiles USING (profile_id)
    UNION ALL
    SELECT 'profile.touched', profile_id FROM built_profiles ANTI JOIN touched USING (profile_id)
    UNION ALL
    SELECT 'profile.whole', profile_id
    FROM built_profiles AS b
    JOIN (
        SELECT profile_id, count(*) AS touchpoints
        FROM (SELECT profile_id FROM kept UNION ALL SELECT profile_id FROM newcomers)
        GROUP BY ALL
    ) AS h USING (profile_id)
    WHERE b.touchpoints <> h.touchpoints
    UNION ALL
    SELECT 'balance.closes', source || ' ' || topic || ' ' || partition
    FROM balances WHERE read <> loaded + duplicate + quarantined
)
SELECT rule, count(id) AS failed, coalesce(list(id ORDER BY id)[:10], []) AS sample
FROM (
    SELECT unnest([
        'event_id.unique', 'event_id.new', 'touchpoint.has_person', 'profile.rebuilt', 'profile.touched', 'profile.whole',
        'balance.closes'
    ]) AS rule
)
LEFT JOIN broken USING (rule)
GROUP BY rule;
