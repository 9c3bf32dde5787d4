-- Touchpoints that answer a survey with a score, and after: the event type of the person's last touchpoint before each
-- that neither sends nor answers a survey, whatever the figure is limited to. The survey is among the keys of the groups:
-- a condition on it reaches the touchpoints before they are joined.
SELECT
    answer.event_id, survey,
    any_value(answer.occurred_at) AS occurred_at, any_value(answer.score) AS score,
    any_value(answer.stage) AS stage, any_value(answer.channel) AS channel,
    any_value(answer.medium) AS medium, any_value(answer.product) AS product,
    arg_max(earlier.event_type, (earlier.occurred_at, earlier.event_id)) AS after
FROM touchpoints_then AS answer
LEFT JOIN (
    SELECT profile_id, occurred_at, event_id, event_type
    FROM touchpoints
    WHERE NOT list_contains(roles, 'survey_sent') AND NOT list_contains(roles, 'survey_answered')
) AS earlier
    ON earlier.profile_id = answer.profile_id
    AND (earlier.occurred_at, earlier.event_id) < (answer.occurred_at, answer.event_id)
WHERE survey IS NOT NULL AND answer.score IS NOT NULL
GROUP BY answer.event_id, survey
